"""Robust seasonal baseline: what every series gets when nobody says otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from tocsin.detect import seasonal
from tocsin.detect.array import ArrayDetector, column
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
    that rests more than it moves is judged by the size of its moves; one that never moved by a tenth of its
    level, and a constant zero not at all (give it a `floor`).

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
    anchor: F8 = column(0.0)
    offset: F8 = column(0.0)
    fast: F8 = column(0.0)
    drift: F8 = column(0.0)
    error: F8 = column(0.0, shape=(4,))
    tried: F8 = column(0.0, shape=(4,))
    scale: F8 = column(0.0, shape=(4,))
    hour: NDArray[np.float32] = column(np.nan, "f4", (seasonal.HOUR_SLOTS,))
    day: NDArray[np.float32] = column(np.nan, "f4", (seasonal.DAY_SLOTS,))
    week: NDArray[np.float32] = column(np.nan, "f4", (seasonal.WEEK_SLOTS,))
    spread: NDArray[np.float32] = column(1.0, "f4", (seasonal.DAY_SLOTS,))
    hour_count: U1 = column(0, "u1", (seasonal.HOUR_SLOTS,))
    day_count: U1 = column(0, "u1", (seasonal.DAY_SLOTS,))
    week_count: U1 = column(0, "u1", (seasonal.WEEK_SLOTS,))
    grain: F8 = column(np.inf)
    moves: F8 = column(0.0)
    jump: F8 = column(0.0)
    low: F8 = column(np.inf)
    last: F8 = column(0.0)
    born: I8 = column(0, "i8")
    latest: I8 = column(0, "i8")
    linear: F8 = column(0.0)
    logged: F8 = column(0.0)
    jacobian: F8 = column(0.0)
    candidate: F8 = column(0.0)

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
        """Level in the signal's unit, robust sd on the working scale, and which seasons are trusted, as 0 or 1."""
        if row >= self.size:
            return {}
        rows = self._rows()
        time = int(self.latest[row])
        scale, centre, _, _, _, _ = seasonal.expectation(row, time, rows, self._tuning)
        parents = {"hour": seasonal.LEVEL, "day": seasonal.LEVEL, "week": seasonal.DAY}
        places = {"hour": seasonal.HOUR, "day": seasonal.DAY, "week": seasonal.WEEK}
        seasons = {
            f"season_{name}": float(seasonal.trusted(row, time, places[name], parents[name], rows, self._tuning))
            for name in places
        }
        offset = float(self.offset[row])
        level = float(seasonal.from_work(centre + self.anchor[row], offset))
        return {"steps": float(self.seen[row]), "level": level, "sd": scale, "log_offset": offset, **seasons}

    def _score(self, step: Step) -> F8:
        out = np.full(len(step), np.nan)
        seasonal.score_rows(step.rows, step.time, step.value, self._rows(), self._tuning, out)
        return out

    def _band(self, step: Step, width: F8) -> tuple[F8, F8, F8]:
        lower, centre, upper = (np.empty(len(step)) for _ in range(3))
        seasonal.band_rows(step.rows, step.time, width, self._rows(), self._tuning, lower, centre, upper)
        return lower, centre, upper

    def _learn(self, step: Step, weight: F8) -> None:
        seasonal.learn_rows(step.rows, step.time, step.value, weight, self._rows(), self._tuning)

    def _rows(self) -> seasonal.Rows:
        return seasonal.Rows(*(getattr(self, name) for name in seasonal.Rows._fields))
