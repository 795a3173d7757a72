"""Server-sent events: order, resuming, heartbeat, and places given back."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from dataclasses import replace
from urllib.parse import urlsplit

from api.conftest import World, served
from api.fake import deps
from api.world import story
from tocsin.model.errors import Unreachable
from tocsin.model.incident import IncidentState


class Reader:
    """A reader of one stream."""

    def __init__(self, world: World, last: str | None = None) -> None:
        self.connection = http.client.HTTPConnection(urlsplit(world.url).netloc, timeout=10)
        self.connection.request("GET", "/api/stream", headers={"last-event-id": last} if last is not None else {})
        self.answer = self.connection.getresponse()

    def events(self) -> Iterator[tuple[str, str, dict[str, object]]]:
        """Id, name and document of each event."""
        found: dict[str, str] = {}
        while line := self.answer.readline():
            name, _, value = line.decode().rstrip("\n").partition(": ")
            if name:
                found[name] = value
            elif "event" in found:
                yield found.get("id", ""), found["event"], json.loads(found["data"])
                found = {}

    def until(self, event: str) -> tuple[str, dict[str, object]]:
        """The next event of this name."""
        return next((number, body) for number, name, body in self.events() if name == event)

    def close(self) -> None:
        """Hang up."""
        self.answer.close()
        self.connection.close()


def test_news_arrives_in_order_and_a_reader_resumes_where_it_was(full: World):
    reader = Reader(full)
    assert reader.answer.getheader("content-type") == "text/event-stream; charset=utf-8"
    number, hello = reader.until("hello")
    assert (number, hello["seq"]) == ("5", 5)
    full.deps.state.act("main", story().id, "ack", by="ann", note="", at=1)
    number, body = reader.until("incident")
    assert (number, body["id"], body["kind"], body["state"]) == ("6", story().id, "acknowledged", "acknowledged")
    reader.close()
    full.deps.state.act("main", story().id, "resolve", by="ann", note="", at=2)
    full.deps.state.add(replace(story(), id="inc-new", state=IncidentState.OPEN, title="new\nline"))
    later = Reader(full, last="6")
    assert [later.until("incident")[1]["kind"] for _ in range(2)] == ["resolved", "opened"]
    later.close()


def test_a_quiet_stream_gives_a_heartbeat(full: World):
    reader = Reader(full)
    assert reader.until("heartbeat")[1] == {"seq": 5}
    reader.close()


def test_streams_end_in_good_order_with_the_process(full: World):
    reader = Reader(full)
    reader.until("hello")
    full.app.state.places.end()
    assert [name for _, name, _ in reader.events() if name not in ("overview", "heartbeat")] == []
    reader.close()


def test_a_stream_ends_where_the_store_does_not_answer(full: World, monkeypatch):
    reader = Reader(full)
    reader.until("hello")

    def gone(*_):
        raise Unreachable("the state store can't be used")

    monkeypatch.setattr(full.deps.state, "events_after", gone)
    assert [name for _, name, _ in reader.events() if name not in ("overview", "heartbeat")] == []
    reader.close()


def test_a_number_from_the_future_does_not_silence_the_stream(full: World):
    reader = Reader(full, last="99999999999999999999")
    full.deps.state.act("main", story().id, "ack", by="ann", note="", at=1)
    assert reader.until("incident")[0] == "6"
    reader.close()


def test_too_many_streams_are_refused_and_places_come_back():
    with served(replace(deps(), max_streams=1)) as world:
        first = Reader(world)
        first.until("hello")
        refused = Reader(world)
        assert refused.answer.status == 503
        assert refused.answer.getheader("retry-after") == "30"
        refused.close()
        first.close()
        for _ in range(100):
            again = Reader(world)
            if again.answer.status == 200:
                break
            again.close()
        assert again.until("hello")
        again.close()
