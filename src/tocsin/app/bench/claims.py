"""What is said of learned detection - earlier, fewer false alarms, subtle anomalies - beside limits on real series.

Two customary limits are given the best case: the multiple of the standard deviation that suits them, chosen on what it
is judged by. *Fixed*: mean and standard deviation of the probationary part of a file. *Moving*: of the 288 rows before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from tocsin.app.bench.figure import Figure
from tocsin.app.bench.nab_scoring import Labels
from tocsin.model.arrays import F8, Mask

MOVING_ROWS: Final = 288
"""A day of one row in five minutes."""
SAME_ROWS: Final = 12
"""An alarm so soon after another is the same one."""
CUSTOMARY: Final = 3.0
_MULTIPLES: Final = np.round(np.geomspace(1.0, 60.0, 120), 2)
_STILL: Final = 1e-12


@dataclass(frozen=True, slots=True, eq=False)
class Alarms:
    """What came of the alarms of a corpus.

    Attributes
    ----------
    first : rows from the start of each window to its first alarm, NaN where there is none
    false : alarms outside of windows
    """

    first: F8
    false: int

    @property
    def found(self) -> int:
        """Windows with an alarm."""
        return int(np.isfinite(self.first).sum())


def claims(values: Sequence[F8], labels: Sequence[Labels], alarms: Sequence[F8]) -> Iterator[Figure]:
    """The three claims for files of values (n,), their labels, and our own alarms as 0 or 1, (n,)."""
    ours = counted([alarm > 0 for alarm in alarms], labels)
    subtle = np.concatenate([subtle_windows(v, of) for v, of in zip(values, labels, strict=True)])
    yield Figure("windows found by our own alarms", ours.found, "windows", note=_said(ours, subtle))
    for name, score in (("fixed limit", fixed), ("moving limit", moving)):
        yield from _beside(name, [score(v, of) for v, of in zip(values, labels, strict=True)], labels, ours, subtle)


def _beside(name: str, scores: Sequence[F8], labels: Sequence[Labels], ours: Alarms, subtle: Mask) -> Iterator[Figure]:
    def at(multiple: float) -> Alarms:
        return counted([score >= multiple for score in scores], labels)

    usual = at(CUSTOMARY)
    yield Figure(f"{name} of 3 sd, windows found", usual.found, "windows", note=_said(usual, subtle))
    as_many_false = _first(at, lambda found: found.false <= ours.false)
    as_many_found = _first(at, lambda found: found.found >= ours.found, rising=False)
    if as_many_false is not None:
        multiple, found = as_many_false
        note = f"{multiple:g} sd, where it gives no more false alarms than ours: {_said(found, subtle)}; {_lead(ours, found)}"
        yield Figure(f"{name}, windows found at as few false alarms", found.found, "windows", note=note)
    if as_many_found is not None:
        multiple, found = as_many_found
        note = f"{multiple:g} sd, where it finds as many windows as ours: {_said(found, subtle)}; {_lead(ours, found)}"
        yield Figure(f"{name}, false alarms at as many windows", found.false, "alarms", note=note)
    else:
        yield Figure(f"{name}, false alarms at as many windows", float("nan"), "alarms", note="it never finds as many")


def _first(
    at: Callable[[float], Alarms], good: Callable[[Alarms], bool], *, rising: bool = True
) -> tuple[float, Alarms] | None:
    """The first multiple, from the smallest or from the largest, at which something holds."""
    for multiple in (_MULTIPLES if rising else _MULTIPLES[::-1]).tolist():
        found = at(multiple)
        if good(found):
            return multiple, found
    return None


def _said(found: Alarms, subtle: Mask) -> str:
    seen = int(np.isfinite(found.first[subtle]).sum())
    return (
        f"{found.found} of {len(found.first)} windows, {seen} of the {int(subtle.sum())} subtle ones, "
        f"{found.false} false alarms"
    )


def _lead(ours: Alarms, other: Alarms) -> str:
    both = np.isfinite(ours.first) & np.isfinite(other.first)
    lead = other.first[both] - ours.first[both]
    earlier, later = int((lead > 0).sum()), int((lead < 0).sum())
    middle = float(np.median(lead)) if both.any() else float("nan")
    return f"of {int(both.sum())} found by both, ours earlier in {earlier}, later in {later}, median {middle:+g} rows"


def counted(alarms: Sequence[Mask], labels: Sequence[Labels]) -> Alarms:
    """Count alarms of files, each (n,); those within `SAME_ROWS` of the one before are the same.

    >>> window = np.array([-1, -1, 0, 0, -1, -1])
    >>> of = Labels(np.zeros(6), window.astype("i4"), np.ones(6, bool), 1)
    >>> got = counted([np.array([0, 0, 0, 1, 0, 0], bool)], [of])
    >>> got.first.tolist(), got.false
    ([1.0], 0)
    """
    first: list[float] = []
    false = 0
    for alarm, of in zip(alarms, labels, strict=True):
        rows = np.flatnonzero(alarm & of.judged)
        for k in range(of.windows):
            inside = np.flatnonzero(of.window == k)
            hits = rows[(rows >= inside[0]) & (rows <= inside[-1])]
            first.append(float(hits[0] - inside[0]) if hits.size else float("nan"))
        outside = rows[of.window[rows] < 0]
        false += int((np.diff(outside, prepend=-SAME_ROWS - 1) > SAME_ROWS).sum())
    return Alarms(np.array(first), false)


def subtle_windows(values: F8, of: Labels) -> Mask:
    """Windows, (windows,), in which no value leaves the range of what was seen before.

    >>> of = Labels(np.zeros(4), np.array([-1, -1, 0, 0], "i4"), np.ones(4, bool), 1)
    >>> subtle_windows(np.array([0.0, 9.0, 3.0, 4.0]), of).tolist()
    [True]
    """
    found = np.zeros(of.windows, bool)
    for k in range(of.windows):
        rows = np.flatnonzero(of.window == k)
        past = values[: rows[0]]
        found[k] = past.size > 0 and values[rows].max() <= past.max() and values[rows].min() >= past.min()
    return found


def fixed(values: F8, of: Labels) -> F8:
    """Distance from the mean of the probationary part in its standard deviations, (n,)."""
    past = values[~of.judged]
    return _distance(values, np.full(len(values), past.mean()), np.full(len(values), past.std()))


def moving(values: F8, _of: Labels) -> F8:
    """Distance from the mean of the `MOVING_ROWS` rows before in their standard deviations, (n,)."""
    base = values - values[:MOVING_ROWS].mean()
    sums: Any = np.concatenate([[0.0], np.cumsum(base)])
    squares: Any = np.concatenate([[0.0], np.cumsum(base * base)])
    n = np.arange(len(values))
    start = np.maximum(n - MOVING_ROWS, 0)
    count = np.maximum(n - start, 1)
    mean = (sums[n] - sums[start]) / count
    spread = np.sqrt(np.maximum((squares[n] - squares[start]) / count - mean * mean, 0.0))
    return _distance(base, mean, spread)


def _distance(values: F8, mean: F8, spread: F8) -> F8:
    """|value - mean| / spread; of what stood still, any move is far and none is nothing."""
    apart = np.abs(values - mean)
    found: F8 = np.where(apart <= _STILL * np.maximum(np.abs(mean), 1.0), 0.0, apart / np.maximum(spread, _STILL))
    return found
