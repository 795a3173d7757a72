"""What a model's records looked like when all was well, and how far a chunk of later ones lies from that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

from tocsin.assess.cells import CategoryCells
from tocsin.assess.drift import DriftPolicy, FeatureDrift, compare_all
from tocsin.assess.evidence import FeatureTest
from tocsin.assess.quality_counts import LEAST
from tocsin.assess.reference import FeatureReference
from tocsin.assess.sketch import FeatureSketch
from tocsin.assess.tally import Tally
from tocsin.engine.record_counts import RecordCounts
from tocsin.engine.record_sample import RecordRow, Sample, columns_of, worded
from tocsin.model.errors import BadInput
from tocsin.model.times import time_to_json
from tocsin.spec.drift import DriftSpec, FileRows

LEVEL: Final = 0.01
"""Chance that a model is ever called adrift although nothing moved."""


@dataclass(frozen=True)
class ModelReference:
    """A sample of records of a span of time; what is learned of them is learned again after a restart.

    Attributes
    ----------
    start, end : event time of the span, ns
    tallies : of all its rows, by feature
    most_missing : by feature, the share that was missing in the worst part of the span
    """

    sample: Sample
    start: int
    end: int
    tallies: Mapping[str, Tally] = field(default_factory=dict)
    most_missing: Mapping[str, float] = field(default_factory=dict)

    @cached_property
    def key(self) -> str:
        """What counts that may be added have in common."""
        return f"{self.start}/{self.end}/{self.sample.seen}"

    @property
    def span(self) -> str:
        """When its rows are from, in words."""
        if not self.end:
            return "a file without times"
        return f"{time_to_json(self.start)[:16]}Z to {time_to_json(self.end)[:16]}Z"

    @cached_property
    def features(self) -> Mapping[str, FeatureReference]:
        """By name; columns that can't be compared are left out."""
        found = {}
        for name, column in columns_of(self.sample.rows()).items():
            try:
                found[name] = FeatureReference.learn(name, worded(column, named=False))
            except BadInput:
                continue
        return found

    @cached_property
    def tests(self) -> Mapping[str, FeatureTest]:
        """By name, what is bet on."""
        return {name: FeatureTest(reference) for name, reference in self.features.items()}

    @cached_property
    def unbounded(self) -> frozenset[str]:
        """Features whose values go on to others all the time, such as dates and counters: no range or list of theirs holds.

        What the second half of the reference already broke of the first is no promise.
        """
        rows = sorted(self.sample.rows(), key=lambda row: (row.time, row.rank))
        halves = [columns_of(half, list(self.features)) for half in (rows[: len(rows) // 2], rows[len(rows) // 2 :])]
        found = set()
        for name, reference in self.features.items():
            if reference.cells is None:
                continue
            named = isinstance(reference.cells, CategoryCells)
            before, after = (worded(half[name], named=named) for half in halves)
            try:
                sketch = FeatureReference.learn(name, before, reference.kind).sketch(after)
            except BadInput:
                continue
            beyond = sketch.counts[-1] if named else sketch.counts[0] + sketch.counts[-1]
            if beyond > LEAST.share * max(sketch.present, 1):
                found.add(name)
        return frozenset(found)

    def count(self, columns: Mapping[str, Sequence[Any]]) -> dict[str, FeatureSketch]:
        """Sketches of columns of features that have cells: numbers, categories and truth values."""
        found = {}
        for name, reference in self.features.items():
            if reference.cells is None or name not in columns:
                continue
            named = isinstance(reference.cells, CategoryCells)
            found[name] = reference.sketch(worded(columns[name], named=named))
        return found

    def sketches(self, chunk: Sample, counts: RecordCounts) -> dict[str, FeatureSketch]:
        """What a chunk holds: all rows where they were counted, an even draw of texts, vectors and of what was not."""
        found = dict(counts.sketches) if counts.whole(self) else {}
        drawn = [name for name in self.features if name not in found]
        columns = columns_of(chunk.rows(), drawn) if drawn else {}
        for name in drawn:
            reference = self.features[name]
            try:
                found[name] = reference.sketch(worded(columns[name], named=isinstance(reference.cells, CategoryCells)))
            except BadInput:
                continue
        return found

    def judge(
        self, sketches: Mapping[str, FeatureSketch], policy: DriftSpec, look: int, level: float = LEVEL
    ) -> list[FeatureDrift]:
        """The drift of each feature in a chunk, decided on together; `look` counts chunks from 1."""
        known = {name: reference for name, reference in self.features.items() if name in sketches}
        # what is left of an index once sampling noise is taken off must matter too
        test = DriftPolicy(level=level, min_effect=policy.threshold / 2)
        return compare_all(known, sketches, test, look=look) if known else []

    def snapshot(self) -> list[Any]:
        """All state, as a tree."""
        tallies = {name: tally.snapshot() for name, tally in self.tallies.items()}
        return [self.sample.snapshot(), self.start, self.end, tallies, dict(self.most_missing)]

    @staticmethod
    def of_file(given: FileRows) -> ModelReference:
        """A reference of the records of a file."""
        sample = Sample()
        for rank, time, prediction, score, features, truth in given.rows:
            sample.add(RecordRow(rank, time, prediction, score, features, truth, b""))
        sample.seen = given.seen
        times = [row[1] for row in given.rows]
        tallies = {name: Tally.back(each) for name, each in given.tallies.items()}
        return ModelReference(sample, min(times, default=0), max(times, default=0), tallies, dict(given.most_missing))

    @staticmethod
    def of(state: Sequence[Any]) -> ModelReference:
        """A reference back from a snapshot."""
        sample, start, end, *more = state  # snapshots of before had no tallies
        tallies, missing = more or ({}, {})
        return ModelReference(
            Sample.of(sample), start, end, {name: Tally.back(each) for name, each in tallies.items()}, dict(missing)
        )
