"""Spans joined to a graph of calls: who was asked, who waited for whom, what was lost; splits and order change nothing."""

import numpy as np
import pytest

from tocsin.derive.fields import FieldReader
from tocsin.derive.service_graph import KEEP_NS, MOST_SPANS, ServiceGraph
from tocsin.model.frame import FrameKind, frame_of
from tocsin.model.rows import Rows
from tocsin.model.series import Catalog
from tocsin.spec.engine import EngineSpec
from tocsin.spec.packs import load_packs

S = 10**9
T = 1_790_000_000 * S
SPEC = EngineSpec(packs=[pack for pack in load_packs() if pack.name == "service_graph"])
MARK = {("main", "t"): T + 60 * S}


def span(number, service, kind, start, lasts, parent=0, *, failed=False, trace=1, name="work", **attributes):
    return {
        "trace_id": trace.to_bytes(16, "big"),
        "span_id": number.to_bytes(8, "big"),
        "parent_id": parent.to_bytes(8, "big"),
        "name": name,
        "kind": kind,
        "start": T + round(start * S),
        "time": T + round((start + lasts) * S),
        "status": "error" if failed else "ok",
        "status_message": "",
        "scope": "",
        "resource": [("service.name", service)] if service else [],
        "attributes": [(key.replace("__", "."), text) for key, text in attributes.items()],
        "events": "[]",
    }


def fed(rows, *, pieces=1, graph=None):
    graph = graph or ServiceGraph()
    graph.adopt(SPEC)
    for some in np.array_split(np.arange(len(rows)), pieces):
        if not len(some):
            continue
        columns = {name: [rows[k][name] for k in some] for name in rows[0]}
        frame = frame_of(FrameKind.SPANS, "main", "t", columns)
        graph.take([frame], FieldReader(SPEC.packs).read([frame]))
    return graph


def said(graph, mark=MARK, rows=None):
    """Values of each series, by signal, service and peer, in order."""
    rows = Rows(Catalog()) if rows is None else rows
    found = {}
    for _, samples in graph.close(mark, rows):
        for row, time, value, weight in zip(samples.row, samples.time, samples.value, samples.weight, strict=True):
            series = rows.series(int(row))
            labels = dict(series.labels)
            key = (series.signal.name.split(".")[1], labels["service.name"], labels.get("peer.service", ""))
            found.setdefault(key, []).append((int(time) - T, round(float(value), 6), float(weight)))
    return {key: sorted(values) for key, values in found.items()}


REQUEST = [
    span(1, "shop", "server", 0.0, 1.0),
    span(2, "shop", "internal", 0.1, 0.8, 1),
    span(3, "shop", "client", 0.1, 0.6, 2, name="pay"),
    span(4, "bank", "server", 0.15, 0.5, 3),
    span(5, "bank", "client", 0.2, 0.3, 4, name="select", db__namespace="ledger"),
    span(6, "stock", "server", 0.75, 0.1, 2),
]


def test_a_request_is_laid_out_by_service_callee_and_peer():
    found = said(fed(REQUEST))
    assert found["latency", "shop", ""] == [(S, 1.0, 1.0)]
    assert found["latency", "shop", "bank"] == [(10 * S, 0.6, 1.0)]
    assert found["latency", "shop", "stock"] == [(10 * S, 0.1, 1.0)], "without a span of the caller: the overlap"
    assert found["latency", "bank", "ledger"] == [(10 * S, 0.3, 1.0)]
    assert found["calls", "shop", ""] == [(S, 2.0, 1.0)]
    assert found["calls", "bank", ""] == [(round(0.65 * S), 1.0, 1.0)]
    assert found["transit_latency", "bank", ""] == [(round(0.7 * S), 0.1, 1.0)]
    assert ("latency", "ledger", "") not in found, "a peer explains, and is judged by monitors of its own kind"


def test_calls_that_tell_no_peer_are_beside_by_their_work_and_calls_by_nobody_are_no_requests():
    rows = [span(1, "bot", "server", 0.0, 1.0), span(2, "bot", "client", 0.1, 0.8, 1, name="chat model")]
    found = said(fed([*rows, span(1, "script", "client", 0.0, 2.0, trace=2)]))
    assert found["latency", "bot", "chat model"] == [(10 * S, 0.8, 1.0)]
    assert not [key for key in found if key[1] == "script"]


def test_the_time_of_other_telemetry_means_nothing():
    """History may be played while metrics come from now."""
    found = said(fed(REQUEST), {("main", "metrics"): T + 10**6 * S, ("other", "t"): T + 10**6 * S, **MARK})
    assert found["latency", "shop", ""]
    assert said(fed(REQUEST), {("main", "metrics"): T + 10**6 * S}) == {}


@pytest.mark.parametrize("pieces", [1, 2, 5])
def test_splits_order_and_repeats_change_nothing(pieces):
    want = said(fed(REQUEST))
    for seed in range(3):
        rows = [REQUEST[k] for k in np.random.default_rng(seed).permutation(len(REQUEST))]
        assert said(fed([*rows, rows[0]], pieces=pieces)) == want


def test_a_call_that_was_lost_is_a_failure_of_whom_such_calls_reach_otherwise():
    again = [{**row, "trace_id": (2).to_bytes(16, "big")} for row in REQUEST]
    lost = [
        span(1, "shop", "server", 2.0, 0.5, failed=True, trace=3),
        span(3, "shop", "client", 2.1, 0.3, 1, failed=True, trace=3, name="pay"),
    ]
    found = said(fed([*again, *lost]))
    assert found["error_ratio", "bank", ""] == [(round(0.65 * S), 0.0, 1.0), (round(2.4 * S), 1.0, 1.0)]
    assert found["error_ratio", "shop", "bank"] == [(10 * S, 0.5, 2.0)]


def test_calls_that_failed_are_none_of_ones_own_and_retries_neither():
    tries = [span(3 + k, "shop", "client", 0.1 + k / 10, 0.1, 1, failed=k < 2, name="pay") for k in range(3)]
    answers = [span(7 + k, "bank", "server", 0.1 + k / 10, 0.1, 3 + k, failed=k < 2) for k in range(3)]
    found = said(fed([REQUEST[0], *tries, *answers]))
    assert found["calls", "shop", ""] == [(S, 1.0, 1.0)]
    assert found["error_ratio", "shop", "bank"] == [(10 * S, 2.0, 1.0)]


def test_a_callee_that_is_called_no_more_stands_beside_with_nothing():
    graph, rows = fed(REQUEST), Rows(Catalog())
    said(graph, rows=rows)
    fed([span(1, "shop", "server", 62.0, 0.2, trace=5)], graph=graph)
    found = said(graph, {("main", "t"): T + 120 * S}, rows)
    assert found["latency", "shop", "bank"] == [(70 * S, 0.0, 1.0)]


def test_state_survives_a_restart():
    whole, first = fed(REQUEST[:3]), fed(REQUEST[:3])
    second = ServiceGraph()
    second.restore(first.snapshot())
    fed(REQUEST[3:], graph=whole)
    fed(REQUEST[3:], graph=second)
    assert said(second) == said(whole)
    assert str(second.snapshot()) == str(whole.snapshot())


def test_spans_are_forgotten_and_those_too_late_are_counted():
    graph = fed(REQUEST)
    said(graph, {("main", "t"): T + KEEP_NS + 60 * S})
    assert not len(graph.graphs["main"].spans)
    fed([span(9, "shop", "server", 1.0, 1.0, trace=7)], graph=graph)
    assert said(graph, {("main", "t"): T + 2 * KEEP_NS + 60 * S}) == {}
    assert graph.late == 1


def test_too_many_spans_leave_out_whole_traces_and_count_them(monkeypatch):
    monkeypatch.setattr("tocsin.derive.service_graph.MOST_SPANS", 100)
    assert MOST_SPANS > 100
    rows = [{**row, "trace_id": np.random.default_rng(k).bytes(16)} for k in range(40) for row in REQUEST]
    graph = fed(rows)
    found = said(graph)
    kept = len(found["latency", "shop", ""])
    assert 0 < kept * len(REQUEST) <= 100
    assert graph.left_out == (40 - kept) * len(REQUEST)
    assert found["latency", "shop", "bank"][0][2] == kept, "traces are left out whole"


def test_nothing_is_kept_where_no_monitor_asks():
    graph = ServiceGraph()
    graph.adopt(EngineSpec())
    frame = frame_of(FrameKind.SPANS, "main", "t", {name: [row[name] for row in REQUEST] for name in REQUEST[0]})
    graph.take([frame], FieldReader([]).read([frame]))
    assert graph.snapshot() == {}
