"""What a message that this program itself stumbles over costs: that message, and no other."""

import json
from types import SimpleNamespace

import pytest

from ingest_world import NOW, World
from tocsin.ingest import broker_messages
from tocsin.ingest.broker_messages import Message, MessageReader
from tocsin.ingest.jsonl import decode_points
from tocsin.ingest.otlp import OtlpReceiver
from tocsin.ingest.places import offsets_place
from tocsin.model.errors import Overloaded


def point(value):
    said = {"timestamp": NOW // 10**6, "metric": "app.load", "value": value, "labels": {"zone": "a"}}
    return Message("points", json.dumps(said).encode())


def reader():
    edge = World().edge
    return MessageReader("bus", edge, OtlpReceiver(edge), resource={"service.name": "shop"})


def test_a_fault_of_this_program_takes_one_message_and_no_other(monkeypatch):
    def stumbling(lines, *args):
        if any(b"77" in line for line in lines):
            raise ZeroDivisionError("a fault of ours")
        return decode_points(lines, *args)

    monkeypatch.setattr(broker_messages, "decode_points", stumbling)
    one = reader()
    monkeypatch.setattr(one, "_receiver", SimpleNamespace(decode=lambda *_, **__: 1 // 0))
    contents = one.read([point(1.5), point(77), point(2.5), Message("otlp_logs", b"x")])
    assert contents.bad == {1: "internal", 3: "internal"}
    assert sum(len(frame) for frame in contents.frames) == 2


@pytest.mark.parametrize("passing", [MemoryError(), OSError(), Overloaded("full")])
def test_what_may_go_well_the_next_time_is_not_held_against_a_message(monkeypatch, passing):
    def failing(*_):
        raise passing

    monkeypatch.setattr(broker_messages, "decode_points", failing)
    with pytest.raises(type(passing)):
        reader().read([point(1.0)])


def test_what_redaction_stumbles_over_is_found_among_the_messages_handed_in(monkeypatch):
    one, told = reader(), []
    monkeypatch.setattr(broker_messages, "_log", SimpleNamespace(error=lambda *_, **what: told.append(what)))

    def redacted(frames):
        if any(77 in frame.f8("value") for frame in frames):
            raise ValueError("a secret of somebody")
        return list(frames)

    monkeypatch.setattr(one._edge, "redacted", redacted)
    messages = [point(1.5), point(77), point(77), point(2.5)]
    left, done = one.submit(messages, one.read(messages), offsets_place("bus", {}))
    assert done.result() >= 0
    assert left.bad == {1: "internal", 2: "internal"}
    assert sum(len(frame) for frame in left.frames) == 2
    assert [(each["source"], each["error"]) for each in told] == [("bus", "ValueError")]  # once, and not its words
    assert "secret" not in str(told)


@pytest.mark.parametrize("fault", [OSError("disk"), ValueError("a fault of the log")])
def test_a_fault_that_no_message_is_to_blame_for_goes_on(monkeypatch, fault):
    def failing(*_):
        raise fault

    one = reader()
    monkeypatch.setattr(one._edge, "_append", failing)
    with pytest.raises(type(fault), match=str(fault)):
        one.submit([point(1.0)], one.read([point(1.0)]), offsets_place("bus", {}))
