"""Remote write 1.0 and 2.0: golden bytes, the rules of the protocol, and bad input."""

from __future__ import annotations

import math
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prometheus_wire import (
    NOW_MS,
    STALE,
    V1,
    V2,
    Bench,
    Request2,
    blob,
    double,
    integer,
    metadata_1,
    sample,
    series_1,
    signed,
    snappy,
    varint,
    written,
    zigzag,
)
from tocsin.ingest.limits import Limits
from tocsin.ingest.prometheus_names import signal_of
from tocsin.model.errors import Overloaded
from tocsin.model.frame import NO_VALUE, FrameKind
from tocsin.model.series import Kind

UP = {"__name__": "up", "instance": "a:9100", "job": "node"}
TOTAL = {"__name__": "http_requests_total", "job": "api"}

# WriteRequest with up{job="x"} 1.5 @ 1763768254123, byte by byte from the published field numbers
GOLDEN_1 = bytes.fromhex(
    "0a2d"  # timeseries
    "0a0e" "0a085f5f6e616d655f5f" "12027570"  # label __name__ = up
    "0a08" "0a036a6f62" "120178"  # label job = x
    "1210" "09000000000000f83f" "10abfd9ec6aa33"  # sample 1.5 at the time
)  # fmt: skip


def test_golden_bytes_of_1() -> None:
    bench = Bench()
    assert series_1({"__name__": "up", "job": "x"}, sample(1.5)) == blob(1, GOLDEN_1[2:])
    for _ in range(2):  # parsed the first time, known the second
        response = bench.send(blob(1, GOLDEN_1[2:]))
        assert (response.status, response.body, written(response)) == (204, b"", (1, 0, 0))
    rows = bench.rows()
    assert [(row["name"], row["labels"], row["value"], row["time"], row["flags"]) for row in rows] == [
        ("up", {"job": "x"}, 1.5, NOW_MS * 10**6, 0)
    ] * 2
    assert {frame.source for frame in bench.frames()} == {"remote_write"}


def test_golden_bytes_of_2() -> None:
    # symbols "", __name__, up, job, x; labels_refs 1 2 3 4; sample 1.5, time, start; metadata gauge
    raw = bytes.fromhex("2200" "22085f5f6e616d655f5f" "22027570" "22036a6f62" "220178")  # fmt: skip
    series = bytes.fromhex("0a0401020304" "1217" "09000000000000f83f" "10abfd9ec6aa33" "18cba89bc6aa33" "2a020802")  # fmt: skip
    bench = Bench()
    response = bench.send(raw + blob(5, series), V2)
    assert (response.status, written(response)) == (204, (1, 0, 0))
    (row,) = bench.rows()
    assert (row["name"], row["labels"], row["value"], row["time"]) == ("up", {"job": "x"}, 1.5, NOW_MS * 10**6)
    assert row["start"] == (NOW_MS - 60_000) * 10**6


@pytest.mark.parametrize("repeat", [1, 2])
def test_values_keep_their_bits(repeat: int) -> None:
    values = [0.0, -0.0, 1.0, -1e308, 5e-324, math.inf, -math.inf, math.nan, STALE]
    bench = Bench()
    for _ in range(repeat):
        bench.log.entries.clear()
        for value in values:
            assert bench.send(series_1(UP, sample(value))).status == 204
    found = [(row["value"], row["flags"]) for row in bench.rows()]
    for value, (got, flags) in zip(values, found, strict=True):
        if value == STALE:
            assert (flags, math.isnan(got)) == (NO_VALUE, True)  # type: ignore[arg-type]
        else:
            # a NaN that is no marker is a value that is not a number, and says so
            assert (flags, struct.pack("<d", got)) == (0, struct.pack("<d", value))  # type: ignore[arg-type]


def test_many_series_keep_their_order_and_values() -> None:
    bench = Bench()
    raw = b"".join(
        series_1({"__name__": f"m{i % 7}", "i": str(i)}, sample(float(i % 5), NOW_MS - 1000 + i)) for i in range(500)
    )
    for _ in range(3):
        bench.log.entries.clear()
        assert written(bench.send(raw)) == (500, 0, 0)
        assert [(row["labels"]["i"], row["value"], row["time"]) for row in bench.rows()] == [  # type: ignore[index]
            (str(i), float(i % 5), (NOW_MS - 1000 + i) * 10**6) for i in range(500)
        ]


def test_a_label_that_looks_like_a_sample_is_a_label() -> None:
    tail = blob(2, sample(7.0)).decode("latin-1")
    bench = Bench()
    hostile = {"__name__": "up", "x": "a" + tail.encode("latin-1").decode("utf-8", "replace")}
    for _ in range(2):
        assert bench.send(series_1(UP, sample(1.0)) + series_1(hostile, sample(2.0))).status == 204
    assert [row["value"] for row in bench.rows()] == [1.0, 2.0] * 2


def test_unusual_but_valid_encodings_are_read() -> None:
    bench = Bench()
    assert bench.send(series_1(UP, sample(1.0))).status == 204
    short_time = varint(1 << 3 | 1) + struct.pack("<d", 2.0) + integer(2, 1000) + integer(2, NOW_MS)[:0] + integer(9, 1)
    body = series_1(UP, double(1, 3.0) + integer(2, NOW_MS) + integer(9, 5))  # an unknown field behind
    body += series_1(UP, integer(2, NOW_MS - 1) + double(1, 4.0))  # fields the other way round
    body += series_1(UP, sample(5.0, NOW_MS - 2), sample(6.0, NOW_MS - 1))  # two samples
    bench.log.entries.clear()
    assert bench.send(body).status == 204
    assert [row["value"] for row in bench.rows()] == [3.0, 4.0, 5.0, 6.0]
    assert bench.send(series_1(UP, short_time)).status == 400


def test_a_short_time_with_something_behind_is_parsed() -> None:
    bench = Bench()
    assert bench.send(series_1(UP, sample(1.0))).status == 204
    # sixteen bytes, tags where they are in a usual sample, but the time has two bytes and field 7 follows
    trick = double(1, 2.0) + b"\x10" + varint(1000) + integer(7, NOW_MS)[:4]
    assert len(trick) == 16
    assert bench.send(series_1(UP, trick)).status == 400
    assert len(bench.rows()) == 1


@pytest.mark.parametrize(
    ("name", "metric_type", "kind", "unit"),
    [
        ("http_requests_total", "unknown", Kind.SUM, ""),
        ("latency_seconds_count", "unknown", Kind.SUM, "1"),
        ("latency_seconds_sum", "unknown", Kind.SUM, "s"),
        ("latency_seconds_bucket", "unknown", Kind.SUM, "1"),
        ("node_memory_MemFree_bytes", "unknown", Kind.GAUGE, "By"),
        ("queue_total", "gauge", Kind.GAUGE, ""),
        ("hits", "counter", Kind.SUM, ""),
        ("sizes", "summary", Kind.GAUGE, ""),
        ("sizes_sum", "summary", Kind.SUM, ""),
        ("up", "unknown", Kind.GAUGE, ""),
    ],
)
def test_kind_and_unit(name: str, metric_type: str, kind: Kind, unit: str) -> None:
    signal = signal_of(name, metric_type)
    assert (signal.kind, signal.unit, signal.cumulative, signal.monotonic) == (
        kind,
        unit,
        kind is Kind.SUM,
        kind is Kind.SUM,
    )


def test_metadata_tells_the_kind_in_both_versions() -> None:
    bench = Bench()
    bench.send(metadata_1("queue_total", 2) + metadata_1("latency", 3, "seconds"))
    bench.send(series_1({"__name__": "queue_total"}, sample(1.0)) + series_1({"__name__": "latency_sum"}, sample(1.0)))
    request = Request2()
    request.add({"__name__": "hits"}, blob(2, sample(1.0)), kind=1, unit="bytes")
    bench.send(request.raw(), V2)
    queue, latency, hits = (row["signal"] for row in bench.rows())
    assert (queue.kind, latency.kind, latency.unit, hits.kind, hits.unit) == (Kind.GAUGE, Kind.SUM, "s", Kind.SUM, "By")  # type: ignore[attr-defined]


def native(
    *, schema: int, gauge: bool = False, custom: tuple[float, ...] = (), stale: bool = False, ms: int = NOW_MS
) -> bytes:
    if stale:
        return double(3, STALE) + integer(15, ms)
    body = integer(1, 10) + double(3, 18.5) + signed(4, schema) + double(5, 1e-128)
    if not custom:
        body += integer(6, 2)
        body += blob(8, signed(1, 0) + integer(2, 1)) + blob(9, zigzag(1))
    # two spans: buckets 1 and 2, a gap of two, bucket 5; deltas 1, +1, -1 -> counts 1, 2, 1
    body += blob(11, signed(1, 1) + integer(2, 2)) + blob(11, signed(1, 2) + integer(2, 1))
    body += blob(12, zigzag(1) + zigzag(1) + zigzag(-1))
    body += integer(14, 3) if gauge else b""
    body += integer(15, ms)
    return body + (blob(16, b"".join(struct.pack("<d", bound) for bound in custom)) if custom else b"")


@pytest.mark.parametrize("version", [1, 2])
def test_native_histograms(version: int) -> None:
    bench = Bench()
    labels = {"__name__": "latency_seconds", "job": "api"}

    def send(body: bytes) -> None:
        if version == 1:
            response = bench.send(series_1(labels, more=blob(4, body)))
        else:
            request = Request2()
            request.add(labels, blob(3, body), kind=3)
            response = bench.send(request.raw(), V2)
        assert (response.status, written(response)) == (204, (0, 1, 0)), response.body

    send(native(schema=3))
    send(native(schema=-53, custom=(0.1, 0.2, 0.5, 1.0, 2.0, 5.0)))
    send(native(schema=3, stale=True))
    exponential, custom, ended = bench.rows()
    assert {frame.kind for frame in bench.frames()} == {FrameKind.DISTRIBUTIONS}
    # bucket i of Prometheus is (base**(i-1), base**i]: index i-1 in the frame
    assert (exponential["scale"], exponential["offset"], exponential["counts"]) == (3, 0, [1.0, 2.0, 0.0, 0.0, 1.0])
    assert (exponential["negative_offset"], exponential["negative_counts"]) == (-1, [1.0])
    assert (exponential["zero_count"], exponential["count"], exponential["sum"]) == (2.0, 10.0, 18.5)
    assert (custom["scale"], custom["bounds"]) == (None, [0.1, 0.2, 0.5, 1.0, 2.0, 5.0])
    assert custom["counts"] == [0.0, 1.0, 2.0, 0.0, 0.0, 1.0, 0.0]
    assert ended["flags"] == NO_VALUE
    signal = exponential["signal"]
    assert (signal.kind, signal.cumulative, signal.unit) == (Kind.HISTOGRAM, True, "s")  # type: ignore[attr-defined]


BAD_HISTOGRAMS = {
    "span of four milliards": integer(1, 1) + blob(11, signed(1, 0) + integer(2, 2**32 - 1)) + blob(12, zigzag(1)),
    "gap of two milliards": integer(1, 1)
    + blob(11, signed(1, 0) + integer(2, 1))
    + blob(11, signed(1, 2**31 - 1) + integer(2, 1))
    + blob(12, zigzag(1) + zigzag(1)),
    "counts without spans": integer(1, 1) + blob(12, zigzag(1)),
    "negative count": integer(1, 1) + blob(11, signed(1, 0) + integer(2, 1)) + blob(12, zigzag(-5)),
    "schema 99": integer(1, 1) + signed(4, 99),
    "custom index out of range": integer(1, 1)
    + signed(4, -53)
    + blob(11, signed(1, 5) + integer(2, 1))
    + blob(12, zigzag(1)),
    "NaN count": double(2, math.nan),
}


@pytest.mark.parametrize("bad", BAD_HISTOGRAMS)
def test_bad_histogram_is_refused_and_the_rest_taken(bad: str) -> None:
    bench = Bench()
    histogram = BAD_HISTOGRAMS[bad] + integer(15, NOW_MS)
    response = bench.send(series_1({"__name__": "h"}, more=blob(4, histogram)) + series_1(UP, sample(1.0)))
    assert (response.status, written(response)) == (400, (1, 0, 0))
    assert b"buckets contradict" in response.body


def test_exemplars_are_counted_and_not_claimed() -> None:
    bench = Bench()
    response = bench.send(series_1(UP, sample(1.0), more=blob(3, double(2, 1.0))))
    assert (response.status, written(response)) == (204, (1, 0, 0))


BAD_SERIES = {
    "no name": ({"job": "x"}, b"__name__"),
    "empty name": ({"__name__": "", "job": "x"}, b"__name__"),
    "duplicate label": ([("__name__", "up"), ("a", "1"), ("a", "2")], b"two of the same name"),
    "label without name": ({"__name__": "up", "": "x"}, b"without a name"),
    "huge label": ({"__name__": "up", "x": "y" * 40_000}, b"larger than the limit"),
}


@pytest.mark.parametrize("bad", BAD_SERIES)
@pytest.mark.parametrize("version", [1, 2])
def test_bad_series_is_refused_with_400_and_the_rest_taken(bad: str, version: int) -> None:
    labels, reason = BAD_SERIES[bad]
    bench = Bench()
    if version == 1:
        response = bench.send(series_1(labels, sample(1.0)) + series_1(UP, sample(2.0)))
    elif isinstance(labels, dict):
        request = Request2()
        request.add(labels, blob(2, sample(1.0)))
        request.add(UP, blob(2, sample(2.0)))
        response = bench.send(request.raw(), V2)
    else:
        request = Request2()
        refs = b"".join(varint(request.ref(text)) for pair in labels for text in pair)
        request.body += blob(5, blob(1, refs) + blob(2, sample(1.0)))
        request.add(UP, blob(2, sample(2.0)))
        response = bench.send(request.raw(), V2)
    # partial: 400, the opposite of OTLP
    assert (response.status, written(response)) == (400, (1, 0, 0))
    assert reason in response.body
    assert [row["value"] for row in bench.rows()] == [2.0]


def test_unsorted_labels_are_the_same_series() -> None:
    bench = Bench()
    pairs = list(UP.items())
    assert bench.send(series_1(pairs[::-1], sample(1.0)) + series_1(pairs, sample(1.0))).status == 204
    assert len({row["series"] for row in bench.rows()}) == 1


def test_empty_label_value_is_no_label() -> None:
    bench = Bench()
    bench.send(series_1(UP | {"zone": ""}, sample(1.0)) + series_1(UP, sample(1.0)))
    assert len({row["series"] for row in bench.rows()}) == 1


@pytest.mark.parametrize("ms", [0, -1, 1000, NOW_MS + 601_000, 2**42, 2**62, 2**64 - 1])
@pytest.mark.parametrize("version", [1, 2])
def test_impossible_times_are_refused(ms: int, version: int) -> None:
    bench = Bench()
    for _ in range(2):
        if version == 1:
            response = bench.send(series_1(UP, sample(1.0)) + series_1(UP, sample(2.0, ms)))
        else:
            request = Request2()
            request.add(UP, blob(2, sample(1.0)))
            request.add(UP, blob(2, sample(2.0, ms)))
            response = bench.send(request.raw(), V2)
        assert (response.status, written(response)) == (400, (1, 0, 0))


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (V1 | {b"content-type": b"application/json"}, 415),
        (V1 | {b"content-type": b"application/x-protobuf;proto=some.Other"}, 415),
        (V1 | {b"content-encoding": b"gzip"}, 415),
        (V1 | {b"content-type": b"application/x-protobuf;proto=prometheus.WriteRequest"}, 204),
        ({}, 204),
    ],
)
def test_content_negotiation(headers: dict[bytes, bytes], status: int) -> None:
    response = Bench().send(series_1(UP, sample(1.0)), headers)
    assert response.status == status
    assert status == 204 or b"io.prometheus.write.v2.Request" in response.body


BAD_BODIES = {
    "empty": b"",
    "not snappy": b"hello, this is no snappy at all",
    "endless length": b"\xff" * 10,
    "truncated": snappy(series_1(UP, sample(1.0)) * 50)[:40],
    "wrong length": bytes([snappy(GOLDEN_1)[0] + 1]) + snappy(GOLDEN_1)[1:],
    "not protobuf": snappy(b"\xff\xff\xff\xff"),
    "text": snappy(b"up 1\n" * 100),
    "truncated message": snappy(series_1(UP, sample(1.0))[:-3]),
    "truncated series": snappy(blob(1, blob(1, b"\x0a\x50ab") + blob(2, sample(1.0)))),
    "framed snappy": b"\xff\x06\x00\x00sNaPpY" + b"\0" * 20,
}


@pytest.mark.parametrize("bad", BAD_BODIES)
@pytest.mark.parametrize("headers", [V1, V2], ids=["1", "2"])
def test_bad_body_is_400_and_nothing_is_taken(bad: str, headers: dict[bytes, bytes]) -> None:
    bench = Bench()
    response = bench.post(BAD_BODIES[bad], headers)
    if response.status == 204:  # unknown fields only: nothing in it, and nothing claimed
        assert written(response) == (0, 0, 0)
        assert bad == "text" or (headers, bad) == (V2, "truncated series")
    else:
        assert response.status == 400
        assert len(response.body) > 20
    assert not bench.frames()


def test_bombs_are_refused_before_they_unfold() -> None:
    bench = Bench(Limits(body_bytes=1_000_000))
    honest = bench.post(snappy(bytes(2_000_000)))
    assert honest.status == 413
    liar = bench.post(varint(999_999) + b"\x00a")
    assert liar.status == 400
    assert b"can't hold" in liar.body


def test_symbols_out_of_range_and_odd_labels() -> None:
    bench = Bench()
    request = Request2()
    request.add(UP, blob(2, sample(1.0)))
    for refs in (varint(1) + varint(77), varint(1)):
        bad = blob(5, blob(1, refs) + blob(2, sample(1.0)))
        assert bench.send(request.raw() + bad, V2).status == 400
    assert bench.send(blob(4, b"x") + request.body, V2).status == 400
    assert b"first symbol" in bench.send(blob(4, b"x") + request.body, V2).body


def test_bad_utf8_costs_one_series_only() -> None:
    bench = Bench()
    bad = blob(1, blob(1, blob(1, b"__name__") + blob(2, b"\xff\xfe")) + blob(2, sample(1.0)))
    response = bench.send(bad + series_1(UP, sample(1.0)))
    assert (response.status, written(response)) == (400, (1, 0, 0))


def test_full_log_is_503_with_a_hint() -> None:
    bench = Bench()
    bench.log.refuse = Overloaded("full", retry_after_s=7)
    response = bench.send(series_1(UP, sample(1.0)))
    assert (response.status, dict(response.headers)[b"retry-after"]) == (503, b"7")


def test_tenants_never_share_a_series() -> None:
    bench = Bench()
    for tenant in ("main", "other", "main"):
        bench.post(snappy(series_1(UP, sample(1.0))), tenant=tenant)
    assert [frame.tenant for frame in bench.frames()] == ["main", "other", "main"]
    first, second, third = (row["series"] for row in bench.rows())
    assert first == third != second


def test_secrets_in_labels_are_redacted() -> None:
    bench = Bench()
    bench.send(series_1(UP | {"user": "joe@example.com"}, sample(1.0)))
    (row,) = bench.rows()
    assert row["labels"]["user"].startswith("email:")  # type: ignore[index]


def test_large_request_is_decoded_beside_the_loop() -> None:
    bench = Bench()
    raw = b"".join(series_1({"__name__": "m", "i": str(i), "pad": "x" * 400}, sample(1.0)) for i in range(1500))
    assert len(raw) > 512 * 1024
    assert written(bench.send(raw)) == (1500, 0, 0)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200), st.sampled_from([V1, V2]), st.booleans())
def test_no_bytes_break_it(raw: bytes, headers: dict[bytes, bytes], compress: bool) -> None:
    response = Bench().post(snappy(raw) if compress else raw, headers)
    assert response.status in {204, 400, 413}


LABEL = st.text(st.characters(codec="utf-8"), max_size=8)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.tuples(st.dictionaries(LABEL.filter(bool), LABEL, max_size=3), st.floats(), st.integers(0, 10**6)),
        min_size=1,
        max_size=12,
    )
)
def test_known_and_parsed_series_give_the_same(rows: list[tuple[dict[str, str], float, int]]) -> None:
    bench = Bench()
    raw = b"".join(series_1({"__name__": "m"} | labels, sample(value, NOW_MS - ago)) for labels, value, ago in rows)
    for _ in range(2):
        assert bench.send(raw).status == 204
    first, second = bench.frames()
    assert first.batch.equals(second.batch) or [struct.pack("<d", value) for value in first.f8("value")] == [
        struct.pack("<d", value) for value in second.f8("value")
    ]
    assert first.i4("series").tolist() == second.i4("series").tolist()
    request = Request2()
    for labels, value, ago in rows:
        request.add({"__name__": "m"} | labels, blob(2, sample(value, NOW_MS - ago)))
    assert bench.send(request.raw(), V2).status == 204
    assert bench.frames()[2].i4("series").tolist() == first.i4("series").tolist()
    assert bench.frames()[2].i8("time").tolist() == first.i8("time").tolist()
