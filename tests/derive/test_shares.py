"""Shares of what counters and histograms count: weighted with it, whatever order it came in."""

from __future__ import annotations

import numpy as np
import pytest

from engine.worlds import T0, S, fold_all, records
from tocsin.derive.buckets import Distribution
from tocsin.derive.shares import Shares
from tocsin.engine.pipeline import Pipeline
from tocsin.model.frame import FrameKind, points_frame
from tocsin.model.log import Tick
from tocsin.model.rows import Rows
from tocsin.model.samples import Samples
from tocsin.model.series import Catalog, Kind, Series, Signal
from tocsin.spec.engine import EngineSpec
from tocsin.spec.monitor import MonitorSpec
from tocsin.spec.pack import PackSpec, ShareSignalSpec
from tocsin.spec.packs import load_packs

SPEC = ShareSignalSpec(name="errors", of="*requests_total", where={"code": "5*", "failed": "yes"}, by=["job"])
PACK = PackSpec(name="p", version=1, share_signals=[SPEC])
TOTAL = Signal("http_requests_total", "1", Kind.SUM, monotonic=True, cumulative=True)
DURATION = Signal("some_requests_total", "s", Kind.HISTOGRAM, cumulative=True)


def rows_of(*labels, signal=TOTAL):
    rows = Rows(Catalog())
    for each in labels:
        rows.of_series(Series.of("main", signal, each))
    return rows


def rates(rows, values, seconds=10.0):
    n = len(rows)
    value = np.array(values, "f8")
    return Samples(np.array(rows, "i4"), np.full(n, T0), value, np.full(n, seconds), value, value, np.zeros(n, "i8"))


def test_each_growth_is_a_sample_weighted_with_what_it_counted():
    rows = rows_of({"job": "a", "code": "200"}, {"job": "a", "code": "503"}, {"job": "b", "code": "404"})
    found = Shares([PACK], rows).of_rates(rates([0, 1, 2], [9.0, 1.0, 5.0]))
    assert found.value.tolist() == [0.0, 1.0, 0.0]
    assert found.weight.tolist() == [90.0, 10.0, 50.0]
    names = [(rows.series(row).signal.name, dict(rows.series(row).labels)) for row in found.row.tolist()]
    assert names == [("errors", {"job": "a"}), ("errors", {"job": "a"}), ("errors", {"job": "b"})]
    assert len(set(found.uid.tolist())) == 3


def test_any_of_several_labels_tells_the_kind_and_nothing_counted_is_no_sample():
    rows = rows_of({"failed": "yes"}, {"failed": "no"}, {})
    found = Shares([PACK], rows).of_rates(rates([0, 1, 2], [2.0, 2.0, 0.0]))
    assert found.value.tolist() == [1.0, 0.0]


def test_gauges_and_other_names_are_no_part_of_it():
    rows = rows_of({"code": "500"}, signal=Signal("http_requests_total"))
    rows.of_series(Series.of("main", Signal("bytes_total", "By", Kind.SUM, True, True), {"code": "500"}))
    assert len(Shares([PACK], rows).of_rates(rates([0, 1], [1.0, 1.0]))) == 0
    assert len(Shares([], rows).fold([rates([0], [1.0])], [])) == 0


def test_histograms_count_by_what_they_gained():
    rows = rows_of({"job": "a", "code": "200"}, {"job": "a", "code": "500"}, signal=DURATION)
    gains = [Distribution(row, T0, (0.0, 1.0, 2.0), (float(n), 1.0), 3.0, 0.0, 2.0) for row, n in ((0, 8), (1, 2))]
    found = Shares([PACK], rows).of_gains(gains)
    assert (found.value * found.weight).sum() / found.weight.sum() == pytest.approx(3 / 12)


def test_in_the_engine_the_mean_of_a_window_is_the_share_in_all_that_was_counted():
    monitor = MonitorSpec.model_validate(
        {"name": "errors", "signal": "errors", "aggregate": "mean", "window": {"size": "60s", "step": "60s"}}
    )
    catalog = Catalog()
    pipeline = Pipeline(catalog)
    refs = np.array([catalog.intern(Series.of("main", TOTAL, {"job": "a", "code": c})) for c in ("200", "500")], "i4")
    entries = [EngineSpec(monitors=[monitor], packs=[PACK]).control()]
    for k in range(31):
        at = T0 // (60 * S) * 60 * S + k * 10 * S
        entries.append(points_frame("main", "x", refs, np.full(2, at), np.array([30.0 * k, 10.0 * k])))
        entries.append(Tick(at + S, {("main", "x"): at}))
    outputs = fold_all(pipeline, records(entries))
    panes = [row for out in outputs for f in out.frames if f.kind is FrameKind.PANES for row in f.rows()]
    values = [row["value"] for row in panes if row["monitor"] == "errors"]
    assert len(values) >= 4
    assert values == [pytest.approx(0.25)] * len(values)


CASES = {
    "http.server.error_ratio": [
        (Signal("http.server.request.duration", "s", Kind.HISTOGRAM), {"service.name": "a", "http.response.status_code": "502"}, True),
        (Signal("http.server.request.duration", "s", Kind.HISTOGRAM), {"service.name": "a", "http.response.status_code": "404"}, False),
        (Signal("http.server.duration", "ms", Kind.HISTOGRAM), {"http.status_code": "500"}, True),
        (TOTAL, {"job": "a", "code": "500"}, True),
        (Signal("prometheus_http_requests_total", "", Kind.SUM, True, True), {"code": "200"}, False),
        (Signal("http_server_request_duration_seconds", "s", Kind.HISTOGRAM), {"http_response_status_code": "503"}, True),
    ],
    "rpc.server.error_ratio": [
        (Signal("rpc.server.duration", "ms", Kind.HISTOGRAM), {"rpc.grpc.status_code": "14"}, True),
        (Signal("rpc.server.duration", "ms", Kind.HISTOGRAM), {"rpc.grpc.status_code": "0"}, False),
        (Signal("grpc_server_handled_total", "", Kind.SUM, True, True), {"grpc_code": "Unavailable"}, True),
        (Signal("grpc_server_handled_total", "", Kind.SUM, True, True), {"grpc_code": "OK"}, False),
    ],
    "http.client.error_ratio": [
        (Signal("http.client.request.duration", "s", Kind.HISTOGRAM), {"error.type": "timeout"}, True),
    ],
    "db.client.error_ratio": [
        (Signal("db.client.operation.duration", "s", Kind.HISTOGRAM), {"db.system.name": "postgresql"}, False),
    ],
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_the_packs_know_what_an_error_is(name):
    packs = load_packs()
    for signal, labels, bad in CASES[name]:
        rows = rows_of(labels, signal=signal)
        found = Shares(packs, rows).of_gains([Distribution(0, T0, (0.0, 1.0), (4.0,), 1.0, 0.0, 1.0)])
        assert found.value.tolist() == [float(bad)], (signal.name, labels)
        assert rows.series(int(found.row[0])).signal.name == name
