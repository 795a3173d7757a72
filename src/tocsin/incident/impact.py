"""The impact of an incident as a sum of terms: what its owners state of it, and what was counted of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from tocsin.model.finding import Finding
from tocsin.model.times import time_to_json
from tocsin.model.toll import LEAST_BEFORE, Toll
from tocsin.spec.loss import LossSpec, ObjectiveSpec, about

LOW: Final = 1.0
HIGH: Final = 3.0
WEIGHT: Final = {"low": LOW, "high": HIGH}
UNKNOWN: Final = 2.0
"""Weight of an incident of which nobody states, and nothing counted tells, whom it hurts."""
LEAST_HIT: Final = 10
"""Requests hit from which on a share of them counts in full: one of two is no outage."""

Figures = dict[str, float | str]


@dataclass(frozen=True, slots=True)
class Term:
    """One reason why an incident matters; `words` say the amount, `weight` is 1 (low) to 3 (high)."""

    words: str
    weight: float
    counted: bool = False

    def __str__(self) -> str:
        return f"{self.words}: {self.weight:.2g}" if self.counted else self.words


@dataclass(frozen=True, slots=True)
class Impact:
    """What an incident costs: the greatest of its terms weighs, `figures` are what was counted.

    `known` is whether anybody states it or what was counted tells it; `missing` says why something is not known.
    """

    terms: tuple[Term, ...] = ()
    known: bool = False
    missing: str = ""
    figures: Figures = field(default_factory=dict)

    @property
    def weight(self) -> float:
        """1 (low) to 3 (high); what is not known weighs 2, unless what is counted of it weighs more."""
        return max((*(each.weight for each in self.terms), LOW if self.known else UNKNOWN))

    @property
    def level(self) -> str:
        """`high`, `low` or `unknown`."""
        if self.weight > UNKNOWN:
            return "high"
        return "low" if self.known else "unknown"

    @property
    def words(self) -> str:
        """All terms on one line."""
        stated = ", ".join(str(each) for each in self.terms if not each.counted) or "not stated"
        return "; ".join(
            [stated, *(str(each) for each in self.terms if each.counted), *([self.missing] if self.missing else [])]
        )


def impact_of(
    findings: Sequence[Finding], stated: Mapping[str, str], spec: LossSpec, toll: Toll | None = None, missing: str = ""
) -> Impact:
    """The impact of an incident with these findings: stated by their monitors, and counted where there is a toll."""
    tags = [each.tag for each in spec.severity.compliance if about(each.match, findings)]
    said = dict(stated) | ({"compliance": "high"} if tags else {})
    terms = [Term(_stated(kind, level, tags), WEIGHT[level]) for kind, level in sorted(said.items())]
    figures: Figures = {"compliance_tags": ", ".join(tags)} if tags else {}
    if toll is None or not toll.requests:
        return Impact(tuple(terms), bool(terms), missing, figures)
    terms += _counted(findings, spec, toll, figures)
    lacking = "; ".join(_lacking(toll))
    return Impact(tuple(terms), bool(said) or toll.slow is not None, lacking, figures)


def _stated(kind: str, level: str, tags: Sequence[str]) -> str:
    why = f" ({', '.join(tags)})" if tags and kind == "compliance" else ""
    return f"{kind} {level}{why}"


def _counted(findings: Sequence[Finding], spec: LossSpec, toll: Toll, figures: Figures) -> Iterator[Term]:
    high = spec.severity.high
    figures["counted"], figures["requests"] = toll.told, float(toll.requests)
    figures["counted_from"], figures["counted_to"] = time_to_json(toll.start), time_to_json(toll.end)
    if toll.told != "records":
        figures["requests_hit"], figures["requests_failed"] = float(toll.hit), float(toll.failed)
        if toll.slow is not None:
            figures["requests_slow"] = float(toll.slow)
        share = toll.hit / toll.requests
        words = f"{toll.hit:,} of {toll.requests:,} requests hit, {100 * share:.3g} %"
        yield _term(words, share / high.requests, toll.hit)
        for each in spec.objectives:
            if about(each.match, findings):
                yield _burn(each, toll, high.burn_rate, figures)
    if toll.users is not None and toll.users_hit is not None:
        figures["users_counted"], figures["users_hit"] = float(toll.users), float(toll.users_hit)
        yield _term(f"{toll.users_hit:,} of {toll.users:,} users hit", toll.users_hit / high.users)
    if (tokens := toll.burnt_tokens()) is not None:
        figures["tokens"], figures["tokens_burnt"] = float(toll.spent.tokens), tokens
        yield _term(f"{tokens:,.0f} of {toll.spent.tokens:,} tokens burnt", tokens / high.tokens)
    yield from _money(findings, spec, toll, figures)


def _money(findings: Sequence[Finding], spec: LossSpec, toll: Toll, figures: Figures) -> Iterator[Term]:
    burnt = toll.burnt_usd()
    if burnt is not None:
        figures["usd"], figures["usd_burnt"] = round(toll.spent.usd, 6), round(burnt, 6)
    worth = max((each.usd_per_request for each in spec.severity.worth if about(each.match, findings)), default=None)
    said = [] if burnt is None else [f"{burnt:,.2f} of {toll.spent.usd:,.2f} USD burnt"]
    if worth is not None and toll.told != "records":
        figures["revenue_at_risk_usd"] = round(worth * toll.hit, 6)
        said.append(f"{worth * toll.hit:,.2f} USD of revenue at risk ({worth:g} a request)")
    if said:
        lost = (burnt or 0.0) + float(figures.get("revenue_at_risk_usd", 0.0))
        yield _term(" and ".join(said), lost / spec.severity.high.usd)


def _burn(objective: ObjectiveSpec, toll: Toll, high: float, figures: Figures) -> Term:
    """How fast an objective's budget burns, and the share of it that is gone at even traffic.

    References
    ----------
    The Site Reliability Workbook, chapter 5: burn rate = error rate / (1 - objective)
    """
    rate = toll.hit / toll.requests / (1 - objective.target)
    gone = rate * (toll.end - toll.start) / objective.window
    figures[f"objective.{objective.name}.burn_rate"] = round(rate, 4)
    figures[f"objective.{objective.name}.budget_spent_ratio"] = round(gone, 6)
    words = f"objective {objective.name} burns {rate:.3g}x its budget, {100 * gone:.2g} % of it so far"
    return _term(words, rate / high, toll.hit)


def _term(words: str, of_high: float, hit: int = LEAST_HIT) -> Term:
    weight = LOW + (HIGH - LOW) * min(1.0, of_high) * min(1.0, hit / LEAST_HIT)
    return Term(words, weight, counted=True)


def _lacking(toll: Toll) -> Iterator[str]:
    if toll.told == "records":
        yield "which of the predictions were hit is not known"
        return
    if toll.slow is None:
        yield "how slow is too slow is not known: only failures count as hit"
    if toll.users is None:
        yield "users are not known: requests name none"
    if toll.spent.calls and toll.spent.priced < toll.spent.calls:
        yield f"{toll.spent.calls - toll.spent.priced:,} of {toll.spent.calls:,} calls of models have no price"
    if toll.spent.calls and toll.before.requests < LEAST_BEFORE:
        yield "what requests used before is not known: only failed ones count as burnt"
