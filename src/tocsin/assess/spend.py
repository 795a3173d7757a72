"""What is spent by hour and day, how that compares with the days before, and what a month will come to."""

from __future__ import annotations

import calendar
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

HOUR_NS: Final = 3600 * 10**9
DAY_NS: Final = 24 * HOUR_NS
KEPT_DAYS: Final = 35
COMPARED_DAYS: Final = 14
LEAST_DAYS: Final = 7
_LEAST_SD: Final = 0.1
"""Days of the same kind differ by ten per cent without meaning anything."""
_WEEKEND: Final = (5, 6)


class Day(NamedTuple):
    """How a day compares with those before up to the same time of day."""

    spent_usd: float
    usual_usd: float
    ratio: float
    deviates: float


class Forecast(NamedTuple):
    """What a month has cost and will have cost; `lasting_usd` if every day from now on is like this one."""

    spent_usd: float
    month_usd: float
    lasting_usd: float
    days_known: int
    ends: str


@dataclass(slots=True)
class Spend:
    """US dollars by hour of the newest `KEPT_DAYS` days in UTC."""

    days: dict[int, list[float]] = field(default_factory=dict)
    first: int = -1

    def add(self, time_ns: int, usd: float) -> None:
        """Take the cost of a call in; what is older than all that is kept is left out."""
        day, hour = time_ns // DAY_NS, time_ns % DAY_NS // HOUR_NS
        newest = max(self.days, default=day)
        if day <= newest - KEPT_DAYS:
            return
        self.first = day if self.first < 0 else min(self.first, day)
        self.days.setdefault(day, [0.0] * 24)[hour] += usd
        for old in [each for each in self.days if each <= max(newest, day) - KEPT_DAYS]:
            del self.days[old]

    def merge(self, other: Spend) -> None:
        """Take in what another one held."""
        for day, hours in other.days.items():
            for hour, usd in enumerate(hours):
                if usd:
                    self.add(day * DAY_NS + hour * HOUR_NS, usd)

    def hour_usd(self, time_ns: int) -> float:
        """What was spent in the hour of a time."""
        hours = self.days.get(time_ns // DAY_NS)
        return hours[time_ns % DAY_NS // HOUR_NS] if hours else 0.0

    def day_usd(self, day: int) -> float:
        """What was spent on a day, counted from 1970."""
        return math.fsum(self.days.get(day, ()))

    def _until(self, day: int, share_of_day: float) -> float:
        hours = self.days.get(day)
        if hours is None:
            return 0.0
        whole = int(share_of_day * 24)
        rest = hours[whole] * (share_of_day * 24 - whole) if whole < 24 else 0.0
        return math.fsum(hours[:whole]) + rest

    def _past(self, today: int, most: int) -> list[int]:
        """Complete days before one, the newest first; the first day ever seen may be half a day."""
        return [day for day in range(today - 1, today - 1 - most, -1) if day > self.first >= 0]

    def compared(self, now_ns: int) -> Day | None:
        """Today up to now beside the same part of past days; None before a week of them is known.

        `deviates` is how many robust standard deviations its logarithm lies above their median.
        """
        today, share = now_ns // DAY_NS, now_ns % DAY_NS / DAY_NS
        past = [self._until(day, share) for day in self._past(today, COMPARED_DAYS)]
        if len(past) < LEAST_DAYS:
            return None
        spent, usual = math.fsum(self.days.get(today, ())), _median(past)
        if usual <= 0:
            return None
        logs = [math.log(max(each, usual * 1e-3) / usual) for each in past]
        sd = max(1.4826 * _median([abs(each) for each in logs]), _LEAST_SD)
        return Day(spent, usual, spent / usual, math.log(max(spent, usual * 1e-3) / usual) / sd)

    def highest_until(self, now_ns: int) -> float:
        """The most that past days had cost at this time of day."""
        today, share = now_ns // DAY_NS, now_ns % DAY_NS / DAY_NS
        return max((self._until(day, share) for day in self._past(today, COMPARED_DAYS)), default=0.0)

    def usual_day_usd(self, day: int) -> float:
        """Mean of past days of the same kind (workday or weekend), of all where only one is known.

        Days of more than twice the median are left out: one dear day makes no dear month.
        """
        return self._usual(day, day)

    def _usual(self, today: int, day: int) -> float:
        past = self._past(today, 28)
        alike = [each for each in past if (_weekday(each) in _WEEKEND) == (_weekday(day) in _WEEKEND)][:8]
        known = [self.day_usd(each) for each in (alike if len(alike) >= 2 else past[:8])]
        if not known:
            return 0.0
        plain = [usd for usd in known if usd <= 2 * _median(known)]
        return math.fsum(plain) / len(plain)

    def forecast(self, now_ns: int) -> Forecast:
        """What the month of a time will come to: spent, the rest of today at today's pace, then days as usual."""
        today, share = now_ns // DAY_NS, now_ns % DAY_NS / DAY_NS
        date = _date(today)
        last = calendar.monthrange(date.year, date.month)[1]
        begin = today - (date.day - 1)
        spent = math.fsum(self.day_usd(day) for day in range(begin, today + 1))
        so_far = self.day_usd(today)
        usual = self._usual(today, today)
        pace = self._pace(today, share, so_far, usual)
        ahead = [self._usual(today, today + each) for each in range(1, last - date.day + 1)]
        if not self._past(today, 1):  # nothing but today is known
            ahead = [so_far + pace] * len(ahead)
        scale = (so_far + pace) / usual if usual > 0 else 1.0
        rest = math.fsum(ahead)
        return Forecast(
            spent, spent + pace + rest, spent + pace + rest * max(scale, 1.0), len(self._past(today, KEPT_DAYS)),
            f"{date.year:04d}-{date.month:02d}-{last:02d}",
        )  # fmt: skip

    def _pace(self, today: int, share: float, so_far: float, usual: float) -> float:
        """What the rest of today will cost."""
        past = self._past(today, 8)
        until = _median([self._until(day, share) for day in past]) if past else 0.0
        if usual > 0 and until > 0.02 * usual:
            return max(usual - until, 0.0) * so_far / until
        return usual * (1 - share) if usual > 0 else so_far * (1 - share) / max(share, 1 / 24)

    def snapshot(self) -> list[Any]:
        """All state, as a tree."""
        return [self.first, [[day, list(hours)] for day, hours in sorted(self.days.items())]]

    @staticmethod
    def of(state: Sequence[Any]) -> Spend:
        """Spending back from a snapshot."""
        first, days = state
        return Spend({day: list(hours) for day, hours in days}, first)


def evidence_of(forecast: Forecast) -> Mapping[str, float | str]:
    """A forecast as findings carry it."""
    return {
        "month_spent_usd": round(forecast.spent_usd, 4),
        "month_forecast_usd": round(forecast.month_usd, 4),
        "month_forecast_if_it_lasts_usd": round(forecast.lasting_usd, 4),
        "month_ends": forecast.ends,
    }


def _date(day: int) -> datetime:
    return datetime.fromtimestamp(day * 86_400, UTC)


def _weekday(day: int) -> int:
    return (day + 3) % 7  # 1 January 1970 was a Thursday


def _median(values: Sequence[float]) -> float:
    found = sorted(values)
    middle = len(found) // 2
    return found[middle] if len(found) % 2 else (found[middle - 1] + found[middle]) / 2
