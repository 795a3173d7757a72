"""Hostile bytes: real requests, bent; only `BadInput` may come out, and what is taken in is valid."""

import contextlib

from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from ingest_world import NOW, World, gauge_request, log_request, set_pairs, span_request
from tocsin.ingest.otlp import SIGNALS, OtlpReceiver
from tocsin.ingest.records import decode_event, decode_records
from tocsin.model.errors import BadInput


def histograms():
    request = ExportMetricsServiceRequest()
    metrics = request.resource_metrics.add().scope_metrics.add().metrics
    explicit = metrics.add(name="h").histogram
    explicit.aggregation_temporality = 2
    explicit.data_points.add(time_unix_nano=NOW, count=3, sum=1.0, bucket_counts=[1, 2], explicit_bounds=[1.0])
    exponential = metrics.add(name="e").exponential_histogram
    exponential.aggregation_temporality = 1
    exponential.data_points.add(time_unix_nano=NOW, count=3, scale=2, zero_count=1).positive.bucket_counts.extend([2])
    point = metrics.add(name="s").summary.data_points.add(time_unix_nano=NOW, count=3, sum=1.0)
    point.quantile_values.add(quantile=0.5, value=1.0)
    set_pairs(point.attributes, {"k": "v"})
    return request


SPAN = span_request(2, trace_id=b"T" * 16, span_id=b"S" * 8)
SPAN.resource_spans[0].scope_spans[0].spans[0].events.add(name="e", time_unix_nano=NOW)
SEEDS = [
    ("metrics", gauge_request([1.0, 2, float("nan")]).SerializeToString()),
    ("metrics", histograms().SerializeToString()),
    ("traces", SPAN.SerializeToString()),
    ("logs", log_request("hello", "world", severity_number=9).SerializeToString()),
]


@st.composite
def bent(draw):
    signal, raw = draw(st.sampled_from(SEEDS))
    body = bytearray(raw)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, max(0, len(body) - 1)))
        match draw(st.integers(0, 2)):
            case 0:
                body[at : at + 1] = bytes([draw(st.integers(0, 255))])
            case 1:
                del body[at : at + draw(st.integers(1, 9))]
            case _:
                body[at:at] = draw(st.binary(min_size=1, max_size=9))
    return signal, bytes(body)


@settings(max_examples=200, deadline=None)
@given(bent() | st.tuples(st.sampled_from(SIGNALS), st.binary(max_size=100)))
def test_bent_requests_are_refused_or_give_valid_frames(given_):
    signal, body = given_
    world = World()
    with contextlib.suppress(BadInput):
        taken = OtlpReceiver(world.edge).take(signal, body, "main")
        assert taken.rejected >= 0
        assert isinstance(taken.reply(as_json=True), bytes)
    for frame in world.frames():
        frame.batch.validate(full=True)
        assert frame.i8("time").max() <= NOW + world.edge.limits.ahead_ns
        assert frame.i8("time").min() >= 946_684_800 * 10**9


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=80))
def test_hostile_lines_are_refused_or_give_valid_frames(body):
    world = World()
    for frame in decode_records(body, "main", NOW, world.edge.limits).frames:
        frame.batch.validate(full=True)
    with contextlib.suppress(BadInput):
        decode_event(body, "main", NOW, world.edge.limits)
