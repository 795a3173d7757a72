"""Traces: which there are, one of them as a tree with its critical path, and everything that one span told."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query

from tocsin.api.access import DepsIn, Reader
from tocsin.api.answer_document import answer_document, told_by
from tocsin.api.ports import Deps
from tocsin.api.present import Document
from tocsin.api.problem import RESPONSES, HttpProblem
from tocsin.api.signals import From, LastSeconds, To
from tocsin.api.span_document import span_document
from tocsin.api.times import NS, span_ns
from tocsin.api.trace_document import trace_document
from tocsin.api.trace_ports import Traces
from tocsin.api.trace_tree import tree_of
from tocsin.model.codec import Json
from tocsin.model.errors import BadInput
from tocsin.model.times import time_to_json
from tocsin.store.trace_rows import MOST_SPANS, MOST_TRACES, Order, TraceAsked, trace_key

router = APIRouter(prefix="/api/traces", tags=["traces"], responses=RESPONSES)
_HOUR_S = 3600
_MOST_NAME = 2000

Name = Annotated[str, Query(max_length=_MOST_NAME)]
Seconds = Annotated[float, Query(ge=0, le=10 * 86400)]
TraceId = Annotated[str, Path(max_length=64, description="32 hexadecimal digits")]
SpanId = Annotated[str, Path(max_length=64, description="16 hexadecimal digits")]


def _traces(deps: Deps) -> Traces:
    if deps.traces is None:
        raise HttpProblem(404, "no spans are kept here", next_step="start `tocsin serve`", code="not_found")
    return deps.traces


@router.get("", response_class=Document)
def traces(
    access: Reader,
    deps: DepsIn,
    *,
    service: Name = "",
    operation: Annotated[str, Query(max_length=_MOST_NAME, description="name of a span")] = "",
    status: Literal["", "unset", "ok", "error"] = "",
    model: Name = "",
    prompt_version: Name = "",
    error_class: Name = "",
    customer: Annotated[str, Query(max_length=_MOST_NAME, description="the application's own tenant")] = "",
    min_s: Seconds = 0,
    max_s: Annotated[float, Query(ge=0, le=10 * 86400, description="0: any")] = 0,
    start: From = None,
    end: To = None,
    last_s: LastSeconds = _HOUR_S,
    order: Order = "newest",
    limit: Annotated[int, Query(ge=1, le=MOST_TRACES)] = 50,
) -> Document:
    """List traces of which one span is like all that is asked for, each with tokens and cost of all its spans."""
    first, last = span_ns(start, end, deps.clock.now(), last_s)
    if max_s and max_s < min_s:
        raise BadInput(f"no duration is at least {min_s:g} s and at most {max_s:g} s")
    asked = TraceAsked(
        start=first, end=last, service=service, operation=operation, status=status, model=model,
        prompt_version=prompt_version, error_class=error_class, customer=customer,
        least_ns=round(min_s * NS), most_ns=round(max_s * NS), order=order, limit=limit,
    )  # fmt: skip
    rows = [] if deps.traces is None else deps.traces.search(access.tenant, asked)
    found: list[Json] = [
        {
            "trace_id": row["id"],
            "start": time_to_json(row["start"]),
            "duration_s": (row["end"] - row["start"]) / NS,
            "root": {"service": row["root_service"], "name": row["root_name"]},
            "matched": {
                "service": row["matched_service"],
                "name": row["matched_name"],
                "duration_s": row["matched_ns"] / NS,
                "spans": row["matched"],
            },
            **{name: row[name] for name in _ROLLED},
        }
        for row in rows
    ]
    return Document(
        {"from": time_to_json(first), "to": time_to_json(last), "traces": found, "full": len(rows) >= limit}
    )


_ROLLED = (
    "spans",
    "errors",
    "services",
    "calls",
    "input_tokens",
    "output_tokens",
    "cost_usd",
    "models",
    "error_classes",
)


@router.get("/names", response_class=Document)
def names(access: Reader, deps: DepsIn, start: From = None, end: To = None, last_s: LastSeconds = _HOUR_S) -> Document:
    """List what traces can be searched by: services, operations, models, prompt versions, error classes, customers."""
    first, last = span_ns(start, end, deps.clock.now(), last_s)
    return Document({} if deps.traces is None else dict(deps.traces.names(access.tenant, first, last)))


@router.get("/{trace_id}", response_class=Document)
def trace(
    access: Reader,
    deps: DepsIn,
    trace_id: TraceId,
    most: Annotated[int, Query(ge=10, le=2000, description="spans to draw; what is left out is said")] = 300,
) -> Document:
    """Give one trace as a tree: critical path, own and children's time, comparison with the past, tokens and cost."""
    key = trace_key(trace_id)
    held, rows = _traces(deps).spans(access.tenant, key, MOST_SPANS)
    if not rows:
        raise _gone(key)
    tree = tree_of(rows)
    operations = {(str(row["service"]), str(row["name"])) for row in rows}
    usual = _traces(deps).usual(access.tenant, operations, tree.start)
    return Document({"trace_id": key, **trace_document(tree, usual, held, most)})


@router.get("/{trace_id}/spans/{span_id}", response_class=Document)
def span(access: Reader, deps: DepsIn, trace_id: TraceId, span_id: SpanId) -> Document:
    """Give everything that one span told; prompts and completions apart, as they were kept."""
    rows = _traces(deps).span(access.tenant, trace_key(trace_id), trace_key(span_id, 16))
    if not rows:
        raise _gone(trace_key(trace_id))
    return Document({"span_id": trace_key(span_id, 16), "sent": [span_document(row) for row in rows]})


@router.get("/{trace_id}/answers", response_class=Document)
def answers(access: Reader, deps: DepsIn, trace_id: TraceId) -> Document:
    """Give what was retrieved for the answers of a trace, and how these were judged: documents with scores, evaluations."""
    key = trace_key(trace_id)
    return Document({"trace_id": key, **answer_document(_traces(deps).telling(access.tenant, key, told_by()))})


def _gone(key: str) -> HttpProblem:
    text = f"no span of {key} is stored here; spans are kept for some days, see `limits.retention.spans`"
    return HttpProblem(404, text, next_step="search for others at /api/traces", code="not_found")
