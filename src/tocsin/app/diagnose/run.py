"""`tocsin diagnose`: tables to a scene, the scene to ranked causes, both to JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tocsin.app.diagnose.folder import Folder, LogRows, MetricRows, SpanRows, Texts, read_folder
from tocsin.app.diagnose.onset import find_onset
from tocsin.correlate.diagnosis import BAR, Verdict, diagnose
from tocsin.correlate.evidence import Event, Scene
from tocsin.correlate.log_shift import Lines, LogShift, log_shift
from tocsin.correlate.metric_shift import Readings, Shift, shift, without_common
from tocsin.correlate.requests import STEPS, graph_around
from tocsin.correlate.statement import number
from tocsin.correlate.traces import Spans
from tocsin.model.arrays import F8, I8
from tocsin.model.errors import BadInput
from tocsin.model.times import time_from_text, time_to_json
from tocsin.stats.log_mask import masked, shapes

WINDOW_S: Final = 300.0
"""Seconds after the onset that are looked at."""
MOST_SPANS: Final = 1_000_000
MOST_EDGES: Final = 500


@dataclass(frozen=True, slots=True, eq=False)
class Diagnosed:
    """The causes with the symptom they are of, and what a person should know of how they came about."""

    symptom: Mapping[str, Any]
    verdict: Verdict
    scene: Scene
    notes: tuple[str, ...]

    def to_json(self, top: int | None = None) -> dict[str, Any]:
        """The public JSON."""
        causes = [
            {
                "entity": each.entity,
                "kind": each.kind,
                "what": each.what,
                "score": each.score,
                "evidence": list(each.evidence),
                "refuted_by": list(each.refuted_by),
            }
            for each in self.verdict.causes
        ]
        return {
            "symptom": dict(self.symptom),
            "causes": causes[:top],
            "above_bar": self.verdict.above_bar,
            "answer": self.answer,
            "notes": list(self.notes),
        }

    @property
    def answer(self) -> str:
        """The verdict in a sentence."""
        if not self.verdict.causes:
            return "no cause: nothing moved at that time"
        best = self.verdict.causes[0]
        if not self.verdict.above_bar:
            return f"no cause above the bar of {BAR}: the best, {best.entity}, reaches {best.score:.2f}"
        return f"{best.entity}: {best.what} ({best.kind}, score {best.score:.2f})"


def diagnose_folder(path: Path, at: str | None = None) -> Diagnosed:
    """Read a folder and rank the causes of what begins at `at`, or of the greatest change where no time is given.

    Raises
    ------
    BadInput
        The folder or a table can't be read, or the time lies outside of what was measured.
    """
    folder = read_folder(path)
    origin, end = _extent(folder)
    if at is not None:
        at_ns = time_from_text(at)
        if not origin <= at_ns <= end:
            raise BadInput(
                f"--at {at}: lies outside of what was measured, {time_to_json(origin)} to {time_to_json(end)}"
            )
    notes = list(folder.notes)
    entities = _entities(folder)
    series = _series(folder.metrics, entities, origin) if folder.metrics is not None else []
    spans = _span_columns(folder.spans, entities, origin) if folder.spans is not None else None
    if at is not None:
        when = (at_ns - origin) / 1e9
    elif (guessed := find_onset(series, spans)) is not None:
        when, clear = guessed
        if not clear:
            notes.append("no change stands out clearly; name the onset of the symptom with --at")
    else:
        raise BadInput(f"{path}: nothing has two levels to tell apart; name the onset of the symptom with --at")
    window_s = max(WINDOW_S, STEPS * _step(series))
    graph = graph_around(spans, when, window_s, notes, MOST_SPANS) if spans is not None else None
    edges = set(folder.edges)
    if graph is not None:
        edges.update((edge.caller, edge.callee) for edge in graph.edges())
    place = {name: code for code, name in enumerate(entities)}
    logs = _log_shift(folder.logs, place, origin, when, window_s) if folder.logs is not None else None
    moved = [found for each in series if (found := shift(each, when, window_s)) is not None]
    known = frozenset(sorted(edge for edge in edges if edge[0] in place and edge[1] in place)[:MOST_EDGES])
    scene = Scene(
        when,
        window_s,
        origin,
        entities,
        graph,
        known,
        logs,
        tuple(without_common(moved)),
        tuple(Event(each) for each in folder.changes),
    )
    return Diagnosed(_symptom(scene, given=at is not None), diagnose(scene), scene, tuple(notes))


def _extent(folder: Folder) -> tuple[int, int]:
    times = [each.time for each in (folder.metrics, folder.logs) if each is not None]
    if folder.spans is not None:
        times.append(folder.spans.start)
    times = [each for each in times if len(each)]
    return min(int(each.min()) for each in times), max(int(each.max()) for each in times)


def _entities(folder: Folder) -> tuple[str, ...]:
    names: set[str] = set()
    for rows in (folder.metrics, folder.logs, folder.spans):
        names.update(rows.entity.names if rows is not None else ())
    for edge in folder.edges:
        names.update(edge)
    return tuple(sorted(names))


def _codes(texts: Texts, place: Mapping[str, int]) -> I8:
    table = np.array([place[name] for name in texts.names], "i8")
    return np.asarray(table[texts.code], "i8")


def _series(rows: MetricRows, entities: tuple[str, ...], origin: int) -> list[Readings]:
    """Readings by entity and metric; of two at one time the last."""
    del entities
    key = rows.entity.code * (len(rows.metric.names) + 1) + rows.metric.code
    known = np.flatnonzero(np.isfinite(rows.value))
    order = known[np.lexsort((known, rows.time[known], key[known]))]
    found = []
    for part in np.split(order, np.flatnonzero(np.diff(key[order])) + 1):
        if not len(part):
            continue
        time = rows.time[part]
        last = np.append(np.diff(time) > 0, True)
        kept = part[last]
        seconds: F8 = (rows.time[kept] - origin) / 1e9
        entity, metric = rows.entity.names[rows.entity.code[part[0]]], rows.metric.names[rows.metric.code[part[0]]]
        found.append(Readings(entity, metric, seconds, rows.value[kept]))
    return found


def _step(series: list[Readings]) -> float:
    steps = [float(np.median(np.diff(each.time))) for each in series if len(each.time) > 1]
    return float(np.median(steps)) if steps else 0.0


def _span_columns(rows: SpanRows, entities: tuple[str, ...], origin: int) -> Spans:
    place = {name: code for code, name in enumerate(entities)}
    names = pc.dictionary_encode(pc.fill_null(rows.operation, ""))
    texts = [masked(name) for name in names.dictionary.to_pylist()]
    unique = sorted(set(texts))
    codes = {name: code for code, name in enumerate(unique)}
    table = np.array([codes[text] for text in texts], "i8")
    operation = table[names.indices.to_numpy(zero_copy_only=False)]
    return Spans(
        rows.trace.code, rows.parent, _codes(rows.entity, place), operation, (rows.start - origin) / 1e9, rows.duration,
        rows.failed, entities, tuple(unique),
    )  # fmt: skip


def _log_shift(rows: LogRows, place: Mapping[str, int], origin: int, at: float, window_s: float) -> LogShift:
    keys = shapes(rows.body if not isinstance(rows.body, pa.ChunkedArray) else rows.body.combine_chunks())
    unique, first, which = np.unique(keys, return_index=True, return_inverse=True)
    texts = tuple(masked(rows.body[int(row)].as_py()) for row in first.tolist())
    del unique
    time = (rows.time - origin) / 1e9
    lines = Lines(time, _codes(rows.entity, place), which.astype("i8"), rows.severe, texts)
    return log_shift(lines, time < at, (time >= at) & (time < at + window_s), len(place))


def _symptom(scene: Scene, *, given: bool) -> dict[str, Any]:
    """What users or measurements show, the worst of it."""
    found: dict[str, Any] = {"time": time_to_json(scene.origin_ns + round(scene.at * 1e9)), "given": given}
    if scene.graph is not None:
        seen = scene.graph.requests()
        (rate0, took0), (rate1, took1) = seen["before"], seen["after"]
        (bad0, _), (bad1, n) = seen["before_failed"], seen["after_failed"]
        fails = (bad1 - bad0) * n > 1 + 3 * math.sqrt(max(bad0 * n, 1.0))
        said = [
            f"requests take {number(took1, 's')} on average, {number(took0, 's')} before",
            f"{bad1:.1%} of requests fail, {bad0:.1%} before",
            f"{rate1:.3g} requests a second, {rate0:.3g} before",
        ]
        found |= {"what": said[1] if fails else said[0], "evidence": said}
        return found
    worst = _worst(scene.shifts)
    if worst is not None:
        found |= {
            "what": f"{worst.metric} of {worst.entity} from {number(worst.before)} to {number(worst.after)}",
            "entity": worst.entity,
            "metric": worst.metric,
            "value": worst.after if math.isfinite(worst.after) else None,
            "expected": worst.before,
        }
    return found


def _worst(shifts: tuple[Shift, ...]) -> Shift | None:
    symptoms = [each for each in shifts if each.role == "symptom" and each.weight > 0] or list(shifts)
    return max(symptoms, key=lambda each: (each.weight, each.entity, each.metric), default=None)
