"""From a measure and a bound to a verdict, in words; and what a policy makes of it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from tocsin.assess.intervals import Measure, number
from tocsin.spec.gate import GatePolicy, RuleSpec

Verdict: TypeAlias = Literal["pass", "fail", "unclear", "not_enough"]


@dataclass(frozen=True, slots=True)
class Judged:
    """One rule on all rows, or on those of one segment."""

    rule: str
    segment: str
    verdict: Verdict
    passed: bool
    reason: str
    measure: Measure = field(default_factory=lambda: Measure(math.nan))
    limit: str = ""
    details: tuple[dict[str, Any], ...] = ()

    def to_json(self) -> dict[str, Any]:
        """All of it; null for what is not defined."""
        shown = {"rule": self.rule, "segment": self.segment or None, "verdict": self.verdict, "passed": self.passed}
        value = {
            "value": number(self.measure.value),
            "low": number(self.measure.low),
            "high": number(self.measure.high),
        }
        rest = {"n": self.measure.n, "limit": self.limit, "reason": self.reason}
        return {**shown, **value, **rest, **({"details": list(self.details)} if self.details else {})}


@dataclass(frozen=True, slots=True)
class Terms:
    """What holds for one rule, from the rule or else from the policy."""

    name: str
    level: float
    min_n: int
    not_enough: str
    unclear: str

    @staticmethod
    def of(rule: RuleSpec, policy: GatePolicy, name: str) -> Terms:
        """The terms of a rule."""
        return Terms(
            rule.name or name,
            policy.level,
            rule.min_n or policy.min_n,
            rule.not_enough or policy.not_enough,
            rule.unclear or policy.unclear,
        )

    def too_few(self, segment: str, measure: Measure, why: str, limit: str = "") -> Judged:
        """The verdict that there are not enough rows, and what the policy makes of it."""
        passed = self.not_enough == "pass"
        reason = f"{why}; by the policy that {'passes' if passed else 'fails'}"
        return Judged(self.name, segment, "not_enough", passed, reason, measure, limit)

    def bounded(self, segment: str, what: str, measure: Measure, bound: tuple[float, float]) -> Judged:
        """The verdict on a measure that must lie within a bound, by where its interval lies."""
        limit = said(bound)
        if not measure.defined:
            return self.too_few(segment, measure, f"{what} is not defined: {measure.note or 'no rows'}", limit)
        if measure.n < self.min_n:
            why = f"{what} is {shown(measure)} of {_rows(measure.n)}, and {self.min_n:,} are needed"
            return self.too_few(segment, measure, why, limit)
        low = measure.low if not math.isnan(measure.low) else -math.inf
        high = measure.high if not math.isnan(measure.high) else math.inf
        inside = bound[0] <= measure.value <= bound[1]
        where = f"{what} is {shown(measure)} of {_rows(measure.n)}"
        if low >= bound[0] and high <= bound[1]:
            return Judged(self.name, segment, "pass", True, f"{where}: all of that is {limit}", measure, limit)
        if high < bound[0] or low > bound[1]:
            return Judged(self.name, segment, "fail", False, f"{where}: none of that is {limit}", measure, limit)
        passed = self.unclear == "pass" or (self.unclear == "estimate" and inside)
        ruled = "the policy goes by the value" if self.unclear == "estimate" else "the policy calls that"
        ends = (
            f"{ruled}: {'passed' if passed else 'failed'}"
            if self.unclear == "estimate"
            else (f"{ruled} {'passed' if passed else 'failed'}")
        )
        reason = f"{where}: the limit of {limit} lies within, so these rows can't tell{_more(measure, bound)}; {ends}"
        return Judged(self.name, segment, "unclear", passed, reason, measure, limit)


def _rows(n: int) -> str:
    return f"{n:,} row{'s' * (n != 1)}"


def _more(measure: Measure, bound: tuple[float, float]) -> str:
    """How many rows would tell, if the value stayed as it is: intervals shrink with the root of their number."""
    limit = bound[0] if math.isfinite(bound[0]) else bound[1]
    end = measure.low if measure.value > limit else measure.high
    gap, half = abs(measure.value - limit), abs(measure.value - end)
    if not (math.isfinite(half) and 0 < gap < half) or half / gap > 100:
        return ""
    digits = measure.n * (half / gap) ** 2
    rounded = round(digits, -max(0, int(math.log10(digits)) - 1))
    return f" (about {int(rounded):,} would, if it stays so)"


def shown(measure: Measure) -> str:
    """A measure as people read it.

    >>> shown(Measure(0.87351, 0.861, 0.8851)), shown(Measure(12.0, 12.0, 12.0))
    ('0.8735 (0.861 to 0.8851)', '12')
    """
    if math.isnan(measure.low) or measure.low == measure.high == measure.value:
        return f"{measure.value:.4g}"
    return f"{measure.value:.4g} ({measure.low:.4g} to {measure.high:.4g})"


def said(bound: tuple[float, float]) -> str:
    """A bound in words.

    >>> said((0.8, math.inf)), said((-math.inf, 0.1))
    ('at least 0.8', 'at most 0.1')
    """
    return f"at least {bound[0]:g}" if math.isfinite(bound[0]) else f"at most {bound[1]:g}"
