"""Data quality of rows that were counted as they came: a reference's promises against sketches and tallies alone."""

from __future__ import annotations

import math
from typing import Final

from tocsin.assess.cells import CategoryCells, NumericCells
from tocsin.assess.evidence import FeatureTest
from tocsin.assess.quality import Fault, Least, Violation, shares
from tocsin.assess.sketch import FeatureSketch
from tocsin.assess.tally import Tally
from tocsin.model.times import time_to_json

LEAST: Final = Least(rows=5, share=0.01)
"""What is rarer than 5 rows, or than 1 % of rows above what is usual, calls nobody."""
LEAST_RUN: Final = 50
"""Rows in a row that hold one value, below which nothing is stuck."""
GONE: Final = "the feature is gone or renamed: none of {rows:,} rows holds it"
_SECOND: Final = 1_000_000_000


def by_counts(
    test: FeatureTest, sketch: FeatureSketch, *, level: float, most_missing: float = 0.0, least: Least = LEAST
) -> list[Violation]:
    """What a sketch breaks of its reference; `most_missing` is the share that was missing in the reference's worst part."""
    outside = _outside(test, sketch)
    found = []
    for each in shares(test, sketch, level, least, outside=outside):
        usual = each.count <= _as_ever(most_missing, each.rows) + least.share * each.rows
        if each.fault is Fault.MISSING and each.count == each.rows and each.alarm and not usual:
            said = GONE.format(rows=each.rows)
            found.append(
                Violation(Fault.COLUMN_GONE, each.feature, each.count, each.rows, each.expected, "", said, alarm=True)
            )
        elif not (each.fault is Fault.MISSING and usual):
            found.append(each)
    return found


def _as_ever(share: float, rows: int) -> float:
    """Rows of a part that may be missing where its usual share is that of the worst: four standard deviations more."""
    return rows * share + 4.0 * math.sqrt(rows * share * (1.0 - share))


def _outside(test: FeatureTest, sketch: FeatureSketch) -> str:
    """Mean of the values beyond the end of the range where there are more."""
    if not isinstance(test.reference.cells, NumericCells) or len(sketch.counts) < 2:
        return ""
    end = 0 if sketch.counts[0] > sketch.counts[-1] else -1
    count = int(sketch.counts[end])
    return f"{float(sketch.sums[end]) / count:.6g}" if count else ""


def by_types(name: str, tally: Tally, usual: Tally, least: Least = LEAST) -> list[Violation]:
    """Values of a type that the reference never held."""
    found = []
    for kind, count in sorted(tally.types.items()):
        if usual.types and kind not in usual.types:
            shown = tally.examples[kind]
            said = f"{count:,} of {tally.rows:,} rows hold {kind}, such as {shown!r}; the reference held {_held(usual)}"
            alarm = least.matters(count, 0.0, tally.rows)
            found.append(Violation(Fault.TYPE_CHANGED, name, count, tally.rows, 0.0, shown, said, alarm))
    return found


def _held(usual: Tally) -> str:
    return " and ".join(sorted(usual.types))


def by_runs(test: FeatureTest, tally: Tally, usual: Tally, *, level: float) -> list[Violation]:
    """One value for longer than ever, in rows and in time, though the reference's rows differ.

    Half of the rows and more: a value that only became more frequent has longer runs too.
    """
    reference, run = test.reference, tally.longest
    cells = reference.cells
    if (
        run is None
        or run.rows < max(LEAST_RUN, tally.rows / 2)
        or reference.constant
        or not isinstance(cells, NumericCells | CategoryCells)
    ):
        return []
    known = usual.longest.rows if usual.longest is not None else 0
    # a run of this length begins somewhere with at most this probability, were rows drawn one by one
    share = max(cells.mode_share, 1 / max(reference.own.present, 1))
    by_chance = math.log(max(tally.rows, 1)) + (run.rows - 1) * math.log(min(share, 1 - 1e-12))
    if run.rows <= 2 * known or run.span_ns <= 2 * usual.longest_ns or by_chance > math.log(level):
        return []
    shown = (f"{run.value:.6g}" if isinstance(run.value, float) else str(run.value))[:80]
    since = time_to_json(run.start)[:19]
    said = (
        f"holds {shown!r} in {run.rows:,} rows one after the other, since {since}Z; the longest run of the reference is "
        f"{known:,} rows and {usual.longest_ns / _SECOND:,.0f} s"
    )
    whole = run.rows >= tally.rows
    fault = Fault.CONSTANT if whole else Fault.STUCK
    return [
        Violation(fault, reference.name, run.rows, max(tally.rows, run.rows), float(known), shown, said, alarm=True)
    ]
