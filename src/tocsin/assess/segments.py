"""The slices of traffic in which a model does worst: all values of all tags and all pairs of them, and no others.

Every slice with enough rows is tested against the rest, at a level divided by their number (Bonferroni), so that on
traffic without a bad slice one is named in at most the stated share of searches. How many are tested follows from tags
alone, never from losses. Slices that only share rows with a worse one are not named: after each, the others are judged
on the rows that it leaves (compare Chung et al. 2019, "Slice Finder"; Sagadeeva and Boehm 2021, "SliceLine").
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Final

import numpy as np

from tocsin.assess.column import AnyColumn
from tocsin.assess.fairness import difference
from tocsin.assess.intervals import Measure
from tocsin.assess.slices import Losses, Tag, Where, rows_where
from tocsin.model.arrays import F8, I4, Mask

LEAST_ROWS: Final = 50
MOST_VALUES: Final = 100
"""Values of a tag that are searched, the most frequent ones."""
MOST_PAIRED: Final = 24
"""Tags whose pairs are searched, the first ones given."""
MOST_NAMED: Final = 5
_CANDIDATES: Final = 400


@dataclass(frozen=True, slots=True)
class Slice:
    """One slice: its mean loss, that of the other rows, and by how much it is worse.

    `p_value` is corrected for the whole search; intervals are at the level of the search.
    """

    where: Where
    n: int
    mean: Measure
    rest: Measure
    excess: Measure
    p_value: float

    @property
    def name(self) -> str:
        """As people write it.

        >>> Slice((("region", "eu"), ("plan", "free")), 1, Measure(0), Measure(0), Measure(0), 1.0).name
        'region=eu, plan=free'
        """
        return ", ".join(f"{tag}={value}" for tag, value in self.where)


@dataclass(frozen=True, slots=True)
class Search:
    """What a search found, worst first, how many slices it tested, and in words what it had to leave out."""

    found: tuple[Slice, ...]
    overall: Measure
    tested: int
    left_out: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Candidate:
    where: Where
    n: int
    total: float


def coded(columns: Mapping[str, AnyColumn], most_values: int = MOST_VALUES) -> tuple[Tag, ...]:
    """Tags of rows, ready to be searched."""
    return tuple(Tag.of(name, column, most_values) for name, column in columns.items())


def worst_slices(
    tags: Sequence[Tag], loss: F8, *, least_rows: int = LEAST_ROWS, level: float = 0.05, most: int = MOST_NAMED
) -> Search:
    """Slices whose mean loss is surely above that of the rest, worst first.

    Parameters
    ----------
    tags : of n rows, from `coded`
    loss : (n,) larger = worse; rows with NaN are left out, and counted

    >>> tags = coded({"region": ["eu", "us"] * 500})
    >>> search = worst_slices(tags, np.array([1.0, 0.0] * 250 + [0.0, 0.0] * 250))
    >>> [found.name for found in search.found], search.tested
    (['region=eu'], 2)
    """
    known = np.isfinite(loss)
    left_out = [f"{int((~known).sum())} rows without a loss"] if not known.all() else []
    left_out += [f"{tag.others} rarer values of {tag.name}" for tag in tags if tag.others]
    if len(tags) > MOST_PAIRED:
        left_out.append(f"pairs with {', '.join(tag.name for tag in tags[MOST_PAIRED:])}")
    losses = Losses(loss[known])
    kept = tuple(Tag(tag.name, tag.values, tag.code[known], tag.others) for tag in tags)
    everyone = losses.mean_of(losses.loss, level)
    if not losses.loss.size:
        return Search((), everyone, 0, tuple(left_out))
    candidates = _candidates(kept, losses.judged, least_rows)
    named = _named(kept, losses, candidates, level, most, least_rows)
    return Search(tuple(named), everyone, len(candidates), tuple(left_out))


def _candidates(tags: Sequence[Tag], judged: F8, least_rows: int) -> list[_Candidate]:
    """All slices of one or two tags with enough rows, in them and outside."""
    found = []
    for tag in tags:
        found += _counted([tag], tag.code, len(tag.values), judged, least_rows)
    for one, other in combinations(tags[:MOST_PAIRED], 2):
        together = one.code * len(other.values) + other.code
        both = np.where((one.code >= 0) & (other.code >= 0), together, -1).astype("i4")
        found += _counted([one, other], both, len(one.values) * len(other.values), judged, least_rows)
    return found


def _counted(tags: Sequence[Tag], code: I4, size: int, judged: F8, least_rows: int) -> list[_Candidate]:
    held = code >= 0
    n = np.bincount(code[held], minlength=size)
    total = np.bincount(code[held], judged[held], size)
    found = []
    for k in np.flatnonzero((n >= least_rows) & (n <= judged.size - least_rows)).tolist():
        values = (k,) if len(tags) == 1 else divmod(k, len(tags[1].values))
        where = tuple((tag.name, tag.values[value]) for tag, value in zip(tags, values, strict=True))
        found.append(_Candidate(where, int(n[k]), float(total[k])))
    return found


def _named(
    tags: Sequence[Tag], losses: Losses, candidates: Sequence[_Candidate], level: float, most: int, least_rows: int
) -> list[Slice]:
    tested = max(len(candidates), 1)
    judged = losses.judged
    whole = (judged.size, float(judged.sum()), float((judged**2).sum()))
    scored = [(losses.p_value(each.n, each.total, whole), each) for each in candidates]
    sure = sorted((pair for pair in scored if pair[0] * tested <= level), key=lambda pair: (pair[0], pair[1].where))
    masks = [rows_where(tags, each.where) for _, each in sure[:_CANDIDATES]]
    slices = [
        _slice(losses, each, rows, p * tested, level / tested) for (p, each), rows in zip(sure, masks, strict=False)
    ]
    order = sorted(range(len(slices)), key=lambda k: (-slices[k].excess.low, slices[k].where))
    left = np.ones(judged.size, bool)
    named: list[Slice] = []
    for k in order:
        if (
            len(named) < most
            and slices[k].excess.value > 0
            and _still(losses, masks[k], left, level / tested, least_rows)
        ):
            named.append(slices[k])
            left &= ~masks[k]
    return named


def _still(losses: Losses, rows: Mask, left: Mask, level: float, least_rows: int) -> bool:
    """Whether a slice is worse than the rest even without the rows of those that were named before it."""
    if left.all():
        return True
    mine = losses.judged[rows & left]
    everyone = losses.judged[left]
    whole = (everyone.size, float(everyone.sum()), float((everyone**2).sum()))
    return mine.size >= least_rows and losses.p_value(mine.size, float(mine.sum()), whole) <= level


def _slice(losses: Losses, each: _Candidate, rows: Mask, p_value: float, level: float) -> Slice:
    mean, rest = losses.mean(rows, level / 2), losses.mean(~rows, level / 2)
    return Slice(each.where, each.n, mean, rest, difference(mean, rest), min(1.0, p_value))


def drill_down(tags: Sequence[Tag], loss: F8, where: Where, by: str, level: float = 0.05) -> list[Slice]:
    """The slices of a slice by one more tag, largest first; intervals hold for all of them at once.

    Raises
    ------
    KeyError
        No tag has the name `by`.
    """
    tag = {each.name: each for each in tags}[by]
    known = np.isfinite(loss)
    inside = rows_where(tags, where) if where else np.ones(loss.size, bool)
    losses, codes = Losses(loss[known & inside]), tag.code[known & inside]
    judged, found = losses.judged, []
    whole = (judged.size, float(judged.sum()), float((judged**2).sum()))
    for number, value in enumerate(tag.values):
        rows = codes == number
        n = int(rows.sum())
        if n:
            p = losses.p_value(n, float(judged[rows].sum()), whole) * len(tag.values)
            each = _Candidate((*where, (by, value)), n, float(judged[rows].sum()))
            found.append(_slice(losses, each, rows, p, level / len(tag.values)))
    return sorted(found, key=lambda each: (-each.n, each.where))
