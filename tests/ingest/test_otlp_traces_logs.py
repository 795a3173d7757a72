"""OTLP traces and logs to frames."""

import json

import pytest

from ingest_world import NOW, World, log_request, set_pairs, span_request
from tocsin.ingest.otlp import OtlpReceiver
from tocsin.model.clock import SECOND
from tocsin.model.frame import FrameKind


@pytest.fixture
def world():
    return World()


def take(world, signal, request):
    raw = request if isinstance(request, bytes) else request.SerializeToString()
    return OtlpReceiver(world.edge).take(signal, raw, "main")


def test_a_span_with_all_its_parts(world):
    request = span_request(trace_id=b"T" * 16, span_id=b"S" * 8, parent_span_id=b"P" * 8)
    span = request.resource_spans[0].scope_spans[0].spans[0]
    span.status.code, span.status.message = 2, "boom"
    set_pairs(span.attributes, {"gen_ai.request.model": "m", "tokens": 12, "t": 0.5})
    set_pairs(span.events.add(name="exception", time_unix_nano=NOW).attributes, {"exception.type": "E"})
    assert take(world, "traces", request).rejected == 0
    [row] = world.rows(FrameKind.SPANS)
    assert (row["trace_id"], row["span_id"], row["parent_id"]) == (b"T" * 16, b"S" * 8, b"P" * 8)
    assert (row["name"], row["kind"], row["scope"]) == ("chat", "client", "lib")
    assert (row["start"], row["time"]) == (NOW - SECOND, NOW)
    assert (row["status"], row["status_message"]) == ("error", "boom")
    assert row["resource"] == [("service.name", "api")]
    assert row["attributes"] == [("gen_ai.request.model", "m"), ("tokens", "12"), ("t", "0.5")]
    [event] = json.loads(row["events"])
    assert event == {"name": "exception", "time": NOW, "attributes": {"exception.type": "E"}}


def test_a_root_span_has_a_parent_of_zeros(world):
    take(world, "traces", span_request(3))
    assert {row["parent_id"] for row in world.rows(FrameKind.SPANS)} == {bytes(8)}
    assert {row["events"] for row in world.rows(FrameKind.SPANS)} == {"[]"}


@pytest.mark.parametrize(
    "fields",
    [
        {"trace_id": b""},
        {"trace_id": bytes(16)},
        {"trace_id": b"short"},
        {"span_id": bytes(8)},
        {"span_id": b"123456789"},
        {"parent_span_id": b"1"},
    ],
)
def test_spans_with_impossible_ids_are_refused_alone(world, fields):
    request = span_request(2)
    request.MergeFrom(span_request(1, **fields))
    taken = take(world, "traces", request)
    assert taken.rejected == 1
    assert "16 or 8 bytes" in taken.message
    assert len(world.rows(FrameKind.SPANS)) == 2


def test_spans_of_1970_and_2100_are_refused(world):
    request = span_request(1, end=SECOND)
    request.MergeFrom(span_request(1, end=4_102_444_800 * SECOND))
    assert take(world, "traces", request).rejected == 2
    assert not world.frames()


def test_unknown_kinds_and_states_are_not_errors(world):
    request = span_request(1, kind=77)
    request.resource_spans[0].scope_spans[0].spans[0].status.code = 9
    take(world, "traces", request)
    [row] = world.rows(FrameKind.SPANS)
    assert (row["kind"], row["status"]) == ("unspecified", "unset")


def test_the_last_of_equal_keys_wins(world):
    request = span_request(1)
    span = request.resource_spans[0].scope_spans[0].spans[0]
    set_pairs(span.attributes, {"k": "1", "other": "x"})
    set_pairs(span.attributes, {"k": "2"})
    take(world, "traces", request)
    assert world.rows(FrameKind.SPANS)[0]["attributes"] == [("k", "2"), ("other", "x")]


def test_bad_utf8_refuses_its_span_only(world):
    raw = span_request(2, name="NAME").SerializeToString().replace(b"NAME", b"NA\xff\xfe", 1)
    taken = take(world, "traces", raw)
    assert taken.rejected == 1
    assert "not UTF-8" in taken.message


def test_logs_with_their_severity_body_and_trace(world):
    request = log_request("hello", severity_number=17, trace_id=b"T" * 16, span_id=b"S" * 8, event_name="e")
    record = request.resource_logs[0].scope_logs[0].log_records[0]
    set_pairs(record.attributes, {"k": "v"})
    structured = request.resource_logs[0].scope_logs[0].log_records.add(observed_time_unix_nano=NOW - 1)
    entry = structured.body.kvlist_value.values.add(key="n")
    entry.value.double_value = float("inf")
    timeless = request.resource_logs[0].scope_logs[0].log_records.add(severity_text="Odd")
    timeless.body.int_value = 7
    assert take(world, "logs", request).rejected == 0
    first, second, third = world.rows(FrameKind.LOGS)
    assert (first["severity"], first["severity_number"], first["body"]) == ("error", 17, "hello")
    assert (first["trace_id"], first["span_id"], first["event_name"]) == (b"T" * 16, b"S" * 8, "e")
    assert first["attributes"] == [("k", "v")]
    assert first["resource"] == [("service.name", "api")]
    assert (second["time"], second["body"], second["trace_id"]) == (NOW - 1, '{"n":"inf"}', bytes(16))
    assert (third["time"], third["severity"], third["body"]) == (NOW, "Odd", "7")


def test_logs_that_cannot_be_are_refused(world):
    request = log_request("a", "b", time_unix_nano=1)
    request.MergeFrom(log_request("c", time_unix_nano=2**63))
    request.MergeFrom(log_request("d", trace_id=b"x"))
    request.MergeFrom(log_request("fine"))
    assert take(world, "logs", request).rejected == 4
    assert [row["body"] for row in world.rows(FrameKind.LOGS)] == ["fine"]


def test_services_become_sources_up_to_the_cap():
    world = World(sources_per_tenant=2)
    for service in ("a", "b", "c", "a", ""):
        take(world, "logs", log_request("x", service=service))
    assert [frame.source for frame in world.frames()] == ["otlp/a", "otlp/b", "otlp", "otlp/a", "otlp"]


def test_a_service_name_of_control_characters_is_made_printable(world):
    take(world, "logs", log_request("x", service="a\x1b[31m\nb" + "c" * 500))
    [frame] = world.frames()
    assert frame.source.startswith("otlp/a[31mbccc")
    assert len(frame.source) == len("otlp/") + 100
