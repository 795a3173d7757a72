"""Weeks of office life by a calendar: holidays, daylight saving, business hours, and what is found all the same."""

import datetime as dt
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from detection_stream import SECOND
from tocsin.detect.baseline import Baseline
from tocsin.engine.season_clock import SeasonClock
from tocsin.model.detection import Step
from tocsin.model.series import Series, Signal
from tocsin.spec.calendar import CalendarSpec

STEP_S = 600
A_DAY = 86_400 // STEP_S
BERLIN = ZoneInfo("Europe/Berlin")
START = dt.datetime(2026, 3, 2, tzinfo=dt.UTC)  # a Monday; the clock goes forward on the 29th
OFFICE = CalendarSpec(
    name="office", time_zone="Europe/Berlin", country="DE", subdivision="BY", business_hours="08:30-18:00"
)
HOLIDAYS = [dt.date(2026, *day) for day in ((4, 3), (4, 6), (5, 1), (5, 14), (5, 25))]
LEARNED = 24 * A_DAY
SERIES = 6


def at(moment):
    return int((moment - START).total_seconds()) // STEP_S


def life(days, *, keeps_holidays=True, seed=3):
    """Office hours by Berlin's clock: 300, else 100, and nobody at work on holidays if they are kept."""
    noise = np.exp(0.08 * np.random.default_rng(seed).normal(size=(days * A_DAY, SERIES)))
    level = np.full(days * A_DAY, 100.0)
    for k in range(len(level)):
        local = (START + dt.timedelta(seconds=k * STEP_S)).astimezone(BERLIN)
        minute = local.hour * 60 + local.minute
        if local.weekday() < 5 and 510 < minute <= 1080 and not (keeps_holidays and local.date() in HOLIDAYS):
            level[k] = 300.0
    return level[:, None] * noise


def scores(values, calendar=OFFICE):
    """Score of each step, (steps, series); strange steps aren't learned once three weeks are known."""
    clock = SeasonClock([calendar.table()] if calendar else [])
    detector, rows, origin = Baseline(), np.arange(SERIES, dtype="i4"), int(START.timestamp()) * SECOND
    out = np.zeros_like(values)
    for k, value in enumerate(values):
        time = np.full(SERIES, origin + k * STEP_S * SECOND)
        step = Step(rows, time, value, clock.season(rows * 0, time) if calendar else None)
        out[k] = np.nan_to_num(detector.score(step).value)
        detector.learn(step, np.where((k < LEARNED) | (out[k] < 8.0), 1.0, 0.0))
    return out


def day_of(day):
    start = at(dt.datetime(day.year, day.month, day.day, tzinfo=dt.UTC))
    return slice(start, start + A_DAY)


def test_holidays_and_the_change_to_summer_time_are_ordinary_by_the_calendar_and_strange_without():
    values = life(13 * 7)
    by_calendar, without = scores(values), scores(values, None)
    summer_time = dt.date(2026, 3, 30)  # the first day of work after it
    for day in [*HOLIDAYS, summer_time]:
        assert by_calendar[day_of(day)].max() < 6.0, day
    for day in [dt.date(2026, 5, 25), summer_time]:
        assert without[day_of(day)].max(axis=0).min() > 7.5, day
    assert np.mean(by_calendar[LEARNED:] > 4.0) < 0.001


def test_who_works_on_holidays_is_not_taken_for_closed_and_a_closed_one_is_found_once_that_is_known():
    values = life(13 * 7, keeps_holidays=False)
    ordinary = scores(values)
    for day in HOLIDAYS:
        assert ordinary[day_of(day)].max() < 6.0, day
    begin = at(dt.datetime(2026, 5, 25, 8, tzinfo=dt.UTC))
    values[begin : begin + 12] /= 3.0
    assert scores(values[: begin + 12])[begin:].min() > 8.0


@pytest.mark.parametrize("day", [dt.date(2026, 4, 2), dt.date(2026, 5, 7)])
def test_an_outage_on_a_day_of_work_stands_out_at_once(day):
    values = life(70)
    begin = at(dt.datetime(day.year, day.month, day.day, 8, tzinfo=dt.UTC))
    values[begin : begin + 2] = 20.0
    assert scores(values[: begin + 2])[begin:].min() > 8.0


def test_what_was_learned_by_another_clock_moves_with_it():
    detector, rows, hour = Baseline(), np.zeros(1, "i4"), 3600 * SECOND
    origin = int(START.timestamp()) * SECOND
    for k in range(14 * 24):
        step = Step(rows, np.array([origin + k * hour]), np.array([300.0 if k % 24 == 8 else 100.0]))
        detector.learn(step, np.ones(1))
    before = detector.slots[0].copy()
    detector.turn(rows, np.array([2]))
    assert int(np.argmax(before[12:36])) == 8
    assert int(np.argmax(detector.slots[0, 12:36])) == 10
    detector.turn(rows, np.array([-2]))
    assert np.array_equal(before, detector.slots[0], equal_nan=True)


def test_a_series_takes_the_first_calendar_for_its_tenant_and_labels_or_the_one_it_is_told():
    spec = [
        CalendarSpec(name="us", where={"region": "us-*"}, time_zone="America/New_York"),
        CalendarSpec(name="shop", tenants=["shop"]),
        CalendarSpec(name="rest", time_zone="Europe/Berlin"),
    ]
    clock = SeasonClock([one.table() for one in spec])

    def number(tenant, name=None, **labels):
        return clock.of(Series.of(tenant, Signal("load"), labels), name)

    assert number("shop", region="us-east-1") == 0
    assert number("shop", region="eu") == 1
    assert number("main") == 2
    assert number("main", "shop") == 1
    noon = np.full(2, int(dt.datetime(2026, 7, 1, 12, tzinfo=dt.UTC).timestamp()) * SECOND)
    season = clock.season(np.array([0, 2], "i4"), noon)
    assert ((season[:, 0] - noon) / SECOND / 3600).tolist() == [-4, 2]
    assert SeasonClock().season(np.full(2, SeasonClock().of(Series.of("main", Signal("load"), {})), "i4"), noon) is None


def test_business_hours_and_days_are_those_of_the_calendar():
    clock = SeasonClock([OFFICE.table()])

    def at_work(*moment, hours):
        time = np.array([int(dt.datetime(*moment, tzinfo=BERLIN).timestamp()) * SECOND])
        return bool(clock.at_work(np.zeros(1, "i4"), time, hours=hours)[0])

    assert at_work(2026, 5, 13, 9, 0, hours=True)
    assert not at_work(2026, 5, 13, 8, 30, hours=True)  # the window that ends there was before opening
    assert at_work(2026, 5, 13, 18, 0, hours=True)
    assert not at_work(2026, 5, 13, 18, 10, hours=True)
    assert at_work(2026, 5, 13, 3, 0, hours=False)
    assert not at_work(2026, 5, 14, 9, 0, hours=False)  # Ascension
    assert not at_work(2026, 5, 16, 9, 0, hours=False)


def test_no_hour_is_blended_with_one_across_opening_or_closing():
    clock = SeasonClock([OFFICE.table()])

    def hour(*moment):
        time = np.array([int(dt.datetime(*moment, tzinfo=BERLIN).timestamp()) * SECOND])
        return float(clock.season(np.zeros(1, "i4"), time)[0, 0] // SECOND % 86_400 / 3600)

    assert hour(2026, 5, 13, 8, 30) == 7.5
    assert hour(2026, 5, 13, 8, 40) == 9.5
    assert hour(2026, 5, 13, 17, 50) == 17.5
    assert hour(2026, 5, 13, 18, 10) == 18.5
    assert hour(2026, 5, 13, 12, 10) == 12 + 1 / 6
    assert hour(2026, 5, 16, 8, 40) == 8 + 2 / 3  # a Saturday
