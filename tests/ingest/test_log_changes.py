"""OTLP log events that tell of a change become change events, by the names that packs list, and stay logs."""

from __future__ import annotations

import pytest

from ingest_world import NOW, World, log_request, set_pairs
from tocsin.ingest.otlp import OtlpReceiver
from tocsin.model.frame import FrameKind


def taken(name, attributes, body="", **fields):
    request = log_request(body, event_name=name, **fields)
    set_pairs(request.resource_logs[0].scope_logs[0].log_records[0].attributes, attributes)
    world = World()
    OtlpReceiver(world.edge).take("logs", request.SerializeToString(), "main")
    assert len(world.rows(FrameKind.LOGS)) == 1
    return world.rows(FrameKind.EVENTS)


@pytest.mark.parametrize(
    ("name", "attributes", "kind", "entity", "what", "new"),
    [
        ("deployment", {"service.version": "1.4.0", "deployment.status": "succeeded"}, "deploy", "api",
         "deployment: api 1.4.0 succeeded", "1.4.0"),
        ("app.deployed", {"service.name": "cart", "service.version": "2"}, "deploy", "cart", "app.deployed: cart 2", "2"),
        ("feature_flag.changed", {"feature_flag.key": "fast", "feature_flag.result.variant": "on"}, "flag", "api",
         "flag fast: on", "on"),
        ("prompt.changed", {"gen_ai.prompt.name": "greet", "gen_ai.prompt.version": "7"}, "prompt", "api",
         "prompt greet 7", "7"),
        ("tocsin.change", {"kind": "model", "entity": "ranker", "what": "retrained", "new": "v9"}, "model", "ranker",
         "retrained", "v9"),
    ],
)  # fmt: skip
def test_events_with_these_names_are_changes(name, attributes, kind, entity, what, new):
    (row,) = taken(name, attributes)
    assert (row["kind"], row["entity"], row["what"], row["time"]) == (kind, entity, what, NOW)
    assert row["source"] == "otlp/api"
    assert dict(row["attributes"])["new"] == new


def test_older_senders_name_their_events_in_an_attribute():
    (row,) = taken("", {"event.name": "deployment.finished", "service.version": "3"})
    assert row["what"] == "deployment.finished: api 3"


@pytest.mark.parametrize("name", ["", "feature_flag.evaluation", "device.app.lifecycle", "gen_ai.choice"])
def test_other_events_are_none(name):
    assert taken(name, {"service.version": "3"}, body="deployment finished") == []
