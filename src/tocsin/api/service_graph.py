"""Services and the calls between them by stored spans, beside the time before."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query

from tocsin.api.access import DepsIn, Reader
from tocsin.api.call_changes import Change, Measured, change_of, measured
from tocsin.api.present import Document
from tocsin.api.problem import RESPONSES
from tocsin.api.signals import From, LastSeconds, To
from tocsin.api.times import NS, span_ns
from tocsin.model.codec import Json
from tocsin.store.graph_rows import LEVELS, MOST_ROWS, Between

router = APIRouter(prefix="/api", tags=["traces"], responses=RESPONSES)
_HOUR_S = 3600
MOST_NODES: Final = 200
MOST_EDGES: Final = 1_000
_P50, _P95 = LEVELS.index(0.5), LEVELS.index(0.95)
Row = Mapping[str, Any]
Edge = tuple[str, str]


@router.get("/service_graph", response_class=Document)
def service_graph(
    access: Reader,
    deps: DepsIn,
    *,
    service: Annotated[str, Query(max_length=2000, description="only this one and its neighbours")] = "",
    start: From = None,
    end: To = None,
    last_s: LastSeconds = _HOUR_S,
) -> Document:
    """Give services and who called whom, with requests, errors and durations, beside as long a time before."""
    first, last = span_ns(start, end, deps.clock.now(), last_s)
    found = Between([], 1) if deps.traces is None else deps.traces.calls_between(access.tenant, first, last)
    return Document({"from": first / NS, "to": last / NS, **graph_document(found, service)})


def graph_document(found: Between, service: str = "") -> Json:
    """Nodes and edges, those with a change first, then those with most requests; what is left out is counted."""
    nodes, peers = _nodes(row for row in found.rows if row["is_node"])
    edges = _edges(row for row in found.rows if not row["is_node"])
    for name in {name for edge in edges for name in edge} - set(nodes):
        nodes[name] = (Measured(), Measured())
    calls = _made(edges)
    active = {
        name: tuple(max(a, b) for a, b in zip(calls[name], _requests(nodes[name]), strict=True)) for name in nodes
    }
    compared = any(now for now, _ in active.values()) and any(before for _, before in active.values())
    became: dict[Edge, Change | None] = {
        edge: change_of(*both, (active[edge[0]][0], active[edge[0]][1])) if compared else None
        for edge, both in edges.items()
    }
    if service:
        edges = {edge: both for edge, both in edges.items() if service in edge}
        near = {service, *(name for edge in edges for name in edge)}
        nodes = {name: both for name, both in nodes.items() if name in near}
    changed = {name for edge in edges for name in edge if became[edge] not in ("same", None)}
    shown = sorted(nodes, key=lambda name: (name != service, name not in changed, -max(active[name]), name))[
        :MOST_NODES
    ]
    kept = sorted(
        (edge for edge in edges if edge[0] in shown and edge[1] in shown),
        key=lambda edge: (became[edge] in ("same", None), -max(_requests(edges[edge])), edge),
    )[:MOST_EDGES]
    return {
        "compared": compared,
        "every": found.every,
        "strays": found.every * sum(int(row["strays"]) for row in found.rows if not row["is_node"] and row["now"]),
        "nodes": [
            {
                "name": name,
                "kind": "peer" if name in peers else "service",
                "active": active[name][0] > 0,
                **_beside(nodes[name], found.every),
                "change": change_of(*nodes[name], None) if compared else None,
            }
            for name in shown
        ],
        "edges": [
            {"caller": edge[0], "callee": edge[1], **_beside(edges[edge], found.every), "change": became[edge]}
            for edge in kept
        ],
        "left_out": {"nodes": len(nodes) - len(shown), "edges": len(edges) - len(kept)},
        "more": len(found.rows) >= MOST_ROWS,
    }


def _requests(both: tuple[Measured, Measured]) -> tuple[int, int]:
    return both[0].requests, both[1].requests


def _nodes(rows: Iterable[Row]) -> tuple[dict[str, tuple[Measured, Measured]], set[str]]:
    """Requests of each callee now and before, by its own spans where it sends any; and who sends none."""
    found: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        found[str(row["callee"])].append(row)
    own = {name: [row for row in each if row["own"]] or each for name, each in found.items()}
    return {name: _both(each) for name, each in own.items()}, {name for name, each in own.items() if not each[0]["own"]}


def _edges(rows: Iterable[Row]) -> dict[Edge, tuple[Measured, Measured]]:
    found: dict[Edge, list[Row]] = defaultdict(list)
    for row in rows:
        if row["caller"]:
            found[str(row["caller"]), str(row["callee"])].append(row)
    return {edge: _both(each) for edge, each in found.items()}


def _both(rows: list[Row]) -> tuple[Measured, Measured]:
    return measured(row for row in rows if row["now"]), measured(row for row in rows if not row["now"])


def _made(edges: Mapping[Edge, tuple[Measured, Measured]]) -> dict[str, tuple[int, int]]:
    """Calls that each made, now and before: what only calls has no requests of its own."""
    found: dict[str, tuple[int, int]] = defaultdict(lambda: (0, 0))
    for (caller, _), (now, before) in edges.items():
        found[caller] = (found[caller][0] + now.requests, found[caller][1] + before.requests)
    return found


def _beside(both: tuple[Measured, Measured], every: int) -> Json:
    now, before = both
    return {**_told(now, every), "before": _told(before, every) if before.requests else None}


def _told(found: Measured, every: int) -> Json:
    some = found.requests > 0
    return {
        "requests": found.requests * every,
        "errors": found.errors * every,
        "error_ratio": found.errors / found.requests if some else None,
        "p50_ms": found.took[_P50] if some else None,
        "p95_ms": found.took[_P95] if some else None,
    }
