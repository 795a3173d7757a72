"""How the loss of an incident is reckoned: what counts as high, what a request is worth, objectives, compliance."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Final

from pydantic import BeforeValidator, Field, PlainSerializer, model_validator

from tocsin.model.finding import Finding
from tocsin.spec.monitor import SECOND, Spec
from tocsin.spec.quantity import DurationNs, parse_quantity
from tocsin.spec.selection import selects

DAY: Final = 86_400 * SECOND
PAGE_BURN_RATE: Final = 14.4
"""Burn rate that uses 2 % of a budget of 30 days in an hour (The Site Reliability Workbook, chapter 5)."""


def _share(value: object) -> object:
    """`10%` or `0.1`."""
    found = parse_quantity(value)
    if found.unit not in ("", "%"):
        raise ValueError(f"{value!r} is no share; write it like 10% or 0.1")
    return found.number / 100 if found.unit == "%" else found.number


Share = Annotated[float, BeforeValidator(_share), PlainSerializer(float)]
"""Pydantic field: a share as people write it, 99.9% or 0.999."""


class HighSpec(Spec):
    """From which amount on an impact is high; less of it weighs in proportion."""

    requests: Share = Field(default=0.1, gt=0, le=1)  # share of requests that failed or were too slow
    users: float = Field(default=100, gt=0)
    tokens: float = Field(default=1e6, gt=0)
    usd: float = Field(default=50, gt=0)
    burn_rate: float = Field(default=PAGE_BURN_RATE, gt=0)


class WorthSpec(Spec):
    """Revenue that a request stands for, of what `match` (globs by label of a finding) is about."""

    match: dict[str, str]
    usd_per_request: float = Field(gt=0, le=1e9)


class ComplianceSpec(Spec):
    """A tag of what must not fail for reasons of law or contract: its impact counts as high."""

    tag: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=50)
    match: dict[str, str]


class ObjectiveSpec(Spec):
    """A service-level objective: the share of requests that neither fail nor take longer than `within`, over `window`."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=100)
    match: dict[str, str]
    target: Share
    within: DurationNs | None = Field(default=None, gt=0)
    window: DurationNs = Field(default=30 * DAY, ge=DAY)

    @model_validator(mode="after")
    def _some_budget(self) -> ObjectiveSpec:
        if not 0 < self.target < 1:
            raise ValueError("`target` must leave something to burn: write it like 99.9%, above 0 and below 100%")
        return self


class SeveritySpec(Spec):
    """Severity of a finding by the ratio of its score to its calibrated threshold; of an incident by its loss."""

    warning: float = Field(default=1.5, gt=0)
    critical: float = Field(default=2.5, gt=0)
    high: HighSpec = HighSpec()
    worth: list[WorthSpec] = []
    compliance: list[ComplianceSpec] = []


class LossSpec(Spec):
    """All that the loss of an incident is reckoned by."""

    severity: SeveritySpec = SeveritySpec()
    objectives: list[ObjectiveSpec] = []


def about(match: dict[str, str], findings: Iterable[Finding]) -> bool:
    """Whether any of these findings is of what `match` names."""
    return any(selects(match, each.monitor, each.series.labels) for each in findings)
