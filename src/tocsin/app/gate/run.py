"""Every rule of a policy on a candidate's records."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc

from tocsin.app.gate.judge import Judged, Terms, said
from tocsin.app.gate.measured import aggregate, agreement, is_positive, outcome, positive_of
from tocsin.app.gate.records import Records
from tocsin.assess import fairness
from tocsin.assess.drift import DriftPolicy, FeatureDrift, compare_all
from tocsin.assess.heavy_hitters import OTHER
from tocsin.assess.intervals import Measure
from tocsin.assess.reference import FeatureReference
from tocsin.assess.segments import coded, worst_slices
from tocsin.assess.slices import Tag
from tocsin.model.arrays import F8, Mask
from tocsin.model.errors import BadInput
from tocsin.spec.gate import (
    DriftRule,
    FairnessRule,
    LoadedPolicy,
    MetricRule,
    PerformanceRule,
    Rule,
    SliceRule,
    load_policy,
)
from tocsin.spec.tree import Loc

MOST_SEGMENTS = 50
"""Values of a tag that a rule is judged on each, the most frequent ones."""
_KNOWN_PARTS = ("prediction", "score", "truth")


@dataclass(frozen=True, slots=True)
class GateResult:
    """The verdict on all rules; `notes` say what took no part."""

    passed: bool
    rows: int
    judged: tuple[Judged, ...]
    notes: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """The public JSON."""
        return {
            "passed": self.passed,
            "rows": self.rows,
            "rules": [each.to_json() for each in self.judged],
            "notes": list(self.notes),
        }


def gate(policy_file: Path, records_file: Path, env: Mapping[str, str]) -> GateResult:
    """Judge records by a policy.

    Raises
    ------
    BadInput
        The policy or the records are not as they should be; the message says where.
    """
    loaded = load_policy(policy_file, env)
    policy = loaded.policy
    reference = Records.read(policy_file.parent / policy.reference) if policy.reference is not None else None
    records = Records.read(records_file)
    run = _Gate(loaded, records, reference)
    return run.result()


class _Gate:
    def __init__(self, loaded: LoadedPolicy, records: Records, reference: Records | None) -> None:
        self.loaded, self.policy = loaded, loaded.policy
        self.notes: list[str] = []
        self.reference = reference
        try:
            self.records = records.where(dict(self.policy.where))
        except KeyError as error:
            raise loaded.fault(("where",), str(error.args[0])) from None
        if not self.records.rows:
            raise loaded.fault(("where",), f"no row of {records.path} has these values")
        if self.records.rows < records.rows:
            self.notes.append(f"{records.rows - self.records.rows:,} rows of other models or versions take no part")

    def result(self) -> GateResult:
        found: list[Judged] = []
        for number, rule in enumerate(self.policy.rules):
            try:
                found += self._judged(rule)
            except KeyError as error:
                raise self.loaded.fault(_place(rule, number, str(error.args[0])), str(error.args[0])) from None
        return GateResult(all(each.passed for each in found), self.records.rows, tuple(found), tuple(self.notes))

    def _judged(self, rule: Rule) -> Iterator[Judged]:
        if isinstance(rule, PerformanceRule):
            return self._performance(rule)
        if isinstance(rule, MetricRule):
            return self._metric(rule)
        if isinstance(rule, DriftRule):
            return self._drift(rule)
        if isinstance(rule, FairnessRule):
            return self._fairness(rule)
        return self._slices(rule)

    def _performance(self, rule: PerformanceRule) -> Iterator[Judged]:
        terms = Terms.of(rule, self.policy, f"{rule.measure} {said(rule.bound())}")
        columns = self.policy.columns
        if columns.positive is None and rule.measure not in ("accuracy", "mae", "rmse", "mape"):
            columns = columns.model_copy(update={"positive": positive_of(self.records, columns)})
        parts = self._parts(rule.by)
        for segment, rows in parts:
            part = self.records if segment == "" else self.records.taken(rows)
            found = outcome(part, columns, rule.measure, terms.level / len(parts))
            yield terms.bounded(segment, rule.measure, found, rule.bound())

    def _metric(self, rule: MetricRule) -> Iterator[Judged]:
        bound = rule.bound(rule.unit)
        terms = Terms.of(rule, self.policy, f"{rule.aggregate} of {rule.column} {said(bound)}")
        values, parts = self.records.numbers(rule.column), self._parts(rule.by)
        for segment, rows in parts:
            found = aggregate(values[rows], rule.aggregate, terms.level / len(parts))
            yield terms.bounded(segment, f"{rule.aggregate} of {rule.column}", found, bound)

    def _parts(self, by: Sequence[str]) -> list[tuple[str, Mask]]:
        """All rows, and those of each segment."""
        parts = [("", np.ones(self.records.rows, bool))]
        for name in by:
            tag = Tag.of(name, self.records.labels(name), MOST_SEGMENTS)
            parts += [(f"{name}={value}", tag.code == k) for k, value in enumerate(tag.values)]
            if tag.others:
                self.notes.append(f"{tag.others:,} rarer values of {name} are judged together with all rows only")
        return parts

    def _drift(self, rule: DriftRule) -> Iterator[Judged]:
        terms = Terms.of(rule, self.policy, f"drift of at most PSI {rule.at_most:g}")
        names = [self.records.named(name) for name in rule.columns] or self._compared()
        parts = self._parts(rule.by)
        for segment, rows in parts:
            current, reference = self.records.taken(rows), self._reference_of(segment)
            fewest = min(current.rows, reference.rows)
            if fewest < terms.min_n:
                why = f"{current.rows:,} rows, and {reference.rows:,} of the reference; {terms.min_n:,} are needed"
                yield terms.too_few(segment, Measure(float("nan"), n=fewest), why)
                continue
            yield _drifted(terms, segment, self._compare(names, current, reference, rule, terms.level / len(parts)))

    def _compared(self) -> list[str]:
        """Features, prediction and score, as far as both sides have them."""
        assert self.reference is not None
        columns = self.policy.columns
        own = [getattr(columns, part) for part in _KNOWN_PARTS]
        names = [name for name in self.reference.features() if name not in own]
        absent = [name for name in names if name not in self.records.columns]
        if absent:
            raise BadInput(f"{self.records.path}: no column {absent[0]!r}, which {self.reference.path} has")
        both = [name for name in own[:2] if name in self.records.columns and name in self.reference.columns]
        return [*names, *both]

    def _reference_of(self, segment: str) -> Records:
        assert self.reference is not None
        if not segment:
            return self.reference
        name, _, value = segment.partition("=")
        return self.reference.where({name: value})

    def _compare(
        self, names: Sequence[str], current: Records, reference: Records, rule: DriftRule, level: float
    ) -> list[FeatureDrift]:
        learned = {}
        for name in names:
            try:
                learned[name] = FeatureReference.learn(name, reference.columns[reference.named(name)])
            except BadInput as error:
                self.notes.append(f"no drift of {name}: {error}")
        sketches = {name: each.sketch(current.columns[name]) for name, each in learned.items()}
        return compare_all(learned, sketches, DriftPolicy(level=level, min_effect=rule.at_most))

    def _fairness(self, rule: FairnessRule) -> Iterator[Judged]:
        terms = Terms.of(rule, self.policy, f"{rule.criterion} by {rule.by} {said(rule.bound())}")
        report = self._groups(rule, terms)
        (gap,) = report.gaps
        what = f"{rule.criterion} between {gap.lower_group} and {gap.higher_group}"
        if gap.judgement == "undefined":
            yield terms.too_few("", gap.measure, f"{rule.criterion} by {rule.by} is not defined: {gap.reason}")
        else:
            judged = replace(terms, min_n=1).bounded("", what, gap.measure, rule.bound())
            details = tuple(_group_json(each) for each in report.groups)
            yield replace(judged, details=details)
        for name in report.too_small:
            n = next(each.n for each in report.groups if each.group == name)
            why = f"group {name} has {n} row{'s' * (n != 1)}, and {terms.min_n:,} are needed; it enters no gap"
            yield terms.too_few(f"{rule.by}={name}", Measure(float("nan"), n=n), why)

    def _groups(self, rule: FairnessRule, terms: Terms) -> fairness.FairnessReport:
        columns, records = self.policy.columns, self.records
        positive = positive_of(records, columns)
        tag = Tag.of(rule.by, records.labels(rule.by), fairness.MOST_GROUPS)
        group = np.where(tag.code >= 0, tag.code, len(tag.values)).astype("i4")
        names = [*tag.values, *([OTHER] if tag.others else [])]
        truth: F8 | None = None
        if records.has(columns.truth):
            labels = records.labels(columns.truth)
            known = pc.is_valid(labels).to_numpy(zero_copy_only=False)
            truth = np.where(known, is_positive(labels, positive).astype("f8"), np.nan)
        elif rule.criterion not in ("demographic_parity", "disparate_impact"):
            records.named(columns.truth)
        score = records.numbers(columns.score) if rule.criterion == "calibration" else None
        selected = is_positive(records.labels(columns.prediction), positive)
        counts = fairness.tally(group, len(names), selected, truth, score)
        limit = min(bound for bound in map(abs, rule.bound()) if np.isfinite(bound))
        return fairness.assess(names, counts, {rule.criterion: limit}, level=terms.level, least=terms.min_n)

    def _slices(self, rule: SliceRule) -> Iterator[Judged]:
        terms = Terms.of(rule, self.policy, f"no slice worse by {rule.at_most:g}")
        if rule.column is None:
            right, known = agreement(self.records, self.policy.columns)
            loss = np.where(known, 1.0 - right, np.nan)
        else:
            loss = self.records.numbers(rule.column)
        search = worst_slices(coded({name: self.records.labels(name) for name in rule.tags}), loss, level=terms.level)
        self.notes += [f"worst slice: {text} not searched" for text in search.left_out]
        if search.overall.n < terms.min_n:
            why = f"{search.overall.n:,} rows with a loss, and {terms.min_n:,} are needed"
            yield terms.too_few("", search.overall, why)
            return
        limit = f"at most {rule.at_most:g}"
        certain = replace(terms, min_n=1)
        for each in search.found:
            found = certain.bounded(each.name, "the excess over all other rows", each.excess, (-np.inf, rule.at_most))
            if found.verdict != "pass":
                yield found
        if not any(each.excess.high > rule.at_most for each in search.found):
            reason = f"of {search.tested:,} slices none is surely worse than the rest by more than {rule.at_most:g}"
            yield Judged(terms.name, "", "pass", True, reason, search.overall, limit)


def _drifted(terms: Terms, segment: str, found: Sequence[FeatureDrift]) -> Judged:
    moved = sorted((each for each in found if each.alarm), key=lambda each: -(each.psi or 0.0))
    worst = max((each.psi or 0.0 for each in found), default=0.0)
    n = min((each.n for each in found), default=0)
    details = tuple(each.to_json() for each in found)
    measure = Measure(worst, n=n)
    if not moved:
        reason = f"of {len(found)} columns none has drifted for sure; the greatest PSI is {worst:.3g}"
        return Judged(terms.name, segment, "pass", True, reason, measure, "", details)
    first = "; ".join(f"{each.name}: {each.reason}" for each in moved[:3])
    more = f"; and {len(moved) - 3} more" if len(moved) > 3 else ""
    reason = f"{len(moved)} of {len(found)} columns drifted: {first}{more}"
    return Judged(terms.name, segment, "fail", False, reason, measure, "", details)


def _place(rule: Rule, number: int, message: str) -> Loc:
    """Where in the policy the name of a missing column stands."""
    for key in ("column", "by", "tags", "columns"):
        given = getattr(rule, key, None)
        names = [given] if isinstance(given, str) else list(given or [])
        for index, name in enumerate(names):
            if f"`{name}`" in message.partition(";")[0]:
                return ("rules", number, key) if isinstance(given, str) else ("rules", number, key, index)
    return ("rules", number)


def _group_json(each: fairness.GroupRates) -> dict[str, Any]:
    rates = ("selection_rate", "base_rate", "true_positive_rate", "false_positive_rate", "calibration")
    return {"group": each.group, "n": each.n, **{name: getattr(each, name).to_json() for name in rates}}
