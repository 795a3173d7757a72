"""`FeatureDrift`: of each feature the distances that are displayed, and the decision with its reason in words."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from tocsin.assess import distances
from tocsin.assess.cells import NumericCells, gathered
from tocsin.assess.drift_test import e_benjamini_hochberg, log_sum
from tocsin.assess.evidence import Aspect, FeatureTest
from tocsin.assess.reference import FeatureReference
from tocsin.assess.sketch import FeatureSketch
from tocsin.assess.view import EmbeddingView, discrepancy
from tocsin.model.errors import BadInput

LN10: Final = math.log(10.0)


@dataclass(frozen=True, slots=True)
class DriftPolicy:
    """How sure and how large a shift must be.

    `level`: probability that anything is called drift although nothing moved, over all features and looks;
    `min_effect`: stability index, sampling noise taken off, below which a shift of shape does not matter;
    `min_share`: change of the share of missing, corrupted, outside or unseen values that does not matter;
    `min_n`: rows, of the reference and of the current data, below which nothing is decided.
    """

    level: float = 0.01
    min_effect: float = distances.INVESTIGATE
    min_share: float = 0.01
    min_n: int = 30

    def __post_init__(self) -> None:
        if not (0 < self.level < 1 and self.min_effect >= 0 and 0 <= self.min_share < 1 and self.min_n >= 1):
            raise BadInput(
                "a drift policy needs 0 < level < 1, min_effect >= 0, 0 <= min_share < 1 and min_n >= 1, got "
                f"{self.level}, {self.min_effect}, {self.min_share} and {self.min_n}"
            )

    def matters(self, aspect: Aspect) -> bool:
        """Whether an aspect moved far enough to act on."""
        if aspect.of_shape:
            return aspect.effect - aspect.noise >= self.min_effect
        return abs(aspect.effect) >= self.min_share


@dataclass(frozen=True, slots=True)
class FeatureDrift:
    """The result for one feature; distances are None where they have no meaning for its kind, never NaN.

    `mmd` is the maximum mean discrepancy of vectors. `p_value` is valid at any time: 1 / e-value of all aspects; `alarm` is the decision, `reason` says why in words,
    `band` is that of `psi`.
    """

    name: str
    kind: str
    n: int
    reference_n: int
    psi: float | None
    kl: float | None
    js: float | None
    wasserstein: float | None
    ks: float | None
    chi2: float | None
    tv: float | None
    p_value: float
    log10_e: float
    alarm: bool
    reason: str
    band: str | None
    notes: tuple[str, ...] = ()
    mmd: float | None = None

    def to_json(self) -> dict[str, Any]:
        """The public JSON."""
        names = ("name", "kind", "n", "reference_n", "psi", "kl", "js", "wasserstein", "ks", "chi2", "tv", "mmd", "p_value",
                 "log10_e", "alarm", "reason", "band")  # fmt: skip
        return {**{name: getattr(self, name) for name in names}, "notes": list(self.notes)}


@dataclass(frozen=True, slots=True)
class Distances:
    """All distances of one sketch from its reference."""

    psi: float | None = None
    kl: float | None = None
    js: float | None = None
    wasserstein: float | None = None
    ks: float | None = None
    chi2: float | None = None
    tv: float | None = None
    notes: tuple[str, ...] = ()
    mmd: float | None = None


def measure(test: FeatureTest, sketch: FeatureSketch) -> Distances:
    """The displayed distances; of texts and vectors those of the part that moved most."""
    own, cells = test.reference.own, test.reference.cells
    if test.parts:
        found = {name: measure(part, sketch.parts[name]) for name, part in test.parts.items()}
        name = max(found, key=lambda part: found[part].psi or 0.0)
        mmd = None
        if isinstance(test.reference.view, EmbeddingView) and min(own.present, sketch.present) > 1:
            mmd = discrepancy(own.sums, own.present, sketch.sums, sketch.present)
        return replace(found[name], notes=(f"distances are those of its {name.replace('_', ' ')}",), mmd=mmd)
    if not (own.present and sketch.present):
        side = "reference" if not own.present else "current data"
        return Distances(notes=(f"no distances: no row of the {side} holds a value",))
    reference, current = test.buckets(own), test.buckets(sketch)
    if isinstance(cells, NumericCells):
        bins = int(cells.bin[-1]) + 1
        p, q = gathered(cells.bin, own.counts, bins), gathered(cells.bin, sketch.counts, bins)
        ks: float | None = distances.kolmogorov_smirnov_binned(own.counts, sketch.counts)
        moved: float | None = distances.wasserstein_binned(own.counts, own.sums, sketch.counts, sketch.sums)
    else:
        p, q, ks, moved = reference, current, None, None
    # a constant has one bucket, but what else comes still differs from it
    p, q = (p, q) if len(p) > 1 else (own.counts.astype("f8"), sketch.counts.astype("f8"))
    chi2 = distances.chi_squared(reference, current)[0] if len(reference) > 1 else distances.chi_squared(p, q)[0]
    notes = ("the reference holds a single value: PSI is 0 by convention",) if test.reference.constant else ()
    psi = 0.0 if test.reference.constant else distances.psi(reference, current)
    return Distances(
        psi, distances.kl(p, q), distances.jensen_shannon(p, q), moved, ks, chi2, distances.total_variation(p, q), notes
    )


@dataclass(frozen=True, slots=True)
class Verdict:
    """The evidence on one feature before features are decided on together; logs are natural."""

    test: FeatureTest
    sketch: FeatureSketch
    aspects: Sequence[Aspect]
    log_e: float
    log_e_that_matters: float
    undecided: str = ""


def weigh(test: FeatureTest, sketch: FeatureSketch, policy: DriftPolicy) -> Verdict:
    """The evidence of one sketch; what moved less than matters counts as no evidence."""
    few = few_rows(test, sketch, policy)
    if few:
        return Verdict(test, sketch, (), 0.0, -math.inf, few)
    aspects = test.judge(sketch)
    return verdict_of(test, sketch, aspects, policy)


def few_rows(test: FeatureTest, sketch: FeatureSketch, policy: DriftPolicy) -> str:
    """Why nothing can be decided yet, empty where it can."""
    for side, rows in (("reference", test.reference.own.rows), ("current data", sketch.rows)):
        if rows < policy.min_n:
            return f"not decided: the {side} has {rows} row{'s' * (rows != 1)}, and {policy.min_n} are needed"
    return ""


def verdict_of(test: FeatureTest, sketch: FeatureSketch, aspects: Sequence[Aspect], policy: DriftPolicy) -> Verdict:
    """Sum up aspects."""
    everything = log_sum(np.array([aspect.log_e for aspect in aspects]))
    matters = log_sum(np.array([aspect.log_e for aspect in aspects if policy.matters(aspect)]))
    return Verdict(test, sketch, aspects, everything, matters)


def decide(verdicts: Sequence[Verdict], policy: DriftPolicy, *, level: float | None = None) -> list[FeatureDrift]:
    """Decide on many features together, at the policy's level for all of them or at another."""
    level = policy.level if level is None else level
    alarms = e_benjamini_hochberg(np.array([each.log_e_that_matters for each in verdicts]), level)
    needed = math.log(max(len(verdicts), 1) / level)
    return [_row(each, policy, bool(alarm), needed) for each, alarm in zip(verdicts, alarms, strict=True)]


def _row(found: Verdict, policy: DriftPolicy, alarm: bool, needed: float) -> FeatureDrift:
    reference, sketch = found.test.reference, found.sketch
    d = measure(found.test, sketch)
    return FeatureDrift(
        name=reference.name, kind=reference.kind.value, n=sketch.rows, reference_n=reference.own.rows,
        psi=d.psi, kl=d.kl, js=d.js, wasserstein=d.wasserstein, ks=d.ks, chi2=d.chi2, tv=d.tv,
        p_value=min(1.0, math.exp(-max(found.log_e, 0.0))), log10_e=found.log_e / LN10, alarm=alarm,
        reason=found.undecided or _reason(found, policy, alarm, needed),
        band=None if d.psi is None else distances.psi_band(d.psi), notes=d.notes,
        mmd=d.mmd,
    )  # fmt: skip


def _reason(found: Verdict, policy: DriftPolicy, alarm: bool, needed: float) -> str:
    odds, bar = _odds(found.log_e), _odds(needed)
    leading = max(found.aspects, key=lambda aspect: (policy.matters(aspect), aspect.log_e))
    if alarm:
        return f"{leading.said}; evidence {_odds(found.log_e_that_matters)} against no change"
    if found.log_e < needed:
        return f"no change shown: evidence {odds}, {bar} is needed"
    leading = max(found.aspects, key=lambda aspect: aspect.log_e)
    least = f"PSI {policy.min_effect:g}" if leading.of_shape else f"{100 * policy.min_share:g} % of rows"
    return f"changed for sure, but by less than {least}: {leading.said}"


def _odds(log_e: float) -> str:
    """An e-value as odds.

    >>> _odds(math.log(2000)), _odds(0.0), _odds(100.0)
    ('2,000 : 1', '1 : 1', '10^43 : 1')
    """
    if log_e > math.log(1e6):
        return f"10^{log_e / LN10:.0f} : 1"
    return f"{math.exp(log_e):,.0f} : 1" if log_e > math.log(9.5) else f"{math.exp(log_e):.2g} : 1"


def compare(reference: FeatureReference, sketch: FeatureSketch, policy: DriftPolicy | None = None) -> FeatureDrift:
    """Judge one feature once."""
    return compare_all({reference.name: reference}, {reference.name: sketch}, policy)[0]


def compare_all(
    references: Mapping[str, FeatureReference],
    sketches: Mapping[str, FeatureSketch],
    policy: DriftPolicy | None = None,
    *,
    look: int | None = None,
) -> list[FeatureDrift]:
    """Judge many features of one window together.

    `look` counts windows of a stream from 1: the level is then spent over all of them, look j having a share of
    1 / (j (j + 1)), so that it holds for ever.

    Raises
    ------
    BadInput
        A reference has no sketch.
    """
    policy = policy or DriftPolicy()
    missing = [name for name in references if name not in sketches]
    if missing:
        raise BadInput(f"no current data of {', '.join(missing)}; the column is gone or renamed")
    verdicts = [weigh(FeatureTest(reference), sketches[name], policy) for name, reference in references.items()]
    return decide(verdicts, policy, level=None if look is None else policy.level / (look * (look + 1)))


def compare_chunks(
    references: Mapping[str, FeatureReference],
    chunks: Sequence[Mapping[str, FeatureSketch]],
    policy: DriftPolicy | None = None,
) -> list[list[FeatureDrift]]:
    """Judge features over chunks that are all there already, each by itself, decided on all together."""
    policy = policy or DriftPolicy()
    tests = {name: FeatureTest(reference) for name, reference in references.items()}
    verdicts = [weigh(test, chunk[name], policy) for chunk in chunks for name, test in tests.items()]
    rows = decide(verdicts, policy)
    return [rows[i * len(tests) : (i + 1) * len(tests)] for i in range(len(chunks))]
