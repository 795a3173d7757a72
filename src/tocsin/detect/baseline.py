"""Robust seasonal baseline: what every series gets when nobody says otherwise."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from tocsin.detect import seasonal
from tocsin.detect.array import ArrayDetector, column
from tocsin.detect.seasonal_cycle import PERIOD, RHYTHM, RING
from tocsin.detect.seasonal_learning import NEW_CYCLE, learn_rows
from tocsin.detect.seasonal_runs import RUNS
from tocsin.detect.working_scale import from_work
from tocsin.model.arrays import F8, I4, I8, U1
from tocsin.model.detection import Step

NO_SEASON: Final = np.zeros((0, 2), "i8")
SEASONS: Final = ("auto", "clock", "none", "hour", "day", "week")


class Baseline(ArrayDetector):
    """Score = distance to the nearest plausible expectation, in robust sds (>= 0).

    Four predictors compete: a level that follows with a time constant of an hour, the level with a profile of
    the hour (12 slots), a profile of the day (24 slots, interpolated) and of the week (168), the latter two with
    a drift of today. A season on trial may excuse a value and never accuse it; it is trusted alone once it is
    old enough (a day must have outlived a weekend) and explains enough variance that it had not seen.
    Season is by UTC, or by the local clock of a calendar (`Step.season`), which may say that a day is like another:
    both readings of such a day excuse a value until one of them has predicted twice as well.
    A day that swings by 6 of its own robust sds also accuses where the level predicts as well: a peak that does not
    come. A row that switches between two states is also judged by how long the present one has lasted.
    Where noise grows with the level, the row works on log(x + offset): chosen from the data by likelihood, or told;
    of a share of 1 or 100 it is the logit, so that what is left to either bound counts. A residual pulls level and season by at most 2 sds and adds at most 4 to the scale.
    The scale never falls below the value's own granularity, `floor`, or `floor_ratio` of the level; a series
    that rests more than it moves is judged by the size of its moves; one that never moved by 3 % of its
    level. The first move of a constant zero is judged as a count (sd 1) when it is a whole number, as a share
    (sd 2 %) when it is at most 1, and else not at all (give it a `floor`).

    Parameters: `season` auto (hour, day, week, and periods that are not the clock's, found in the row itself: see
    `seasonal_cycle`), clock (the former three alone), none, hour, day or week; `warmup` in steps; `floor` in the
    signal's unit; `floor_ratio` of the level.

    References: P. J. Huber, Robust Estimation of a Location Parameter, Annals of Mathematical Statistics 1964;
    G. E. P. Box and D. R. Cox, An Analysis of Transformations, JRSS B 1964; the states as in `seasonal_runs`.

    >>> d = Baseline(warmup=15)
    >>> for k, v in enumerate([10.0, 11.0, 9.0, 10.0] * 10 + [10.0, 40.0]):
    ...     s = Step(np.zeros(1, "i4"), np.array([k * 60 * 10**9]), np.array([v]))
    ...     got = float(d.score(s).value[0])
    ...     d.learn(s, np.ones(1))
    >>> got > 10
    True
    """

    name: ClassVar[str] = "baseline"
    times: I8 = column(0, "i8", (2,))
    core: F8 = column(0.0, shape=(seasonal.CORE,))
    slots: NDArray[np.float32] = column(np.nan, "f4", (seasonal.SLOTS,))
    counts: U1 = column(0, "u1", (seasonal.COUNTS,))
    runs: NDArray[np.float32] = column(0.0, "f4", (RUNS,))
    cycle: NDArray[np.int8] = column(0, "i1", (RING,))  # of the search, or the profile of what was found
    rhythm: NDArray[np.float32] = column(0.0, "f4", (RHYTHM,))
    earned: U1 = column(0, "u1")  # the longest season that was ever trusted, and whether a period was
    told: U1 = column(0, "u1")  # 1: a share of 1, 2: a share of 100, 3: on a log scale; taken with the first value
    least: NDArray[np.float32] = column(0.0, "f4")  # least robust sd in the signal's unit; if told 3, over the level

    def __init__(
        self, *, season: str = "auto", warmup: float = 15, floor: float = 0.0, floor_ratio: float = 0.001
    ) -> None:
        super().__init__(warmup=warmup)
        self._renewed: I4 = np.zeros(0, "i4")
        self._entrained: I4 = np.zeros(0, "i4")
        if season not in SEASONS:
            raise ValueError(f"baseline: season must be one of {', '.join(SEASONS)}, got {season!r}")
        if not (floor >= 0 and floor_ratio >= 0):
            raise ValueError(f"baseline: floor and floor_ratio must be >= 0, got {floor} and {floor_ratio}")
        self._tuning = seasonal.Tuning(
            warmup=self.warmup,
            floor=float(floor),
            floor_ratio=float(floor_ratio),
            use_hour=season in ("auto", "clock", "hour"),
            use_day=season in ("auto", "clock", "day", "week"),
            use_week=season in ("auto", "clock", "week"),
            told=season not in ("auto", "clock"),
            use_cycle=season == "auto",
        )

    def explain(self, row: int) -> Mapping[str, float]:
        """Level in the signal's unit, robust sd on the working scale, and which season is trusted, as 0 or 1.

        `season_cycle_s` is there where a period of its own was found and is trusted: its length in seconds.
        """
        if row >= self.size:
            return {}
        core, slots = self.core[row], self.slots[row]
        born, latest = int(self.times[row, seasonal.BORN]), int(self.times[row, seasonal.LATEST])
        chosen, scale, centre, _, _, _, _, _, cycle, _ = seasonal.expectation(
            latest, latest, latest, born, core, slots, self._profile()[row], self.rhythm[row], self._tuning
        )
        offset, top = float(core[seasonal.OFFSET]), float(core[seasonal.TOP])
        found = {
            "steps": float(core[seasonal.SEEN]),
            "level": float(from_work(centre + core[seasonal.ANCHOR], offset, top)),
            "robust_sd": float(scale),
            "log_scale": float(offset > 0.0 and top <= 0.0),
            "logit_scale": float(offset > 0.0 and top > 0.0),
            "season_hour": float(chosen == seasonal.HOUR),
            "season_day": float(chosen >= seasonal.DAY),
            "season_week": float(chosen == seasonal.WEEK),
        }
        return found if math.isnan(cycle) else {**found, "season_cycle_s": float(self.rhythm[row, PERIOD])}

    def renewed(self) -> I4:
        """Rows that have come to trust the season of a day, or a period of their own, since the last call."""
        found, self._renewed = self._renewed, np.zeros(0, "i4")
        return found

    def entrained(self) -> I4:
        """Rows that have come to expect a period of their own since the last call: what recurred is expected now."""
        found, self._entrained = self._entrained, np.zeros(0, "i4")
        return found

    def turn(self, rows: I4, hours: I8) -> None:
        """Move what rows learned of the day and the week by whole hours, each (n,): their clock was put forward."""
        for row, by in zip(rows[rows < self.size].tolist(), hours[rows < self.size].tolist(), strict=True):
            for start, count in (
                (seasonal.DAY_AT, seasonal.DAY_SLOTS),
                (seasonal.WEEK_AT, seasonal.WEEK_SLOTS),
                (seasonal.SPREAD_AT, seasonal.DAY_SLOTS),
            ):
                self.slots[row, start : start + count] = np.roll(self.slots[row, start : start + count], by)
                if start < seasonal.COUNTS:
                    self.counts[row, start : start + count] = np.roll(self.counts[row, start : start + count], by)

    def _score(self, step: Step) -> F8:
        out = np.full(len(step), np.nan)
        seasonal.score_rows(
            step.rows, step.time, step.value, _season(step), self.times, self.core, self.slots, self.runs,
            self._profile(), self.rhythm, self._tuning, out,
        )  # fmt: skip
        return out

    def _band(self, step: Step, width: F8) -> tuple[F8, F8, F8]:
        out = np.empty((len(step), 3))
        seasonal.band_rows(
            step.rows, step.time, width, _season(step), self.times, self.core, self.slots, self._profile(), self.rhythm,
            self._tuning, out,
        )  # fmt: skip
        return out[:, 0].copy(), out[:, 1].copy(), out[:, 2].copy()

    def _learn(self, step: Step, weight: F8) -> None:
        self.seen[step.rows] += 1
        fresh = np.zeros(len(step), "u1")
        learn_rows(
            step.rows, step.time, step.value, weight, _season(step), self.told, self.least, self.times, self.core,
            self.slots, self.counts, self.runs, self.cycle, self._profile(), self.rhythm, self.earned, self._tuning,
            fresh,
        )  # fmt: skip
        if np.count_nonzero(fresh):
            self._renewed = np.union1d(self._renewed, step.rows[fresh > 0]).astype("i4")
        found = step.rows[fresh & NEW_CYCLE > 0]
        if found.size:
            self._entrained = np.union1d(self._entrained, found).astype("i4")

    def _profile(self) -> NDArray[np.float32]:
        """The bytes of `cycle` as they are read once a period was found, (n, PROFILE)."""
        return self.cycle.view(np.float32)


def _season(step: Step) -> I8:
    return NO_SEASON if step.season is None else step.season
