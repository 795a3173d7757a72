"""Calendars: local time, business days and hours, holidays - as people write them, and as the engine is told.

The engine never asks a time zone or a country: what they say is written out as a table into the record that puts
a configuration into force, so that the same log gives the same findings wherever and whenever it is read.
"""

from __future__ import annotations

import datetime as dt
import re
from functools import lru_cache
from importlib import import_module
from typing import Annotated, Any, Final, Literal
from zoneinfo import ZoneInfo, available_timezones

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, model_validator

from tocsin.spec.monitor import Spec
from tocsin.spec.problem import nearest

FIRST_YEAR: Final = 2000
LAST_YEAR: Final = 2050
"""Offsets of a time zone are written out for these years."""
HOLIDAYS_SINCE: Final = 2015
HOLIDAYS_UNTIL: Final = 2040
"""Holidays of a country are written out for these years."""
DAY_S: Final = 86_400
EPOCH: Final = dt.date(1970, 1, 1)
LEAST_HOURS_S: Final = 2 * 3600

Weekday = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
WEEKDAYS: Final[tuple[Weekday, ...]] = (
    "monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday",
)  # fmt: skip
_SPAN = re.compile(r"\s*(\d{1,2}):(\d{2})\s*-\s*(\d{1,2}):(\d{2})\s*")


def zone(text: str) -> str:
    """Check the name of a time zone.

    Raises
    ------
    ValueError
        Nobody knows it.
    """
    if text not in available_timezones():
        raise ValueError(f"{text!r} is no time zone{nearest(text, available_timezones()) if text else ''}")
    return text


def _weekday(value: Any) -> Any:
    """`mon`, `Mon` and `Monday` are all monday."""
    if not isinstance(value, str):
        return value
    short = value.strip().lower()
    return next((day for day in WEEKDAYS if len(short) >= 3 and day.startswith(short)), value)


def _day(value: Any) -> Any:
    try:
        return dt.date.fromisoformat(value) if isinstance(value, str) else value
    except ValueError:
        raise ValueError(f"{value!r} is no date; write it like 2026-12-24") from None


def _span(value: Any) -> Any:
    match = _SPAN.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        return value if isinstance(value, tuple | list) else (0, 0)
    start, end = (int(match[k]) * 3600 + int(match[k + 1]) * 60 for k in (1, 3))
    return start, end


def _hours(span: tuple[int, int]) -> tuple[int, int]:
    start, end = span
    if not (start >= 0 and end <= DAY_S and end - start >= LEAST_HOURS_S):
        raise ValueError(
            "business hours are a span of one day and at least two hours long; write them like 08:30-18:00"
        )
    return span


def _written(span: tuple[int, int] | None) -> str | None:
    return None if span is None else "-".join(f"{s // 3600:02d}:{s % 3600 // 60:02d}" for s in span)


Day = Annotated[dt.date, BeforeValidator(_day)]
"""Pydantic field: a date, 2026-12-24."""
WeekdayField = Annotated[Weekday, BeforeValidator(_weekday)]
"""Pydantic field: a day of the week, at least its first three letters."""
Hours = Annotated[tuple[int, int], BeforeValidator(_span), AfterValidator(_hours), PlainSerializer(_written)]
"""Pydantic field: a span of a day, 08:30-18:00, held as seconds since midnight."""


class CalendarTable(Spec):
    """A calendar as the engine is told it: all tables, nothing to look up.

    `offsets` are (second since the epoch, seconds ahead of UTC from then on), in order of time; `days` are (days
    since the epoch, day of the week that this date is like, 0 = Monday), sorted; `hours` are seconds of a local day.
    """

    name: str
    tenants: list[str] = []
    where: dict[str, str] = {}
    offsets: list[tuple[int, int]] = [(0, 0)]
    days: list[tuple[int, int]] = []
    business_days: list[int] = [0, 1, 2, 3, 4]
    hours: tuple[int, int] | None = None


class CalendarSpec(Spec):
    """What `calendars:` says of one place: which series it is for, their clock, their week and their holidays.

    A series takes the first calendar that is for its tenant and labels; one without `tenants` and `where` is for
    all. Holidays are like `holidays_like`, by default the last day of the week that is no business day.
    """

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]*$", max_length=100)
    tenants: list[str] = []
    where: dict[str, str] = {}
    time_zone: Annotated[str, AfterValidator(zone)] = "UTC"
    business_days: list[WeekdayField] = Field(default=list(WEEKDAYS[:5]), min_length=1)
    business_hours: Hours | None = None
    country: str | None = None
    subdivision: str | None = None
    holidays: list[Day] = []
    holidays_like: WeekdayField | None = None
    days: dict[Day, WeekdayField] = {}  # single dates and the day of the week that they are like

    @model_validator(mode="after")
    def _known_place(self) -> CalendarSpec:
        if self.subdivision is not None and self.country is None:
            raise ValueError("`subdivision` needs `country`")
        if self.country is not None:
            places = _places()
            if self.country not in places:
                raise ValueError(f"`country: {self.country}` is not known{nearest(self.country, places)}")
            parts = places[self.country]
            if self.subdivision is not None and self.subdivision not in parts:
                raise ValueError(f"`subdivision: {self.subdivision}` is not known{nearest(self.subdivision, parts)}")
        return self

    @property
    def like(self) -> int:
        """Day of the week that a holiday is like, 0 = Monday."""
        if self.holidays_like is not None:
            return WEEKDAYS.index(self.holidays_like)
        free = [k for k, day in enumerate(WEEKDAYS) if day not in self.business_days]
        return free[-1] if free else 6

    def table(self) -> CalendarTable:
        """All that this calendar says, written out."""
        days = dict.fromkeys([*_holidays(self.country, self.subdivision), *self.holidays], self.like)
        days |= {day: WEEKDAYS.index(like) for day, like in self.days.items()}
        return CalendarTable(
            name=self.name,
            tenants=self.tenants,
            where=self.where,
            offsets=list(_offsets(self.time_zone)),
            days=sorted(((day - EPOCH).days, like) for day, like in days.items()),
            business_days=sorted({WEEKDAYS.index(day) for day in self.business_days}),
            hours=self.business_hours,
        )


@lru_cache(maxsize=256)
def _offsets(zone: str) -> tuple[tuple[int, int], ...]:
    """Every change of a zone's offset, found to the second between midnights that differ.

    >>> [change for change in _offsets("Europe/Berlin") if change[0] > 1_790_000_000][0]
    (1792890000, 3600)
    """
    place = ZoneInfo(zone)

    def offset(second: int) -> int:
        ahead = dt.datetime.fromtimestamp(second, place).utcoffset()
        return int(ahead.total_seconds()) if ahead is not None else 0

    start, end = ((dt.date(year, 1, 1) - EPOCH).days * DAY_S for year in (FIRST_YEAR, LAST_YEAR + 1))
    found = [(0, offset(start))]
    for day in range(start, end, DAY_S):
        before, after = day, day + DAY_S
        if offset(after) == offset(before):
            continue
        while after - before > 1:
            middle = (before + after) // 2
            before, after = (middle, after) if offset(middle) == offset(before) else (before, middle)
        found.append((after, offset(after)))
    return tuple(found)


@lru_cache(maxsize=64)
def _holidays(country: str | None, subdivision: str | None) -> tuple[dt.date, ...]:
    if country is None:
        return ()
    library: Any = import_module("holidays")  # loaded only where a country is named: it is large
    years = range(HOLIDAYS_SINCE, HOLIDAYS_UNTIL + 1)
    return tuple(sorted(library.country_holidays(country, subdiv=subdivision, years=years)))


@lru_cache(maxsize=1)
def _places() -> dict[str, list[str]]:
    library: Any = import_module("holidays")
    found: dict[str, list[str]] = library.list_supported_countries(include_aliases=True)
    return found
