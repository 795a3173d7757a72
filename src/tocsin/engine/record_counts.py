"""`RecordCounts`: the rows of a span of time counted as they come, on the cells of a reference; they add up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from tocsin.assess.sketch import FeatureSketch
from tocsin.assess.tally import Tally
from tocsin.engine.record_sample import MOST_FEATURES, RecordRow, columns_of
from tocsin.model.arrays import I8

if TYPE_CHECKING:
    from tocsin.engine.model_reference import ModelReference

BATCH_ROWS: Final = 500
BATCH_BYTES: Final = 1 << 20
MOST_NEW: Final = 20
"""Names that the reference lacks, of which is told."""


@dataclass(slots=True)
class RecordCounts:
    """Rows, in the order in which they came; each is looked at once and then forgotten.

    `sketches` are on the cells of the reference that `of` names, and hold the first `counted` rows; `tallies` hold all.
    Its size depends on the features, never on the number of rows.
    """

    rows: int = 0
    of: str = ""
    counted: int = 0
    sketches: dict[str, FeatureSketch] = field(default_factory=dict)
    tallies: dict[str, Tally] = field(default_factory=dict)
    new: dict[str, int] = field(default_factory=dict)
    waiting: list[RecordRow] = field(default_factory=list)
    waiting_bytes: int = 0

    def add(self, row: RecordRow, reference: ModelReference | None) -> None:
        """Take a row in; `reference` is what rows are compared with now, if there is one."""
        if row.embedding:  # a vector is hundreds of numbers: an even draw of them is looked at
            row = row._replace(embedding=b"")
        self.rows += 1
        self.waiting.append(row)
        self.waiting_bytes += row.size_bytes
        if len(self.waiting) >= BATCH_ROWS or self.waiting_bytes >= BATCH_BYTES:
            self.settle(reference)

    def settle(self, reference: ModelReference | None) -> None:
        """Count what waits."""
        rows, self.waiting, self.waiting_bytes = self.waiting, [], 0
        if not rows:
            return
        known = None if reference is None else [name for name in reference.features if name != "embedding"]
        columns = columns_of(rows, known, new=self.new)
        self.new = dict(sorted(self.new.items(), key=lambda each: (-each[1], each[0]))[:MOST_NEW])
        times = [row.time for row in rows]
        before = self.rows - len(rows)
        for name, column in columns.items():
            held = self.tallies.get(name)
            if held is None:
                if len(self.tallies) >= MOST_FEATURES + 2:
                    continue
                held = self.tallies[name] = Tally(rows=before, missing=before)
            held.merge(Tally.of(column, times))
        for name in self.tallies.keys() - columns.keys():
            self.tallies[name].merge(Tally.of([None] * len(rows), times))
        if reference is not None:
            self._count(columns, len(rows), reference)

    def _count(self, columns: Mapping[str, Sequence[Any]], rows: int, reference: ModelReference) -> None:
        if self.of != reference.key:
            self.of, self.counted, self.sketches = reference.key, 0, {}
        for name, sketch in reference.count(columns).items():
            held = self.sketches.get(name)
            self.sketches[name] = sketch if held is None else held + sketch
        self.counted += rows

    def whole(self, reference: ModelReference) -> bool:
        """Whether all its rows were counted on this reference's cells."""
        return self.of == reference.key and self.counted == self.rows

    def merge(self, later: RecordCounts) -> None:
        """Take in the rows that follow, none of either waiting."""
        if not later.rows:
            return
        for name in self.tallies.keys() | later.tallies.keys():
            mine = self.tallies.setdefault(name, Tally(rows=self.rows, missing=self.rows))
            mine.merge(later.tallies.get(name) or Tally(rows=later.rows, missing=later.rows))
        if not self.rows:
            self.of = later.of
        if self.of == later.of:
            for name, sketch in later.sketches.items():
                held = self.sketches.get(name)
                self.sketches[name] = sketch if held is None else held + sketch
            self.counted += later.counted
        for name, count in later.new.items():
            if name in self.new or len(self.new) < MOST_NEW:
                self.new[name] = self.new.get(name, 0) + count
        self.rows += later.rows

    def after(self) -> RecordCounts:
        """Counts of no rows yet that carry on the last run of each feature."""
        return RecordCounts(tallies={name: tally.after() for name, tally in self.tallies.items()})

    @property
    def nbytes(self) -> int:
        """Bytes of all sketches."""
        return sum(sketch.nbytes for sketch in self.sketches.values())

    def snapshot(self) -> list[Any]:
        """All state, as a tree."""
        return [
            self.rows, self.of, self.counted, {name: sketch_tree(sketch) for name, sketch in self.sketches.items()},
            {name: tally.snapshot() for name, tally in self.tallies.items()}, dict(self.new),
            [list(row) for row in self.waiting],
        ]  # fmt: skip

    @staticmethod
    def back(state: Sequence[Any]) -> RecordCounts:
        """Counts back from a snapshot."""
        rows, of, counted, sketches, tallies, new, waiting = state
        kept = [RecordRow(*row) for row in waiting]
        return RecordCounts(
            rows, of, counted, {name: sketch_from_tree(each) for name, each in sketches.items()},
            {name: Tally.back(each) for name, each in tallies.items()}, dict(new), kept,
            sum(row.size_bytes for row in kept),
        )  # fmt: skip


def sketch_tree(sketch: FeatureSketch) -> list[Any]:
    """A sketch without parts, as a tree."""
    found: list[Any] = [sketch.reference, sketch.rows, sketch.missing, sketch.corrupted, sketch.counts, sketch.sums]
    return [*found, list(sketch.corrupted_examples), list(sketch.unseen_examples)]


def sketch_from_tree(state: Sequence[Any]) -> FeatureSketch:
    """A sketch back from its tree."""
    reference, rows, missing, corrupted, counts, sums, wrong, unseen = state
    held: I8 = np.asarray(counts, "i8")
    return FeatureSketch(
        reference, rows, missing, corrupted, held, np.asarray(sums, "f8"),
        corrupted_examples=tuple(wrong), unseen_examples=tuple(unseen),
    )  # fmt: skip
