"""Gaps of groups over time: whether one has moved, and whether the model's choices seem to feed on themselves."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from tocsin.assess.fairness import Count, difference
from tocsin.assess.intervals import Measure
from tocsin.assess.tails import clopper_pearson, kendall_tail
from tocsin.model.arrays import F8

LEAST_PERIODS: Final = 5
"""Periods below which a trend is not spoken of: the clearest trend of four has a chance of 1 in 24."""


@dataclass(frozen=True, slots=True)
class GapDrift:
    """One group's share less that of all others, now against the first periods.

    `since` and `last` are the first and the last period in which the change was certain, at a level that allows for
    looking at every period, None = never.
    """

    group: str
    before: Measure
    now: Measure
    change: Measure
    since: int | None
    last: int | None
    reason: str


@dataclass(frozen=True, slots=True)
class FeedbackLoop:
    """A group that is chosen ever less, and comes ever less: a sign, and no proof, that choices feed on themselves."""

    group: str
    gap_p_value: float
    share_p_value: float
    suspected: bool
    reason: str


def gap_drift(
    names: Sequence[str],
    periods: F8,
    part: Count = Count.SELECTED,
    whole: Count = Count.ROWS,
    *,
    baseline: int = 3,
    least_change: float = 0.05,
    level: float = 0.05,
    recent: int | None = None,
) -> tuple[GapDrift, ...]:
    """Whether the gap of each group has moved since the first `baseline` periods; may be asked after every period.

    Parameters
    ----------
    periods : (periods, groups, 9), a `fairness.tally` of each period, in order
    part, whole : the rate, for example `TRUE_POSITIVES` of `POSITIVES`
    least_change : changes that are smaller are none, however certain
    recent : how many of the last periods are looked at, all when None; the others were at their time

    The k-th look after the baseline has the share 1/(k(k+1)) of the level, so that all looks together keep to it.
    """
    counts = np.asarray(periods)[:, :, [part, whole]]
    baseline = min(baseline, len(counts))
    found = []
    for number, name in enumerate(names):
        since, last, shown = None, None, None
        looks = len(counts) - baseline
        points = [_point(period, number) for period in (counts[:baseline].sum(axis=0), *counts[baseline:])]
        for look in range(1 if recent is None else max(1, looks - recent + 1), looks + 1):
            if look < looks and abs(points[look] - points[0]) < least_change:
                continue  # too small to count, however certain: intervals cost much
            share = level / (look * (look + 1) * len(names))
            before = _gap(counts[:baseline].sum(axis=0), number, share)
            now = _gap(counts[baseline + look - 1], number, share)
            change = difference(now, before)
            shown = (before, now, change)
            moved = change.defined and (change.low > 0 or change.high < 0) and abs(change.value) >= least_change
            last = baseline + look - 1 if moved else last
            since = last if since is None else since
        before, now, change = shown or _unmoved(counts, number, level, baseline)
        found.append(GapDrift(name, before, now, change, since, last, _reason(since, change, least_change)))
    return tuple(found)


def gaps(counts: F8, part: Count, whole: Count, level: float = 0.05) -> tuple[tuple[Measure, ...], ...]:
    """The gap of each group in each period, (groups, periods), each with an interval at `level` of its own, to be shown.

    `counts` are tallies (periods, groups, 9).
    """
    shares = np.asarray(counts)[:, :, [part, whole]]
    return tuple(tuple(_gap(period, number, level) for period in shares) for number in range(shares.shape[1]))


def _unmoved(counts: F8, number: int, level: float, baseline: int) -> tuple[Measure, Measure, Measure]:
    gap = _gap(counts[:baseline].sum(axis=0), number, level)
    return gap, gap, Measure(math.nan, -2.0, 2.0, 0, "no period after the first ones")


def _point(counts: F8, number: int) -> float:
    """The gap without its interval; NaN where a side has no rows."""
    (part, whole), (others, rest) = counts[number], counts.sum(axis=0) - counts[number]
    return float(part / whole - others / rest) if whole and rest else math.nan


def _gap(counts: F8, number: int, level: float) -> Measure:
    """The group's rate less that of all others, at half the level each."""
    others = counts.sum(axis=0) - counts[number]
    rates = [
        Measure(part / whole if whole else math.nan, *clopper_pearson(int(part), int(whole), level / 2), n=int(whole))
        for part, whole in (counts[number], others)
    ]
    return difference(rates[0], rates[1])


def _reason(since: int | None, change: Measure, least_change: float) -> str:
    if since is not None:
        return (
            f"the gap has changed: by {change.value:+.3f} ({change.low:+.3f} to {change.high:+.3f}) in the last period, "
            f"first certain in period {since + 1}"
        )
    if not change.defined:
        return "there are too few rows or periods to compare"
    certain = change.low > 0 or change.high < 0
    why = f"smaller than {least_change:g}, which counts as none" if certain else "which may be chance"
    return f"a change by {change.value:+.3f} ({change.low:+.3f} to {change.high:+.3f}), {why}"


def feedback_loops(names: Sequence[str], periods: F8, level: float = 0.05) -> tuple[FeedbackLoop, ...]:
    """Groups whose gap of selection falls while their share of all rows falls, each by a trend that is not chance.

    Ensign et al. 2018 (FAT*) and Liu et al. 2018 (ICML) describe the loop: who is not chosen leaves no truth to learn
    from, and comes no more. Both trends are Mann-Kendall tests, corrected over groups; the k-th look, with k - 1 periods
    more than the fewest, has the share 1/(k(k+1)) of the level, so that one may ask after every period.
    """
    counts = np.asarray(periods)
    rows, chosen = counts[:, :, Count.ROWS], counts[:, :, Count.SELECTED]
    found = []
    for number, name in enumerate(names):
        here = [k for k in range(len(rows)) if 0 < rows[k, number] < rows[k].sum()]
        rest = rows[here].sum(axis=1) - rows[here, number]
        gap = chosen[here, number] / rows[here, number] - (chosen[here].sum(axis=1) - chosen[here, number]) / rest
        share = rows[here, number] / rows[here].sum(axis=1)
        p_gap, p_share = (kendall_tail(tuple((-trend).tolist())) for trend in (gap, share))
        enough = len(here) >= LEAST_PERIODS
        look = len(here) - LEAST_PERIODS + 1
        suspected = bool(enough and gap[-1] < 0 and max(p_gap, p_share) <= level / (len(names) * look * (look + 1)))
        found.append(FeedbackLoop(name, p_gap, p_share, suspected, _loop_reason(enough, suspected, len(here))))
    return tuple(found)


def _loop_reason(enough: bool, suspected: bool, periods: int) -> str:
    if not enough:
        return f"{periods} periods with this group and others; a trend needs {LEAST_PERIODS}"
    if suspected:
        return "it is chosen ever less than the others, and comes ever less: choices may feed on themselves"
    return "no trend of both its selection and its share of the rows"
