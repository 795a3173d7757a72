"""`EntityWatch`: closed windows of all series of an entity in, findings about the entity as a whole out."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from tocsin.detect.onnx_model import OnnxModel
from tocsin.engine.entity_scorer import SECOND, EntityScorer, EntityVerdict
from tocsin.model.arrays import F8
from tocsin.model.finding import Evidence, Finding, Phase, finding_id
from tocsin.model.series import Series, Signal

LEAST_ROOM: Final = 8
MOST_SIGNALS: Final = 500
"""Signals of an entity that are judged together; more are left out and counted in `left_out`."""
BLAMED: Final = 5
"""Signals that a finding names."""
UPDATE_STEPS: Final = 6
"""Steps between two pieces of news of a finding that goes on."""
BUDGET_PER_WEEK: Final = 7.0


@dataclass(slots=True, eq=False)
class _Entity:
    """One entity: its scorer, which column each signal has, and the finding that is open."""

    series: Series
    scorer: EntityScorer
    columns: dict[bytes, int] = field(default_factory=dict)
    names: list[str] = field(default_factory=list)
    start: int = -1
    told: int = 0
    worst: float = 0.0


class EntityWatch:
    """One monitor over entities; a step is what all series of an entity said in one window.

    An entity has room for twice the signals it began with (at least 8); one that outgrows it is learned anew, which
    `relearned` counts. Signals that vanish keep their columns. With a `model` the columns are its features, found by
    their names, and signals that it doesn't know are left out.
    """

    def __init__(self, monitor: str, step_ns: int, *, model: OnnxModel | None = None) -> None:
        self.model = model
        self.monitor, self.step_ns = monitor, step_ns
        self.entities: dict[bytes, _Entity] = {}
        self.relearned = self.left_out = 0

    def fold(
        self, entity: Series, time_ns: int, values: Mapping[Series, float], *, budget_per_week: float = BUDGET_PER_WEEK
    ) -> list[Finding]:
        """Judge one closed window of an entity: the value of each of its series; those not named are missing.

        `budget_per_week`: false pages that this entity may cause.
        """
        known = self.entities.get(entity.id)
        if known is None:
            known = self.entities[entity.id] = _Entity(entity, self._scorer(len(values)))
        row = self._row(known, values)
        known.scorer.budget_per_week = budget_per_week
        return self._news(known, time_ns, known.scorer.fold(time_ns, row))

    def _scorer(self, signals: int) -> EntityScorer:
        return self._of_room(min(max(2 * signals, LEAST_ROOM), MOST_SIGNALS))

    def _of_room(self, room: int) -> EntityScorer:
        room = room if self.model is None else self.model.features
        return EntityScorer(room, self.step_ns / SECOND, model=self.model)

    def _row(self, known: _Entity, values: Mapping[Series, float]) -> F8:
        ordered = sorted(values, key=lambda series: series.id)
        for series in ordered:
            if series.id not in known.columns:
                self._give_column(known, series)
        if len(known.columns) > known.scorer.signals:
            known.scorer = self._scorer(len(known.columns))
            self.relearned += 1
        row = np.full(known.scorer.signals, np.nan)
        for series in ordered:
            column = known.columns.get(series.id)
            if column is None:
                self.left_out += 1
            else:
                row[column] = values[series]
        return row

    def _give_column(self, known: _Entity, series: Series) -> None:
        name = _named(series, known.series)
        if self.model is None:
            if len(known.columns) < MOST_SIGNALS:
                known.columns[series.id] = len(known.columns)
                known.names.append(name)
            return
        known.names = list(self.model.card.names)
        taken = set(known.columns.values())
        free = (known.names.index(each) for each in (name, series.signal.name) if each in known.names)
        column = next((column for column in free if column not in taken), None)
        if column is not None:
            known.columns[series.id] = column

    def _news(self, known: _Entity, time_ns: int, verdict: EntityVerdict) -> list[Finding]:
        if verdict.alarm and known.start < 0:
            # the hold is part of the finding: it began when the first of the rows in a row did
            known.start = time_ns - (known.scorer.hold_steps - 1) * self.step_ns
            known.worst, phase = 0.0, Phase.OPEN
        elif not verdict.alarm and known.start >= 0:
            phase = Phase.CLOSE
        elif verdict.alarm and time_ns - known.told >= UPDATE_STEPS * self.step_ns:
            phase = Phase.UPDATE
        else:
            known.worst = max(known.worst, verdict.score) if verdict.alarm else known.worst
            return []
        known.worst = max(known.worst, verdict.score)
        known.told = time_ns
        found = self._finding(known, time_ns, verdict, phase)
        if phase is Phase.CLOSE:
            known.start = -1
        return [found]

    def _finding(self, known: _Entity, time_ns: int, verdict: EntityVerdict, phase: Phase) -> Finding:
        return Finding(
            id=finding_id(known.series.tenant, self.monitor, known.series.id, known.start),
            phase=phase,
            tenant=known.series.tenant,
            monitor=self.monitor,
            series=known.series,
            start=known.start,
            end=time_ns,
            time=time_ns,
            value=verdict.score,
            expected=(math.nan, verdict.needed),
            log10_p=verdict.log10_p,
            n_eff=verdict.n_eff,
            level=verdict.level,
            direction="shape",
            evidence=_evidence(known, verdict),
        )

    def snapshot(self) -> dict[str, Any]:
        """All state, as a tree; entities in order of first sight, series by their names."""
        kept = [
            {
                "series": [e.series.tenant, e.series.signal.name, [list(pair) for pair in e.series.labels]],
                "columns": [[series_id.hex(), column] for series_id, column in e.columns.items()],
                "names": list(e.names),
                "marks": [e.start, e.told, e.worst],
                "signals": e.scorer.signals,
                "scorer": e.scorer.snapshot(),
            }
            for e in self.entities.values()
        ]
        return {"entities": kept, "relearned": self.relearned, "left_out": self.left_out}

    def restore(self, state: dict[str, Any]) -> None:
        """Take a snapshot back.

        Raises
        ------
        Corrupt
            An entity's state is of another layout.
        """
        found = {}
        for kept in state["entities"]:
            tenant, name, labels = kept["series"]
            series = Series.of(tenant, Signal(name), [(str(k), str(v)) for k, v in labels])
            scorer = self._of_room(kept["signals"])
            scorer.restore(kept["scorer"])
            columns = {bytes.fromhex(series_id): column for series_id, column in kept["columns"]}
            names = kept["names"]
            found[series.id] = _Entity(series, scorer, columns, names, *kept["marks"])
        self.entities = found
        self.relearned, self.left_out = state["relearned"], state["left_out"]


def _named(series: Series, entity: Series) -> str:
    """Name of a signal, with the labels that the entity doesn't have."""
    rest = [f"{name}={value}" for name, value in series.labels if (name, value) not in entity.labels]
    return series.signal.name + ("{" + ", ".join(rest) + "}" if rest else "")


def _evidence(known: _Entity, verdict: EntityVerdict) -> Evidence:
    """Numbers and names that the finding rests on: who is to blame, who said so, and why they were asked."""
    found: dict[str, float | str] = {"detector": "entity", "score": verdict.score, "score_worst": known.worst}
    if verdict.needed > 0.0:
        found |= {"score_needed": verdict.needed, "severity_ratio": known.worst / verdict.needed}
    whole = float(verdict.contributions.sum())
    order = np.argsort(-verdict.contributions, kind="stable")[:BLAMED]
    for place, column in enumerate(order.tolist(), 1):
        share = float(verdict.contributions[column]) / whole if whole > 0.0 else 0.0
        if column < len(known.names) and share > 0.0:
            found |= {f"blame.{place}": known.names[column], f"blame.{place}.share": share}
    for name, member in verdict.members.items():
        found[f"member.{name}"] = member.score
        if not math.isnan(member.log10_p):
            found[f"member.{name}.log10_p"] = member.log10_p
    found |= {f"character.{name}": value for name, value in verdict.character._asdict().items()}
    return {name: value for name, value in found.items() if not (isinstance(value, float) and math.isnan(value))}
