"""History through the engine itself: the same pipeline as in a server, for one specification, with no past of its own."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from heapq import merge
from itertools import groupby, pairwise
from operator import itemgetter
from typing import Final, TypeAlias

import numpy as np
import pyarrow as pa

from tocsin.app.backtest.history import History, Rows
from tocsin.app.backtest.work import Way
from tocsin.engine.labels import Labels
from tocsin.engine.pipeline import Pipeline
from tocsin.model.arrays import I4, I8
from tocsin.model.clock import SECOND
from tocsin.model.codec import findings_of
from tocsin.model.finding import Finding
from tocsin.model.frame import Frame, FrameKind, points_frame
from tocsin.model.log import Control, Entry, LogRecord, Tick
from tocsin.model.series import Catalog, Kind, Series, Signal
from tocsin.spec.engine import EngineSpec
from tocsin.spec.monitor import MonitorSpec, WindowSpec

SOURCE: Final = "history"
TICK_NS: Final = 60 * SECOND
AFTER_NS: Final = 600 * SECOND
"""Time that passes after the last row, so that what closes by itself closes."""
Changed: TypeAlias = Callable[[Rows], Rows]


@dataclass(frozen=True, slots=True)
class News:
    """Findings that the engine spoke of at a tick of the history."""

    received: int
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class Run:
    """One part of a history under one specification; `pins` are levels by family, `labels` what people asked for.

    What `monitors` say is told; `tables` are those whose frames are folded beside points.
    """

    part: str
    way: Way
    spec: EngineSpec
    monitors: frozenset[str]
    pins: dict[str, float] = field(default_factory=dict)
    labels: Labels = field(default_factory=Labels)
    tables: tuple[str, ...] = ()


def for_panes(spec: EngineSpec, monitor: MonitorSpec) -> EngineSpec:
    """A specification in which one monitor takes its own closed windows for its points.

    A window of one step with one value is that value, so detector, calibrator and hysteresis are given what they were.
    """
    step = (monitor.window or WindowSpec()).step
    alone = monitor.model_copy(
        update={
            "window": WindowSpec.model_construct(size=step, step=step, min_samples=1),
            "aggregate": "mean",
            "fallback": False,
        }
    )
    packs = [pack.model_copy(update={"monitors": []}) for pack in spec.packs]
    return spec.model_copy(update={"monitors": [alone], "packs": packs, "drift": [], "inventory": [], "budgets": []})


def fold(history: History, run: Run, changed: Changed | None = None) -> list[News]:
    """All that the engine would have said of a part of a history, by tick; `changed` may plant something in it."""
    catalog = Catalog()
    pipeline = Pipeline(catalog)
    refs = [catalog.intern(_gauge(each) if run.way == "panes" else each) for each in history.series]
    said: list[News] = []
    offset = 0

    def put(entry: Entry) -> None:
        nonlocal offset
        output = pipeline.fold(LogRecord(offset, entry))
        offset += 1
        found = [
            each
            for frame in (() if output is None else output.frames)
            if frame.kind is FrameKind.FINDINGS
            for each in findings_of(frame, catalog)
            if each.monitor in run.monitors
        ]
        if found:
            said.append(News(pipeline.received, tuple(found)))

    put(run.spec.control())
    put(_pinned(run))
    if run.labels.asks:
        put(run.labels.control())
    tenant = history.stretch.tenant
    numbers = np.array(refs, "i4")
    now = 0
    for minute, frames in _by_minute(history, run, numbers, changed):
        if now and minute - now > TICK_NS:
            now = minute - TICK_NS  # a stretch without rows: windows are passed over, as after a stop
            put(_tick(tenant, now))
        for frame in frames:
            put(frame)
        now = minute
        put(_tick(tenant, now))
    for late in range(now, now + AFTER_NS, TICK_NS) if now else ():
        put(_tick(tenant, late + TICK_NS))
    return said


def _by_minute(
    history: History, run: Run, numbers: I4, changed: Changed | None
) -> Iterator[tuple[int, Iterator[Frame]]]:
    """What came in each minute, by its end: points first, then the frames of tables in their order."""
    tenant = history.stretch.tenant
    points = (
        (minute, 0, points_frame(tenant, SOURCE, numbers[rows.series], rows.time, rows.value, rows.start))
        for minute, rows in _minutes(history, run.part, changed)
    )
    streams = [_frames(history, run.part, table, place, numbers) for place, table in enumerate(run.tables, 1)]
    for minute, found in groupby(merge(points, *streams, key=itemgetter(0, 1)), key=itemgetter(0)):
        yield minute, (frame for _, _, frame in found)


def _frames(history: History, part: str, table: str, place: int, numbers: I4) -> Iterator[tuple[int, int, Frame]]:
    """Frames of a table by the minute that they end in; a minute may have several."""
    for read in history.frames(part, table):
        rows = _renumbered(read, numbers)
        ends = _ends(rows.column("time").to_numpy())
        bounds = [0, *(np.flatnonzero(np.diff(ends)) + 1).tolist(), len(ends)] if len(ends) else [0]
        for first, last in pairwise(bounds):
            cut = rows.slice(first, last - first)
            yield int(ends[first]), place, Frame(FrameKind(table), history.stretch.tenant, SOURCE, cut)


def _renumbered(rows: pa.RecordBatch, numbers: I4) -> pa.RecordBatch:
    """Rows with the numbers that the catalog gives their series."""
    place = rows.schema.get_field_index("series")
    return rows if place < 0 else rows.set_column(place, "series", pa.array(numbers[rows.column(place)], pa.int32()))


def _ends(time: I8) -> I8:
    """End of the minute that each time lies in."""
    found: I8 = -(-time // TICK_NS) * TICK_NS
    return found


def _tick(tenant: str, at: int) -> Tick:
    return Tick(at, {(tenant, SOURCE): at})


def _pinned(run: Run) -> Control:
    return Control.of("level", json.dumps(run.pins).encode())


def _minutes(history: History, part: str, changed: Changed | None) -> Iterator[tuple[int, Rows]]:
    """Rows by the minute they end in, as (end of the minute, rows)."""
    rest: Rows | None = None
    for read in history.parts(part):
        rows = _joined(rest, read if changed is None else changed(read))
        ends = _ends(rows.time)
        cuts = np.flatnonzero(np.diff(ends)) + 1
        bounds = [0, *cuts.tolist(), len(ends)]
        for first, last in pairwise(bounds[:-1]):
            yield int(ends[first]), _cut(rows, first, last)
        rest = _cut(rows, bounds[-2], bounds[-1]) if len(ends) else None
    if rest is not None and len(rest.time):
        yield int(-(-rest.time[0] // TICK_NS) * TICK_NS), rest


def _cut(rows: Rows, first: int, last: int) -> Rows:
    return Rows(rows.time[first:last], rows.series[first:last], rows.value[first:last], rows.start[first:last])


def _joined(first: Rows | None, second: Rows) -> Rows:
    if first is None:
        return second
    pairs = ((getattr(first, name), getattr(second, name)) for name in ("time", "series", "value", "start"))
    return Rows(*(np.concatenate(pair) for pair in pairs))


def _gauge(series: Series) -> Series:
    return replace(series, signal=Signal(series.signal.name, series.signal.unit, Kind.GAUGE))


def opened(news: Sequence[News]) -> dict[bytes, tuple[int, Finding]]:
    """When each finding was first spoken of, with what was said then."""
    found: dict[bytes, tuple[int, Finding]] = {}
    for each in news:
        for finding in each.findings:
            found.setdefault(finding.id, (each.received, finding))
    return found
