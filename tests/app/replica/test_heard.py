"""What control tells of itself by way of the state store, and what a replica makes of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from api.fake import deps
from tocsin.api.ports import DestinationStatus
from tocsin.app.replica.heard import AWAY_S, LOOK_S, NEVER, DestinationsHeard, Heard
from tocsin.app.telling import CURSOR, Speech, Telling, Told
from tocsin.model.errors import Unreachable
from tocsin.model.incident import IncidentState
from tocsin.store.state import StateStore

HOOK = DestinationStatus("hook", "webhook", "https://example.org", last_ok_at=7, last_error="")
SCORES = DestinationStatus("prom", "remote_write", pending=3)
TOLD = Told(
    "1",
    {"hot": "# TYPE a counter\na 1.0\n"},
    {"main": ["too many series"]},
    ["the disk is full"],
    ["tocsin.yaml:1:1 bad"],
    [HOOK],
    {"main": [SCORES]},
    {"inc-1": {"level": 1, "of": 2, "to": ["lead"], "at": 5}},
)


class World:
    """A state store, and a clock that is moved by hand."""

    def __init__(self, path):
        self.state = StateStore(f"sqlite:///{path / 'state.db'}")
        self.now_s, self.number, self.looks = 1000.0, 0, 0
        self.heard = Heard(self, seconds=lambda: self.now_s)
        self.outbox_counts = self.state.outbox_counts

    def cursor(self, name):
        self.looks += 1
        return self.state.cursor(name)

    def tell(self, told=TOLD):
        self.number += 1
        assert self.state.commit(CURSOR, self.number, state=told.packed())

    def wait(self, seconds):
        self.now_s += seconds


@pytest.fixture
def world(tmp_path):
    made = World(tmp_path)
    yield made
    made.state.close()


def test_what_was_told_is_heard_whole(world):
    world.tell()
    assert world.heard.latest() == TOLD
    assert world.heard.expositions() == TOLD.expositions
    assert (world.heard.notices("main"), world.heard.notices("other")) == (["too many series"], [])
    assert world.heard.config_faults() == TOLD.config_faults
    assert world.heard.not_ready() == ["the disk is full"]
    assert world.heard.level("inc-1")["to"] == ["lead"]
    assert world.heard.level("inc-2") is None


def test_control_that_is_silent_is_away_until_it_is_heard_again(world):
    world.tell()
    for _ in range(3):
        assert world.heard.away() == ""
        world.wait(AWAY_S - LOOK_S)
        world.tell()
    world.wait(LOOK_S)
    assert world.heard.away() == ""
    world.wait(AWAY_S)
    assert "not been heard of for 20 s" in world.heard.away()
    assert world.heard.not_ready() == [world.heard.away()]
    world.tell()
    world.wait(LOOK_S)
    assert world.heard.away() == ""


def test_before_anything_was_told_that_is_said(world):
    assert world.heard.latest() is None
    assert world.heard.not_ready() == [NEVER]
    assert (world.heard.expositions(), world.heard.notices("main"), world.heard.level("x")) == ({}, [], None)
    assert DestinationsHeard(world.heard, world.state).all("main") == []


def test_the_store_is_asked_at_most_every_two_seconds(world):
    world.tell()
    for _ in range(50):
        world.heard.not_ready()
    assert world.looks == 1
    world.wait(LOOK_S)
    world.heard.not_ready()
    assert world.looks == 2


def test_destinations_are_as_told_with_what_waits_now(world):
    world.tell()
    found = DestinationsHeard(world.heard, world.state)
    assert found.all("main") == [HOOK, SCORES]
    assert found.all("other") == [HOOK]
    with pytest.raises(Unreachable):
        found.test("main", "hook")


def test_what_another_version_told_besides_is_left_out(world):
    text = Told.unpacked(Told("2").packed())
    assert (text.version, text.destinations, text.receivers) == ("2", [], {})


class Ladder:
    """Routing that knows who is told next of one incident."""

    def __init__(self, known):
        self.known = known

    def next_level(self, incident):
        return {"level": 2} if incident.id == self.known else None


def test_a_process_tells_what_its_own_pages_show():
    shown = deps()
    first, *others = shown.state.incidents("main", frozenset(IncidentState), 0, 10)
    assert others
    speech = Speech(
        replace(shown, routing=Ladder(first.id)), lambda: {"main": ["capped"]}, lambda: [HOOK], lambda: {"main": [SCORES]}
    )  # fmt: skip
    told = Told.unpacked(speech.told([first, *others]).packed())
    assert (told.expositions, told.not_ready) == (shown.expositions(), shown.ready())
    assert (told.notices, told.destinations, told.receivers) == ({"main": ["capped"]}, [HOOK], {"main": [SCORES]})
    assert told.levels == {first.id: {"level": 2}}


def test_one_machine_s_file_is_told_nothing(world):
    telling = Telling(world.state, Speech(deps(), dict, list, dict))
    assert telling.step() == 0
    assert world.state.cursor(CURSOR) == (0, None)
