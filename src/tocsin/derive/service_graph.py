"""`ServiceGraph`: who calls whom, learned from spans, and what each service and call shows, slice by slice.

Of every service: time, failures and calls of its own of each request, and what lies between the ends of calls to it.
Beside it, labelled `peer.service`, what its neighbours have to do with that: the time that a request waited for a
callee, the calls to it that failed, and of calls to it what lies between the ends of the callers' other calls.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from tocsin.derive.call_links import (
    ASKED,
    ASKING,
    COLUMNS,
    END,
    FAILED,
    KIND,
    OTHER,
    PARENT,
    PEER,
    SERVICE,
    SPAN,
    START,
    TRACE,
    WORK,
    Links,
    links,
    ordered,
)  # fmt: skip
from tocsin.derive.edge_drift import EdgeDrift
from tocsin.derive.fields import Coded, Fields, coded, joined
from tocsin.derive.graph_samples import PEERS, WORKS, Out, Slice, put
from tocsin.model.arrays import I8
from tocsin.model.frame import Frame
from tocsin.model.log import SourceKey
from tocsin.model.rows import Rows
from tocsin.model.samples import Samples
from tocsin.spec.engine import EngineSpec

SECOND: Final = 10**9
GRAPH: Final = "graph"
"""Source of the signals of the service graph."""
SLICE_NS: Final = 10 * SECOND
HOLD_NS: Final = 10 * SECOND
"""So long after its end spans of a slice may still come."""
KEEP_NS: Final = 60 * SECOND
"""Spans wait so long for those that called them."""
MOST_SPANS: Final = 200_000
"""Of a tenant at once: beyond, whole traces are left out by their id, every other one at first."""
MOST_SERVICES: Final = 500
MOST_PEERS: Final = 500
MOST_WORK: Final = 5_000
MOST_CALLEES: Final = 64
AMBIGUOUS: Final = -2
_KINDS: Final = {"server": ASKED, "consumer": ASKED, "client": ASKING, "producer": ASKING}


@dataclass(slots=True)
class Graph:
    """What is known of one tenant: names, spans that wait, who is called by what work, and whom each service calls."""

    services: dict[str, int] = field(default_factory=dict)
    peers: dict[str, int] = field(default_factory=dict)
    work: dict[str, int] = field(default_factory=dict)
    sources: dict[str, None] = field(default_factory=dict)
    spans: I8 = field(default_factory=lambda: np.zeros((0, COLUMNS), "i8"))
    fresh: list[I8] = field(default_factory=list)
    closed: int = 0
    mask: int = 0
    callee: dict[tuple[int, int, int], int] = field(default_factory=dict)
    edges: dict[int, dict[int, None]] = field(default_factory=dict)
    drift: EdgeDrift = field(default_factory=EdgeDrift)
    late: int = 0
    left_out: int = 0

    def name(self, code: int) -> str:
        """Of a service, a peer, or work that tells no peer."""
        for known, first in ((self.work, WORKS), (self.peers, PEERS), (self.services, 0)):
            if code >= first:
                return next(text for text, number in known.items() if number == code - first)
        raise AssertionError(code)


class ServiceGraph:
    """Pure: what it gives depends on spans, watermarks and ticks alone, not on how spans were batched."""

    def __init__(self) -> None:
        self.graphs: dict[str, Graph] = {}
        self._fields: list[str] = []
        self._asked = False
        self._rows: dict[str, dict[tuple[str, int, int], int]] = {}  # of series that were told already; no state

    def adopt(self, spec: EngineSpec) -> None:
        """Put a spec into force; without a monitor that judges the graph nothing is kept."""
        self._asked = any(each.detect.graph is not None for each in spec.all_monitors())
        self._fields = [name for pack in spec.packs for name in pack.peers]

    # -- in ------------------------------------------------------------------------------------------------------------

    def take(self, frames: Sequence[Frame], fields: Fields) -> None:
        """Keep spans of one tenant."""
        if not self._asked:
            return
        graph = self.graphs.setdefault(frames[0].tenant, Graph())
        graph.sources.update((frame.source, None) for frame in frames)
        kind = coded(joined(frames, "kind"))
        status = coded(joined(frames, "status"))
        table = np.zeros((sum(map(len, frames)), COLUMNS), "i8")
        trace = _ids(frames, "trace_id", 2)
        table[:, TRACE] = trace[:, 0] ^ trace[:, 1]
        table[:, SPAN], table[:, PARENT] = (_ids(frames, name, 1)[:, 0] for name in ("span_id", "parent_id"))
        table[:, START], table[:, END] = (np.concatenate([each.i8(n) for each in frames]) for n in ("start", "time"))
        table[:, SERVICE] = _numbered(fields["service.name"], graph.services, MOST_SERVICES)
        table[:, WORK] = _numbered(coded(joined(frames, "name")), graph.work, MOST_WORK)
        table[:, PEER] = -1
        table[:, KIND] = np.array([*(_KINDS.get(text, OTHER) for text in kind.texts), OTHER])[kind.code]
        asking = table[:, KIND] == ASKING
        for name in reversed(self._fields):
            column = fields[name]
            told = (column.code >= 0) & asking
            if told.any():
                mine = Coded(np.where(told, column.code, -1).astype("i4"), column.texts)
                table[told, PEER] = _numbered(mine, graph.peers, MOST_PEERS)[told]
        table[:, FAILED] = np.isin(status.code, status.is_text("error"))
        named = table[:, SERVICE] >= 0
        if not named.all():  # a service beyond the cap, or none
            graph.left_out += int((fields["service.name"].code[~named] >= 0).sum())
            table = table[named]
        graph.fresh.append(table)

    # -- out -----------------------------------------------------------------------------------------------------------

    def close(self, watermarks: Mapping[SourceKey, int], rows: Rows) -> list[tuple[str, Samples]]:
        """What slices show that are over, by tenant."""
        found = []
        for tenant, graph in sorted(self.graphs.items()):
            mark = max(watermarks.get((tenant, source), 0) for source in graph.sources)
            until = (mark - HOLD_NS) // SLICE_NS * SLICE_NS
            self._gather(graph)
            if until <= graph.closed:
                continue
            out = Out(tenant, graph.name, rows, self._rows.setdefault(tenant, {}))
            self._slices(graph, until, out)
            graph.closed = until
            samples = out.done()
            if len(samples):
                found.append((tenant, samples))
        return found

    def watermarks(self) -> dict[SourceKey, int]:
        """Up to when all was told, by tenant."""
        return {(tenant, GRAPH): graph.closed for tenant, graph in self.graphs.items()}

    def _gather(self, graph: Graph) -> None:
        if not graph.fresh:
            return
        fresh, graph.fresh = np.concatenate(graph.fresh), []
        graph.late += int((fresh[:, END] <= graph.closed).sum())
        graph.spans = _sampled(np.concatenate([graph.spans, fresh]), graph.mask)
        while len(graph.spans) > MOST_SPANS:
            before = len(graph.spans)
            graph.mask = 2 * graph.mask + 1
            graph.spans = _sampled(graph.spans, graph.mask)
            graph.left_out += before - len(graph.spans)

    def _slices(self, graph: Graph, until: int, out: Out) -> None:
        spans = ordered(graph.spans)
        found = links(spans)
        callee = _callees(graph, spans, found)
        ends = -(-spans[:, END] // SLICE_NS) * SLICE_NS
        for end in np.unique(ends[(ends > graph.closed) & (ends <= until)]).tolist():
            shown = Slice.of(spans, found, callee, ends, end)
            _edges(graph, shown)
            put(out, graph.edges, shown)
            graph.left_out += graph.drift.take(shown, out)
        graph.spans = spans[spans[:, END] > until - KEEP_NS]
        if graph.mask and len(graph.spans) < MOST_SPANS // 8:
            graph.mask >>= 1

    @property
    def late(self) -> int:
        """Spans that came when their slice was over: they only tell who called whom."""
        return sum(each.late for each in self.graphs.values())

    @property
    def left_out(self) -> int:
        """Spans beyond the caps."""
        return sum(each.left_out for each in self.graphs.values())

    # -- snapshots -----------------------------------------------------------------------------------------------------

    def snapshot(self) -> dict[str, Any]:
        """All state, as a tree."""
        return {
            tenant: {
                "names": [list(g.services), list(g.peers), list(g.work), list(g.sources)],
                "spans": np.concatenate([g.spans, *g.fresh]),
                "fresh": sum(map(len, g.fresh)),
                "callee": [[*key, callee] for key, callee in g.callee.items()],
                "edges": [[caller, *callees] for caller, callees in g.edges.items()],
                "drift": g.drift.snapshot(),
                "marks": [g.closed, g.mask, g.late, g.left_out],
            }
            for tenant, g in self.graphs.items()
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take a snapshot back."""
        for tenant, told in state.items():
            services, peers, work = ({text: n for n, text in enumerate(names)} for names in told["names"][:3])
            cut = len(told["spans"]) - told["fresh"]
            closed, mask, late, left_out = told["marks"]
            self.graphs[tenant] = Graph(
                services,
                peers,
                work,
                dict.fromkeys(told["names"][3]),
                told["spans"][:cut],
                [told["spans"][cut:]] if told["fresh"] else [],
                closed,
                mask,
                {(a, b, c): callee for a, b, c, callee in told["callee"]},
                {caller: dict.fromkeys(callees) for caller, *callees in told["edges"]},
                EdgeDrift.restored(told.get("drift", ((), ()))),  # a snapshot may be older
                late,
                left_out,
            )


def _ids(frames: Sequence[Frame], name: str, words: int) -> I8:
    """Ids of all frames as numbers, (n, words)."""
    found = []
    for frame in frames:
        column = frame.batch.column(name)
        raw = np.frombuffer(column.buffers()[1], "<i8")
        found.append(raw[column.offset * words : (column.offset + len(column)) * words].reshape(-1, words))
    return np.concatenate(found)


def _numbered(column: Coded, known: dict[str, int], most: int) -> I8:
    """Numbers of texts, (n,), given out in order of first sight; -1 for none, and beyond `most`."""
    codes, first = np.unique(column.code, return_index=True)
    table = np.full(len(column.texts) + 1, -1, "i8")
    for code in codes[np.argsort(first, kind="stable")].tolist():
        if code < 0:
            continue
        text = column.texts[code]
        if text not in known and len(known) < most:
            known[text] = len(known)
        table[code] = known.get(text, -1)
    return table[column.code]


def _sampled(spans: I8, mask: int) -> I8:
    """Spans of the traces that are looked at: one of `mask` + 1 by the id of the trace."""
    return spans if not mask else spans[(spans[:, TRACE] >> 8 & mask) == 0]


def _callees(graph: Graph, spans: I8, found: Links) -> I8:
    """Code of whom each call is to, (c,), -1 for nobody known: who answers, or answered such calls before, the peer, or the work."""
    answered = found.answer >= 0
    callee = np.where(answered, spans[found.answer, SERVICE], -1)
    sites = spans[found.call][:, [SERVICE, WORK, PEER]]
    own = spans[found.call, KIND] == ASKING
    told = np.unique(np.column_stack([sites, callee])[answered & own], axis=0)
    for service, work, peer, code in told.tolist():
        site = (service, work, peer)
        if work >= 0 and (site in graph.callee or len(graph.callee) < MOST_WORK):
            graph.callee[site] = code if graph.callee.get(site, code) == code else AMBIGUOUS
    open_calls = np.flatnonzero(~answered)
    for at, site in zip(open_calls.tolist(), map(tuple, sites[open_calls].tolist()), strict=True):
        _, work, peer = site
        code = graph.callee.get(site, -1)
        aside = PEERS + peer if peer >= 0 else WORKS + work if work >= 0 else -1
        callee[at] = code if code >= 0 else aside
    return np.asarray(callee, "i8")


def _edges(graph: Graph, shown: Slice) -> None:
    """Remember who calls whom."""
    for caller, callee in shown.pairs():
        near = graph.edges.setdefault(caller, {})
        if callee not in near and len(near) < MOST_CALLEES:
            near[callee] = None
