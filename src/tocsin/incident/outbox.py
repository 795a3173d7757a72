"""The outbox: delivers what the state store holds, at least once, each destination on its own."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Literal, Protocol, TypeAlias, TypeVar

import structlog

from tocsin.model.clock import SECOND, Clock
from tocsin.model.destination import Destination, Receipt
from tocsin.model.errors import Overloaded, Refused, Retryable, TocsinError, Unreachable
from tocsin.model.message import Message
from tocsin.selfmon.metrics import counter, gauge

FIRST_RETRY_NS = 1 * SECOND
LAST_RETRY_NS = 300 * SECOND
GIVE_UP_NS = 24 * 3600 * SECOND
SEND_LIMIT_S = 30.0
"""No attempt takes longer than this, whatever the destination does."""
LEASE_NS = 120 * SECOND
PUT_OFF_NS = 10 * SECOND
LEAD_POLL_S = 0.5
SETTLE_AGAIN_S = 1.0
QUEUE = 200
BATCH = 100
MAX_NEWEST = 10_000
_RANK = {"test": 0, "digest": 0, "trigger": 1, "update": 2, "acknowledge": 3, "resolve": 4}

_ALONE = ("test", "digest")
"""What is of no incident, and so never overtaken by later news of one."""

R = TypeVar("R")
Outcome: TypeAlias = Literal["sent", "retry", "failed", "dropped"]

_log = structlog.get_logger()
_SETTLED = counter(
    "tocsin_incident_messages_settled_total", "Attempts at delivery, by outcome", ["destination", "outcome"]
)
_QUEUE = gauge("tocsin_incident_outbox_queue_messages", "Messages claimed and not yet attempted", ["destination"])
_UNREACHED = gauge(
    "tocsin_incident_destination_failing_seconds", "How long a destination has failed; 0: it works", ["destination"]
)


class MessageStore(Protocol):
    """What the outbox needs of the state store; calls may block and come from worker threads."""

    def claim(
        self,
        now: int,
        limit: int = BATCH,
        lease_ns: int = LEASE_NS,
        *,
        without: Collection[str] = (),
    ) -> Sequence[Message]:
        """Due messages, leased, but those to some destinations; `attempts` counts this one."""

    def put_off(self, now: int, destinations: Collection[str], lease_ns: int = LEASE_NS) -> int:
        """Let what is due to these destinations wait for the length of a lease, unread; gives how many that were."""

    def settle(
        self, message_id: str, outcome: Outcome, *, at: int, next_attempt: int | None = None, error: str = ""
    ) -> None:
        """Say what became of a message."""

    def cursor(self, name: str) -> tuple[int, bytes | None]:
        """Bytes kept under a name, with their number."""

    def commit(self, cursor: str, offset: int, *, state: bytes | None = None) -> bool:
        """Keep bytes under a name; `offset` must grow."""


@dataclass(frozen=True, slots=True)
class _Record:
    """What the store keeps of an incident at a destination: its thread there, and the newest notice that arrived."""

    number: int
    thread: str = ""
    order: list[int | str] = field(default_factory=list)

    @staticmethod
    def of(kept: tuple[int, bytes | None]) -> _Record:
        number, state = kept
        found = json.loads(state) if state else {}
        return _Record(number, found.get("thread", ""), found.get("order", []))

    def to_bytes(self) -> bytes:
        """As the store keeps it."""
        return json.dumps({"thread": self.thread, "order": self.order}).encode()


@dataclass(slots=True)
class Health:
    """How a destination is doing; times are ns, 0 = never."""

    last_ok_at: int = 0
    failing_since: int = 0
    last_error: str = ""
    sent: int = 0
    failed: int = 0


def backoff_ns(attempts: int) -> int:
    """Wait before the next attempt after `attempts` of them: 1, 2, 4 ... s, at most 5 min; no jitter.

    >>> [backoff_ns(n) // 10**9 for n in (1, 2, 3, 20)]
    [1, 2, 4, 300]
    """
    return min(FIRST_RETRY_NS << min(max(attempts, 1) - 1, 20), LAST_RETRY_NS)


class Outbox:
    """Claims due messages and hands them to one worker per destination; a dead one delays no other.

    Parameters
    ----------
    store : where messages wait
    destinations : by name
    clock : wall time
    give_up_ns : age at which a message is given up, counted and shown
    term : number of the term in which this process sends, 0 while another does; asked before every claim and attempt
    """

    def __init__(
        self,
        store: MessageStore,
        destinations: Mapping[str, Destination],
        clock: Clock,
        *,
        give_up_ns: int = GIVE_UP_NS,
        term: Callable[[], int] = lambda: 1,
    ) -> None:
        self._store = store
        self._term = term
        self._destinations = dict(destinations)
        self._clock = clock
        self._give_up_ns = give_up_ns
        self._queues: dict[str, asyncio.Queue[Message]] = {}
        self._workers: dict[str, asyncio.Task[None]] = {}
        self._claimed: dict[str, tuple[int, int]] = {}  # by message: term and time of the last claim
        self._newest: dict[str, list[int | str]] = {}
        self._put_off_at = 0
        self._wake = asyncio.Event()
        self.health: dict[str, Health] = {name: Health() for name in self._destinations}

    def wake(self) -> None:
        """Look for due messages now (call in the event loop after a commit)."""
        self._wake.set()

    async def replace(self, destinations: Mapping[str, Destination]) -> None:
        """Take new destinations into force; the old ones finish what they are at and are closed."""
        old = self._destinations
        await self._stop()
        self._destinations = dict(destinations)
        self.health = {name: self.health.get(name, Health()) for name in self._destinations}
        for name, destination in old.items():
            if self._destinations.get(name) is not destination:
                await destination.close()

    async def run(self, poll_s: float = 1.0) -> None:
        """Deliver until cancelled."""
        try:
            while True:
                self._wake.clear()
                try:
                    while await self.drain():
                        pass
                except TocsinError as error:
                    _log.error("the outbox can't be read, trying again", error=str(error)[:300])
                try:
                    await asyncio.wait_for(self._wake.wait(), poll_s)
                except TimeoutError:
                    continue
        finally:
            await self.close()

    async def drain(self) -> int:
        """Claim what is due and hand it to the workers; gives how many were claimed, 0 where another process sends."""
        term, now = await asyncio.to_thread(self._term), self._clock.now()
        if not term:
            return 0
        full = {name for name, queue in self._queues.items() if queue.full()}
        claimed = await asyncio.to_thread(partial(self._store.claim, now, BATCH, LEASE_NS, without=full))
        for message in sorted(claimed, key=lambda each: (each.created_at, each.id)):
            await self._hand_over(message, (term, now))
        if full and now - self._put_off_at >= PUT_OFF_NS:  # else all of it would be passed over by every claim
            self._put_off_at = now
            await asyncio.to_thread(self._store.put_off, now, full, LEASE_NS)
        return len(claimed)

    async def idle(self, *names: str) -> None:
        """Wait until all that was claimed has been attempted, of some destinations or of all."""
        await asyncio.gather(*(queue.join() for name, queue in self._queues.items() if not names or name in names))

    async def close(self) -> None:
        """Stop; what was not attempted is claimed again when its lease is over."""
        await self._stop()
        for destination in self._destinations.values():
            await destination.close()

    async def _stop(self) -> None:
        for worker in self._workers.values():
            worker.cancel()
        await asyncio.gather(*self._workers.values(), return_exceptions=True)
        self._workers, self._queues = {}, {}
        self._claimed.clear()

    async def _hand_over(self, message: Message, claim: tuple[int, int]) -> None:
        name = message.destination
        if message.dry_run:
            await self._settle(message, "dropped", message.reason or "dry run: recorded, not sent")
            return
        if name not in self._destinations:
            await self._settle(message, "failed", f"no destination is called {name!r} any more")
            return
        if message.id in self._claimed:
            self._claimed[message.id] = claim
            return  # still in our hands: the lease ended while a slow destination was busy with others
        queue = self._queues.get(name)
        if queue is None:
            queue = self._queues[name] = asyncio.Queue(QUEUE)
            self._workers[name] = asyncio.create_task(self._work(name, queue), name=f"outbox {name}")
        if not queue.full():
            self._claimed[message.id] = claim
            if message.action not in _ALONE:
                self._newest[_key(message)] = max(_order(message), self._newest.pop(_key(message), []))
                if len(self._newest) > MAX_NEWEST:
                    del self._newest[next(iter(self._newest))]
            queue.put_nowait(message)  # else it comes again when its lease is over
        _QUEUE.labels(name).set(queue.qsize())

    async def _work(self, name: str, queue: asyncio.Queue[Message]) -> None:
        while True:
            message = await queue.get()
            try:
                await self._attempt(message)
            except Exception as error:  # noqa: BLE001  a top loop: the message comes again when its lease is over
                _SETTLED.labels(name, "unsettled").inc()
                _log.exception(
                    "a message could not be settled", destination=name, message=message.id, error=str(error)[:300]
                )
            finally:
                self._claimed.pop(message.id, None)
                queue.task_done()
                _QUEUE.labels(name).set(queue.qsize())

    async def _may_send(self, message: Message) -> bool:
        """Whether nobody else can have sent this message; waits for the lead while its claim lasts."""
        while True:
            ours, at = self._claimed[message.id]
            term, age = await asyncio.to_thread(self._term), self._clock.now() - at
            if term == ours or (term and age < LEASE_NS - SEND_LIMIT_S * SECOND):
                return True
            if term or age >= LEASE_NS:
                return False  # whoever leads claims it again
            await asyncio.sleep(LEAD_POLL_S)

    async def _attempt(self, message: Message) -> None:
        if not await self._may_send(message):
            return
        record = _Record.of(await _kept(lambda: self._store.cursor(_key(message))))
        if message.action not in _ALONE and _order(message) < max(record.order, self._newest.get(_key(message), [])):
            await self._settle(message, "dropped", "overtaken by a later notice of the same incident")
            return
        destination = self._destinations[message.destination]
        try:
            async with asyncio.timeout(SEND_LIMIT_S):
                receipt = await destination.send(message, record.thread, self._clock.now())
        except Retryable as error:
            await self._retry(message, str(error), error.retry_after_s)
        except TimeoutError:
            await self._retry(message, f"no answer within {SEND_LIMIT_S:g} s", None)
        except Refused as error:
            await self._failed(message, str(error))
        except (TocsinError, OSError) as error:
            await self._retry(message, str(error) or type(error).__name__, None)
        except Exception as error:  # noqa: BLE001  a destination's bug must not stop its worker: counted, shown, given up
            _log.exception("destination failed", destination=message.destination, message=message.id)
            await self._failed(message, f"{type(error).__name__}: {error}")
        else:
            await self._delivered(message, receipt, record)

    async def _delivered(self, message: Message, receipt: Receipt, record: _Record) -> None:
        after = _Record(record.number + 1, receipt.thread or record.thread, _order(message))
        await _kept(lambda: self._store.commit(_key(message), after.number, state=after.to_bytes()))
        if self._newest.get(_key(message)) == after.order:
            del self._newest[_key(message)]  # the store knows it from here on
        health = self.health[message.destination]
        health.last_ok_at, health.failing_since, health.last_error = self._clock.now(), 0, ""
        health.sent += 1
        _UNREACHED.labels(message.destination).set(0)
        await self._settle(message, "sent", "")

    async def _retry(self, message: Message, error: str, retry_after_s: float | None) -> None:
        now = self._clock.now()
        if now - message.created_at >= self._give_up_ns:
            await self._failed(message, f"given up after {message.attempts} attempts: {error}")
            return
        wait = backoff_ns(message.attempts)
        if retry_after_s is not None:
            wait = min(max(wait, int(retry_after_s * SECOND)), 3600 * SECOND)
        self._trouble(message.destination, error, now)
        _SETTLED.labels(message.destination, "retry").inc()
        _log.warning("not delivered", destination=message.destination, incident=message.incident.id, error=error[:300])
        settle = self._store.settle
        await _kept(lambda: settle(message.id, "retry", at=now, next_attempt=now + wait, error=error[:500]))

    async def _failed(self, message: Message, error: str) -> None:
        self.health.setdefault(message.destination, Health()).failed += 1
        self._trouble(message.destination, error, self._clock.now())
        _log.error("given up", destination=message.destination, incident=message.incident.id, error=error[:300])
        await self._settle(message, "failed", error)

    def _trouble(self, name: str, error: str, now: int) -> None:
        health = self.health.setdefault(name, Health())
        health.failing_since = health.failing_since or now
        health.last_error = error[:300]
        _UNREACHED.labels(name).set((now - health.failing_since) / SECOND)

    async def _settle(self, message: Message, outcome: Outcome, error: str) -> None:
        _SETTLED.labels(message.destination, outcome).inc()
        settle, now = self._store.settle, self._clock.now()
        await _kept(lambda: settle(message.id, outcome, at=now, error=error[:500]))


async def _kept(step: Callable[[], R]) -> R:
    """Do a step of the store in a thread, again until the store is there: what was sent must not be forgotten."""
    while True:
        try:
            return await asyncio.to_thread(step)
        except (Unreachable, Overloaded) as error:
            _log.warning("the state store can't be used, trying again", error=str(error)[:300])
            await asyncio.sleep(SETTLE_AGAIN_S)


def _key(message: Message) -> str:
    text = f"{message.tenant}\0{message.destination}\0{message.dedup_key}"
    return "thread/" + hashlib.blake2b(text.encode(), digest_size=16, person=b"tocsin.thread").hexdigest()


def _order(message: Message) -> list[int | str]:
    return [message.created_at, _RANK[message.action], message.id]
