"""Messages get their example traces when they are claimed; a page never waits for them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from incident_world import guide
from notify_messages import messages
from tocsin.app.illustrated import MOST_NS, Illustrated
from tocsin.correlate.summary import Summariser
from tocsin.model.clock import ManualClock
from tocsin.model.errors import Overloaded
from tocsin.model.incident import Incident
from tocsin.model.message import Message, TraceExample

EXAMPLE = TraceExample("slowest", "ab" * 16, "bot", "answer", 1, 2)
SUMMARISE = Summariser([guide()]).of


class Due:
    """Messages that wait."""

    def __init__(self, waiting: Sequence[Message]) -> None:
        self.waiting = waiting
        self.settled: list[str] = []

    def claim(self, now: int, limit: int = 1, lease_ns: int = 1, *, without: Collection[str] = ()) -> Sequence[Message]:
        return self.waiting[:limit]

    def settle(
        self, message_id: str, outcome: str, *, at: int, next_attempt: int | None = None, error: str = ""
    ) -> None:
        self.settled.append(f"{message_id} {outcome}")

    def cursor(self, name: str) -> tuple[int, bytes | None]:
        return 7, name.encode()

    def commit(self, cursor: str, offset: int, *, state: bytes | None = None) -> bool:
        return offset > 7


def test_messages_of_incidents_get_examples_once_an_incident():
    asked = []

    def examples(incident: Incident) -> Sequence[TraceExample]:
        asked.append(incident.id)
        return [EXAMPLE]

    trigger = messages()["trigger"]
    waiting = [
        trigger,
        replace(trigger, id="again"),
        replace(trigger, id="dry", dry_run=True),
        messages()["acknowledge"],
    ]
    store = Illustrated(Due(waiting), examples, SUMMARISE, ManualClock(0))
    found = store.claim(0)
    assert [each.traces for each in found] == [(EXAMPLE,), (EXAMPLE,), (), ()]
    assert len(asked) == 1
    told = [[one.ref for each in message.summary.sentences for one in each.sources] for message in found]
    assert all(told), "every message says what happened"
    assert EXAMPLE.trace_id in told[0]
    assert EXAMPLE.trace_id not in told[3]


def test_a_store_that_fails_or_is_slow_costs_no_page():
    clock = ManualClock(0)

    def slow(incident: Incident) -> Sequence[TraceExample]:
        clock.advance(MOST_NS + 1)
        if incident.id == "inc-b":
            raise AssertionError("asked although it is late")
        raise Overloaded("too much at once")

    trigger = messages()["trigger"]
    other = replace(trigger, incident=replace(trigger.incident, id="inc-b"))
    found = Illustrated(Due([trigger, other]), slow, SUMMARISE, clock).claim(0)
    assert [each.traces for each in found] == [(), ()]


def test_all_else_is_the_stores_own():
    due = Due([])
    store = Illustrated(due, lambda _: (), SUMMARISE, ManualClock(0))
    store.settle("m1", "sent", at=1)
    assert (due.settled, store.cursor("x"), store.commit("x", 8)) == (["m1 sent"], (7, b"x"), True)
