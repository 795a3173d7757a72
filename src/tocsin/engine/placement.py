"""`Placement`: what the spec says of each group of a watch - by which calendar it lives, and what it measures."""

from __future__ import annotations

from typing import Final

import numpy as np

from tocsin.detect.baseline import Baseline
from tocsin.detect.seasonal import LATEST
from tocsin.engine.guarded import Guarded
from tocsin.engine.metric_family import PLAIN, MetricFamilies, Told
from tocsin.engine.season_clock import SeasonClock
from tocsin.engine.series_ensemble import Ensemble
from tocsin.model.arrays import I4, Mask
from tocsin.model.detection import Detector, Step
from tocsin.model.rows import Rows
from tocsin.model.series import Series, Signal
from tocsin.spec.monitor import MonitorSpec

HOUR_S: Final = 3600


class Placement:
    """Calendar and metric family of each group; nothing here is state, all follows from the spec and the groups."""

    def __init__(self, spec: MonitorSpec, groups: Rows) -> None:
        self._spec, self._groups = spec, groups
        self._clock, self._families = SeasonClock(), MetricFamilies()
        self._calendar: I4 = np.zeros(0, "i4")
        self._signals: dict[int, Signal] = {}
        self._told: dict[int, Told] = {}
        self._untold: list[int] = []

    def settle(self, clock: SeasonClock, families: MetricFamilies, detector: Detector | None) -> None:
        """Put other calendars and families into force; what was learned by another clock is moved to its new hours."""
        before, was = self._calendars(np.arange(len(self._groups), dtype="i4")), self._clock
        self._clock, self._families = clock, families
        self._calendar = np.zeros(0, "i4")
        for group, signal in self._signals.items():
            told = families.of(signal, self._spec.aggregate)
            if told != self._told[group]:
                self._told[group] = told
                self._untold.append(group)
        if detector is not None:
            self._turn(before, was, detector)
            self.tell(detector)

    def _turn(self, before: I4, was: SeasonClock, detector: Detector) -> None:
        learned = _baseline(detector)
        if (
            not isinstance(detector, Baseline | Ensemble | Guarded)
            or learned is None
            or not (was.calendars or self._clock.calendars)
        ):
            return
        known = np.arange(min(learned.size, len(before)), dtype="i4")
        latest = np.ascontiguousarray(learned.times[known, LATEST])
        ahead = self._clock.ahead(self._calendars(known), latest) - was.ahead(before[known], latest)
        hours = np.rint(ahead / HOUR_S).astype("i8")
        moved = np.flatnonzero(hours)
        if len(moved):
            detector.turn(known[moved], hours[moved])

    def add(self, group: int, series: Series) -> None:
        """Take in a series of a group; the first one says what the group measures."""
        if group in self._told:
            return
        self._signals[group] = series.signal
        told = self._told[group] = self._families.of(series.signal, self._spec.aggregate)
        if told != PLAIN:
            self._untold.append(group)

    def place(self, step: Step) -> Step:
        """The step with the place of each row in the seasons of its calendar."""
        if not self._clock.calendars or not len(step):
            return step
        return Step(step.rows, step.time, step.value, self._clock.season(self._calendars(step.rows), step.time))

    def tell(self, detector: Detector, forgotten: I4 | None = None) -> None:
        """Tell the detector what groups measure that are new to it, or that it was made to forget."""
        if forgotten is not None:
            self._untold += [row for row in forgotten.tolist() if self._told.get(row, PLAIN) != PLAIN]
        if not self._untold:
            return
        told = [self._told[row] for row in self._untold]
        detector.adopt(
            {
                "rows": np.array(self._untold, "i4"),
                "told": np.array([one.scale for one in told], "u1"),
                "least": np.array([one.least for one in told], "f4"),
            }
        )
        self._untold = []

    def may_open(self, step: Step) -> Mask:
        """Whether the monitor speaks at the time of each row by its calendar, (n,)."""
        if self._spec.during == "always":
            return np.ones(len(step), bool)
        hours = self._spec.during == "business_hours"
        return self._clock.at_work(self._calendars(step.rows), step.time, hours=hours)

    def _calendars(self, rows: I4) -> I4:
        have = len(self._calendar)
        if have < len(self._groups):
            more = [self._clock.of(self._groups.series(g), self._spec.calendar) for g in range(have, len(self._groups))]
            self._calendar = np.concatenate([self._calendar, np.array(more, "i4")]).astype("i4", copy=False)
        found: I4 = self._calendar[rows]
        return found


def _baseline(detector: Detector | None) -> Baseline | None:
    """The baseline that a detector is, or has among its members."""
    if isinstance(detector, Guarded):
        return detector.baseline
    several = detector.members if isinstance(detector, Ensemble) else [detector]
    return next((one for one in several if isinstance(one, Baseline)), None)
