"""Days of a time zone: where they begin and end, and which is the last that is over and settled."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

NS: Final = 1_000_000_000
_ORIGIN: Final = date(1970, 1, 1)


def span_of(day: int, zone: str) -> tuple[int, int]:
    """Begin and end, ns, of the local day with this number (0 = 1970-01-01); 23 or 25 hours where clocks change.

    >>> [(end - start) // NS // 3600 for day in (0, 20_541) for start, end in [span_of(day, "Europe/Berlin")]]
    [24, 23]
    """
    return _midnight(day, zone), _midnight(day + 1, zone)


def _midnight(day: int, zone: str) -> int:
    local = datetime.combine(_ORIGIN + timedelta(days=day), datetime.min.time(), ZoneInfo(zone))
    return round(local.astimezone(UTC).timestamp()) * NS


def name_of(day: int) -> str:
    """The date of a day.

    >>> name_of(20_541)
    '2026-03-29'
    """
    return (_ORIGIN + timedelta(days=day)).isoformat()


def last_settled(now: int, zone: str, after_midnight_s: int) -> int:
    """Number of the last day that ended at least so many seconds before `now` (ns).

    >>> last_settled(86_400 * NS + 6 * 3600 * NS - 1, "UTC", 6 * 3600), last_settled(30 * 3600 * NS, "UTC", 6 * 3600)
    (-1, 0)
    """
    local = datetime.fromtimestamp((now - after_midnight_s * NS) // NS, ZoneInfo(zone)).date()
    return (local - _ORIGIN).days - 1
