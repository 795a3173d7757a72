"""Whether a model treats groups alike: rates and gaps of every group, by intervals that hold for all of them at once.

Criteria as in Hardt, Price and Srebro 2016 (equalised odds, equal opportunity), Feldman et al. 2015 (disparate
impact, the four-fifths rule of 29 CFR 1607.4 D) and Barocas, Hardt and Narayanan 2023 (parity, calibration). Shares
have exact intervals, gaps of two groups are put together from them (Newcombe 1998; Zou and Donner 2008), all at a
level divided by their number. A group is judged by where its interval lies, never by a point: a group of one row has
an interval of nearly everything, and so no verdict.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from itertools import combinations
from typing import Final, Literal, TypeAlias

import numpy as np

from tocsin.assess.bounded_mean import mean_interval
from tocsin.assess.intervals import Measure
from tocsin.assess.tails import clopper_pearson
from tocsin.model.arrays import F8, I4, Mask

Criterion: TypeAlias = Literal[
    "demographic_parity", "disparate_impact", "equal_opportunity", "equalised_odds", "calibration"
]
Judgement: TypeAlias = Literal["held", "violated", "unclear", "undefined"]
CRITERIA: Final[Mapping[Criterion, float]] = {
    "demographic_parity": 0.1,
    "disparate_impact": 0.8,
    "equal_opportunity": 0.1,
    "equalised_odds": 0.1,
    "calibration": 0.1,
}
"""Limits that are usual: differences of at most, and for disparate impact a ratio of at least."""
LEAST: Final = 30
"""Rows below which a group is shown but enters no gap."""
MOST_GROUPS: Final = 50


class Count(IntEnum):
    """Columns of a tally."""

    ROWS = 0
    SELECTED = 1
    POSITIVES = 2
    TRUE_POSITIVES = 3
    NEGATIVES = 4
    FALSE_POSITIVES = 5
    SCORED = 6
    RESIDUAL = 7
    RESIDUAL_SQUARES = 8


def tally(group: I4, groups: int, selected: Mask, truth: F8 | None = None, score: F8 | None = None) -> F8:
    """Counts (groups, 9) by `Count`, which add over batches and shards.

    Parameters
    ----------
    group : (n,) number of each row's group, below `groups`; rows below 0 are left out
    selected : (n,) whether the model chose it
    truth : (n,) 1 or 0, NaN = not known yet
    score : (n,) predicted probability in [0, 1], NaN = none

    >>> tally(np.array([0, 0, 1], "i4"), 2, np.array([True, False, True]))[:, :2].tolist()
    [[2.0, 1.0], [1.0, 1.0]]
    """
    kept = group >= 0
    group, selected = group[kept], selected[kept]
    truth = np.full(group.size, np.nan) if truth is None else truth[kept]
    score = np.full(group.size, np.nan) if score is None else np.clip(score[kept], 0, 1)
    residual = truth - score
    scored = np.isfinite(residual)
    columns = (
        np.ones(group.size),
        selected,
        truth == 1,
        (truth == 1) & selected,
        truth == 0,
        (truth == 0) & selected,
        scored,
        np.where(scored, residual, 0.0),
        np.where(scored, residual**2, 0.0),
    )
    return np.stack([np.bincount(group, np.asarray(column, "f8"), groups) for column in columns], axis=1)


@dataclass(frozen=True, slots=True)
class GroupRates:
    """One group: its rates, each with an interval that holds together with all others of the report.

    `calibration` is the mean of truth less score: above 0, the model asks more of this group than it should.
    """

    group: str
    n: int
    selection_rate: Measure
    base_rate: Measure
    true_positive_rate: Measure
    false_positive_rate: Measure
    calibration: Measure


@dataclass(frozen=True, slots=True)
class Gap:
    """The widest gap of two groups by one criterion, judged by where its interval lies."""

    criterion: Criterion
    measure: Measure
    limit: float
    judgement: Judgement
    lower_group: str
    higher_group: str
    reason: str


@dataclass(frozen=True, slots=True)
class FairnessReport:
    """All groups and criteria; groups in `too_small` are shown, but enter no gap."""

    groups: tuple[GroupRates, ...]
    gaps: tuple[Gap, ...]
    too_small: tuple[str, ...]


_PARTS: Final = {
    "selection_rate": (Count.SELECTED, Count.ROWS),
    "true_positive_rate": (Count.TRUE_POSITIVES, Count.POSITIVES),
    "false_positive_rate": (Count.FALSE_POSITIVES, Count.NEGATIVES),
}


def assess(
    names: Sequence[str],
    counts: F8,
    limits: Mapping[Criterion, float] = CRITERIA,
    *,
    level: float = 0.05,
    least: int = LEAST,
) -> FairnessReport:
    """Rates and gaps of groups from a `tally`; groups beyond the 50 largest must have been put together before.

    >>> report = assess(["a", "b"], tally(np.repeat(np.array([0, 1], "i4"), 500), 2, np.arange(1000) % 500 < 250))
    >>> report.gaps[0].judgement, report.gaps[0].measure.value
    ('held', 0.0)
    """
    assert len(names) == len(counts) <= MOST_GROUPS + 1
    shown = level / (5 * max(len(names), 1))
    groups = tuple(_rates(name, row, shown) for name, row in zip(names, counts, strict=True))
    judged = [k for k, row in enumerate(counts) if row[Count.ROWS] >= least]
    pairs = list(combinations(judged, 2))
    each = level / (4 * max(len(pairs), 1))  # four gaps a pair: of three rates and of calibration; ratios share theirs
    wide = {part: [_rate(counts[k], *_PARTS[part], each) for k in judged] for part in _PARTS}
    wide["calibration"] = [_calibration(counts[k], each) for k in judged]
    of_names = [names[k] for k in judged]
    gaps = tuple(_gap(criterion, limit, of_names, wide) for criterion, limit in limits.items())
    small = tuple(name for k, name in enumerate(names) if k not in judged)
    return FairnessReport(groups, gaps, small)


def _rates(name: str, row: F8, level: float) -> GroupRates:
    known = int(row[Count.POSITIVES] + row[Count.NEGATIVES])
    return GroupRates(
        name,
        int(row[Count.ROWS]),
        _rate(row, Count.SELECTED, Count.ROWS, level),
        _share(int(row[Count.POSITIVES]), known, level),
        _rate(row, *_PARTS["true_positive_rate"], level),
        _rate(row, *_PARTS["false_positive_rate"], level),
        _calibration(row, level),
    )


def _rate(row: F8, part: Count, whole: Count, level: float) -> Measure:
    return _share(int(row[part]), int(row[whole]), level)


def _share(part: int, whole: int, level: float) -> Measure:
    low, high = clopper_pearson(part, whole, level)
    return Measure(part / whole if whole else math.nan, low, high, whole, "" if whole else "no such rows")


def _calibration(row: F8, level: float) -> Measure:
    n, total, squares = int(row[Count.SCORED]), float(row[Count.RESIDUAL]), float(row[Count.RESIDUAL_SQUARES])
    low, high = mean_interval(n, total, squares, level, max(n, 1))
    return Measure(total / n if n else math.nan, low, high, n, "" if n else "no rows with score and truth")


def difference(a: Measure, b: Measure) -> Measure:
    """The difference a - b of two independent measures (Zou and Donner 2008, Stat. Med. 27, 1693).

    >>> found = difference(Measure(0.6, 0.5, 0.7), Measure(0.4, 0.3, 0.5))
    >>> [round(end, 3) for end in (found.value, found.low, found.high)]
    [0.2, 0.059, 0.341]
    """
    if not (a.defined and b.defined):
        return Measure(math.nan, a.low - b.high, a.high - b.low, min(a.n, b.n), "no such rows")
    value = a.value - b.value
    low = value - math.hypot(a.value - a.low, b.high - b.value)
    high = value + math.hypot(a.high - a.value, b.value - b.low)
    return Measure(value, low, high, min(a.n, b.n))


def ratio(a: Measure, b: Measure) -> Measure:
    """The ratio a / b of two independent shares, put together on the scale of logarithms where neither is 0."""
    if not (a.defined and b.defined) or b.value == 0:
        least = a.low / b.high if b.high else 0.0
        return Measure(math.nan, least, math.inf, min(a.n, b.n), "nobody was selected")
    value, box_high = a.value / b.value, a.high / b.low if b.low > 0 else math.inf
    if a.value == 0 or b.low <= 0:
        return Measure(value, a.low / b.high, box_high, min(a.n, b.n))
    low = value * math.exp(-math.hypot(math.log(a.value / a.low), math.log(b.high / b.value))) if a.low > 0 else 0.0
    high = value * math.exp(math.hypot(math.log(a.high / a.value), math.log(b.value / b.low)))
    return Measure(value, low, high, min(a.n, b.n))


_BASIS: Final[Mapping[Criterion, tuple[str, ...]]] = {
    "demographic_parity": ("selection_rate",),
    "disparate_impact": ("selection_rate",),
    "equal_opportunity": ("true_positive_rate",),
    "equalised_odds": ("true_positive_rate", "false_positive_rate"),
    "calibration": ("calibration",),
}


def _gap(criterion: Criterion, limit: float, names: Sequence[str], rates: Mapping[str, Sequence[Measure]]) -> Gap:
    """The widest of all pairs; its interval holds the widest true gap, as all pairs' intervals hold at once."""
    pairs = [
        (_apart(criterion, rates[part][low], rates[part][high]), names[low], names[high])
        for part in _BASIS[criterion]
        for low, high in _ordered(rates[part])
    ]
    known = [pair for pair in pairs if pair[0].defined]
    if not known:
        why = "fewer than two groups have enough rows" if not pairs else "no two groups have rows to compare"
        return Gap(criterion, Measure(math.nan, note=why), limit, "undefined", "", "", why)
    if criterion == "disparate_impact":
        worst, low_name, high_name = min(known, key=lambda pair: pair[0].value)
        low, high = (min(ends) for ends in zip(*((p.low, p.high) for p, _, _ in pairs), strict=True))
        judgement = _judged(low >= limit, high < limit)
    else:
        worst, low_name, high_name = max(known, key=lambda pair: pair[0].value)
        low, high = (max(ends) for ends in zip(*((p.low, p.high) for p, _, _ in pairs), strict=True))
        judgement = _judged(high <= limit, low > limit)
    measure = Measure(worst.value, low, high, worst.n)
    return Gap(criterion, measure, limit, judgement, low_name, high_name, _reason(criterion, measure, limit, judgement))


def _ordered(rates: Sequence[Measure]) -> list[tuple[int, int]]:
    """All pairs of (the lower one, the higher one)."""
    pairs = combinations(range(len(rates)), 2)
    return [(a, b) if not rates[a].value > rates[b].value else (b, a) for a, b in pairs]


def _apart(criterion: Criterion, low: Measure, high: Measure) -> Measure:
    """How far apart two groups are; which of them is truly the lower one is not known either."""
    if criterion == "disparate_impact":
        one, other = ratio(low, high), ratio(high, low)
        return Measure(one.value, min(one.low, other.low), min(1.0, one.high, other.high), one.n)
    found = difference(high, low)
    return Measure(found.value, max(0.0, found.low, -found.high), max(found.high, -found.low), found.n)


def _judged(held: bool, violated: bool) -> Judgement:
    if violated:
        return "violated"
    return "held" if held else "unclear"


def _reason(criterion: Criterion, measure: Measure, limit: float, judgement: Judgement) -> str:
    where = f"{measure.value:.3f}, and lies between {measure.low:.3f} and {measure.high:.3f}"
    bound = f"{'at least' if criterion == 'disparate_impact' else 'at most'} {limit:g}"
    said = {
        "held": f"all of that keeps to {bound}",
        "violated": f"all of that breaks the limit of {bound}",
        "unclear": f"the limit of {bound} lies within, so these rows can't tell",
    }
    return f"it is {where}; {said[judgement]}" if judgement in said else ""
