"""One number for how a model or service did on a day, the terms that cost most, and a digest in words.

Points are taken off 100: each term costs none while it is at `good` or better, all its points at `bad` or worse, and in
between in proportion. Sums can be checked by hand, which is why this is no weighted mean or product.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tocsin.assess.intervals import number
from tocsin.spec.health import TermKind

POINTS: Final[Mapping[TermKind, float]] = {"latency": 30.0, "errors": 40.0, "quality": 40.0, "business": 40.0}
"""What a term of a kind costs at worst, unless it says otherwise: any two that are wholly bad leave less than half."""
_WORDS: Final = ((90.0, "good"), (70.0, "fair"), (40.0, "poor"), (-math.inf, "bad"))


@dataclass(frozen=True, slots=True)
class Term:
    """Something that health is made of; `bad` may lie above `good` (latency) or below it (accuracy)."""

    name: str
    kind: TermKind
    good: float
    bad: float
    unit: str = ""
    points: float | None = None

    def __post_init__(self) -> None:
        assert math.isfinite(self.good)
        assert math.isfinite(self.bad)
        assert self.good != self.bad
        assert self.worth > 0

    @property
    def worth(self) -> float:
        """Points that it costs at worst."""
        return POINTS[self.kind] if self.points is None else self.points

    def cost(self, value: float) -> float:
        """Points that a value costs; NaN = not known.

        >>> Term("p95", "latency", good=0.5, bad=2.5, unit="s").cost(1.5)
        15.0
        >>> Term("accuracy", "quality", good=0.9, bad=0.8).cost(0.95)
        0.0
        """
        share = (value - self.good) / (self.bad - self.good)
        return self.worth * min(1.0, max(0.0, share)) if not math.isnan(value) else math.nan


@dataclass(frozen=True, slots=True)
class Cost:
    """What one term took off; `value` NaN = not known that day."""

    term: Term
    value: float
    points: float

    @property
    def known(self) -> bool:
        """Whether there was a value."""
        return not math.isnan(self.points)


@dataclass(frozen=True, slots=True)
class Health:
    """A day: score in [0, 100], what each term cost, the dearest first, then those not known.

    `score` is NaN when nothing was known; `at_worst` is what it would be if all that is not known were wholly bad.
    """

    score: float
    at_worst: float
    costs: tuple[Cost, ...]

    @property
    def word(self) -> str:
        """The score in a word: good from 90, fair from 70, poor from 40, bad below, unknown."""
        if math.isnan(self.score):
            return "unknown"
        return next(word for least, word in _WORDS if self.score >= least)

    def to_json(self) -> dict[str, Any]:
        """The public JSON; null for what is not known."""
        terms = [
            {
                "term": each.term.name, "kind": each.term.kind, "value": number(each.value), "unit": each.term.unit,
                "good": each.term.good, "bad": each.term.bad, "cost": number(each.points),
            }
            for each in self.costs
        ]  # fmt: skip
        return {"score": number(self.score), "at_worst": number(self.at_worst), "word": self.word, "terms": terms}


def health(terms: Sequence[Term], values: Mapping[str, float]) -> Health:
    """The health of a day by its terms' values; a term without a value costs nothing, and is named.

    >>> terms = [Term("p95", "latency", 0.5, 2.5, "s"), Term("errors", "errors", 0.01, 0.05)]
    >>> day = health(terms, {"p95": 1.5, "errors": 0.02})
    >>> day.score, [(cost.term.name, cost.points) for cost in day.costs], day.word
    (75.0, [('p95', 15.0), ('errors', 10.0)], 'fair')
    """
    found = []
    for term in terms:
        value = values.get(term.name, math.nan)
        found.append(Cost(term, value, term.cost(value)))
    known = sorted((cost for cost in found if cost.known), key=lambda cost: (-cost.points, cost.term.name))
    unknown = sorted((cost for cost in found if not cost.known), key=lambda cost: cost.term.name)
    score = max(0.0, 100 - math.fsum(cost.points for cost in known)) if known else math.nan
    worst = max(0.0, (score if known else 100.0) - math.fsum(cost.term.worth for cost in unknown))
    return Health(score, worst, (*known, *unknown))


def digest(name: str, day: str, now: Health, before: Health | None = None, most: int = 3) -> str:
    """A day in a few lines: the score and its change, the terms that cost most, what got better or worse, what is missing.

    >>> terms = [Term("p95", "latency", 0.5, 2.5, "s")]
    >>> print(digest("churn", "2026-11-21", health(terms, {"p95": 1.5}), health(terms, {"p95": 0.5})))
    churn on 2026-11-21: 85 of 100, fair (15 less than the day before)
    - p95 1.5 s cost 15 of 30 points (good up to 0.5 s); 15 more than the day before
    """
    if math.isnan(now.score):
        names = ", ".join(cost.term.name for cost in now.costs)
        return f"{name} on {day}: unknown, for nothing was measured{f' ({names})' if names else ''}"
    lines = [f"{name} on {day}: {now.score:.0f} of 100, {now.word}{_since(now.score, before)}"]
    earlier = {cost.term.name: cost.points for cost in before.costs if cost.known} if before is not None else {}
    costly = [cost for cost in now.costs if cost.known and cost.points > 0]
    lines += [_line(cost, earlier.get(cost.term.name)) for cost in costly[:most]]
    if len(costly) > most:
        rest = math.fsum(cost.points for cost in costly[most:])
        lines.append(f"- {len(costly) - most} more terms cost {rest:.0f} points together")
    if not costly:
        lines.append("- no term cost anything")
    mended = [
        cost.term.name for cost in now.costs if cost.points == 0 and earlier.get(cost.term.name, 0.0) > 0
    ]  # fmt: skip
    if mended:
        lines.append(f"- good again: {', '.join(mended)}")
    missing = [cost.term.name for cost in now.costs if not cost.known]
    if missing:
        lines.append(f"- not measured: {', '.join(missing)}; the score would be {now.at_worst:.0f} at worst")
    return "\n".join(lines)


def _since(score: float, before: Health | None) -> str:
    if before is None or math.isnan(before.score):
        return ""
    change = round(score) - round(before.score)
    if change == 0:
        return " (as the day before)"
    return f" ({abs(change)} {'more' if change > 0 else 'less'} than the day before)"


def _line(cost: Cost, before: float | None) -> str:
    term, unit = cost.term, f" {cost.term.unit}" if cost.term.unit else ""
    side = "up to" if term.bad > term.good else "from"
    text = f"- {term.name} {cost.value:.4g}{unit} cost {cost.points:.0f} of {term.worth:g} points (good {side} {term.good:g}{unit})"
    change = round(cost.points - before) if before is not None else 0
    return text if change == 0 else f"{text}; {abs(change)} {'more' if change > 0 else 'less'} than the day before"
