"""Engine and correlation over points and spans as a server folds them, in one process; the clock is the log's."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

import numpy as np

from tocsin.correlate.reducer import Reducer
from tocsin.engine.pipeline import Pipeline
from tocsin.incident.severity import grader
from tocsin.model.frame import FrameKind, frame_of, points_frame
from tocsin.model.log import Entry, LogRecord, Output, Tick
from tocsin.model.series import Catalog, Kind, Series, Signal
from tocsin.spec.engine import EngineSpec

S = 10**9
START = 20_740 * 86_400 * S + 9 * 3600 * S


class Records:
    """A log in memory."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []

    def read(self, offset: int, limit: int = 1024) -> Sequence[LogRecord]:
        return [LogRecord(offset + n, entry) for n, entry in enumerate(self.entries[offset : offset + limit])]

    def first(self) -> int:
        return 0

    def end(self) -> int:
        return len(self.entries)


class Fold:
    """Feeds the engine and folds what it says; keeps both logs."""

    def __init__(self, spec: EngineSpec) -> None:
        self.spec, self.catalog, self.now = spec, Catalog(), START
        self.inputs, self.outputs = Records(), Records()
        self.pipeline = Pipeline(self.catalog)
        self.reducer = Reducer(spec, grader(), self.inputs)
        self.incidents: dict[str, object] = {}
        self.feed(spec.control())

    def feed(self, entry: Entry) -> None:
        self.inputs.entries.append(entry)
        output = self.pipeline.fold(LogRecord(len(self.inputs.entries) - 1, entry))
        if output is not None:
            self.take(output)

    def take(self, output: Output) -> None:
        self.outputs.entries.append(output)
        for step in self.reducer.fold(output, self.catalog):
            self.incidents[step.incident.id] = step.incident
            if step.action == "merge":
                del self.incidents[step.incident.id]

    def points(self, rows: Sequence[tuple[Signal, Mapping[str, str], float]], source: str = "s", at: int = 0) -> None:
        refs = np.array([self.catalog.intern(Series.of("main", sig, labels)) for sig, labels, _ in rows], "i4")
        times = np.full(len(rows), at or self.now)
        self.feed(points_frame("main", source, refs, times, np.array([value for *_, value in rows])))

    def events(self, *rows: tuple[int, str, str, str]) -> None:
        columns = {name: [row[n] for row in rows] for n, name in enumerate(("time", "kind", "entity", "what"))}
        columns |= {"source": ["test"] * len(rows), "attributes": [[] for _ in rows]}
        self.feed(frame_of(FrameKind.EVENTS, "main", "e", columns))

    def spans(self, rows: Sequence[Mapping[str, object]]) -> None:
        empty = {
            "kind": "server",
            "status": "unset",
            "status_message": "",
            "scope": "",
            "attributes": [],
            "events": "[]",
        }
        full = [empty | dict(row) for row in rows]
        self.feed(frame_of(FrameKind.SPANS, "main", "t", {name: [row[name] for row in full] for name in full[0]}))

    def tick(self, seconds: int, *sources: str) -> None:
        self.now += seconds * S
        self.feed(Tick(self.now, {("main", source): self.now - S for source in sources}))

    def again(self) -> dict[str, object]:
        """What a fresh fold makes of the same two logs."""
        other = Fold.__new__(Fold)
        other.spec, other.catalog, other.now = self.spec, self.catalog, self.now
        other.inputs, other.outputs, other.incidents = self.inputs, Records(), {}
        other.reducer = Reducer(self.spec, grader(), self.inputs)
        for output in self.outputs.entries:
            other.take(output)
        return other.incidents


def gauge(name: str, value: float, unit: str = "1", **labels: str) -> tuple[Signal, dict[str, str], float]:
    return Signal(name, unit), {key.replace("__", "."): text for key, text in labels.items()}, value


def counter(name: str, value: float, **labels: str) -> tuple[Signal, dict[str, str], float]:
    return Signal(name, "", Kind.SUM, True, True), {key.replace("__", "."): text for key, text in labels.items()}, value


def request(
    key: str,
    start: int,
    calls: Sequence[tuple[str, str, float, float]],
    failed: str = "",
    pods: Mapping[str, str] | None = None,
) -> list[dict[str, object]]:
    """Spans of one request: (service, of whom it is called, begins after s, lasts s); the first is the root."""
    trace = hashlib.blake2b(key.encode(), digest_size=16).digest()
    ids = {name: hashlib.blake2b((key + name).encode(), digest_size=8).digest() for name, *_ in calls}
    return [
        {
            "trace_id": trace,
            "span_id": ids[name],
            "parent_id": ids.get(above, bytes(8)),
            "name": f"{name}.handle",
            "start": start + round(after * S),
            "time": start + round((after + lasts) * S),
            "status": "error" if name == failed else "unset",
            "resource": [("service.name", name), *([("k8s.pod.name", pods[name])] if pods and name in pods else [])],
        }
        for name, above, after, lasts in calls
    ]
