"""Destinations at work: the outbox, and what the status page shows and tests of them."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from tocsin.api.ports import DestinationStatus
from tocsin.app.illustrated import Draw, Examples, Illustrated, Summarise
from tocsin.incident.outbox import Health, Outbox
from tocsin.model.clock import Clock
from tocsin.model.destination import Destination
from tocsin.model.errors import BadInput, Retryable
from tocsin.model.incident import Incident, IncidentState, Severity, incident_id
from tocsin.model.message import Message
from tocsin.model.summary import UNSAID
from tocsin.notify.base import Context
from tocsin.notify.registry import open_destinations, resend_ns
from tocsin.respond.telling import action_log
from tocsin.spec.config import Config
from tocsin.store.state import StateStore

TEST_LIMIT_S = 35.0


class Deliveries:
    """The outbox over the configured destinations; `tocsin.api.ports.Destinations` for the pages."""

    def __init__(
        self,
        config: Config,
        state: StateStore,
        clock: Clock,
        base_url: str,
        others: Callable[[str], Sequence[DestinationStatus]] = lambda _: (),
        examples: Examples = lambda _: (),
        summarise: Summarise = lambda *_: UNSAID,
        draw: Draw = lambda _: None,
        *,
        term: Callable[[], int] = lambda: 1,
    ) -> None:
        self._others = others
        self._state = state
        self._clock = clock
        self._context = Context(base_url)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._config = config
        self._destinations: dict[str, Destination] = open_destinations(config.outgoing(), self._context)
        store = Illustrated(state, examples, summarise, clock, self._done, draw)
        self._outbox = Outbox(store, self._destinations, clock, term=term)

    def _done(self, incident: Incident) -> Sequence[str]:
        """What was done about an incident, a line each."""
        return action_log(self._state.remedies(incident.tenant, incident_id=incident.id))

    def resend_ns(self) -> dict[str, int]:
        """How often each destination must be told again of an open incident."""
        return resend_ns(self._destinations.values())

    async def run(self, loop: asyncio.AbstractEventLoop) -> None:
        """Deliver until cancelled."""
        self._loop = loop
        await self._outbox.run(poll_s=0.5)

    def wake(self) -> None:
        """There is something new to deliver; thread-safe."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._outbox.wake)

    def adopt(self, config: Config) -> None:
        """Put new destinations into force; thread-safe."""
        fresh = open_destinations(config.outgoing(), self._context)
        self._config, self._destinations = config, fresh
        if self._loop is not None:
            asyncio.run_coroutine_threadsafe(self._outbox.replace(fresh), self._loop).result(TEST_LIMIT_S)

    def all(self, tenant: str) -> Sequence[DestinationStatus]:
        """All destinations with what is known of them, and `others` that take no messages."""
        return [*counted(self.known(), self._state.outbox_counts(tenant)), *self._others(tenant)]

    def known(self) -> list[DestinationStatus]:
        """All destinations of messages, without what waits for them."""
        targets = {d.name: (d.type, getattr(d, "url", "") or getattr(d, "host", "")) for d in self._config.outgoing()}
        return [
            _status(name, *targets.get(name, ("console", "stderr")), health, self._config.dry_run)
            for name, health in sorted(self._outbox.health.items())
        ]

    def test(self, tenant: str, name: str) -> str:
        """Send a test message now; what came back, in words.

        Raises
        ------
        BadInput
            No destination has this name.
        Retryable
            It does not answer in time.
        """
        destination = self._destinations.get(name)
        if destination is None or self._loop is None:
            known = ", ".join(sorted(self._destinations))
            raise BadInput(f"no destination is called {name!r}; there are {known}")
        message = _test_message(tenant, name, self._clock.now())
        sending = destination.send(message, "", self._clock.now())
        attempt = asyncio.run_coroutine_threadsafe(sending, self._loop)
        try:
            receipt = attempt.result(TEST_LIMIT_S)
        except TimeoutError:
            attempt.cancel()
            raise Retryable(
                f"{name} did not answer within {TEST_LIMIT_S:g} s; look whether its address is right"
            ) from None
        return receipt.detail or "delivered"


def counted(known: Sequence[DestinationStatus], counts: Mapping[str, Mapping[str, int]]) -> list[DestinationStatus]:
    """Destinations with what waits for them and what failed, by their names in the outbox."""
    return [
        replace(each, pending=counts.get(each.name, {}).get("pending", 0), failed=counts.get(each.name, {}).get("failed", 0))
        for each in known
    ]  # fmt: skip


def _status(name: str, kind: str, target: str, health: Health, dry_run: bool) -> DestinationStatus:
    # an address may carry its secret in the path: only scheme and host are shown
    shown = "/".join(str(target).split("/")[:3]) if "://" in str(target) else str(target)
    return DestinationStatus(
        name=name,
        type=kind,
        target=shown,
        dry_run=dry_run,
        last_ok_at=health.last_ok_at or None,
        last_error=health.last_error,
    )


def _test_message(tenant: str, name: str, now: int) -> Message:
    founding = hashlib.blake2b(f"test {name} {now}".encode(), digest_size=16).digest()
    incident = Incident(
        id=incident_id(tenant, founding),
        tenant=tenant,
        title="Test message: this destination works",
        state=IncidentState.OPEN,
        severity=Severity.INFO,
        severity_arithmetic="none: a test",
        findings=(),
        causes=(),
        changes=(),
        entities=(),
        opened_at=now,
        updated_at=now,
        resolved_at=None,
        dedup_key=f"test-{name}",
        statement="Somebody asked for a test message. Nothing is wrong.",
    )
    return Message(f"test-{founding.hex()}", tenant, name, "test", incident, incident.dedup_key, now, now)
