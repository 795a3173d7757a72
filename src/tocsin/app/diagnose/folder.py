"""A folder of tables as columns: metrics, logs, spans, edges and events, each with the place of what can't be read."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tocsin.app.drift_files.frame import Frame
from tocsin.model.arrays import F8, I8, Mask
from tocsin.model.errors import BadInput
from tocsin.model.incident import CAUSE_KINDS, Change
from tocsin.model.text import one_line

ENDINGS: Final = (".csv", ".parquet", ".csv.gz", ".tsv")
COLUMNS: Final = {
    "metrics": ("time", "entity", "metric", "value"),
    "logs": ("time", "entity", "body"),
    "spans": ("trace_id", "span_id", "parent_id", "entity", "operation", "start", "duration"),
    "edges": ("caller", "callee"),
    "events": ("time", "entity", "kind", "what"),
}
MAX_ROWS: Final = 20_000_000
ENTITY_CHARS: Final = 200
_SEVERE: Final = frozenset(
    {"error", "err", "fatal", "critical", "crit", "alert", "emerg", "emergency", "panic", "severe"}
)
_SEVERE_NUMBER: Final = 17
_FAILED: Final = r"error|fail|exception|timeout|unavailable|^5\d\d$|^([2-9]|1[0-6])(\.0)?$|^false$"


@dataclass(frozen=True, slots=True, eq=False)
class Texts:
    """Texts as codes (n,) and their names; null is the empty text."""

    code: I8
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class MetricRows:
    """Readings: times (ns), entities, metrics, values, (n,) each; NaN where a cell is empty."""

    time: I8
    entity: Texts
    metric: Texts
    value: F8


@dataclass(frozen=True, slots=True, eq=False)
class LogRows:
    """Lines: times (ns), entities, bodies as Arrow text, and whether of severity error or worse, (n,) each."""

    time: I8
    entity: Texts
    body: Any
    severe: Mask


@dataclass(frozen=True, slots=True, eq=False)
class SpanRows:
    """Spans, (n,) each: trace, row of the parent (-1: none), entity, operation, start (ns), duration, failure."""

    trace: Texts
    parent: I8
    entity: Texts
    operation: Any
    start: I8
    duration: F8
    failed: Mask


@dataclass(frozen=True, slots=True, eq=False)
class Folder:
    """What a folder holds; None where a table is not there. `notes` say what was left out or taken for something."""

    path: Path
    metrics: MetricRows | None
    logs: LogRows | None
    spans: SpanRows | None
    edges: tuple[tuple[str, str], ...]
    changes: tuple[Change, ...]
    notes: tuple[str, ...]


def read_folder(path: Path) -> Folder:
    """Read all tables of a folder.

    Raises
    ------
    BadInput
        It is no folder, has neither metrics nor spans nor logs, or a table can't be read; the message says where.
    """
    if not path.is_dir():
        raise BadInput(f"{path}: is no directory; name one with metrics.csv or metrics.parquet in it")
    frames = {name: _frame(path, name) for name in COLUMNS}
    if all(frames[name] is None for name in ("metrics", "spans", "logs")):
        raise BadInput(
            f"{path}: has no metrics.csv or metrics.parquet (time, entity, metric, value), and no spans or logs"
        )
    notes: list[str] = []
    for frame in frames.values():
        notes.extend(frame.notes if frame is not None else ())
    metrics, logs, spans, edges, events = (frames[name] for name in COLUMNS)
    return Folder(
        path,
        _metrics(metrics) if metrics is not None else None,
        _logs(logs) if logs is not None else None,
        _spans(spans, notes) if spans is not None else None,
        _edges(edges) if edges is not None else (),
        _changes(events, notes) if events is not None else (),
        tuple(notes),
    )


def _frame(folder: Path, name: str) -> Frame | None:
    found = [folder / f"{name}{ending}" for ending in ENDINGS if (folder / f"{name}{ending}").is_file()]
    if len(found) > 1:
        raise BadInput(f"{folder}: has {' and '.join(each.name for each in found)}; leave one of them there")
    if not found:
        return None
    frame = Frame.read(found[0])
    for column in COLUMNS[name]:
        frame.column(column, f"{name} ({', '.join(COLUMNS[name])})")
    if frame.rows > MAX_ROWS:
        raise BadInput(f"{found[0]}: has {frame.rows:,} rows; at most {MAX_ROWS:,} are read: cut it around the symptom")
    return frame


def _texts(cells: Any) -> Texts:
    encoded = pc.dictionary_encode(pc.fill_null(cells, ""))
    names = [one_line(name, ENTITY_CHARS) for name in encoded.dictionary.to_pylist()]
    unique = sorted(set(names))
    place = {name: code for code, name in enumerate(unique)}
    table = np.array([place[name] for name in names], "i8")
    codes = encoded.indices.to_numpy(zero_copy_only=False)
    return Texts(table[codes] if len(table) else np.zeros(0, "i8"), tuple(unique))


def _named(frame: Frame, column: str) -> Texts:
    cells = frame.labels(column)
    if cells.null_count:
        at = int(np.argmax(pc.is_null(cells).to_numpy(zero_copy_only=False)))
        raise BadInput(f"{frame.table.place(at)}: column {column!r}: the cell is empty; each row names its {column}")
    return _texts(cells)


def _metrics(frame: Frame) -> MetricRows:
    return MetricRows(frame.times("time"), _named(frame, "entity"), _named(frame, "metric"), frame.numbers("value"))


def _logs(frame: Frame) -> LogRows:
    body = pc.fill_null(frame.labels("body"), "").cast(pa.string())
    if "severity" in frame.names:
        said = pc.fill_null(pc.utf8_lower(frame.labels("severity")), "")
        words = pc.is_in(said, value_set=pa.array(sorted(_SEVERE), said.type)).to_numpy(zero_copy_only=False)
        numbers = pc.match_substring_regex(said, r"^\d+(\.0)?$").to_numpy(zero_copy_only=False)
        severe = np.asarray(words, "?")
        for row in np.flatnonzero(numbers).tolist():
            severe[row] = float(said[row].as_py()) >= _SEVERE_NUMBER
        unsaid = pc.equal(said, "").to_numpy(zero_copy_only=False)
    else:
        severe, unsaid = np.zeros(frame.rows, "?"), np.ones(frame.rows, "?")
    # where no severity is given the line itself may say it
    spoken = pc.match_substring_regex(body, r"\b(ERROR|FATAL|CRITICAL|PANIC|Traceback|[A-Za-z.]+Exception)\b")
    severe = severe | (np.asarray(unsaid, "?") & spoken.to_numpy(zero_copy_only=False))
    return LogRows(frame.times("time"), _named(frame, "entity"), body, np.asarray(severe, "?"))


def _spans(frame: Frame, notes: list[str]) -> SpanRows:
    trace = _named(frame, "trace_id")
    ids = _texts(frame.labels("span_id"))
    parents = _texts(frame.labels("parent_id"))
    span_rows = _rows_of(trace, ids)
    place = {name: code for code, name in enumerate(ids.names)}
    parent_ids = np.array([place.get(name, -1) for name in parents.names], "i8")[parents.code]
    parent = _found(span_rows, trace.code, parent_ids, len(ids.names))
    parent[parent == np.arange(len(parent))] = -1
    start, duration = frame.times("start"), frame.numbers("duration")
    bad = ~np.isfinite(duration) | (duration < 0)
    if bad.any():
        at = int(np.argmax(bad))
        raise BadInput(f"{frame.table.place(at)}: column 'duration': is missing or negative; write seconds")
    unit = _unit(start, duration, parent)
    if unit != 1.0:
        notes.append(
            f"{frame.table.path.name}: durations are read as {_UNITS[unit]}, for so spans lie within their parents"
        )
    failed = np.zeros(frame.rows, "?")
    if "status" in frame.names:
        said = pc.fill_null(pc.utf8_lower(frame.labels("status")), "")
        failed = pc.match_substring_regex(said, _FAILED).to_numpy(zero_copy_only=False)
    return SpanRows(
        trace,
        parent,
        _named(frame, "entity"),
        frame.labels("operation"),
        start,
        duration * unit,
        np.asarray(failed, "?"),
    )


def _rows_of(trace: Texts, ids: Texts) -> tuple[I8, I8]:
    """Keys of trace and span, sorted, and their rows; of spans that come twice the first."""
    key = trace.code * (len(ids.names) + 1) + ids.code
    return np.unique(key, return_index=True)


def _found(rows: tuple[I8, I8], trace: I8, parent: I8, width: int) -> I8:
    keys, first = rows
    wanted = trace * (width + 1) + parent
    at = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    hit = (keys[at] == wanted) & (parent >= 0)
    return np.asarray(np.where(hit, first[at], -1), "i8")


_UNITS: Final = {1.0: "seconds", 1e-3: "milliseconds", 1e-6: "microseconds", 1e-9: "nanoseconds"}


def _unit(start: I8, duration: F8, parent: I8) -> float:
    """Seconds of the unit of durations: the smallest in which nearly all spans begin within their parents."""
    rows = np.flatnonzero(parent >= 0)
    after = (start[rows] - start[parent[rows]]) / 1e9
    told = after > 0
    if not told.any():
        return 1.0
    for unit in sorted(_UNITS):
        within = after[told] <= duration[parent[rows]][told] * unit
        if float(within.mean()) >= 0.9:
            return unit
    return 1.0


def _edges(frame: Frame) -> tuple[tuple[str, str], ...]:
    caller, callee = _named(frame, "caller"), _named(frame, "callee")
    pairs = {
        (caller.names[one], callee.names[other])
        for one, other in zip(caller.code.tolist(), callee.code.tolist(), strict=True)
    }
    return tuple(sorted(pair for pair in pairs if pair[0] != pair[1]))


def _changes(frame: Frame, notes: list[str]) -> tuple[Change, ...]:
    times = frame.times("time").tolist()
    columns = [pc.fill_null(frame.labels(name), "").to_pylist() for name in ("entity", "kind", "what")]
    found, strange = [], set()
    for time, entity, kind, what in zip(times, *columns, strict=True):
        known = kind.strip().lower()
        if known not in CAUSE_KINDS:
            strange.add(one_line(kind)[:40])
            known = "unknown"
        found.append(Change(time, known, one_line(entity, ENTITY_CHARS), one_line(what, 300), frame.table.path.name))
    if strange:
        notes.append(f"{frame.table.path.name}: kinds that nobody knows are read as unknown: {_few(strange)}")
    return tuple(found)


def _few(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)[:5])
