"""iCalendar files (RFC 5545) as plain spans of time: recurrences, exceptions and time zones written out."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from typing import Annotated, Any, Final
from zoneinfo import ZoneInfo

from pydantic import BeforeValidator, PlainSerializer

MOST_BYTES: Final = 4 << 20
DAY_NS: Final = 86_400 * 10**9
MONTH_NS: Final = 31 * DAY_NS
_SECOND: Final = 10**9


@dataclass(frozen=True, slots=True)
class IcalFile:
    """A file by its path, relative to that of the configuration, and its text once it was read."""

    path: str
    text: str = ""


def _file(value: object) -> object:
    if isinstance(value, IcalFile):
        return value
    if not isinstance(value, str) or not value:
        raise ValueError(f"{str(value)[:40]!r} is no path of an iCalendar file; write it like oncall.ics")
    return IcalFile(value)


IcalField = Annotated[IcalFile, BeforeValidator(_file), PlainSerializer(lambda each: each.path, str)]
"""Pydantic field: the path of an iCalendar file."""


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """[start, end) ns, and what the calendar calls it; `who` are the mail addresses of those it invites."""

    start: int
    end: int
    name: str = ""
    who: tuple[str, ...] = ()

    def holds(self, now: int) -> bool:
        """Whether a time (ns) is in it."""
        return self.start <= now < self.end


def check_ical(text: str) -> None:
    """Look whether a text is an iCalendar file with events.

    Raises
    ------
    ValueError
        It is not, and why.
    """
    found = _calendar(text)
    if not any(True for _ in found.walk("VEVENT")):
        raise ValueError("there is no event in it")


def spans_at(text: str, now: int, zone: str) -> tuple[Span, ...]:
    """Events of an iCalendar file around `now` (ns), in order; times without a zone are of `zone`.

    Events that are cancelled or mark nobody as busy (TRANSP:TRANSPARENT) are left out.
    """
    return _month(text, now // MONTH_NS, zone)


@lru_cache(maxsize=64)
def _month(text: str, month: int, zone: str) -> tuple[Span, ...]:
    library: Any = import_module("recurring_ical_events")  # loaded only where a calendar is named: it is large
    start, end = (dt.datetime.fromtimestamp(k * MONTH_NS / _SECOND, dt.UTC) for k in (month, month + 1))
    margin = dt.timedelta(days=1)  # of times without a zone the library does not know which day it is
    found = library.of(_calendar(text), skip_bad_series=True).between(start - margin, end + margin)
    return tuple(sorted(_span(each, ZoneInfo(zone)) for each in found if _counts(each)))


def _calendar(text: str) -> Any:
    library: Any = import_module("icalendar")
    try:
        return library.Calendar.from_ical(text)
    except (ValueError, KeyError, IndexError, TypeError) as error:
        raise ValueError(f"it is no iCalendar file: {str(error)[:200]}") from None


def _counts(event: Any) -> bool:
    return str(event.get("STATUS", "")).upper() != "CANCELLED" and str(event.get("TRANSP", "")).upper() != "TRANSPARENT"


def _span(event: Any, zone: ZoneInfo) -> Span:
    attendees = event.get("ATTENDEE", [])
    told = attendees if isinstance(attendees, list) else [attendees]
    who = tuple(str(each).lower().removeprefix("mailto:") for each in told)
    return Span(_ns(event.start, zone), _ns(event.end, zone), str(event.get("SUMMARY", "")).strip(), who)


def _ns(at: dt.date | dt.datetime, zone: ZoneInfo) -> int:
    """A time, or the midnight that a day begins with."""
    moment = at if isinstance(at, dt.datetime) else dt.datetime.combine(at, dt.time())
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=zone)
    return round(aware.timestamp()) * _SECOND
