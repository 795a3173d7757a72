"""`SeasonClock`: where in the seasons a series is - its calendar's local time, kind of day and business hours."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Final

import numpy as np

from tocsin.model.arrays import I4, I8, Mask
from tocsin.model.series import Series
from tocsin.spec.calendar import CalendarTable

SECOND: Final = 1_000_000_000
HOUR_S: Final = 3600
DAY_S: Final = 86_400
WEEKDAY_OF_EPOCH: Final = 3  # 1970-01-01 was a Thursday; 0 = Monday
NONE: Final = -1


class Calendar:
    """One calendar's table as arrays, and the arithmetic over it."""

    def __init__(self, table: CalendarTable) -> None:
        self.table = table
        self._since: I8 = np.array([since for since, _ in table.offsets], "i8")
        self._ahead: I8 = np.array([ahead for _, ahead in table.offsets], "i8")
        self._day: I8 = np.array([day for day, _ in table.days], "i8")
        self._like: I8 = np.array([like for _, like in table.days], "i8")
        self._business: Mask = np.isin(np.arange(7), table.business_days)

    def ahead(self, time: I8) -> I8:
        """Seconds that local time is ahead of UTC, (n,), at times in ns."""
        at = np.searchsorted(self._since, time // SECOND, side="right") - 1
        found: I8 = self._ahead[np.maximum(at, 0)]
        return found

    def kinds(self, day: I8) -> I8:
        """Day of the week that each local date is like, (n,), 0 = Monday; dates in days since the epoch."""
        plain = (day + WEEKDAY_OF_EPOCH) % 7
        if not len(self._day):
            return plain
        at = np.minimum(np.searchsorted(self._day, day), len(self._day) - 1)
        found: I8 = np.where(self._day[at] == day, self._like[at], plain)
        return found

    def season(self, time: I8) -> I8:
        """Local time as the date says and as the kind of day says, (n, 2) ns, kept clear of opening and closing."""
        local = time + self.ahead(time) * SECOND
        day = local // (DAY_S * SECOND)
        plain, like = (day + WEEKDAY_OF_EPOCH) % 7, self.kinds(day)
        moved = local + (like - plain) * DAY_S * SECOND
        if self.table.hours is not None:
            clear = local - local % (DAY_S * SECOND) + self._clear(local) * SECOND
            here, there = np.where(self._business[plain], clear, local), np.where(self._business[like], clear, local)
            local, moved = here, there + (like - plain) * DAY_S * SECOND
        return np.ascontiguousarray(np.stack([local, moved], axis=1))

    def _clear(self, local: I8) -> I8:
        """Second of the day to learn and look up, (n,): no hour is blended with one across opening or closing.

        What shares its hour with the other side of a boundary belongs to the next whole hour on its own side.
        """
        assert self.table.hours is not None
        second = local // SECOND % DAY_S
        out = second.copy()
        for bound in self.table.hours:
            if not 0 < bound < DAY_S:
                continue
            before, after = bound // HOUR_S * HOUR_S, -(-bound // HOUR_S) * HOUR_S
            left = (second >= before - HOUR_S // 2) & (second <= bound)  # a time is the end of a window
            right = (second > bound) & (second < after + HOUR_S // 2)
            out[left] = before - HOUR_S // 2
            out[right] = after + HOUR_S // 2
        return out

    def at_work(self, time: I8, *, hours: bool) -> Mask:
        """Whether these times, (n,) ns, are on a business day, and with `hours` within business hours."""
        local = time // SECOND + self.ahead(time)
        found = self._business[self.kinds(local // DAY_S)]
        if hours and self.table.hours is not None:
            start, end = self.table.hours
            found &= (local % DAY_S > start) & (local % DAY_S <= end)
        return found


class SeasonClock:
    """All calendars in force: which one a series lives by, and what its rows' times mean there.

    >>> clock = SeasonClock([CalendarTable(name="c", offsets=[(0, 3600)], days=[(8, 6)])])
    >>> friday_noon = np.array([(8 * 24 + 12) * 3600 * SECOND])
    >>> [int(ns) // SECOND // 3600 - 8 * 24 for ns in clock.season(np.zeros(1, "i4"), friday_noon)[0]]
    [13, 61]
    """

    def __init__(self, tables: Sequence[CalendarTable] = ()) -> None:
        self.calendars = [Calendar(table) for table in tables]

    def of(self, series: Series, name: str | None = None) -> int:
        """Number of the calendar of a series: the named one, else the first for its tenant and labels, or `NONE`."""
        labels = dict(series.labels)
        for number, calendar in enumerate(self.calendars):
            table = calendar.table
            if name is not None:
                if table.name == name:
                    return number
            elif (not table.tenants or series.tenant in table.tenants) and all(
                key in labels and fnmatchcase(labels[key], want) for key, want in table.where.items()
            ):
                return number
        return NONE

    def season(self, calendar: I4, time: I8) -> I8 | None:
        """Where in the seasons each row is, (n, 2), see `Step.season`; None where no row has a calendar."""
        numbers = np.unique(calendar)
        if not len(numbers) or numbers[-1] == NONE:
            return None
        out = np.stack([time, time], axis=1)
        for number in numbers[numbers != NONE].tolist():
            mine = calendar == number
            at, back = np.unique(time[mine], return_inverse=True)
            out[mine] = self.calendars[number].season(at)[back]
        return out

    def at_work(self, calendar: I4, time: I8, *, hours: bool) -> Mask:
        """Whether each row is at a business time of its calendar, (n,); without one every day is."""
        out = np.ones(len(time), bool)
        for number in np.unique(calendar[calendar != NONE]).tolist():
            mine = calendar == number
            out[mine] = self.calendars[number].at_work(time[mine], hours=hours)
        return out

    def ahead(self, calendar: I4, time: I8) -> I8:
        """Seconds that each row's local time is ahead of UTC at its time, (n,)."""
        out = np.zeros(len(calendar), "i8")
        for number in np.unique(calendar[calendar != NONE]).tolist():
            mine = calendar == number
            out[mine] = self.calendars[number].ahead(time[mine])
        return out
