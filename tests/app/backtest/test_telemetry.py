"""What a change comes to where windows are over spans, log lines, records and histograms: all that is stored is folded again."""

import asyncio

import numpy as np
import pytest

from acceptance.house import House
from acceptance.past import MINUTE, stores
from acceptance.stack import SECOND, START
from fold_world import request
from tocsin.app.backtest import plan as planning
from tocsin.app.backtest.fold import Run, fold, opened
from tocsin.app.backtest.history import History
from tocsin.app.backtest.judging import judge
from tocsin.app.backtest.plan import prepare
from tocsin.model.frame import FrameKind, frame_of
from tocsin.model.series import Kind, Series, Signal
from tocsin.spec.load import parse_config
from tocsin.spec.packs import load_packs
from tocsin.store.history_rows import HistoryRows, Stretch

MINUTES, TROUBLE_AT, LASTS = 150, START + 110 * MINUTE, 12 * MINUTE
END = START + (MINUTES + 1) * MINUTE
SIGNALS = {
    "spans": "service.request.duration",
    "lines": "log.error_ratio",
    "records": "tocsin.model.score",
    "histogram": "app.wait",
}
LIMITS = {"spans": 0.5, "lines": 0.03, "records": 0.7, "histogram": 5}
CONFIG = "monitors:\n" + "".join(
    f"  - {{name: {name}, signal: {signal}, by: [service.name, model], aggregate: mean, window: {{size: 3m, step: 60s}},"
    f" detect: {{threshold: {{above: {LIMITS[name]}}}}}, for: 60s, clear: 2m}}\n"
    for name, signal in SIGNALS.items()
)
PACKS = {"service", "logs", "models", "resources"}
BOUNDS = [1.0, 2.0, 5.0, 10.0, 20.0]


def chosen_packs():
    """Those that make the signals; none of their own monitors, of which other tests speak."""
    return [pack.model_copy(update={"monitors": []}) for pack in load_packs() if pack.name in PACKS]


def frames(rng, minute, series, bad):
    """A minute of everything, all of it worse while there is trouble."""
    times = [minute + k * 10 * SECOND for k in range(1, 7)]
    spans = [
        row
        for k, time in enumerate(times * (2 if bad else 1))
        for row in request(f"{minute}-{k}", time, [("web", "", 0.0, (0.9 if bad else 0.1) * rng.uniform(0.9, 1.1))])
    ]
    empty = {"kind": "server", "status": "unset", "status_message": "", "scope": "", "attributes": [], "events": "[]"}
    full = [empty | row for row in spans]
    yield frame_of(FrameKind.SPANS, "main", "t", {name: [row[name] for row in full] for name in full[0]})
    said = [("ERROR", 17, "no answer from the model")] * (30 if bad else 0) + [("INFO", 9, "answered in time")] * 30
    yield frame_of(FrameKind.LOGS, "main", "l", {
        "time": [times[0]] * len(said), "severity": [each[0] for each in said],
        "severity_number": [each[1] for each in said], "body": [each[2] for each in said],
        "event_name": [""] * len(said), "trace_id": [bytes(16)] * len(said), "span_id": [bytes(8)] * len(said),
        "resource": [[("service.name", "web")]] * len(said), "attributes": [[]] * len(said),
    })  # fmt: skip
    count = len(times)
    yield frame_of(FrameKind.RECORDS, "main", "r", {
        "time": times, "prediction_id": [f"{time}" for time in times], "model": ["risk"] * count,
        "version": ["1"] * count, "prediction": ['"yes"'] * count,
        "score": np.clip(rng.normal(0.9 if bad else 0.4, 0.02, count), 0, 1).tolist(), "features": ["{}"] * count,
        "tags": [[]] * count, "truth": [""] * count, "feedback": [""] * count, "kind": ["prediction"] * count,
        "embedding": [None] * count, "attributions": [""] * count, "attention": [""] * count,
    })  # fmt: skip
    counts = [0.0, 0.0, 0.0, 8.0, 0.0, 0.0] if bad else [4.0, 4.0, 0.0, 0.0, 0.0, 0.0]
    yield frame_of(FrameKind.DISTRIBUTIONS, "main", "h", {
        "series": [series], "time": [times[-1]], "start": [minute], "flags": [0], "count": [8.0],
        "sum": [60.0 if bad else 9.0], "min": [float("nan")], "max": [float("nan")], "bounds": [BOUNDS],
        "counts": [counts], "scale": [None], "zero_count": [None], "offset": [None], "negative_offset": [None],
        "negative_counts": [[]],
    })  # fmt: skip


async def lived(path):
    rng = np.random.default_rng(5)
    house = House(path, CONFIG)
    house.packs = chosen_packs()
    house.edge.control(house.config.engine_spec(house.packs).control()).result()
    histogram = Signal("app.wait", "s", Kind.HISTOGRAM, True, False)
    series = house.catalog.intern(Series.of("main", histogram, {"service.name": "web"}))
    try:
        for number in range(MINUTES):
            minute = START + number * MINUTE
            bad = TROUBLE_AT <= minute < TROUBLE_AT + LASTS
            house.edge.submit(list(frames(rng, minute, series, bad))).result()
            house.clock.advance(MINUTE)
            house.edge.append_tick().result()
            while house.runner.step():
                pass
            while house.correlating.step():
                pass
        house.writer.drain()
    finally:
        await house.close()


@pytest.fixture(scope="module")
def past(tmp_path_factory):
    path = tmp_path_factory.mktemp("past")
    asyncio.run(lived(path))
    with stores(path) as both:
        yield both


def prepared(past, tmp_path, text):
    telemetry, state = past
    before, after = (parse_config(each, "t.yaml", {}).config for each in (CONFIG, text))
    rows, stretch = HistoryRows(telemetry.db), Stretch("main", START, END)
    return prepare(rows, stretch, before, after, chosen_packs(), state.incidents("main", limit=100), tmp_path)


def test_what_is_stored_folds_to_the_findings_that_were_told(past, tmp_path):
    planned = prepared(past, tmp_path, CONFIG.replace("size: 3m", "size: 2m"))
    assert {each.name: (each.change, each.way) for each in planned.monitors} == dict.fromkeys(
        SIGNALS, ("changed", "telemetry")
    )
    (part,) = planned.work.parts
    assert part.tables == ["distributions", "logs", "records", "spans"]
    told = {finding.id: finding.start for each in past[1].incidents("main", limit=100) for finding in each.findings}
    spec = parse_config(CONFIG, "t.yaml", {}).config.engine_spec(chosen_packs())
    run = Run(part.name, part.way, spec, frozenset(SIGNALS), tables=tuple(part.tables))
    again = opened(fold(History.opened(tmp_path), run))
    assert {finding.monitor for _, finding in again.values()} == set(SIGNALS)
    assert {key: finding.start for key, (_, finding) in again.items()} == told


def test_a_higher_limit_over_other_windows_loses_what_was_found_and_a_lower_one_keeps_it(past, tmp_path):
    text = CONFIG.replace("size: 3m", "size: 2m").replace("above: 0.5", "above: 2").replace("above: 0.7", "above: 0.99")
    assert prepared(past, tmp_path, text).work is not None
    found = judge(tmp_path)
    assert found["findings"]["before"] == dict.fromkeys(sorted(SIGNALS), 1)
    assert found["findings"]["after"] == {"histogram": 1, "lines": 1}
    assert found["rows"] > MINUTES * 20


def test_a_new_monitor_over_a_signal_that_nobody_watched_is_judged(past, tmp_path):
    text = (
        CONFIG
        + "  - {name: calls, signal: service.request.count, aggregate: sum, window: {size: 60s, step: 60s}, detect: {threshold: {above: 9}}}\n"
    )
    planned = prepared(past, tmp_path, text)
    (new,) = planned.monitors
    assert (new.name, new.change, new.way, new.tables) == ("calls", "added", "telemetry", ("spans",))
    found = judge(tmp_path)
    assert found["findings"] == {"before": {}, "after": {"calls": 1}}


def test_more_than_is_folded_again_is_left_out_and_said(past, tmp_path, monkeypatch):
    monkeypatch.setattr(planning, "MOST_EVENTS", 500)
    planned = prepared(past, tmp_path, CONFIG.replace("size: 3m", "size: 2m"))
    ways = {each.name: each.way for each in planned.monitors}
    assert ways == {"spans": "unknown", "lines": "unknown", "records": "unknown", "histogram": "telemetry"}
    assert all("take fewer days" in each.reason for each in planned.monitors if each.way == "unknown")
