"""`SparseDrift`: chunks of too few rows to decide on, judged together since the likeliest begin of a change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from tocsin.assess.drift import DriftPolicy, FeatureDrift
from tocsin.assess.sketch import FeatureSketch
from tocsin.assess.stream import DriftStream, Start
from tocsin.engine.model_reference import LEVEL, ModelReference
from tocsin.engine.record_counts import sketch_from_tree, sketch_tree
from tocsin.spec.drift import DriftSpec

MOST_FEATURES: Final = 25
"""Features that are followed so: each has up to 16 begins of a change, of two sketches each."""


@dataclass(slots=True)
class SparseDrift:
    """State of one version; `times` has the starts of the chunks from which on a change is looked for, by number.

    The level holds over all chunks for ever (`tocsin.assess.stream`), apart from that of chunks which are large enough.
    """

    of: str = ""
    batches: int = 0
    starts: dict[str, list[Start]] = field(default_factory=dict)
    times: dict[int, int] = field(default_factory=dict)

    def judge(
        self, reference: ModelReference, sketches: Mapping[str, FeatureSketch], start: int, policy: DriftSpec
    ) -> list[FeatureDrift]:
        """The drift of each feature in all chunks since the likeliest begin of a change, this one included."""
        if self.of != reference.key:
            self.of, self.batches, self.starts, self.times = reference.key, 0, {}, {}
        names = [name for name, known in reference.features.items() if known.cells is not None and name in sketches]
        tests = {name: reference.tests[name] for name in names[:MOST_FEATURES]}
        if not tests:
            return []
        stream = DriftStream(
            tests, DriftPolicy(level=LEVEL, min_effect=policy.threshold / 2), self.starts, self.batches
        )
        rows = stream.update({name: sketches[name] for name in tests})
        self.times[self.batches] = start
        self.batches = stream.batches
        kept = {each.batch for starts in self.starts.values() for each in starts}
        self.times = {batch: time for batch, time in self.times.items() if batch in kept}
        return rows

    def streaks(self, rows: Sequence[FeatureDrift], end: int, policy: DriftSpec) -> dict[str, tuple[int, int]]:
        """By feature that is adrift in `min_n` rows or more: how many chunks it has been so up to `end`, and since when."""
        found = {}
        for row in rows:
            if row.alarm and (row.psi or 0.0) > policy.threshold and row.n >= policy.min_n:
                since = next(self.times[each.batch] for each in self.starts[row.name] if each.since.rows == row.n)
                found[row.name] = ((end - since) // policy.chunk, since)
        return found

    def snapshot(self) -> list[Any]:
        """All state, as a tree."""
        starts = {
            name: [[each.batch, sketch_tree(each.before), sketch_tree(each.since)] for each in kept]
            for name, kept in self.starts.items()
        }
        return [self.of, self.batches, starts, [[batch, time] for batch, time in self.times.items()]]

    @staticmethod
    def back(state: Sequence[Any]) -> SparseDrift:
        """A state back from a snapshot."""
        of, batches, starts, times = state
        kept = {
            name: [Start(batch, sketch_from_tree(before), sketch_from_tree(since)) for batch, before, since in each]
            for name, each in starts.items()
        }
        return SparseDrift(of, batches, kept, dict(times))
