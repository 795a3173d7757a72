"""`Promised`: rows counted by what a person promised of their features, row by row, in room that depends on the promises."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from tocsin.assess.quality import Fault, Limits, Violation

_EXAMPLE_CHARS: Final = 80


@dataclass(slots=True)
class Promised:
    """Breaches by feature and fault, each with one of the values.

    >>> promised = Promised()
    >>> for age in (30.0, 130.0, None): promised.add({"age": age}, {"age": Limits(low=0.0, high=120.0)})
    >>> [each.said for each in promised.violations({"age": Limits(low=0.0, high=120.0)})]
    ['1 of 3 rows are not within 0 to 120, such as 130']
    """

    rows: int = 0
    counts: dict[tuple[str, str], int] = field(default_factory=dict)
    examples: dict[tuple[str, str], str] = field(default_factory=dict)

    def add(self, values: Mapping[str, Any], limits: Mapping[str, Limits]) -> None:
        """Count a row."""
        self.rows += 1
        for name, limit in limits.items():
            fault = _breach(values.get(name), limit)
            if fault is not None:
                key = (name, fault.value)
                self.counts[key] = self.counts.get(key, 0) + 1
                self.examples.setdefault(key, _shown(values.get(name)))

    @staticmethod
    def of(parts: Iterable[Promised]) -> Promised:
        """The sum of some."""
        found = Promised()
        for part in parts:
            found.rows += part.rows
            for key, count in part.counts.items():
                found.counts[key] = found.counts.get(key, 0) + count
                found.examples.setdefault(key, part.examples[key])
        return found

    def violations(self, limits: Mapping[str, Limits]) -> list[Violation]:
        """What is broken, the most rows first; each is an alarm, since it was promised."""
        found = []
        for (name, fault), count in self.counts.items():
            limit = limits.get(name)
            if limit is not None and count > (limit.missing_share or 0.0) * self.rows * (fault == Fault.MISSING.value):
                found.append(self._violation(name, Fault(fault), count, limit))
        return sorted(found, key=lambda each: (-each.count, each.feature))

    def _violation(self, name: str, fault: Fault, count: int, limit: Limits) -> Violation:
        example, rows, expected = self.examples[name, fault.value], self.rows, 0.0
        if fault is Fault.MISSING:
            expected = (limit.missing_share or 0.0) * rows
            said = f"hold no value; at most {limit.missing_share or 0.0:.3g} of them may"
        elif fault is Fault.OUT_OF_RANGE:
            said = f"are not within {limit.low:g} to {limit.high:g}, such as {example}"
        else:
            said = f"are of no category that is allowed, such as {example!r}"
        return Violation(fault, name, count, rows, expected, example, f"{count:,} of {rows:,} rows {said}", alarm=True)

    def snapshot(self) -> list[Any]:
        """All state, as a tree."""
        return [self.rows, [[*key, count, self.examples[key]] for key, count in self.counts.items()]]

    @staticmethod
    def back(state: Sequence[Any]) -> Promised:
        """Counts back from a snapshot."""
        found = Promised(state[0])
        for name, fault, count, example in state[1]:
            found.counts[name, fault], found.examples[name, fault] = count, example
        return found


def _breach(value: Any, limit: Limits) -> Fault | None:
    if value is None or value == "":
        return Fault.MISSING if limit.missing_share is not None else None
    number = isinstance(value, float) and not isinstance(value, bool)
    if number and not limit.low <= value <= limit.high:
        return Fault.OUT_OF_RANGE
    bounded = math.isfinite(limit.low) or math.isfinite(limit.high)
    if not number and bounded:
        return Fault.OUT_OF_RANGE
    return Fault.UNSEEN if limit.categories is not None and _shown(value) not in limit.categories else None


def _shown(value: Any) -> str:
    """A value as categories are written."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:g}" if isinstance(value, float) else str(value)[:_EXAMPLE_CHARS]
