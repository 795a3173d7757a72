"""Remote write, the sending side: golden bytes, and what our own receiver makes of both versions."""

from __future__ import annotations

import pytest

from prometheus_wire import NOW_MS, V1, V2, Bench
from tocsin.model.frame import NO_VALUE
from tocsin.model.series import Kind
from tocsin.notify.remote_write import Sample, encode_1, encode_2

UP = (("__name__", "up"), ("job", "x"))
OTHER = (("__name__", "depth"), ("job", "ä\ud800"))
SAMPLES = [Sample(UP, 1.5, NOW_MS), Sample(OTHER, 0.0, NOW_MS), Sample((*UP, ("zone", "b")), None, NOW_MS)]


def test_golden_bytes_of_1():
    golden = bytes.fromhex(
        "0a2c"  # timeseries
        "0a0e" "0a085f5f6e616d655f5f" "12027570"  # label __name__ = up
        "0a08" "0a036a6f62" "120178"  # label job = x
        "1210" "09000000000000f83f" "10abfd9ec6aa33"  # sample 1.5 at the time
    )  # fmt: skip
    assert encode_1([Sample(UP, 1.5, NOW_MS)], {}) == golden


@pytest.mark.parametrize(("encode", "headers"), [(encode_1, V1), (encode_2, V2)])
def test_both_versions_are_read_as_they_were_meant(encode, headers):
    bench = Bench()
    answer = bench.send(encode(SAMPLES, {"up": "whether it is up"}), headers)
    assert answer.status == 204, answer.body
    rows = bench.rows()
    assert [(row["name"], row["labels"], row["time"]) for row in rows] == [
        ("up", {"job": "x"}, NOW_MS * 10**6),
        ("depth", {"job": "ä?"}, NOW_MS * 10**6),
        ("up", {"job": "x", "zone": "b"}, NOW_MS * 10**6),
    ]
    assert [row["value"] for row in rows[:2]] == [1.5, 0.0]
    assert [row["flags"] for row in rows] == [0, 0, NO_VALUE]
    assert rows[0]["signal"].kind is Kind.GAUGE


def test_nothing_is_a_request_too():
    assert encode_1([], {}) == b""
    assert Bench().send(encode_2([], {}), V2).status == 204
