"""Drift of all that records hold: inputs, outputs and behaviour decided together, ranked by effect, one of them drawn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import pyarrow as pa

from tocsin.app.model_health.behaviour import EMBEDDING, NAMED, Behaviour, behaviour
from tocsin.app.model_health.overlay import overlay
from tocsin.app.model_health.rows import NAME_CHARS, Span
from tocsin.assess.column import FeatureKind, as_arrow, kind_of
from tocsin.assess.drift import DriftPolicy, compare_all
from tocsin.assess.reference import FeatureReference
from tocsin.model.errors import BadInput
from tocsin.model.text import one_line
from tocsin.spec.problem import nearest

Json: TypeAlias = dict[str, Any]
OUTPUTS: Final = ("prediction", "score")
FEATURE, OUTPUT, VECTOR, HABIT = "feature", "output", "embedding", "behaviour"


@dataclass(frozen=True, slots=True, eq=False)
class Column:
    """One column of both spans: `part` is what of the model it belongs to."""

    name: str
    part: str
    before: Any
    now: Any
    kind: FeatureKind


@dataclass(frozen=True, slots=True, eq=False)
class Drifting:
    """All columns that can be compared, learned from the reference, and what was decided on them."""

    columns: Mapping[str, Column]
    references: Mapping[str, FeatureReference]
    rows: list[Json]
    left: dict[str, str]
    policy: DriftPolicy
    before: Span
    behaviours: tuple[Behaviour, Behaviour]

    @staticmethod
    def of(before: Span, now: Span, kinds: Mapping[str, FeatureKind], left: dict[str, str]) -> Drifting:
        """Compare everything, decided together so that the level holds for all of it."""
        behaviours = (Behaviour.of(before), Behaviour.of(now))
        columns = _columns(before, now, kinds, behaviours)
        references: dict[str, FeatureReference] = {}
        for full, each in columns.items():
            try:
                references[full] = FeatureReference.learn(full, each.before, each.kind)
            except BadInput as error:
                left[each.name] = str(error)
        sketches = {full: each.sketch(columns[full].now) for full, each in references.items()}
        policy = DriftPolicy()
        found = compare_all(references, sketches, policy) if references else []
        rows = [
            {**each.to_json(), "id": each.name, "name": columns[each.name].name, "part": columns[each.name].part}
            for each in found
        ]
        rows.sort(key=lambda row: (not row["alarm"], -(row["psi"] or 0.0), -row["log10_e"], row["name"]))
        return Drifting(columns, references, rows, left, policy, before, behaviours)

    def to_json(self, chosen: str) -> Json:
        """Inputs and outputs, worst first, and the bins of the chosen one (the worst where none is named).

        Raises
        ------
        BadInput
            No feature has the chosen name.
        """
        rows = [row for row in self.rows if row["part"] != HABIT]
        policy = self.policy
        return {
            "rows": rows,
            "policy": {"level": policy.level, "min_effect": policy.min_effect, "min_n": policy.min_n},
            "left_out": [{"name": name, "why": why} for name, why in self.left.items()],
            "overlay": self._chosen(rows, chosen),
            "say": _say(rows, self.before.rows, policy),
        }

    def behaviour_json(self) -> Json | None:
        """How the model behaves beside how it did."""
        drawn = [self._overlay(name) for name in NAMED[:2] if name in self.references]
        rows = [row for row in self.rows if row["part"] == HABIT]
        return behaviour(*self.behaviours, rows, [each for each in drawn if each is not None])

    def _overlay(self, full: str) -> Json | None:
        column = self.columns[full]
        return overlay(column.name, self.references[full], column.before, column.now)

    def _chosen(self, rows: list[Json], chosen: str) -> Json | None:
        known = [full for full in self.references if self.columns[full].part != HABIT]
        full = next((each for each in (f"feature {chosen}", chosen) if each in known), None)
        if chosen and full is None and known:
            names = [self.columns[each].name for each in known]
            raise BadInput(f"no feature {chosen[:80]!r} to draw{nearest(chosen, names)}")
        return self._overlay(full or str(rows[0]["id"])) if known else None


def _columns(
    before: Span, now: Span, kinds: Mapping[str, FeatureKind], behaviours: tuple[Behaviour, Behaviour]
) -> dict[str, Column]:
    found = {}
    for name, kind in kinds.items():
        full = f"feature {name}"
        found[full] = Column(name, FEATURE, before.frame.columns[full], now.frame.columns[full], kind)
    for name in OUTPUTS:
        a, b = (span.frame.columns[name] for span in (before, now))
        if all(len(cells) > cells.null_count for cells in (a, b)):
            found[name] = Column(name, OUTPUT, a, b, kind_of(a, name))
    vectors = [each.embedding for each in behaviours]
    if all(vectors):
        a, b = (pa.array(each, pa.list_(pa.float64())) for each in vectors)
        found[EMBEDDING] = Column(EMBEDDING, VECTOR, a, b, FeatureKind.EMBEDDING)
    first, second = (each.columns for each in behaviours)
    for name in (each for each in first if each in second):
        found[name] = Column(name, HABIT, as_arrow(first[name]), as_arrow(second[name]), FeatureKind.NUMERIC)
    return found


def _say(rows: list[Json], reference_rows: int, policy: DriftPolicy) -> str:
    if not reference_rows:
        return "There are no records to compare with: no reference."
    if not rows:
        return "The records hold no features, predictions or scores that could be compared."
    moved = [one_line(row["name"], NAME_CHARS) for row in rows if row["alarm"]]
    if moved:
        more = f" and {len(moved) - 3} more" if len(moved) > 3 else ""
        return f"{len(moved)} of {len(rows)} moved: {', '.join(moved[:3])}{more}."
    if all(row["n"] < policy.min_n or row["reference_n"] < policy.min_n for row in rows):
        return f"Nothing is decided below {policy.min_n} rows on either side."
    return f"None of {len(rows)} is shown to have moved."
