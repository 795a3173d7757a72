"""Small made-up systems of services as spans: who calls whom, a daily season, retries, and faults that begin at a time."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from tocsin.engine.pipeline import Pipeline
from tocsin.model.codec import findings_of
from tocsin.model.finding import Finding, Phase
from tocsin.model.frame import FrameKind, frame_of
from tocsin.model.log import LogRecord, Tick
from tocsin.model.series import Catalog
from tocsin.spec.engine import EngineSpec
from tocsin.spec.packs import load_packs

S = 10**9
START = 20_740 * 86_400 * S
NAMES = {"service_graph", "families", "resources"}


@dataclass
class Node:
    """A service: seconds of its own, share of its requests that fail by themselves, whom it calls, how often it tries."""

    own: float = 0.02
    fails: float = 0.001
    calls: Sequence[str] = ()
    together: bool = False  # calls at once, not one after the other
    tries: int = 1
    passes_on: bool = True
    times: int = 1  # calls of each callee
    transit: float = 0.0005
    lost: float = 0.0  # share of calls to it that never arrive


@dataclass
class World:
    """A system; `change(nodes, second)` may alter it as time goes on."""

    nodes: dict[str, Node]
    root: str = "a"
    seed: int = 1
    rate: float = 2.0
    season: float = 0.3
    load: float = 0.3  # how much longer work takes at the top of the day
    noise: float = 0.3
    rows: list[dict[str, object]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.rng = np.random.default_rng(self.seed)
        self.busy = 0.0

    def second(self, second: int) -> list[dict[str, object]]:
        """Spans of the requests that come in one second."""
        self.rows = []
        self.busy = 0.5 - 0.5 * math.cos(2 * math.pi * second / 86_400)
        rate = self.rate * (1 + self.season * (2 * self.busy - 1))
        for _ in range(self.rng.poisson(rate)):
            trace = self.rng.bytes(16)
            self._serve(self.root, trace, bytes(8), START + second * S + int(self.rng.integers(S)))
        return self.rows

    def _span(self, trace: bytes, parent: bytes, service: str, kind: str, start: int) -> dict[str, object]:
        row: dict[str, object] = {
            "trace_id": trace, "span_id": self.rng.bytes(8), "parent_id": parent, "name": f"{service}.{kind}",
            "kind": kind, "start": start, "time": start, "status": "unset", "status_message": "", "scope": "",
            "resource": [("service.name", service)], "attributes": [], "events": "[]",
        }  # fmt: skip
        self.rows.append(row)
        return row

    def _serve(self, name: str, trace: bytes, parent: bytes, start: int) -> tuple[int, bool]:
        node = self.nodes[name]
        span = self._span(trace, parent, name, "server", start)
        own = node.own * (1 + self.load * self.busy) * math.exp(self.noise * self.rng.standard_normal())
        now, failed = start + int(own * S / 2), bool(self.rng.random() < node.fails)
        ends = [now]
        for callee in [each for each in node.calls for _ in range(node.times)]:
            end, bad = self._call(name, callee, trace, span["span_id"], now)
            failed |= bad and node.passes_on
            ends.append(end)
            now = now if node.together else end
        span["time"] = max(ends) + int(own * S / 2)
        span["status"] = "error" if failed else "unset"
        return span["time"], failed

    def _call(self, caller: str, callee: str, trace: bytes, parent: bytes, start: int) -> tuple[int, bool]:
        now, bad = start, True
        for _ in range(self.nodes[caller].tries):
            span = self._span(trace, parent, caller, "client", now)
            span["name"] = f"{caller}.{callee}.client"
            way = int(self.nodes[callee].transit * S * math.exp(self.noise * self.rng.standard_normal()))
            if self.rng.random() < self.nodes[callee].lost:
                end, bad = now + way + S // 10, True
            else:
                end, bad = self._serve(callee, trace, span["span_id"], now + way // 2)
            now = span["time"] = end + way // 2
            span["status"] = "error" if bad else "unset"
            if not bad:
                break
        return now, bad


def chain(*names: str, **each: object) -> dict[str, Node]:
    """Services that call one another in a row."""
    return {name: Node(calls=names[k + 1 : k + 2], **each) for k, name in enumerate(names)}


def spec(names: set[str] = NAMES) -> EngineSpec:
    return EngineSpec(packs=[pack for pack in load_packs() if pack.name in names])


def lived(
    world: World, hours: float, change: Callable[[Mapping[str, Node], float], None] | None = None, *, every: int = 10,
    pipeline: Pipeline | None = None, start: float = 0.0,
) -> list[Finding]:  # fmt: skip
    """News of findings of a world, `change` is told the time in hours at every step."""
    pipeline = pipeline or Pipeline(Catalog())
    catalog = pipeline.rows.catalog
    if not pipeline.received:
        pipeline.fold(LogRecord(0, spec().control()))
    found: list[Finding] = []
    for second in range(int(start * 3600), int((start + hours) * 3600), every):
        if change is not None:
            change(world.nodes, second / 3600)
        rows = [row for n in range(every) for row in world.second(second + n)]
        order = world.rng.permutation(len(rows)).tolist()
        if rows:
            columns = {name: [rows[k][name] for k in order] for name in rows[0]}
            pipeline.fold(LogRecord(0, frame_of(FrameKind.SPANS, "main", "t", columns)))
        now = START + (second + every) * S
        output = pipeline.fold(LogRecord(0, Tick(now, {("main", "t"): now - S})))
        for frame in output.frames if output else ():
            if frame.kind is FrameKind.FINDINGS:
                found += findings_of(frame, catalog)
    return found


def opened(found: Sequence[Finding]) -> list[tuple[str, str]]:
    """Monitor and service of each finding that was opened."""
    return [(each.monitor, dict(each.series.labels)["service.name"]) for each in found if each.phase is Phase.OPEN]
