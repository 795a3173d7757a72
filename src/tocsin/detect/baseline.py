"""Robust seasonal baseline: what every series gets when nobody says otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from tocsin.detect import seasonal
from tocsin.detect.array import ArrayDetector, column
from tocsin.detect.seasonal_learning import learn_rows
from tocsin.model.arrays import F8, I8, U1
from tocsin.model.detection import Step

SEASONS: Final = ("auto", "none", "hour", "day", "week")


class Baseline(ArrayDetector):
    """Score = distance to the nearest plausible expectation, in robust sds (>= 0).

    Four predictors compete: a level that follows with a time constant of an hour, the level with a profile of
    the hour (12 slots), a profile of the day (24 slots, interpolated) and of the week (168), the latter two with
    a drift of today. A season on trial may excuse a value and never accuse it; it is trusted alone once it is
    old enough (a day must have outlived a weekend) and explains enough variance that it had not seen.
    Season is by UTC. Where noise grows with the level, the row works on log(x + offset): chosen from the
    data by likelihood. A residual pulls level and season by at most 2 sds and adds at most 4 to the scale.
    The scale never falls below the value's own granularity, `floor`, or `floor_ratio` of the level; a series
    that rests more than it moves is judged by the size of its moves; one that never moved by 3 % of its
    level. The first move of a constant zero is judged as a count (sd 1) when it is a whole number, as a share
    (sd 2 %) when it is at most 1, and else not at all (give it a `floor`).

    Parameters: `season` auto, none, hour, day or week; `warmup` in steps; `floor` in the signal's unit;
    `floor_ratio` of the level.

    References: P. J. Huber, Robust Estimation of a Location Parameter, Annals of Mathematical Statistics 1964;
    G. E. P. Box and D. R. Cox, An Analysis of Transformations, JRSS B 1964.

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

    def __init__(
        self, *, season: str = "auto", warmup: float = 15, floor: float = 0.0, floor_ratio: float = 0.001
    ) -> None:
        super().__init__(warmup=warmup)
        if season not in SEASONS:
            raise ValueError(f"baseline: season must be one of {', '.join(SEASONS)}, got {season!r}")
        if not (floor >= 0 and floor_ratio >= 0):
            raise ValueError(f"baseline: floor and floor_ratio must be >= 0, got {floor} and {floor_ratio}")
        self._tuning = seasonal.Tuning(
            warmup=self.warmup,
            floor=float(floor),
            floor_ratio=float(floor_ratio),
            use_hour=season in ("auto", "hour"),
            use_day=season in ("auto", "day", "week"),
            use_week=season in ("auto", "week"),
            told=season != "auto",
        )

    def explain(self, row: int) -> Mapping[str, float]:
        """Level in the signal's unit, robust sd on the working scale, and which season is trusted, as 0 or 1."""
        if row >= self.size:
            return {}
        core, slots = self.core[row], self.slots[row]
        born, latest = int(self.times[row, seasonal.BORN]), int(self.times[row, seasonal.LATEST])
        scale, centre, *_ = seasonal.expectation(latest, born, core, slots, self._tuning)
        chosen = seasonal.choose(latest - born, seasonal.predict(latest, core, slots), core, self._tuning)
        offset = float(core[seasonal.OFFSET])
        return {
            "steps": float(core[seasonal.SEEN]),
            "level": float(seasonal.from_work(centre + core[seasonal.ANCHOR], offset)),
            "robust_sd": float(scale),
            "log_scale": float(offset > 0.0),
            "season_hour": float(chosen == seasonal.HOUR),
            "season_day": float(chosen >= seasonal.DAY),
            "season_week": float(chosen == seasonal.WEEK),
        }

    def _score(self, step: Step) -> F8:
        out = np.full(len(step), np.nan)
        seasonal.score_rows(step.rows, step.time, step.value, self.times, self.core, self.slots, self._tuning, out)
        return out

    def _band(self, step: Step, width: F8) -> tuple[F8, F8, F8]:
        out = np.empty((len(step), 3))
        seasonal.band_rows(step.rows, step.time, width, self.times, self.core, self.slots, self._tuning, out)
        return out[:, 0].copy(), out[:, 1].copy(), out[:, 2].copy()

    def _learn(self, step: Step, weight: F8) -> None:
        self.seen[step.rows] += 1
        learn_rows(
            step.rows, step.time, step.value, weight, self.times, self.core, self.slots, self.counts, self._tuning
        )
