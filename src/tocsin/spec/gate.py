"""`GatePolicy`: what a candidate model must show before it may go out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

from pydantic import Field, model_validator

from tocsin.spec.explain import place
from tocsin.spec.load import read_text, substitute, validated
from tocsin.spec.monitor import Spec
from tocsin.spec.problem import BadSpec, Problem
from tocsin.spec.quantity import Quantity, QuantityField
from tocsin.spec.text import Texts
from tocsin.spec.tree import Loc, Node, parse

ClassMeasure: TypeAlias = Literal["accuracy", "precision", "recall", "f1", "auc", "log_loss", "calibration_error"]
NumberMeasure: TypeAlias = Literal["mae", "rmse", "mape"]
Aggregate: TypeAlias = Literal["mean", "min", "max", "p50", "p90", "p95", "p99"]
Criterion: TypeAlias = Literal[
    "demographic_parity", "disparate_impact", "equal_opportunity", "equalised_odds", "calibration"
]


class ColumnsSpec(Spec):
    """What the records' columns are called; by default as `tocsin export records` calls them."""

    prediction: str = "prediction"
    score: str = "score"
    truth: str = "truth"
    positive: str | None = None


class RuleSpec(Spec):
    """What every rule may say; what it leaves open, the policy says for all.

    `not_enough` is what fewer rows than `min_n` come to; `unclear` is what an interval around the limit comes to:
    `estimate` goes by the value alone.
    """

    name: str = Field(default="", max_length=100)
    min_n: int | None = Field(default=None, ge=1)
    not_enough: Literal["fail", "pass"] | None = None
    unclear: Literal["fail", "pass", "estimate"] | None = None


class BoundedSpec(RuleSpec):
    """A rule with a bound: exactly one of the two."""

    at_least: QuantityField | None = None
    at_most: QuantityField | None = None

    @model_validator(mode="after")
    def _one_bound(self) -> BoundedSpec:
        if (self.at_least is None) == (self.at_most is None):
            raise ValueError("a rule needs either `at_least` or `at_most`")
        return self

    def bound(self, unit: str = "1") -> tuple[float, float]:
        """Least and greatest allowed value in a unit."""
        none = Quantity(float("inf"), "")
        low = -none.number if self.at_least is None else self.at_least.in_unit(unit)
        return low, (self.at_most or none).in_unit(unit)


class PerformanceRule(BoundedSpec):
    """How good the predictions were, where the truth is known; `by`: in each segment as well."""

    type: Literal["performance"]
    measure: ClassMeasure | NumberMeasure
    by: Texts = []


class MetricRule(BoundedSpec):
    """Any number of the records: latency, cost, a rating, a business figure; `unit` is that of the column."""

    type: Literal["metric"]
    column: str
    aggregate: Aggregate = "mean"
    unit: str = "1"
    by: Texts = []


class DriftRule(RuleSpec):
    """No feature, prediction or score has drifted from the reference by more than a PSI of `at_most`."""

    type: Literal["drift"]
    columns: Texts = []
    at_most: float = Field(default=0.2, ge=0)
    by: Texts = []


class FairnessRule(BoundedSpec):
    """How far apart groups are treated, by one criterion; `at_least` is for disparate_impact."""

    type: Literal["fairness"]
    criterion: Criterion
    by: str

    @model_validator(mode="after")
    def _right_bound(self) -> FairnessRule:
        if (self.criterion == "disparate_impact") != (self.at_least is not None):
            wanted = "`at_least`: it is a ratio" if self.at_least is None else "`at_most`: it is a difference"
            raise ValueError(f"{self.criterion} needs {wanted}")
        return self


class SliceRule(RuleSpec):
    """No slice of one or two tags is worse than the rest by more than `at_most`: errors, or a column of numbers."""

    type: Literal["worst_slice"]
    tags: Texts = Field(min_length=1)
    column: str | None = None
    at_most: float = Field(default=0.0, ge=0)


Rule: TypeAlias = Annotated[
    PerformanceRule | MetricRule | DriftRule | FairnessRule | SliceRule, Field(discriminator="type")
]


class GatePolicy(Spec):
    """All of a policy. `where` keeps the rows whose columns have these values; `level` is that of each rule."""

    reference: str | None = None
    columns: ColumnsSpec = ColumnsSpec()
    where: dict[str, str] = {}
    level: float = Field(default=0.05, gt=0, lt=1)
    min_n: int = Field(default=100, ge=1)
    not_enough: Literal["fail", "pass"] = "fail"
    unclear: Literal["fail", "pass", "estimate"] = "fail"
    rules: list[Rule] = []

    def faults(self) -> Iterator[tuple[Loc, str]]:
        """What no single rule can know to be wrong."""
        if not self.rules:
            yield ("rules",), "without rules everything would pass; write some under `rules:`"
        first: dict[str, int] = {}
        for number, rule in enumerate(self.rules):
            if rule.name in first:
                where = first[rule.name] + 1
                yield ("rules", number, "name"), f"the name `{rule.name}` is already taken by rule {where}"
            if rule.name:
                first.setdefault(rule.name, number)
            if isinstance(rule, DriftRule) and self.reference is None:
                yield ("rules", number), "drift needs `reference:`, a file of records to compare with"


@dataclass(frozen=True, slots=True)
class LoadedPolicy:
    """A policy that can be judged by, and where each part of it stands."""

    policy: GatePolicy
    file: str
    root: Node

    def fault(self, loc: Loc, message: str) -> BadSpec:
        """The error about one part of it."""
        return BadSpec([Problem(self.file, *place(self.root, loc), message)])


def load_policy(path: Path, env: Mapping[str, str]) -> LoadedPolicy:
    """Read a policy.

    Raises
    ------
    BadSpec
        The file can't be read, or anything in it is wrong.
    """
    file = str(path)
    root = parse(read_text(path), file)
    substitute(root, file, env)
    policy = validated(GatePolicy, root, file)
    wrong: Sequence[tuple[Loc, str]] = list(policy.faults())
    if wrong:
        raise BadSpec([Problem(file, *place(root, loc), message) for loc, message in wrong])
    return LoadedPolicy(policy, file, root)
