"""OTLP metrics to frames: every kind of data point, and what is refused point by point."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from ingest_world import NOW, World, gauge_request, set_pairs
from tocsin.ingest.otlp import OtlpReceiver
from tocsin.model.clock import SECOND
from tocsin.model.errors import BadInput
from tocsin.model.frame import FrameKind
from tocsin.model.series import Kind, Signal


@pytest.fixture
def world():
    return World()


def take(world, request):
    raw = request if isinstance(request, bytes) else request.SerializeToString()
    return OtlpReceiver(world.edge).take("metrics", raw, "main")


def metric_of(request, **fields):
    of_resource = request.resource_metrics.add()
    set_pairs(of_resource.resource.attributes, {"service.name": "api", "k": "resource"})
    return of_resource.scope_metrics.add().metrics.add(**({"name": "m", "unit": "s"} | fields))


# one gauge `cpu` {1} of service `api`: attribute host=a, time 1790000000 s, value 0.5; by protoc's encoding
GOLDEN = bytes.fromhex(
    "0a480a170a150a0c736572766963652e6e616d6512050a03617069122d122b0a036370751a01312a210a1f190000f323"
    "845bd71821000000000000e03f3a0b0a04686f737412030a0161"
)


def test_golden_bytes_of_the_published_schema(world):
    assert gauge_request([0.5], attributes={"host": "a"}).SerializeToString() == GOLDEN
    take(world, GOLDEN)
    [(series, row)] = world.named()
    assert series.signal == Signal("cpu", "1", Kind.GAUGE)
    assert series.labels == (("host", "a"), ("service.name", "api"))
    assert row == {"series": 0, "time": NOW, "value": 0.5, "start": 0, "flags": 0}


def test_sums_say_what_they_are(world):
    request = ExportMetricsServiceRequest()
    for number, (temporality, monotonic) in enumerate([(1, True), (2, True), (2, False)]):
        metric = metric_of(request, name=f"m{number}")
        metric.sum.aggregation_temporality = temporality
        metric.sum.is_monotonic = monotonic
        metric.sum.data_points.add(time_unix_nano=NOW, start_time_unix_nano=NOW - 5, as_int=2**63 - 1)
    assert take(world, request).rejected == 0
    signals = [series.signal for series, _ in world.named()]
    assert signals == [
        Signal("m0", "s", Kind.SUM, monotonic=True, cumulative=False),
        Signal("m1", "s", Kind.SUM, monotonic=True, cumulative=True),
        Signal("m2", "s", Kind.SUM, monotonic=False, cumulative=True),
    ]
    assert {row["value"] for row in world.rows()} == {2.0**63}
    assert {row["start"] for row in world.rows()} == {NOW - 5}


def test_point_attributes_win_over_those_of_the_resource(world):
    request = ExportMetricsServiceRequest()
    point = metric_of(request).gauge.data_points.add(time_unix_nano=NOW, as_double=1.0)
    set_pairs(point.attributes, {"k": "point", "flag": True, "n": 2, "f": 2.0, "raw": b"\x00"})
    take(world, request)
    [(series, _)] = world.named()
    labels = {"k": "point", "flag": "true", "n": "2", "f": "2.0", "raw": '"AA=="', "service.name": "api"}
    assert dict(series.labels) == labels
    assert world.frames()[0].source == "otlp/api"


def test_histograms_of_both_kinds(world):
    request = ExportMetricsServiceRequest()
    explicit = metric_of(request, name="h").histogram
    explicit.aggregation_temporality = 2
    explicit.data_points.add(time_unix_nano=NOW, count=3, sum=4.5, bucket_counts=[1, 2], explicit_bounds=[1.5], max=9.0)
    exponential = metric_of(request, name="e").exponential_histogram
    exponential.aggregation_temporality = 1
    point = exponential.data_points.add(time_unix_nano=NOW, count=2**64 - 1, scale=3, zero_count=4)
    point.positive.offset, point.negative.offset = -2, 7
    point.positive.bucket_counts.extend([1, 2])
    point.negative.bucket_counts.extend([5])
    assert take(world, request).rejected == 0
    (first, h), (second, e) = world.named(FrameKind.DISTRIBUTIONS)
    assert first.signal == Signal("h", "s", Kind.HISTOGRAM, cumulative=True)
    assert second.signal == Signal("e", "s", Kind.HISTOGRAM, cumulative=False)
    assert (h["bounds"], h["counts"], h["scale"], h["max"]) == ([1.5], [1.0, 2.0], None, 9.0)
    assert (h["count"], h["sum"]) == (3.0, 4.5)
    assert math.isnan(h["min"])
    assert (e["scale"], e["zero_count"], e["offset"], e["negative_offset"]) == (3, 4.0, -2, 7)
    assert (e["counts"], e["negative_counts"], e["count"]) == ([1.0, 2.0], [5.0], 2.0**64)
    assert math.isnan(e["sum"])


def test_a_summary_becomes_quantiles_count_and_sum(world):
    request = ExportMetricsServiceRequest()
    point = metric_of(request, name="rpc").summary.data_points.add(time_unix_nano=NOW, count=7, sum=3.5)
    point.quantile_values.add(quantile=0.99, value=2.0)
    point.quantile_values.add(quantile=1.0, value=3.0)
    take(world, request)
    take(world, request)  # from the cache
    found = [(s.signal.name, s.label("quantile"), row["value"]) for s, row in world.named()]
    one = [("rpc", "0.99", 2.0), ("rpc", "1", 3.0), ("rpc_count", "", 7.0), ("rpc_sum", "", 3.5)]
    assert found == one + one
    assert len(world.catalog) == 4
    assert world.catalog[2].signal == Signal("rpc_count", "1", Kind.SUM, monotonic=True, cumulative=True)


def test_no_recorded_value_is_a_point_without_a_value(world):
    request = ExportMetricsServiceRequest()
    metric_of(request).gauge.data_points.add(time_unix_nano=NOW, flags=1, as_double=3.0)
    histogram = metric_of(request, name="h").histogram
    histogram.aggregation_temporality = 1
    histogram.data_points.add(time_unix_nano=NOW, flags=1)
    assert take(world, request).rejected == 0
    [row], [wide] = world.rows(), world.rows(FrameKind.DISTRIBUTIONS)
    assert row["flags"] == wide["flags"] == 1
    assert math.isnan(row["value"])
    assert math.isnan(wide["count"])


def test_nan_and_infinities_are_kept(world):
    assert take(world, gauge_request([math.nan, math.inf, -math.inf, -0.0])).rejected == 0
    values = [row["value"] for row in world.rows()]
    assert math.isnan(values[0])
    assert values[1:] == [math.inf, -math.inf, 0.0]
    assert {row["flags"] for row in world.rows()} == {0}


@pytest.mark.parametrize(
    ("time", "reason"),
    [
        (0, "before the year 2000"),
        (SECOND, "before the year 2000"),
        (NOW + 601 * SECOND, "ahead of this machine's clock"),
        (4_102_444_800 * SECOND, "ahead of this machine's clock"),
        (2**64 - 1, "ahead of this machine's clock"),
    ],
)
def test_impossible_times_are_refused_and_move_nothing(world, time, reason):
    request = gauge_request([1.0])
    request.MergeFrom(gauge_request([1.0], time=time))
    taken = take(world, request)
    assert taken.rejected == 1
    assert reason in taken.message
    assert len(world.rows()) == 1
    assert world.edge.tick().watermarks == {("main", "otlp/api"): NOW - 5 * SECOND}


def test_one_bad_string_refuses_one_point(world):
    raw = gauge_request([1.0, 2.0], attributes={"k": "XXXX"}).SerializeToString()
    taken = take(world, raw.replace(b"XXXX", b"XX\xff\xff", 1))
    assert taken.rejected == 1
    assert "can't be parsed" in taken.message
    assert [row["value"] for row in world.rows()] == [2.0]
    bad_name = gauge_request([1.0, 2.0], name="NAME").SerializeToString().replace(b"NAME", b"NAM\xff")
    assert take(world, bad_name).rejected == 2


@pytest.mark.parametrize(
    ("bounds", "counts"), [([1.0], [1]), ([2.0, 1.0], [1, 1, 1]), ([math.nan], [1, 1]), ([1.0, math.inf], [1])]
)
def test_buckets_that_contradict_each_other_are_refused(world, bounds, counts):
    request = ExportMetricsServiceRequest()
    histogram = metric_of(request).histogram
    histogram.aggregation_temporality = 1
    histogram.data_points.add(time_unix_nano=NOW, count=1, bucket_counts=counts, explicit_bounds=bounds)
    assert take(world, request).rejected == 1
    assert not world.frames()


def test_points_that_say_nothing_are_refused(world):
    request = ExportMetricsServiceRequest()
    metric_of(request).gauge.data_points.add(time_unix_nano=NOW)
    metric_of(request, name="").gauge.data_points.add(time_unix_nano=NOW, as_int=1)
    metric_of(request).sum.data_points.add(time_unix_nano=NOW, as_int=1)
    metric_of(request).exponential_histogram.data_points.add(time_unix_nano=NOW, scale=21)
    wide = metric_of(request).gauge.data_points.add(time_unix_nano=NOW, as_int=1)
    set_pairs(wide.attributes, {"k": "v" * 40_000})
    metric_of(request, name="n" * 1025).gauge.data_points.add(time_unix_nano=NOW, as_int=1)
    taken = take(world, request)
    assert taken.rejected == 6
    assert "longer than 1,024 bytes (first: nnn" in taken.message
    assert not world.frames()


@pytest.mark.parametrize("cut", [1, 7, 30])
def test_a_truncated_body_is_refused(world, cut):
    with pytest.raises(BadInput, match="not an OTLP ExportMetricsServiceRequest"):
        take(world, gauge_request([1.0, 2.0]).SerializeToString()[:-cut])
    assert not world.log.entries


def test_a_resource_in_two_pieces_is_merged_as_protobuf_does(world):
    first, second = ExportMetricsServiceRequest(), ExportMetricsServiceRequest()
    set_pairs(first.resource_metrics.add().resource.attributes, {"service.name": "api", "k": "v"})
    metric_of(second).gauge.data_points.add(time_unix_nano=NOW, as_int=1)
    inner = first.resource_metrics[0].SerializeToString() + second.resource_metrics[0].SerializeToString()
    request = ExportMetricsServiceRequest()
    request.resource_metrics.add().ParseFromString(inner)
    size = len(inner)
    assert size < 128
    take(world, b"\x0a" + bytes([size]) + inner)
    [(series, _)] = world.named()
    attributes = request.resource_metrics[0].resource.attributes
    assert dict(series.labels) == {entry.key: entry.value.string_value for entry in attributes}


TEXT = st.text(max_size=8)
LABELS = st.dictionaries(
    TEXT, st.one_of(TEXT, st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats()), max_size=4
)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.text(min_size=1, max_size=8),
            LABELS,
            st.one_of(st.floats(), st.integers(-(2**63), 2**63 - 1)),
            st.integers(-(10**9), 600 * 10**9),
        ),
        max_size=8,
    )
)
def test_what_was_sent_is_what_is_read(points):
    world, request = World(), ExportMetricsServiceRequest()
    for name, labels, value, ahead in points:
        metric = request.resource_metrics.add().scope_metrics.add().metrics.add(name=name)
        point = metric.gauge.data_points.add(time_unix_nano=NOW + ahead)
        if isinstance(value, int):
            point.as_int = value
        else:
            point.as_double = value
        set_pairs(point.attributes, labels)
    for _ in range(2):  # the second time from the cache
        assert take(world, request).rejected == 0
    found = [(s.signal.name, set(s.labels), repr(row["value"]), row["time"]) for s, row in world.named()]
    wanted = [
        (name, {(key, str(item).lower() if isinstance(item, bool) else item if isinstance(item, str) else repr(item))
                for key, item in labels.items()}, repr(float(value)), NOW + ahead)
        for name, labels, value, ahead in points
    ]  # fmt: skip
    assert found == wanted * 2
