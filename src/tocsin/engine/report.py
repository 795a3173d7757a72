"""From verdicts to findings with band and evidence, and to panes that are kept."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pyarrow as pa

from tocsin.calibrate.hysteresis import Move, Transitions
from tocsin.model.arrays import F8, I4, I8
from tocsin.model.detection import Band
from tocsin.model.finding import Direction, Finding, Phase, finding_id
from tocsin.model.frame import SCHEMAS, Frame, FrameKind
from tocsin.model.rows import Rows
from tocsin.spec.monitor import MonitorSpec

_PHASES = {
    Move.OPENED: Phase.OPEN,
    Move.UPDATED: Phase.UPDATE,
    Move.CLOSED: Phase.CLOSE,
    Move.ABSORBED: Phase.CLOSE,
}
ENGINE = "engine"


@dataclass(frozen=True, slots=True, eq=False)
class PaneRows:
    """Closed windows of one monitor with what was made of them, all columns (n,); `rows` are its groups."""

    tenant: str
    monitor: str
    rows: I4
    time: I8
    value: F8
    samples: I8
    score: F8
    log10_p: F8
    n_eff: F8
    band: Band


class Explains(Protocol):
    """What can tell how a row's expectation and p-values came about."""

    def explain(self, row: int) -> Mapping[str, float]:
        """Numbers by name."""


def report(
    spec: MonitorSpec,
    groups: Rows,
    pane: PaneRows,
    moves: Transitions,
    level: F8,
    needed: F8,
    learned: Explains | None,
) -> list[Finding]:
    """Findings of the rows whose verdict moved, with the numbers they rest on."""
    found = []
    for k, i in enumerate(moves.at.tolist()):
        row = int(pane.rows[i])
        series = groups.series(row)
        lower, centre, upper = (float(b[i]) for b in (pane.band.lower, pane.band.centre, pane.band.upper))
        value = float(pane.value[i])
        move = Move(int(moves.move[k]))
        found.append(
            Finding(
                id=finding_id(series.tenant, spec.name, series.id, int(moves.start[k])),
                phase=_PHASES[move],
                tenant=series.tenant,
                monitor=spec.name,
                series=series,
                start=int(moves.start[k]),
                end=int(moves.end[k]),
                time=int(pane.time[i]),
                value=value,
                expected=(lower, upper),
                log10_p=float(pane.log10_p[i]),
                n_eff=float(pane.n_eff[i]),
                level=float(level[i]),
                direction=_direction(value, lower, centre, upper),
                evidence=_evidence(spec, pane, i, worst=float(moves.score[k]), needed=float(needed[i]), centre=centre)
                | _learned(learned, row, move),
            )
        )
    return found


def _direction(value: float, lower: float, centre: float, upper: float) -> Direction:
    if math.isfinite(centre):
        return "up" if value >= centre else "down"
    if math.isfinite(upper) and value > upper:
        return "up"
    return "down" if math.isfinite(lower) and value < lower else "up"


def _evidence(
    spec: MonitorSpec, pane: PaneRows, i: int, *, worst: float, needed: float, centre: float
) -> dict[str, float | str]:
    found: dict[str, float | str] = {
        "detector": spec.detect.name,
        "aggregate": spec.aggregate or "mean",
        "samples": float(pane.samples[i]),
        "score": float(pane.score[i]),
        "score_worst": worst,
        "score_needed": needed,
        "severity_ratio": worst / needed if needed > 0 else math.nan,
        "centre": centre,
        "times_expected": float(pane.value[i]) / centre if centre else math.nan,
    }
    return {k: v for k, v in found.items() if not (isinstance(v, float) and math.isnan(v))}


def _learned(learned: Explains | None, row: int, move: Move) -> dict[str, float | str]:
    if move is Move.ABSORBED:
        return {"absorbed": "taken as the new normal after its stated time"}
    if learned is None or move is not Move.OPENED:
        return {}
    return {f"state.{name}": value for name, value in learned.explain(row).items() if not math.isnan(value)}


def panes_frames(panes: Sequence[tuple[Rows, PaneRows]]) -> list[Frame]:
    """Panes as one frame per tenant; each pane comes with the groups that its rows number."""
    by_tenant: dict[str, list[tuple[Rows, PaneRows]]] = {}
    for groups, pane in panes:
        by_tenant.setdefault(pane.tenant, []).append((groups, pane))
    return [Frame(FrameKind.PANES, tenant, ENGINE, _batch(mine)) for tenant, mine in sorted(by_tenant.items())]


def _batch(panes: Sequence[tuple[Rows, PaneRows]]) -> pa.RecordBatch:
    of = np.repeat(np.arange(len(panes)), [len(pane.rows) for _, pane in panes])
    monitor = pa.array([pane.monitor for _, pane in panes], pa.string()).take(pa.array(of))
    columns = {
        "series": np.concatenate([groups.refs(pane.rows) for groups, pane in panes]),
        "lower": np.concatenate([pane.band.lower for _, pane in panes]),
        "upper": np.concatenate([pane.band.upper for _, pane in panes]),
    }
    for name in ("time", "value", "samples", "score", "log10_p", "n_eff"):
        columns[name] = np.concatenate([getattr(pane, name) for _, pane in panes])
    schema = SCHEMAS[FrameKind.PANES]
    arrays = [monitor if f.name == "monitor" else pa.array(columns[f.name], type=f.type) for f in schema]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)
