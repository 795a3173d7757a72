"""What a model's records looked like when all was well, and how far a chunk of later ones lies from that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from tocsin.assess.drift import DriftPolicy, FeatureDrift, compare_all
from tocsin.assess.reference import FeatureReference
from tocsin.engine.record_sample import Sample, columns_of
from tocsin.model.errors import BadInput
from tocsin.spec.drift import DriftSpec

LEVEL: Final = 0.01
"""Chance that a model is ever called adrift although nothing moved."""


@dataclass(frozen=True)
class ModelReference:
    """A sample of records of a span of time; what is learned of them is learned again after a restart.

    Attributes
    ----------
    start, end : event time of the span, ns
    """

    sample: Sample
    start: int
    end: int

    @cached_property
    def features(self) -> Mapping[str, FeatureReference]:
        """By name; columns that can't be compared are left out."""
        found = {}
        for name, column in columns_of(self.sample.rows()).items():
            try:
                found[name] = FeatureReference.learn(name, column)
            except BadInput:
                continue
        return found

    def judge(self, chunk: Sample, policy: DriftSpec, look: int) -> list[FeatureDrift]:
        """The drift of each feature in a chunk, decided on together; `look` counts chunks from 1."""
        columns = columns_of(chunk.rows(), list(self.features))
        sketches, known = {}, {}
        for name, reference in self.features.items():
            try:
                sketches[name] = reference.sketch(columns[name])
            except BadInput:
                continue
            known[name] = reference
        # what is left of an index once sampling noise is taken off must matter too
        test = DriftPolicy(level=LEVEL, min_effect=policy.threshold / 2)
        return compare_all(known, sketches, test, look=look) if known else []

    def snapshot(self) -> list[Any]:
        """All state, as a tree."""
        return [self.sample.snapshot(), self.start, self.end]

    @staticmethod
    def of(state: Sequence[Any]) -> ModelReference:
        """A reference back from a snapshot."""
        return ModelReference(Sample.of(state[0]), state[1], state[2])
