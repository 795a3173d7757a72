"""Messages with example traces, a chart, a summary and what was done, made when they are delivered: what is stored stays what was decided."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import Final

from tocsin.incident.outbox import BATCH, LEASE_NS, MessageStore, Outcome
from tocsin.model.clock import SECOND, Clock
from tocsin.model.errors import TocsinError
from tocsin.model.incident import Incident
from tocsin.model.message import Message, Picture, TraceExample
from tocsin.model.summary import Summary
from tocsin.selfmon.metrics import counter

Examples = Callable[[Incident], Sequence[TraceExample]]
Summarise = Callable[[Incident, Sequence[TraceExample]], Summary]
Done = Callable[[Incident], Sequence[str]]
Draw = Callable[[Incident], Picture | None]
MOST_NS: Final = 2 * SECOND
"""A page must not wait for its examples: messages claimed after this go without."""
_ACTIONS = ("trigger", "update", "resolve")
_OF_NOTHING = ("test", "digest")
_WITHOUT = counter(
    "tocsin_incident_messages_without_traces_total", "Messages sent without example traces, by reason.", ["reason"]
)
_PLAIN = counter(
    "tocsin_incident_messages_without_chart_total", "Messages sent without a chart, by reason.", ["reason"]
)
_DRAWN = ("trigger", "resolve")
"""What has a chart: the first notice and the last; news between them have the same curve."""


class Illustrated:
    """A store of messages that adds example traces, a chart and a summary to those that are claimed."""

    def __init__(
        self,
        store: MessageStore,
        examples: Examples,
        summarise: Summarise,
        clock: Clock,
        done: Done = lambda _: (),
        draw: Draw = lambda _: None,
    ) -> None:
        self._store = store
        self._examples = examples
        self._summarise = summarise
        self._clock = clock
        self._done = done
        self._draw = draw

    def claim(
        self,
        now: int,
        limit: int = BATCH,
        lease_ns: int = LEASE_NS,
        *,
        without: Collection[str] = (),
    ) -> Sequence[Message]:
        """Due messages, leased, with their example traces, charts and summaries."""
        claimed = self._store.claim(now, limit, lease_ns, without=without)
        began = self._clock.now()
        known: dict[str, tuple[TraceExample, ...]] = {}
        drawn: dict[str, Picture | None] = {}
        found = []
        for message in claimed:
            incident = message.incident
            if message.action in _OF_NOTHING:
                found.append(message)
                continue
            traces: tuple[TraceExample, ...] = ()
            if message.action in _DRAWN and not message.dry_run and incident.id not in drawn:
                drawn[incident.id] = self._drawn(incident, late=self._clock.now() - began > MOST_NS)
            if message.action in _ACTIONS and not message.dry_run:
                if incident.id not in known:
                    known[incident.id] = self._of(incident, late=self._clock.now() - began > MOST_NS)
                traces = known[incident.id]
            summary, done = self._summarise(incident, traces), tuple(self._done(incident))
            picture = drawn.get(incident.id) if message.action in _DRAWN else None
            found.append(replace(message, traces=traces, summary=summary, done=done, picture=picture))
        return found

    def _drawn(self, incident: Incident, *, late: bool) -> Picture | None:
        if late:
            _PLAIN.labels("late").inc()
            return None
        try:
            picture = self._draw(incident)
        except TocsinError as error:
            _PLAIN.labels(error.code).inc()
            return None
        if picture is None:
            _PLAIN.labels("nothing_stored").inc()
        return picture

    def _of(self, incident: Incident, *, late: bool) -> tuple[TraceExample, ...]:
        if late:
            _WITHOUT.labels("late").inc()
            return ()
        try:
            return tuple(self._examples(incident))
        except TocsinError as error:
            _WITHOUT.labels(error.code).inc()
            return ()

    def put_off(self, now: int, destinations: Collection[str], lease_ns: int = LEASE_NS) -> int:
        """Let what is due to these destinations wait for the length of a lease; gives how many that were."""
        return self._store.put_off(now, destinations, lease_ns)

    def settle(
        self, message_id: str, outcome: Outcome, *, at: int, next_attempt: int | None = None, error: str = ""
    ) -> None:
        """Say what became of a message."""
        self._store.settle(message_id, outcome, at=at, next_attempt=next_attempt, error=error)

    def cursor(self, name: str) -> tuple[int, bytes | None]:
        """Bytes kept under a name, with their number."""
        return self._store.cursor(name)

    def commit(self, cursor: str, offset: int, *, state: bytes | None = None) -> bool:
        """Keep bytes under a name; `offset` must grow."""
        return self._store.commit(cursor, offset, state=state)
