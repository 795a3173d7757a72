"""`MetricFamilies`: what kind of quantity each signal is, by the packs' rules, and what that means to a detector."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Final, NamedTuple

from tocsin.model.series import Kind, Signal
from tocsin.spec.pack import FamilySpec

_SCALES: Final = {"share": 1, "percent": 2, "duration": 3, "count": 0, "plain": 0}
_UNBOUNDED: Final = ("count", "rate", "sum", "std")
_EACH: Final = ("share", "percent", "duration")


class Told(NamedTuple):
    """What a detector is told of a row: the working scale (see `Baseline.told`) and its least robust sd."""

    scale: int
    least: float


PLAIN: Final = Told(0, 0.0)


class MetricFamilies:
    """Rules by unit and name; of several that fit, the one that says most of the name.

    >>> rules = [FamilySpec(family="percent", units=["%"]), FamilySpec(family="plain", units=["%"], names=["*.change"])]
    >>> families = MetricFamilies(rules)
    >>> families.of(Signal("cpu", "%"), None).scale, families.of(Signal("cpu.change", "%"), None).scale
    (2, 0)
    >>> [families.of(Signal("cpu", "%"), aggregate).scale for aggregate in ("max", "sum", "std")]
    [2, 0, 0]
    """

    def __init__(self, rules: Sequence[FamilySpec] = ()) -> None:
        self._rules = rules
        self._known: dict[tuple[str, str], FamilySpec | None] = {}

    def of(self, signal: Signal, aggregate: str | None) -> Told:
        """What is told of a signal that is aggregated so: totals, numbers of readings and spreads have no bounds."""
        rule = self._rule(signal.name.lower(), signal.unit)
        if rule is None or (signal.kind is Kind.SUM and signal.monotonic):  # counters are judged as rates
            return PLAIN
        if rule.family in _EACH and aggregate in _UNBOUNDED:
            return PLAIN
        return Told(_SCALES[rule.family], rule.least)

    def _rule(self, name: str, unit: str) -> FamilySpec | None:
        key = (name, unit)
        if key not in self._known:
            fits = [
                (len(pattern), -number)
                for number, rule in enumerate(self._rules)
                if any(fnmatchcase(unit, wanted) for wanted in rule.units)
                for pattern in rule.names
                if fnmatchcase(name, pattern.lower())
            ]
            self._known[key] = self._rules[-max(fits)[1]] if fits else None
        return self._known[key]
