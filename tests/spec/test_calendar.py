"""Calendars as people write them, and the tables that the engine is told."""

import datetime as dt

import pytest
from pydantic import ValidationError

from tocsin.spec.calendar import EPOCH, CalendarSpec
from tocsin.spec.engine import EngineSpec
from tocsin.spec.load import parse_config
from tocsin.spec.problem import BadSpec

OFFICE = """
calendars:
  - name: office
    time_zone: Europe/Berlin
    country: DE
    subdivision: BY
    business_days: [mon, tue, wed, thu, fri]
    business_hours: 08:30-18:00
    holidays: [2026-12-24]
    days: {2026-12-31: saturday, 2026-10-03: monday}
monitors:
  - {name: orders, signal: orders, calendar: office, during: business_hours}
"""


def number(text):
    return (dt.date.fromisoformat(text) - EPOCH).days


def office():
    return parse_config(OFFICE, "t", {}).config


def test_a_calendar_is_written_out_into_the_record_that_the_engine_reads():
    spec = EngineSpec.of(office().engine_spec().control())
    (table,) = spec.calendars
    days = dict(table.days)
    assert days[number("2026-12-24")] == 6  # a holiday of its own list is like a Sunday
    assert days[number("2026-01-06")] == 6  # Epiphany is one in Bavaria
    assert days[number("2026-12-31")] == 5
    assert days[number("2026-10-03")] == 0  # said by hand beats the country's holiday
    assert number("2026-12-23") not in days
    assert table.hours == (8 * 3600 + 1800, 18 * 3600)
    assert table.business_days == [0, 1, 2, 3, 4]
    march = int(dt.datetime(2026, 3, 29, 1, tzinfo=dt.UTC).timestamp())
    assert (march, 7200) in table.offsets
    assert len(spec.control().body) < 30_000
    assert office().engine_spec().control().sha256 == spec.control().sha256


def test_holidays_are_like_the_last_day_that_is_not_worked():
    dubai = CalendarSpec(name="gulf", business_days=["sun", "mon", "tue", "wed", "thu"], holidays=["2026-01-01"])
    assert dict(dubai.table().days)[number("2026-01-01")] == 5
    told = CalendarSpec(name="shop", holidays_like="saturday", holidays=["2026-01-01"])
    assert dict(told.table().days)[number("2026-01-01")] == 5


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("time_zone: Europe/Berln", "did you mean `Europe/Berlin`"),
        ("country: XQ", "not known"),
        ("{country: DE, subdivision: BYY}", "did you mean `BY`"),
        ("subdivision: BY", "needs `country`"),
        ("holidays: [2026-13-01]", "is no date"),
        ("business_hours: 18:00-08:00", "at least two hours"),
        ("business_hours: always", "business hours"),
        ("business_days: [monday, fryday]", "did you mean `friday`"),
        ("holidays_like: feast", "known here: friday, monday"),
    ],
)
def test_what_is_wrong_is_said_with_its_line_and_the_nearest_right_thing(line, message):
    more = line if line.startswith("{") else "{" + line + "}"
    text = f"calendars:\n  - {{name: office, {more[1:-1]}}}\n"
    with pytest.raises(BadSpec) as refused:
        parse_config(text, "tocsin.yaml", {})
    assert message in str(refused.value)
    assert str(refused.value).startswith("tocsin.yaml:2:")


def test_a_monitor_can_only_name_a_calendar_that_is_there():
    with pytest.raises(BadSpec, match=r"no calendar is called `ofice`; did you mean `office`"):
        parse_config(OFFICE.replace("calendar: office,", "calendar: ofice,"), "t", {})


def test_without_a_country_the_library_is_not_needed():
    assert CalendarSpec(name="own").table().days == []
    with pytest.raises(ValidationError):
        CalendarSpec(name="own", business_days=[])
