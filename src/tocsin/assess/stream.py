"""`DriftStream`: drift judged after every batch, for ever, at one stated level; what came long ago hides nothing."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from tocsin.assess.drift import DriftPolicy, FeatureDrift, Verdict, decide, few_rows, verdict_of
from tocsin.assess.drift_test import log_sum
from tocsin.assess.evidence import FeatureTest
from tocsin.assess.reference import FeatureReference
from tocsin.assess.sketch import FeatureSketch, empty_like
from tocsin.model.errors import BadInput

MOST_STARTS: Final = 16
"""Places where a change may have begun that are looked back to; the farther back, the wider apart."""


@dataclass(frozen=True, slots=True)
class Start:
    """A batch before which all is taken as reference, and the rows since."""

    batch: int
    before: FeatureSketch
    since: FeatureSketch

    @property
    def log_weight(self) -> float:
        """Stake on a change that begins with batch k from 1: 2/3 for the first, then 2/3 / (k (k + 1)), in all 1."""
        k = self.batch + 1
        return math.log(2 / 3) - (math.log(k * (k + 1)) if k > 1 else 0.0)


@dataclass(slots=True)
class DriftStream:
    """Folds batches of sketches; each verdict is about the rows since the likeliest begin of a change.

    A bet is placed on each batch as the first of a change, and the e-value is the sum over all: the level holds over
    all looks and features together. Reference: J. Shin, A. Ramdas and A. Rinaldo, E-detectors, 2023.

    >>> reference = FeatureReference.learn("x", np.arange(1000.0))
    >>> stream = DriftStream.on({"x": reference})
    >>> rows = [stream.update({"x": reference.sketch(np.arange(low, low + 1000.0, 10.0))}) for low in (0.0, 0.0, 600.0)]
    >>> [row.alarm for (row,) in rows]
    [False, False, True]
    """

    tests: Mapping[str, FeatureTest]
    policy: DriftPolicy
    starts: dict[str, list[Start]] = field(default_factory=dict)
    batches: int = 0

    @staticmethod
    def on(references: Mapping[str, FeatureReference], policy: DriftPolicy | None = None) -> DriftStream:
        """A stream that has seen nothing yet."""
        return DriftStream({name: FeatureTest(each) for name, each in references.items()}, policy or DriftPolicy())

    def update(self, batch: Mapping[str, FeatureSketch]) -> list[FeatureDrift]:
        """Take a batch in and judge all features.

        Raises
        ------
        BadInput
            A feature has no sketch in this batch.
        """
        gone = [name for name in self.tests if name not in batch]
        if gone:
            raise BadInput(f"no current data of {', '.join(gone)}; the column is gone or renamed")
        verdicts = [self._fold(name, test, batch[name]) for name, test in self.tests.items()]
        self.batches += 1
        return decide(verdicts, self.policy)

    def _fold(self, name: str, test: FeatureTest, sketch: FeatureSketch) -> Verdict:
        kept = self.starts.get(name, [])
        before = kept[-1].before + kept[-1].since if kept else empty_like(test.reference.own)
        starts = [Start(each.batch, each.before, each.since + sketch) for each in kept]
        starts = _thinned([*starts, Start(self.batches, before, sketch)])
        self.starts[name] = starts
        few = few_rows(test, starts[0].since, self.policy)
        if few:
            return Verdict(test, starts[0].since, (), 0.0, -math.inf, few)
        # starts of too few rows have not bet yet, which leaves their stake as it is
        starts = [each for each in starts if each.since.rows >= self.policy.min_n]
        by_aspect = test.evidence([each.since for each in starts], [each.before for each in starts])
        staked = np.logaddexp.reduce(list(by_aspect.values())) + [each.log_weight for each in starts]
        everything = log_sum(staked)
        best = int(np.argmax(staked))
        if everything < -math.log(self.policy.level):  # no alarm of whatever number of features
            aspects = test.aspects(starts[best].since, {name: float(log_e[best]) for name, log_e in by_aspect.items()})
            return Verdict(test, starts[best].since, aspects, everything, -math.inf)
        found = [
            verdict_of(
                test,
                start.since,
                test.aspects(start.since, {name: float(log_e[i]) for name, log_e in by_aspect.items()}),
                self.policy,
            )
            for i, start in enumerate(starts)
        ]
        matters = [start.log_weight + each.log_e_that_matters for start, each in zip(starts, found, strict=True)]
        best = max(range(len(found)), key=lambda i: (matters[i], staked[i]))
        return Verdict(test, found[best].sketch, found[best].aspects, everything, log_sum(np.array(matters)))


def _thinned(starts: list[Start]) -> list[Start]:
    """At most `MOST_STARTS`, the first and the last always: of the neighbours closest for their age, one goes."""
    while len(starts) > MOST_STARTS:
        now = starts[-1].batch + 1
        crowding = [
            (starts[i + 1].batch - starts[i - 1].batch) / (now - starts[i].batch) for i in range(1, len(starts) - 1)
        ]
        del starts[1 + crowding.index(min(crowding))]
    return starts
