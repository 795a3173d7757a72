"""The health of every model and service on a day: what was measured, against the days before it or the limits given."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any, Final, Protocol, TypeAlias, get_args

from tocsin.assess.health import Health, Term, health
from tocsin.assess.intervals import number
from tocsin.spec.health import HealthTermSpec, TermKind, WindowTermSpec
from tocsin.store.health_rows import WindowMean
from tocsin.store.queries import Where

Json: TypeAlias = dict[str, Any]
Span: TypeAlias = tuple[int, int]
LOOK_BACK: Final = 7
LEAST_DAYS: Final = 3
"""Of the seven days before, those that must have a value for it to be the usual one."""
LEAST_WINDOWS: Final = 5
LEAST_SAMPLES: Final = 30
MOST_TERMS: Final = 40
_KINDS: Final = get_args(TermKind)


class Source(Protocol):
    """Where days come from; see `tocsin.store.health_rows.HealthRows`."""

    def windows(self, tenant: str, monitors: Sequence[str], start: int, end: int) -> list[WindowMean]:
        """Means of the closed windows of monitors, by series."""

    def points(self, tenant: str, signal: str, where: Where, aggregate: str, start: int, end: int) -> tuple[float, int]:
        """One number of all points of a signal, and how many there were."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One term as it was measured: on the day, and on those before it, NaN where it was not."""

    name: str
    kind: TermKind
    worse: str
    unit: str
    value: float
    samples: int
    before: tuple[float, ...]
    limits: tuple[float, float] | None = None
    points: float | None = None

    @property
    def usual(self) -> float:
        """The median of the days before, NaN when there are too few."""
        known = [each for each in self.before if math.isfinite(each)]
        return median(known) if len(known) >= LEAST_DAYS else math.nan

    def term(self) -> Term | None:
        """What it costs, None while nothing says what is good."""
        ends = self.limits or scale(self.kind, self.worse, self.usual)
        return None if ends is None else Term(self.name, self.kind, *ends, unit=self.unit, points=self.points)


def scale(kind: TermKind, worse: str, usual: float) -> tuple[float, float] | None:
    """Where a term starts to cost, and where it costs all, by its usual value (NaN: unknown); None if nothing can say.

    >>> scale("latency", "up", 2.0), scale("errors", "up", float("nan")), scale("quality", "down", 0.9)
    ((2.5, 6.0), (0.01, 0.05), (0.88, 0.78))
    >>> scale("business", "down", 0.2), scale("latency", "up", float("nan"))
    ((0.19, 0.14), None)
    """
    if kind == "errors":
        known = 0.0 if math.isnan(usual) else usual
        return max(0.01, 1.5 * known), max(0.05, 5 * known)
    if math.isnan(usual):
        return None
    if kind == "quality" and worse == "down":
        return round(usual - 0.02, 9), round(usual - 0.12, 9)
    if usual <= 0:
        return None
    good, bad = {"latency": (1.25, 3.0), "quality": (1.1, 1.6), "business": (0.95, 0.7)}[kind]
    return round(good * usual, 9), round(bad * usual, 9)


@dataclass(slots=True)
class Entity:
    """A model or service with all that was measured of it on a day."""

    kind: str
    name: str
    measured: list[Measured] = field(default_factory=list)

    def judged(self) -> tuple[Health, list[Json]]:
        """The health, and its terms in the same order as the public JSON has them."""
        terms = {each.name: each.term() for each in self.measured}
        values = {each.name: each.value for each in self.measured}
        found = health([term for term in terms.values() if term is not None], values)
        by_name = {each.name: each for each in self.measured}
        rows = [_row(by_name[row["term"]], row) for row in found.to_json()["terms"]]
        rows += [_unjudged(by_name[name]) for name, term in terms.items() if term is None]
        return found, rows

    def to_json(self) -> Json:
        """The public JSON: score, terms (those that cost most first), and which kinds nothing measures."""
        found, rows = self.judged()
        kinds = {each.kind for each in self.measured}
        return {
            "entity": {"kind": self.kind, "name": self.name},
            **{name: value for name, value in found.to_json().items() if name != "terms"},
            "terms": rows,
            "unmeasured": [kind for kind in _KINDS if kind not in kinds],
        }


def _row(each: Measured, row: Json) -> Json:
    note = "" if row["value"] is not None else "not measured on this day"
    return {**row, "worth": _worth(each), "usual": number(each.usual), "samples": each.samples, "note": note}


def _worth(each: Measured) -> float:
    term = each.term()
    return 0.0 if term is None else term.worth


def _unjudged(each: Measured) -> Json:
    return {
        "term": each.name, "kind": each.kind, "value": number(each.value), "unit": each.unit, "good": None, "bad": None,
        "cost": None, "worth": 0.0, "usual": None, "samples": each.samples,
        "note": f"fewer than {LEAST_DAYS} earlier days to compare with",
    }  # fmt: skip


class Days:
    """Measures days of a tenant."""

    def __init__(self, source: Source, windows: Sequence[WindowTermSpec], own: Sequence[HealthTermSpec]) -> None:
        self._source, self._windows, self._own = source, windows, own
        self._seen: dict[tuple[str, Span], list[WindowMean]] = {}

    def judge(self, tenant: str, days: Sequence[Span]) -> list[Entity]:
        """All models and services on the last of `days`, (start, end) ns, by those before it; the worst first."""
        found: dict[tuple[str, str], Entity] = {}
        for (kind, name), measured in [*self._of_windows(tenant, days), *self._of_points(tenant, days)]:
            key = (kind, name) if kind else next((each for each in found if each[1] == name), ("own", name))
            entity = found.setdefault(key, Entity(*key))
            if len(entity.measured) < MOST_TERMS:
                entity.measured.append(measured)
        return sorted(found.values(), key=_worst_first)

    def _of_windows(self, tenant: str, days: Sequence[Span]) -> Iterable[tuple[tuple[str, str], Measured]]:
        monitors = sorted({each.monitor for each in self._windows})
        sums: dict[tuple[str, str, str], _Sum] = {}
        for place, (start, end) in enumerate(days):
            for row in self._rows(tenant, monitors, (start, end)):
                for spec, name, term in _meant(self._windows, row):
                    held = sums.setdefault((spec.entity, name, term), _Sum(spec, len(days)))
                    held.add(place, row)
        for (kind, name, term), held in sorted(sums.items()):
            yield (kind, name), held.measured(term)

    def _rows(self, tenant: str, monitors: Sequence[str], span: Span) -> list[WindowMean]:
        if (tenant, span) not in self._seen:
            self._seen[tenant, span] = self._source.windows(tenant, monitors, *span) if monitors else []
        return self._seen[tenant, span]

    def _of_points(self, tenant: str, days: Sequence[Span]) -> Iterable[tuple[tuple[str, str], Measured]]:
        for spec in self._own:
            value, samples = self._source.points(tenant, spec.signal, spec.where, spec.aggregate, *days[-1])
            limits = (spec.good, spec.bad)
            worse = "up" if spec.bad > spec.good else "down"
            yield (
                ("", spec.of),
                Measured(spec.name, spec.kind, worse, spec.unit, value, samples, (), limits, spec.points),
            )


@dataclass(slots=True)
class _Sum:
    """Sums over series and days of one term."""

    spec: WindowTermSpec
    days: int
    total: dict[int, float] = field(default_factory=dict)
    samples: dict[int, int] = field(default_factory=dict)
    windows: dict[int, int] = field(default_factory=dict)

    def add(self, day: int, row: WindowMean) -> None:
        self.total[day] = self.total.get(day, 0.0) + row.value * row.samples
        self.samples[day] = self.samples.get(day, 0) + row.samples
        self.windows[day] = self.windows.get(day, 0) + row.windows

    def mean(self, day: int) -> float:
        enough = self.windows.get(day, 0) >= LEAST_WINDOWS and self.samples.get(day, 0) >= LEAST_SAMPLES
        return self.total[day] / self.samples[day] if enough else math.nan

    def measured(self, term: str) -> Measured:
        spec, last = self.spec, self.days - 1
        before = tuple(self.mean(day) for day in range(last))
        return Measured(term, spec.kind, spec.worse, spec.unit, self.mean(last), self.samples.get(last, 0), before)


def _meant(specs: Sequence[WindowTermSpec], row: WindowMean) -> Iterable[tuple[WindowTermSpec, str, str]]:
    """The terms that a series is part of: spec, name of the entity, name of the term."""
    for spec in specs:
        of = next((key for key in spec.of if row.labels.get(key)), "")
        if spec.monitor != row.monitor or not of:
            continue
        if spec.only is not None and set(row.labels) - {of, *spec.only}:
            continue
        part = row.labels.get(spec.each, "") if spec.each else ""
        yield spec, row.labels[of], f"{spec.name} {part}" if part and part != spec.name else spec.name


def _worst_first(entity: Entity) -> tuple[float, str, str]:
    score = entity.judged()[0].score
    return (101.0 if math.isnan(score) else score, entity.kind, entity.name)
