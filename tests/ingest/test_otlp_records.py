"""Records that come as OTLP log events."""

import json

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from ingest_world import NOW, World, set_pairs
from tocsin.ingest import wire
from tocsin.ingest.otlp import OtlpReceiver
from tocsin.model.frame import FrameKind


@pytest.fixture(params=[True, False], ids=["compiled", "protobuf"])
def world(request, monkeypatch):
    monkeypatch.setattr(wire, "ready", lambda: request.param)
    return World()


def event(request, name, attributes, body=None, **fields):
    if not request.resource_logs:
        request.resource_logs.add().scope_logs.add()
    record = request.resource_logs[0].scope_logs[0].log_records.add(time_unix_nano=NOW - 5, event_name=name, **fields)
    set_pairs(record.attributes, attributes)
    if isinstance(body, dict):
        for key, value in body.items():
            set_pairs_value(record.body.kvlist_value.values.add(key=key).value, value)
    elif body is not None:
        record.body.string_value = body


def set_pairs_value(target, value):
    if isinstance(value, dict):
        for key, item in value.items():
            set_pairs_value(target.kvlist_value.values.add(key=key).value, item)
    elif isinstance(value, float):
        target.double_value = value
    else:
        target.string_value = value


def take(world, request):
    return OtlpReceiver(world.edge).take("logs", request.SerializeToString(), "main")


def test_an_event_with_a_body_is_a_record_and_no_log(world):
    request = ExportLogsServiceRequest()
    body = {"prediction_id": "1", "model": "churn", "score": 0.5, "features": {"age": 41.0}}
    event(request, "tocsin.record", {}, body)
    event(request, "", {"k": "v"}, "just a log")
    event(
        request,
        "",
        {"event.name": "tocsin.record"},
        json.dumps({"prediction_id": "1", "truth": 0, "time": NOW / 1e9 - 60}),
    )
    assert take(world, request).rejected == 0
    first, second = world.rows(FrameKind.RECORDS)
    assert (first["prediction_id"], first["model"], first["score"], first["time"]) == ("1", "churn", 0.5, NOW - 5)
    assert (json.loads(first["features"]), first["kind"]) == ({"age": 41}, "prediction")
    assert (second["kind"], second["truth"], second["time"]) == ("truth", "0", NOW - 60 * 10**9)
    assert [row["body"] for row in world.rows(FrameKind.LOGS)] == ["just a log"]
    assert {frame.source for frame in world.frames(FrameKind.RECORDS)} == {"records"}


def test_an_event_without_a_body_has_its_fields_as_attributes(world):
    request = ExportLogsServiceRequest()
    attributes = {
        "prediction_id": "007", "model": "m", "version": "3", "prediction": "yes", "score": 0.25, "features.age": 41,
        "features.plan": "pro", "tags.region": "eu", "tags.zip": "01234",
    }  # fmt: skip
    event(request, "tocsin.record", attributes)
    event(request, "tocsin.record", {"prediction_id": "007", "feedback": True})
    take(world, request)
    first, second = world.rows(FrameKind.RECORDS)
    assert (first["prediction_id"], first["version"], first["prediction"], first["score"]) == (
        "007",
        "3",
        '"yes"',
        0.25,
    )
    assert json.loads(first["features"]) == {"age": 41, "plan": "pro"}
    assert dict(first["tags"]) == {"region": "eu", "zip": "01234"}
    assert (second["kind"], second["feedback"]) == ("feedback", "true")
    assert not world.rows(FrameKind.LOGS)


def test_an_evaluation_is_feedback_and_stays_a_log(world):
    request = ExportLogsServiceRequest()
    told = {"gen_ai.evaluation.name": "Relevance", "gen_ai.response.id": "r-1"}
    event(request, "gen_ai.evaluation.result", {**told, "gen_ai.evaluation.score.value": 0.8})
    event(request, "gen_ai.evaluation.result", {**told, "gen_ai.evaluation.score.label": "bad"})
    event(request, "gen_ai.evaluation.result", {"gen_ai.evaluation.score.value": 1.0})
    assert take(world, request).rejected == 0
    rows = world.rows(FrameKind.RECORDS)
    assert [(row["prediction_id"], row["kind"], row["feedback"]) for row in rows] == [
        ("r-1", "feedback", '{"Relevance":0.8}'), ("r-1", "feedback", '{"Relevance":"bad"}'),
    ]  # fmt: skip
    assert len(world.rows(FrameKind.LOGS)) == 3


def test_events_that_are_no_records_are_refused_and_counted(world):
    request = ExportLogsServiceRequest()
    event(request, "tocsin.record", {}, json.dumps({"features": 5}))
    event(request, "tocsin.record", {}, json.dumps({"truth": 5}))
    event(request, "tocsin.record", {}, json.dumps({"prediction_id": "1"}))
    event(request, "tocsin.record", {"score": "high"}, "[" * 2000)
    taken = take(world, request)
    assert taken.rejected == 3
    assert "prediction_id to be joined by" in taken.message
    assert "the wrong type" in taken.message
    assert [row["prediction_id"] for row in world.rows(FrameKind.RECORDS)] == ["1"]
