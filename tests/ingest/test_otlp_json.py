"""OTLP/JSON: the published examples, the exceptions to protobuf's JSON mapping, and what is not OTLP."""

import contextlib
import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest_world import NOW, World
from tocsin.ingest.otlp import SIGNALS, OtlpReceiver
from tocsin.ingest.otlp_json import protobuf_of
from tocsin.model.errors import BadInput
from tocsin.model.frame import FrameKind


def take(world, signal, tree):
    raw = tree if isinstance(tree, bytes) else json.dumps(tree).encode()
    return OtlpReceiver(world.edge).take(signal, raw, "main", as_json=True)


def gauge(**point):
    metric = {"name": "m", "gauge": {"dataPoints": [{"timeUnixNano": str(NOW)} | point]}}
    return {"resourceMetrics": [{"scopeMetrics": [{"metrics": [metric]}]}]}


def span(**fields):
    one = {"traceId": "AB" * 16, "spanId": "cd" * 8, "startTimeUnixNano": str(NOW), "endTimeUnixNano": NOW} | fields
    return {"resourceSpans": [{"scopeSpans": [{"spans": [one]}]}]}


@pytest.mark.datasets
@pytest.mark.parametrize(
    ("name", "signal", "rows"),
    [("metrics", "metrics", 4), ("trace", "traces", 1), ("logs", "logs", 1), ("events", "logs", 1)],
)
def test_the_published_examples(datasets, name, signal, rows):
    world = World()
    assert take(world, signal, (datasets / "otlp_examples" / f"{name}.json").read_bytes()).rejected == 0
    assert sum(map(len, world.frames())) == rows
    assert {frame.source for frame in world.frames()} == {"otlp/my.service"}


def test_ids_are_hexadecimal_and_enums_go_by_number_or_name():
    world = World()
    take(world, "traces", span(kind=2, status={"code": 2}))
    take(world, "traces", span(kind="SPAN_KIND_SERVER", status={"code": "STATUS_CODE_ERROR"}, parentSpanId=""))
    first, second = world.rows(FrameKind.SPANS)
    assert first == second
    assert (first["trace_id"], first["span_id"]) == (b"\xab" * 16, b"\xcd" * 8)
    assert (first["kind"], first["status"]) == ("server", "error")


@pytest.mark.parametrize(
    ("point", "value"),
    [
        ({"asInt": "9007199254740993"}, 9007199254740992.0),
        ({"asInt": 5}, 5.0),
        ({"asDouble": "NaN"}, math.nan),
        ({"asDouble": "-Infinity"}, -math.inf),
        ({"asDouble": 1.5, "nobodyKnows": [{"x": 1}], "exemplars": [{"spanId": "zz"}]}, 1.5),
        ({"as_double": 2.5, "time_unix_nano": str(NOW)}, 2.5),
    ],
)
def test_numbers_in_every_spelling(point, value):
    world = World()
    assert take(world, "metrics", gauge(**point)).rejected == 0
    assert [repr(row["value"]) for row in world.rows()] == [repr(value)]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"null",
        b"{",
        b"\xff\xfe",
        b'{"resourceMetrics": 1}',
        b'{"resourceMetrics": [1]}',
        b'{"resourceMetrics": [null]}',
        json.dumps(gauge(asInt=str(2**64))).encode(),
        json.dumps(gauge(asInt=2**64)).encode(),
        json.dumps(gauge(asInt="1" * 5000)).encode(),
        json.dumps(gauge(asDouble="1e")).encode(),
        json.dumps(gauge(timeUnixNano=-1)).encode(),
        json.dumps(gauge(flags=2**40)).encode(),
        b'{"resourceMetrics": [{"schemaUrl": "\\ud800"}]}',
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"resourceMetrics":' + b"[" * 5_000 + b"]" * 5_000 + b"}",
    ],
    ids=range(18),
)
def test_what_is_not_a_request_is_refused(body):
    world = World()
    with pytest.raises(BadInput):
        take(world, "metrics", body)
    assert not world.log.entries


@pytest.mark.parametrize("bad", ["xyz", "abc", 5, "AAAAAAAAAAAAAAAAAAAAAA==", ["ab"]])
def test_ids_that_are_not_hexadecimal_are_refused(bad):
    with pytest.raises(BadInput, match="traceId"):
        take(World(), "traces", span(traceId=bad))


def test_a_value_nested_too_deeply_is_refused():
    value = {"stringValue": "x"}
    for _ in range(60):
        value = {"arrayValue": {"values": [value]}}
    with pytest.raises(BadInput):
        take(World(), "metrics", gauge(asInt=1, attributes=[{"key": "k", "value": value}]))


TREE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(
            ["resourceMetrics", "scopeMetrics", "metrics", "gauge", "dataPoints", "asInt", "resourceSpans", "spans",
             "scopeSpans", "traceId", "resourceLogs", "scopeLogs", "logRecords", "body", "attributes", "key", "value"]
        ), inner, max_size=4),
    max_leaves=20,
)  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(SIGNALS), TREE | st.binary(max_size=40))
def test_no_json_breaks_the_decoder(signal, tree):
    body = tree if isinstance(tree, bytes) else json.dumps(tree).encode()
    with contextlib.suppress(BadInput):
        assert isinstance(protobuf_of(body, signal, 100), bytes)
