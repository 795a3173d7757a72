"""Calendars and families on their way through the engine: from the record to what a monitor says, and back."""

import datetime as dt

import numpy as np
import pytest

from engine.worlds import S, fold_all, records, said
from tocsin.engine.pipeline import Pipeline
from tocsin.model.frame import FrameKind, points_frame
from tocsin.model.log import LogRecord, Tick
from tocsin.model.series import Catalog, Series, Signal
from tocsin.spec.calendar import CalendarSpec
from tocsin.spec.engine import EngineSpec
from tocsin.spec.monitor import MonitorSpec
from tocsin.spec.pack import FamilySpec

OFFICE = CalendarSpec(
    name="office", time_zone="Europe/Berlin", business_hours="08:00-18:00", holidays=["2026-05-14"]
).table()
SOURCE = ("main", "otlp/w")


def spec(*, calendars=(OFFICE,), families=(), **monitor):
    fields = {"name": "m", "signal": "*", "window": {"size": "60s", "step": "60s"}} | monitor
    return EngineSpec(monitors=[MonitorSpec.model_validate(fields)], calendars=list(calendars), families=list(families))


def minutes(catalog, start, values, *, signal=None):
    """One point and one tick a minute."""
    ref = catalog.intern(Series.of("main", signal or Signal("load", "1"), {"host": "a"}))
    first = int(start.timestamp()) * S
    entries = []
    for k, value in enumerate(values):
        now = first + k * 60 * S
        entries.append(points_frame("main", "otlp/w", np.array([ref], "i4"), np.array([now]), np.array([value])))
        entries.append(Tick(now + S, {SOURCE: now + S}))
    return entries


def run(told, entries, catalog):
    pipeline = Pipeline(catalog)
    return pipeline, fold_all(pipeline, records([told.control(), *entries]))


def opened(outputs):
    rows = [row for out in outputs for frame in out.frames if frame.kind is FrameKind.FINDINGS for row in frame.rows()]
    return [row for row in rows if row["phase"] == "open"]


@pytest.mark.parametrize(
    ("day", "hour", "during", "speaks"),
    [
        (13, 10, "business_hours", True),
        (13, 20, "business_hours", False),
        (13, 20, "business_days", True),
        (14, 10, "business_days", False),
        (16, 10, "business_hours", False),
        (16, 10, "always", True),
    ],
)
@pytest.mark.parametrize("detect", [{"baseline": {}}, {"threshold": {"above": 200}}])
def test_a_monitor_speaks_only_during_its_business_hours(day, hour, during, speaks, detect):
    catalog, rng = Catalog(), np.random.default_rng(1)
    start = dt.datetime(2026, 5, day, hour - 2, tzinfo=dt.UTC) - dt.timedelta(minutes=60)
    values = 100 + rng.normal(size=70)
    values[62:] = 400.0
    told = spec(during=during, detect=detect)
    _, outputs = run(told, minutes(catalog, start, values), catalog)
    assert bool(opened(outputs)) is speaks


def test_a_calendar_put_into_force_later_moves_what_was_learned_and_replay_gives_the_same():
    catalog, rng = Catalog(), np.random.default_rng(2)
    start = dt.datetime(2026, 5, 4, tzinfo=dt.UTC)
    life = minutes(catalog, start, 100 + rng.normal(size=300))
    before, after = spec(calendars=()), spec()

    pipeline = Pipeline(catalog)
    fold_all(pipeline, records([before.control(), *life]))
    detector = next(iter(pipeline.roster.watches.values())).detector
    utc = detector.slots[0, 12:36].copy()
    assert np.isfinite(utc).sum() == 5
    state = pipeline.snapshot()
    again = Pipeline(catalog)
    again.restore(state)
    for one in (pipeline, again):
        one.fold(LogRecord(10_000, after.control()))
    assert np.array_equal(detector.slots[0, 12:36], np.roll(utc, 2), equal_nan=True)
    more = records(minutes(catalog, start + dt.timedelta(minutes=300), 100 + rng.normal(size=30)), 10_001)
    assert said(fold_all(pipeline, more), catalog) == said(fold_all(again, more), catalog)


def test_what_a_signal_is_reaches_the_detector_and_survives_forgetting():
    catalog = Catalog()
    start = dt.datetime(2026, 5, 13, 8, tzinfo=dt.UTC)
    told = spec(families=[FamilySpec(family="duration", units=["s"], least=0.05)])
    values = 0.2 + 0.01 * np.random.default_rng(3).normal(size=40)
    pipeline, _ = run(told, minutes(catalog, start, values, signal=Signal("wait", "s")), catalog)
    watch = next(iter(pipeline.roster.watches.values()))
    assert watch.detector.told[0] == 3
    assert watch.detector.explain(0)["log_scale"] == 1.0
    watch.detector.forget(np.zeros(1, "i4"))
    watch.placement.tell(watch.detector, np.zeros(1, "i4"))
    assert watch.detector.told[0] == 3


def test_a_changed_family_is_told_to_known_series_and_a_restart_changes_nothing():
    catalog, rng = Catalog(), np.random.default_rng(4)
    start = dt.datetime(2026, 5, 13, 8, tzinfo=dt.UTC)
    signal = Signal("wait", "s")
    values = 0.2 + 0.01 * rng.normal(size=40)
    before, after = spec(families=[FamilySpec(family="duration", units=["s"])]), spec()
    pipeline, _ = run(before, minutes(catalog, start, values, signal=signal), catalog)
    pipeline.fold(LogRecord(5_000, after.control()))
    again = Pipeline(catalog)
    again.restore(pipeline.snapshot())
    for one in (pipeline, again):
        assert next(iter(one.roster.watches.values())).detector.told[0] == 0
    more = records(minutes(catalog, start + dt.timedelta(minutes=40), values, signal=signal), 5_001)
    assert said(fold_all(pipeline, more), catalog) == said(fold_all(again, more), catalog)
