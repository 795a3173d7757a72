"""What a message that this program itself stumbles over costs: that message, and no other."""

import json
from types import SimpleNamespace

import pytest

from ingest_world import NOW, World
from tocsin.ingest import broker_messages
from tocsin.ingest.broker_messages import Message, MessageReader
from tocsin.ingest.jsonl import decode_points
from tocsin.ingest.otlp import OtlpReceiver
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
