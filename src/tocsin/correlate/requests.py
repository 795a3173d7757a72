"""Requests around an onset: spans of both sides from a log or a table, and the graph of calls that they make."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tocsin.correlate.call_graph import CallGraph
from tocsin.correlate.traces import NOBODY, Spans
from tocsin.model.arrays import F8, I8, Mask
from tocsin.model.frame import Frame
from tocsin.model.text import one_line
from tocsin.spec.entity_key import ENTITY_CHARS

STEPS: Final = 5
"""Stretches of the time looked at after an onset, by which the usual is told from earlier trouble."""
FEW_SPANS: Final = 30
LEAST_SAMPLE: Final = 255
"""Greatest mask by which requests are left out: of 256 one is looked at."""


def graph_around(spans: Spans, at: float, window_s: float, notes: list[str], most: int) -> CallGraph | None:
    """The graph around a time: whole requests, by the time they begin, the nearest when there are more than `most` spans."""
    first = np.full(int(spans.trace.max()) + 1, np.inf)
    np.minimum.at(first, spans.trace, spans.start)
    begins = first[spans.trace]
    inside = np.flatnonzero(begins < at + window_s)
    if len(inside) > most:
        notes.append(f"spans: of {len(inside):,} the {most:,} nearest to the onset are looked at")
        near = np.argsort(np.abs(begins[inside] - at), kind="stable")[:most]
        inside = np.sort(inside[near])
    spans, ends = _picked(spans, inside), (spans.start + spans.duration)[inside]
    # a request that was under way at the onset belongs to neither side
    begins = begins[inside]
    after = begins >= at
    over = np.zeros(len(first))
    np.maximum.at(over, spans.trace, ends)
    before = (begins < at) & (over[spans.trace] <= at)
    if min(int(before.sum()), int(after.sum())) < FEW_SPANS:  # traces that last as long as the data: span by span
        before, after = ends <= at, spans.start >= at
    if min(int(before.sum()), int(after.sum())) < FEW_SPANS:
        notes.append(
            f"spans: {int(before.sum()):,} before and {int(after.sum()):,} after the onset are too few to compare"
        )
        return None
    return CallGraph(spans, before, after, window_s / STEPS)


def _picked(spans: Spans, rows: I8) -> Spans:
    where = np.full(len(spans) + 1, -1, "i8")
    where[rows] = np.arange(len(rows))
    return Spans(
        spans.trace[rows], where[spans.parent[rows]], spans.entity[rows], spans.operation[rows], spans.start[rows],
        spans.duration[rows], spans.failed[rows], spans.entities, spans.operations,
    )  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """Spans of frames as columns, (n,) each: ids as bytes, codes into `services` and `names`, times in ns."""

    trace: np.ndarray[tuple[int], np.dtype[np.void]]
    span: I8
    parent: I8
    service: I8
    name: I8
    start: I8
    end: I8
    failed: Mask
    services: tuple[str, ...]
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.start)

    def parents(self) -> I8:
        """Row of the parent of each span, (n,), -1 for none that is known."""
        traces, code = np.unique(self.trace, return_inverse=True)
        del traces
        key = np.empty(len(self), dtype=[("trace", "i8"), ("span", "i8")])
        key["trace"], key["span"] = code, self.span
        wanted = key.copy()
        wanted["span"] = self.parent
        order = np.argsort(key, kind="stable", order=("trace", "span"))
        place = np.searchsorted(key[order], wanted)
        found = order[np.minimum(place, len(order) - 1)] if len(order) else place
        same = (key[found] == wanted) & (self.parent != 0) & (found != np.arange(len(self)))
        return np.asarray(np.where(same, found, NOBODY), "i8")

    def edges(self) -> list[tuple[str, str]]:
        """Who calls whom (caller, callee), by name."""
        above = self.parents()
        rows = np.flatnonzero(above >= 0)
        caller, callee = self.service[above[rows]], self.service[rows]
        pairs = np.unique(np.stack([caller, callee])[:, (caller != callee) & (caller >= 0) & (callee >= 0)], axis=1)
        return sorted((self.services[a], self.services[b]) for a, b in pairs.T.tolist())

    def spans(self, entities: Sequence[str], origin_ns: int) -> Spans:
        """Columns by the codes of `entities`; spans of nobody named there are left out."""
        place = {name: code for code, name in enumerate(entities)}
        table = np.array([*(place.get(name, NOBODY) for name in self.services), NOBODY], "i8")
        entity = table[self.service]
        names = sorted(set(self.names))
        codes = {name: code for code, name in enumerate(names)}
        operation = np.array([*(codes[name] for name in self.names), 0], "i8")[self.name]
        start: F8 = (self.start - origin_ns) / 1e9
        duration: F8 = np.maximum(self.end - self.start, 0) / 1e9
        trace = np.unique(self.trace, return_inverse=True)[1].astype("i8")
        every = Spans(
            trace, self.parents(), entity, operation, start, duration, self.failed, tuple(entities), tuple(names)
        )
        return _picked(every, np.flatnonzero(entity >= 0))

    def between(self, start_ns: int, end_ns: int) -> Seen:
        """Those that begin in a span of time."""
        rows = np.flatnonzero((self.start >= start_ns) & (self.start < end_ns))
        columns = ("trace", "span", "parent", "service", "name", "start", "end", "failed")
        return replace(self, **{name: getattr(self, name)[rows] for name in columns})


def compact(frames: Sequence[Frame], keys: Sequence[str]) -> pa.Table:
    """What is looked at of spans; the first of `keys` that a resource has names the service."""
    table = pa.Table.from_batches([frame.batch for frame in frames])
    resource = table.column("resource").combine_chunks()
    service = pa.nulls(table.num_rows, pa.string())
    for key in keys:
        service = pc.coalesce(service, pc.map_lookup(resource, key, "last"))
        if service.null_count == 0:
            break
    columns = ("trace_id", "span_id", "parent_id", "name", "start", "time", "status")
    return table.select(columns).append_column("service", service)


def thinned(frame: Frame, most: int) -> Frame:
    """At most so many rows of a frame, at even distances."""
    rows = len(frame)
    if rows <= most:
        return frame
    at = np.arange(most) * rows // most
    return replace(frame, batch=frame.batch.take(pa.array(at)))


def resources(frames: Sequence[Frame], keys: Sequence[str]) -> set[tuple[tuple[str, str], ...]]:
    """Resources of spans or log lines, each once, of each the values of some keys."""
    column = pa.Table.from_batches([frame.batch for frame in frames]).column("resource").combine_chunks()
    values = [pc.map_lookup(column, key, "last") for key in keys]
    found = pa.table(values, names=[str(k) for k in range(len(keys))]).group_by([str(k) for k in range(len(keys))])
    rows = found.aggregate([]).to_pylist()
    return {tuple((key, row[str(k)]) for k, key in enumerate(keys) if row[str(k)]) for row in rows}


def seen(table: pa.Table) -> Seen:
    """Columns of what `compact` gave."""
    from tocsin.stats.log_mask import masked  # noqa: PLC0415 - compiles a kernel, which waits for the first incident

    services, names = (_coded(table.column(name)) for name in ("service", "name"))
    ids = {
        name: _fixed(table.column(name), size) for name, size in (("trace_id", 16), ("span_id", 8), ("parent_id", 8))
    }
    return Seen(
        ids["trace_id"].view("V16"),
        ids["span_id"].view("<i8"),
        ids["parent_id"].view("<i8"),
        services[0],
        names[0],
        table.column("start").to_numpy(),
        table.column("time").to_numpy(),
        np.asarray(pc.equal(table.column("status"), "error").to_numpy(), "?"),
        tuple(one_line(name, ENTITY_CHARS) for name in services[1]),
        tuple(masked(name) for name in names[1]),
    )


def _coded(column: pa.Array) -> tuple[I8, list[str]]:
    found = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    found = found.dictionary_encode()
    code = pc.fill_null(found.indices, NOBODY).to_numpy(zero_copy_only=False).astype("i8")
    return code, found.dictionary.to_pylist()


def _fixed(column: pa.Array, size: int) -> np.ndarray[tuple[int], np.dtype[np.uint8]]:
    found = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    raw = np.frombuffer(found.buffers()[1], "u1")
    return raw[found.offset * size : (found.offset + len(found)) * size]
