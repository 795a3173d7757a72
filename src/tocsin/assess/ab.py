"""Two or more models or prompts on live traffic, compared so that one may look, and stop, at any time.

`exact`, for metrics with known bounds (0/1 above all): rows of both arms are taken in pairs, in the order they came,
and one bets on the difference (`assess.bounded_mean`); nothing is assumed but that rows are independent. `clt`, for any
metric with a variance: the normal mixture of Robbins as an asymptotic confidence sequence (Waudby-Smith, Arbour,
Sinha, Kennedy and Ramdas 2024, Ann. Stat. 52, 2613; the always-valid p-value is that of Johari, Koomen, Pekelis and
Walsh 2022, Oper. Res. 70, 1806). The evidence of several treatments is corrected by their number.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from tocsin.assess.allocation import log_mismatch
from tocsin.assess.contrast import CltContrast, ExactContrast, Moments, Pairs
from tocsin.model.arrays import F8, I4

Method: TypeAlias = Literal["exact", "clt"]
Outcome: TypeAlias = Literal["better", "worse", "undecided", "ratio_mismatch"]


@dataclass(frozen=True, slots=True)
class Design:
    """What is compared, at which stated level; the first arm is the control.

    Attributes
    ----------
    shares : rows of each arm for each other arm's, like (1, 1) or (9, 1)
    level : share of runs without a difference in which one may ever be claimed
    plan : rows of the smaller arm at which the test is to be sharpest; it is valid at any number
    bounds : least and greatest value the metric can have; None = unknown, only for `clt`
    ratio_level : share of runs split as planned that may ever be called a mismatch
    """

    arms: tuple[str, ...]
    shares: tuple[int, ...]
    method: Method = "exact"
    bounds: tuple[float, float] | None = (0.0, 1.0)
    level: float = 0.05
    plan: int = 20_000
    ratio_level: float = 0.01
    lower_is_better: bool = False

    def __post_init__(self) -> None:
        assert len(self.arms) == len(self.shares) >= 2
        assert min(self.shares) >= 1
        assert (self.bounds is not None and self.bounds[0] < self.bounds[1]) or self.method == "clt"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What can be said now of one treatment against the control, and would be at any other time.

    Attributes
    ----------
    difference, lower, upper : of the means, treatment less control, in the metric's unit; all of the intervals of all
        looks hold the truth at once but for a share `level` of runs
    lift, lift_lower, lift_upper : the same as a share of the control's mean; NaN where that can be 0 or less
    p_value : the least level at which a difference would have been claimed by now; may be looked at any time
    decided_at : rows of both arms at the look that decided; None = undecided
    """

    treatment: str
    outcome: Outcome
    n: tuple[int, int]
    means: tuple[float, float]
    difference: float
    lower: float
    upper: float
    lift: float
    lift_lower: float
    lift_upper: float
    p_value: float
    decided_at: int | None
    waiting: int


class Experiment:
    """All that came of an experiment so far; `look` after every batch, or never.

    >>> design = Design(("old", "new"), (1, 1), plan=1000)
    >>> run = Experiment(design)
    >>> run.add(np.array([0, 1] * 2000, "i4"), np.array([0.0, 1.0] * 1000 + [1.0, 1.0] * 1000))
    >>> run.look()[0].outcome
    'better'
    """

    def __init__(self, design: Design) -> None:
        self.design = design
        self.rows = [0] * len(design.arms)
        self.missing = [0] * len(design.arms)
        self.outside = 0
        self.mismatch = -math.inf
        self._moments = [Moments() for _ in design.arms]
        self._pairs = [Pairs((design.shares[0], share)) for share in design.shares[1:]]
        self._most = [-math.inf] * (len(design.arms) - 1)
        self._decided: list[tuple[Outcome, int] | None] = [None] * (len(design.arms) - 1)

    def add(self, arm: I4, value: F8) -> None:
        """Take rows in, in the order they came: number of the arm (n,), metric (n,); NaN = not known.

        A value outside the bounds is held to them, and counted as `outside`.
        """
        known = np.isfinite(value)
        for number in range(len(self.design.arms)):
            mine = arm == number
            self.rows[number] += int(mine.sum())
            self.missing[number] += int((mine & ~known).sum())
        self._take([value[(arm == number) & known] for number in range(len(self.design.arms))])

    def learn(self, arm: I4, value: F8) -> None:
        """Take in what became known, in that order, of rows that came without it: arm (n,), metric (n,), all known."""
        of_arm = [value[arm == number] for number in range(len(self.design.arms))]
        self.missing = [missing - part.size for missing, part in zip(self.missing, of_arm, strict=True)]
        self._take(of_arm)

    def _take(self, of_arm: list[F8]) -> None:
        if self.design.bounds is not None:
            low, high = self.design.bounds
            self.outside += sum(int(((part < low) | (part > high)).sum()) for part in of_arm)
            of_arm = [np.clip(part, low, high) for part in of_arm]
        for moments, part in zip(self._moments, of_arm, strict=True):
            moments.add(part)
        if self.design.method == "exact":
            scaled = [self._scaled(part) for part in of_arm]
            for pairs, part in zip(self._pairs, scaled[1:], strict=True):
                pairs.add(scaled[0], part)

    def _scaled(self, part: F8) -> F8:
        assert self.design.bounds is not None
        low, high = self.design.bounds
        return (part - low) / (high - low)

    def look(self) -> tuple[Verdict, ...]:
        """The verdict on each treatment; a decision once made stands, unless the split turns out wrong."""
        self.check()
        return tuple(self._verdict(number) for number in range(1, len(self.design.arms)))

    def check(self) -> None:
        """Look without intervals, which cost most: only what is claimed, and whether the split is right."""
        whole = sum(self.design.shares)
        shares = [share / whole for share in self.design.shares]
        known = [rows - missing for rows, missing in zip(self.rows, self.missing, strict=True)]
        self.mismatch = max(self.mismatch, log_mismatch(self.rows, shares), log_mismatch(known, shares))
        for number in range(1, len(self.design.arms)):
            self._claim(number)

    def _claim(self, number: int) -> None:
        level = self.design.level / (len(self.design.arms) - 1)
        up, down = self._contrast(number).evidence(1.0, 0.0)
        found = max(up, down)
        self._most[number - 1] = max(self._most[number - 1], found)
        if self._decided[number - 1] is None and found >= math.log(2 / level):
            better = (up > down) != self.design.lower_is_better
            self._decided[number - 1] = ("better" if better else "worse", self.rows[0] + self.rows[number])

    @property
    def ratio_p_value(self) -> float:
        """The least level at which the split would have been called wrong by now.

        Both the rows and those with a value are judged, so that an arm that loses its metric is seen too.
        """
        return min(1.0, 2 * math.exp(-max(self.mismatch, 0.0)))

    @property
    def mismatched(self) -> bool:
        """Whether rows do not come in the planned shares: then no difference can be trusted."""
        return self.ratio_p_value <= self.design.ratio_level

    def _verdict(self, number: int) -> Verdict:
        contrast = self._contrast(number)
        level = self.design.level / (len(self.design.arms) - 1)
        a, b = self._moments[0], self._moments[number]
        lower, upper = contrast.difference(level)
        lift_lower, lift_upper = contrast.lift(level)
        decided = self._decided[number - 1]
        outcome: Outcome = decided[0] if decided is not None else "undecided"
        positive = a.mean > 0 and not math.isnan(lift_lower)
        p_value = min(1.0, 2 * (len(self.design.arms) - 1) * math.exp(-max(self._most[number - 1], -700.0)))
        return Verdict(
            treatment=self.design.arms[number],
            outcome="ratio_mismatch" if self.mismatched else outcome,
            n=(a.n, b.n),
            means=(a.mean if a.n else math.nan, b.mean if b.n else math.nan),
            difference=b.mean - a.mean if a.n and b.n else math.nan,
            lower=lower,
            upper=upper,
            lift=b.mean / a.mean - 1 if positive and b.n else math.nan,
            lift_lower=lift_lower,
            lift_upper=lift_upper,
            p_value=p_value,
            decided_at=decided[1] if decided is not None else None,
            waiting=sum(part.size for part in self._pairs[number - 1].waiting),
        )

    def _contrast(self, number: int) -> ExactContrast | CltContrast:
        design, share = self.design, self.design.shares[number]
        least = min(design.shares[0], share)
        if design.method == "exact":
            assert design.bounds is not None
            return ExactContrast(self._pairs[number - 1], design.bounds, max(1, design.plan // least))
        planned = (design.plan * design.shares[0] / least, design.plan * share / least)
        return CltContrast(self._moments[0], self._moments[number], planned, design.level)
