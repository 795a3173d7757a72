"""Counters become rates: the increase per second between two readings, resets seen."""

from __future__ import annotations

import numpy as np

from tocsin.model.arrays import F8, I4, I8, Mask
from tocsin.model.samples import Samples
from tocsin.stats.columns import Columns, column


class Rates(Columns):
    """Last reading of each cumulative series, one array row per series."""

    kind = "rates"
    time: I8 = column(0, "i8")
    value: F8 = column(np.nan)

    def fold(self, readings: Samples) -> tuple[Samples, I4]:
        """Turn readings, sorted by row and time, into rates at their times.

        The first reading of a series gives no rate. A reading below its predecessor is a restart from zero,
        so the reading itself is the increase (Prometheus `increase`). Gives the rates, each weighted with the
        seconds that it covers, and the rows that were reset.
        """
        readings = readings.take(np.isfinite(readings.value))
        if not len(readings):
            return readings, np.empty(0, "i4")
        row = readings.row
        self.touch(row)
        first: Mask = np.ones(len(readings), bool)
        first[1:] = row[1:] != row[:-1]
        before_time = np.where(first, self.time[row], np.r_[np.int64(0), readings.time[:-1]])
        before_value = np.where(first, self.value[row], np.r_[0.0, readings.value[:-1]])
        last = np.r_[first[1:], True]
        self.time[row[last]] = readings.time[last]
        self.value[row[last]] = readings.value[last]
        seconds = (readings.time - before_time) / 1e9
        reset = readings.value < before_value
        increase = np.where(reset, readings.value, readings.value - before_value)
        ok = np.isfinite(before_value) & (before_time > 0) & (seconds > 0)
        with np.errstate(divide="ignore", invalid="ignore"):
            rate = increase / seconds
        found = Samples(row, readings.time, rate, seconds, rate, rate, readings.uid)
        return found.take(ok), np.unique(row[ok & reset])


def delta_rates(points: Samples, start: I8) -> Samples:
    """Rates of delta sums whose interval is known, (n,); points without a start time are left out."""
    seconds = (points.time - start) / 1e9
    ok = (start > 0) & (seconds > 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        rate = points.value / seconds
    return Samples(points.row, points.time, rate, seconds, rate, rate, points.uid).take(ok)
