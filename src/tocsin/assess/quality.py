"""Data quality: what a reference promises of columns (types, ranges, categories, missing rates) and how rows break it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tocsin.assess.cells import CategoryCells, NumericCells
from tocsin.assess.column import AnyColumn, FeatureKind, as_arrow, codes, family, longest_run, numbers, texts
from tocsin.assess.evidence import FeatureTest
from tocsin.assess.reference import FeatureReference
from tocsin.assess.sketch import FeatureSketch
from tocsin.model.arrays import I8
from tocsin.model.errors import BadInput
from tocsin.model.times import time_to_json

SECOND: Final = 1_000_000_000
OPEN_SHARE: Final = 0.05
"""Share of rows whose category came once, above which new categories are usual."""
LEAST_ROWS: Final = 10
"""Rows without which a column is called neither constant nor stuck."""


class Fault(Enum):
    """What can be wrong with a column."""

    COLUMN_GONE = "column_gone"
    COLUMN_NEW = "column_new"
    TYPE_CHANGED = "type_changed"
    CORRUPTED = "corrupted"
    MISSING = "missing"
    OUT_OF_RANGE = "out_of_range"
    UNSEEN = "unseen"
    CONSTANT = "constant"
    STUCK = "stuck"
    STALE = "stale"
    OUT_OF_ORDER = "out_of_order"
    IN_FUTURE = "in_future"


@dataclass(frozen=True, slots=True)
class Violation:
    """One broken promise: `count` of `rows` rows, of which `expected` would be usual; `alarm` if that is no chance."""

    fault: Fault
    feature: str
    count: int
    rows: int
    expected: float
    example: str
    said: str
    alarm: bool

    def to_json(self) -> dict[str, Any]:
        """The public JSON."""
        return {
            "fault": self.fault.value, "feature": self.feature, "count": self.count, "rows": self.rows,
            "expected": self.expected, "example": self.example, "said": self.said, "alarm": self.alarm,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Least:
    """Rows, and share of all rows beyond the usual one, below which what is broken is listed and calls nobody."""

    rows: int = 1
    share: float = 0.0

    def matters(self, count: float, usual: float, rows: int) -> bool:
        """Whether `count` of `rows` rows, where `usual` would be, is enough."""
        return count >= self.rows and count - usual >= self.share * rows


ANY: Final = Least()


@dataclass(frozen=True, slots=True)
class Limits:
    """What a person promises of a feature; it stands instead of what the reference showed, and any breach is an alarm.

    `low` and `high` are inclusive; `categories` is complete; `missing_share` is the most that may be missing.
    """

    low: float = -math.inf
    high: float = math.inf
    categories: frozenset[str] | None = None
    missing_share: float | None = None


def check(
    references: Mapping[str, FeatureReference],
    columns: Mapping[str, AnyColumn],
    *,
    limits: Mapping[str, Limits] | None = None,
    level: float = 0.01,
) -> list[Violation]:
    """Every violation of what references promise, alarms first.

    `level` is the probability of a false alarm over all features: rows beyond the range of a sample, or of a category
    that it lacks, are to be expected now and then and are listed without an alarm.

    Raises
    ------
    BadInput
        Columns differ in length.
    """
    arrays = {name: as_arrow(column) for name, column in columns.items()}
    lengths = {len(array) for array in arrays.values()}
    if len(lengths) > 1:
        raise BadInput(f"columns of one table have the same length, got {sorted(lengths)}")
    rows = lengths.pop() if lengths else 0
    limits, level = limits or {}, level / max(len(references), 1)
    found: list[Violation] = []
    for name, reference in references.items():
        if name not in arrays:
            said = "the column is gone or renamed"
            found.append(Violation(Fault.COLUMN_GONE, name, rows, rows, 0.0, "", said, alarm=True))
            continue
        found += _feature(reference, arrays[name], limits.get(name), level)
    for name, array in arrays.items():
        if name not in references:
            said = f"a column that the reference lacks, holding {array.type}"
            found.append(Violation(Fault.COLUMN_NEW, name, rows, rows, 0.0, "", said, alarm=False))
    return sorted(found, key=lambda each: not each.alarm)


def _feature(reference: FeatureReference, array: Any, limits: Limits | None, level: float) -> list[Violation]:
    rows = len(array)
    found: list[Violation] = []
    came, was = family(array), reference.family
    if rows and came != was and "nothing" not in (came, was):
        said = f"holds {came}, {was} in the reference"
        found.append(Violation(Fault.TYPE_CHANGED, reference.name, rows, rows, 0.0, "", said, alarm=False))
    found += _shares(reference, array, limits, level)
    if limits is not None:
        found += _limits(reference, array, limits)
    return found + _runs(reference, array, level)


def _shares(reference: FeatureReference, array: Any, limits: Limits | None, level: float) -> list[Violation]:
    """Missing, corrupted, outside and unseen rows of a column."""
    found = shares(FeatureTest(reference), reference.sketch(array), level, outside=_farthest(reference, array))
    return [each for each in found if not is_promised(each.fault, limits)]


def shares(
    test: FeatureTest, sketch: FeatureSketch, level: float, least: Least = ANY, *, outside: str = ""
) -> list[Violation]:
    """Missing, corrupted, outside and unseen rows, by counts alone: alarms where a bet that they are more than usual won.

    What is rarer than `least` is listed, and no alarm; `outside` is an example of a value beyond the range.
    """
    reference, found = test.reference, []
    for name, counts in test.counts(sketch).items():
        if name not in _FAULT or not counts[0]:
            continue
        prior = test.bets[name].prior
        total = float(counts.sum())
        usual = (
            total * float(prior[0] / prior.sum())
            if name not in ("missing", "corrupted")
            else _usual(name, reference, sketch.rows)
        )
        surprising = counts[0] > usual and float(test.bets[name].log_e(counts)) >= math.log(1 / level)
        never = name == "corrupted" and not reference.own.corrupted
        known = name != "unseen" or _is_closed(reference)
        alarm = known and (bool(surprising) or never) and least.matters(float(counts[0]), usual, sketch.rows)
        examples = {"corrupted": sketch.corrupted_examples, "unseen": sketch.unseen_examples, "outside": (outside,)}
        shown = next(iter(examples.get(name, ())), "")
        said = f"{int(counts[0]):,} of {sketch.rows:,} rows {_SAID[name]}" + (f", such as {shown!r}" if shown else "")
        said += f"; {usual:.3g} would be usual"
        found.append(Violation(_FAULT[name], reference.name, int(counts[0]), sketch.rows, usual, shown, said, alarm))
    return found


def _is_closed(reference: FeatureReference) -> bool:
    """Whether the reference's categories are a list that new ones are missing from, and no names that are new each time."""
    cells = reference.cells
    return isinstance(cells, CategoryCells) and OPEN_SHARE * reference.own.present >= cells.singletons


def _farthest(reference: FeatureReference, array: Any) -> str:
    """The value farthest beyond the range, of a number; empty if there is none."""
    if reference.range is None:
        return ""
    low, high = reference.range
    values = numbers(array).present
    beyond = np.maximum(low - values, values - high)
    return f"{float(values[int(np.argmax(beyond))]):.6g}" if len(values) and beyond.max() > 0 else ""


def _usual(name: str, reference: FeatureReference, rows: int) -> float:
    own = reference.own
    return rows * (own.missing if name == "missing" else own.corrupted) / max(own.rows, 1)


def is_promised(fault: Fault, limits: Limits | None) -> bool:
    """Whether a person has promised what else a reference would show."""
    if limits is None:
        return False
    bounded = math.isfinite(limits.low) or math.isfinite(limits.high)
    told = {
        Fault.MISSING: limits.missing_share is not None,
        Fault.OUT_OF_RANGE: bounded,
        Fault.UNSEEN: limits.categories is not None,
    }
    return told.get(fault, False)


_FAULT: Final = {
    "missing": Fault.MISSING,
    "corrupted": Fault.CORRUPTED,
    "outside": Fault.OUT_OF_RANGE,
    "unseen": Fault.UNSEEN,
}
_SAID: Final = {
    "missing": "hold no value",
    "corrupted": "hold no usable value",
    "outside": "are beyond the range of the reference",
    "unseen": "are of a category that the reference lacks",
}


def _limits(reference: FeatureReference, array: Any, limits: Limits) -> list[Violation]:
    """Breaches of what a person promised."""
    rows, name, found = len(array), reference.name, []
    if limits.missing_share is not None and rows:
        missing = reference.sketch(array).missing
        if missing > limits.missing_share * rows:
            said = f"{missing:,} of {rows:,} rows hold no value; at most {limits.missing_share:.3g} of them may"
            found.append(
                Violation(Fault.MISSING, name, missing, rows, limits.missing_share * rows, "", said, alarm=True)
            )
    if math.isfinite(limits.low) or math.isfinite(limits.high):
        values = numbers(array).present
        bad = values[(values < limits.low) | (values > limits.high)]
        if len(bad):
            said = f"{len(bad):,} of {rows:,} rows are not within {limits.low:g} to {limits.high:g}, such as {bad[0]:g}"
            found.append(Violation(Fault.OUT_OF_RANGE, name, len(bad), rows, 0.0, f"{bad[0]:g}", said, alarm=True))
    if limits.categories is not None:
        held = texts(array).drop_null()
        strange = held.filter(pc.invert(pc.is_in(held, pa.array(sorted(limits.categories), pa.large_string()))))
        if len(strange):
            shown = str(strange[0].as_py())[:80]
            said = f"{len(strange):,} of {rows:,} rows are of no category that is allowed, such as {shown!r}"
            found.append(Violation(Fault.UNSEEN, name, len(strange), rows, 0.0, shown, said, alarm=True))
    return found


def _runs(reference: FeatureReference, array: Any, level: float) -> list[Violation]:
    """A column that holds one value only, or for longer than ever, though the reference's rows differ."""
    cells, rows = reference.cells, len(array)
    if not isinstance(cells, NumericCells | CategoryCells) or reference.constant or rows < LEAST_ROWS:
        return []
    code = codes(array, reference.kind)
    length, end = longest_run(code)
    # a run of this length begins somewhere with at most this probability, were rows drawn one by one; a value that
    # became frequent without being stuck has longer runs
    now = float((code == code[end]).sum()) / rows if length and length < rows else 0.0
    share = max(cells.mode_share, 1 / max(reference.own.present, 1), now)
    by_chance = math.log(rows) + (length - 1) * math.log(min(share, 1 - 1e-12))
    if length < LEAST_ROWS or length <= 2 * reference.longest_run or by_chance > math.log(level):
        return []
    shown = _shown(reference, array, end)
    fault = Fault.CONSTANT if length == rows else Fault.STUCK
    said = f"holds {shown!r} in {length:,} rows one after the other"
    said = f"holds {shown!r} in all {rows:,} rows" if fault is Fault.CONSTANT else said
    said += f"; the longest run of the reference is {reference.longest_run:,}"
    return [Violation(fault, reference.name, length, rows, float(reference.longest_run), shown, said, alarm=True)]


def _shown(reference: FeatureReference, array: Any, at: int) -> str:
    if reference.kind is FeatureKind.NUMERIC:
        return f"{float(numbers(array.slice(at, 1)).value[0]):.6g}"
    return str(texts(array.slice(at, 1))[0].as_py())[:80]


def freshness(
    times_ns: I8 | Sequence[int], now_ns: int, *, within_ns: int, ahead_ns: int = 600 * SECOND, feature: str = "time"
) -> list[Violation]:
    """Violations of times (n,): none for longer than `within_ns`, rows out of order, rows ahead of now.

    >>> [v.fault.value for v in freshness([10, 5, 20], 100, within_ns=50)]
    ['stale', 'out_of_order']
    """
    times = np.asarray(times_ns, "i8")
    rows = len(times)
    newest = int(times.max()) if rows else None
    found = []
    if newest is None or now_ns - newest > within_ns:
        when = "never" if newest is None else f"{(now_ns - newest) / SECOND:,.0f} s ago, at {time_to_json(newest)}"
        said = f"the last row came {when}; one is due every {within_ns / SECOND:,.0f} s"
        found.append(Violation(Fault.STALE, feature, rows, rows, 0.0, "", said, alarm=True))
    back = np.flatnonzero(np.diff(times) < 0)
    if len(back):
        shown = time_to_json(int(times[back[0] + 1]))
        said = f"{len(back):,} of {rows:,} rows are older than the row before them, the first {shown}; they are sorted by time"
        found.append(Violation(Fault.OUT_OF_ORDER, feature, len(back), rows, 0.0, shown, said, alarm=False))
    ahead = times[times > now_ns + ahead_ns]
    if len(ahead):
        shown = time_to_json(int(ahead.max()))
        said = f"{len(ahead):,} of {rows:,} rows are from the future, up to {shown}; a clock is wrong"
        found.append(Violation(Fault.IN_FUTURE, feature, len(ahead), rows, 0.0, shown, said, alarm=True))
    return found
