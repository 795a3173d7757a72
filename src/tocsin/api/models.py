"""Models by their inference records: which there are, and how one of them does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated

from fastapi import APIRouter, Path, Query

from tocsin.api.access import DepsIn, Reader
from tocsin.api.incidents import ALL_STATES
from tocsin.api.model_ports import MOST_CHARS, ModelAsked
from tocsin.api.ports import Deps
from tocsin.api.present import Document, summary
from tocsin.api.problem import RESPONSES, HttpProblem
from tocsin.api.signals import From, LastSeconds, To, WhereQuery, where_of
from tocsin.api.times import NS, span_ns
from tocsin.model.errors import BadInput
from tocsin.model.text import one_line
from tocsin.model.times import time_to_json
from tocsin.spec.problem import nearest

router = APIRouter(prefix="/api", tags=["models"], responses=RESPONSES)
_MONTH_S = 30 * 86400
_DAY_S = 86400
_STEP_NS = 30 * NS
"""The end of a span that ends now: all who look within half a minute get the same answer."""
MOST_TAGS = 5
MOST_LISTED = 20
_MOST_INCIDENTS = 500

Name = Annotated[str, Query(max_length=MOST_CHARS)]
Version = Annotated[str | None, Query(max_length=MOST_CHARS)]


def _now(now: int) -> int:
    return -(-now // _STEP_NS) * _STEP_NS


def _seen(deps: Deps, tenant: str, start: int, end: int) -> Sequence[Mapping[str, object]]:
    return [] if deps.models is None else deps.models.seen(tenant, start, end)


@router.get("/models", response_class=Document)
def models(
    access: Reader, deps: DepsIn, start: From = None, end: To = None, last_s: LastSeconds = _MONTH_S
) -> Document:
    """List models that sent inference records, the latest first."""
    first, last = span_ns(start, end, _now(deps.clock.now()), last_s)
    rows = [
        {**row, **{name: time_to_json(int(str(row[name]))) for name in ("first_time", "last_time")}}
        for row in _seen(deps, access.tenant, first, last)
    ]
    return Document({"from": time_to_json(first), "to": time_to_json(last), "models": rows})


@router.get("/models/{model:path}", response_class=Document)
def model_health(
    access: Reader,
    deps: DepsIn,
    model: Annotated[str, Path(max_length=MOST_CHARS)],
    *,
    start: From = None,
    end: To = None,
    last_s: LastSeconds = _DAY_S,
    reference_from: Annotated[str | None, Query(description="start of what is normal; default: before `from`")] = None,
    reference_to: Annotated[str | None, Query(description="end of what is normal; default: `from`")] = None,
    version: Version = None,
    segment: WhereQuery = None,
    feature: Name = "",
    by: Name = "",
    group: Name = "",
    metric: Name = "",
    brief: Annotated[bool, Query(description="only versions and numbers of records, which are known at once")] = False,
) -> Document:
    """Give performance with delayed truth and estimate, drift, behaviour, quality, segments, fairness and versions."""
    first, last = span_ns(start, end, _now(deps.clock.now()), last_s)
    reference = None
    if reference_from or reference_to:
        reference = span_ns(reference_from, reference_to, first, 4 * (last - first) // NS)
    where = where_of([pair.replace(":", "=", 1) if "=" not in pair else pair for pair in segment or []])
    if len(where) > MOST_TAGS:
        raise BadInput(f"{len(where)} segments at once; name at most {MOST_TAGS}")
    asked = ModelAsked(model, first, last, reference, version, where, feature, by, group, metric)
    found = None
    if deps.models is not None:
        found = (deps.models.brief if brief else deps.models.health)(access.tenant, asked)
    if found is None:
        known = [str(row["model"]) for row in _seen(deps, access.tenant, 0, last)]
        said = f"there is no model {one_line(model)[:80]!r} here{nearest(model, known) if known else ''}"
        raise HttpProblem(404, said, next_step="list them at /api/models", code="not_found")
    return Document({**found, "incidents": incidents_of(deps, access.tenant, model, first, last)})


def incidents_of(deps: Deps, tenant: str, model: str, start: int, end: int) -> list[dict[str, object]]:
    """Incidents with a finding about this model that were open in [start, end), ns; the newest first."""
    since = start - _MONTH_S * NS
    return [
        summary(each)
        for each in deps.state.incidents(tenant, ALL_STATES, since, _MOST_INCIDENTS)
        if each.opened_at < end
        and (each.resolved_at is None or each.resolved_at >= start)
        and any(dict(finding.series.labels).get("model") == model for finding in each.findings)
    ][:MOST_LISTED]
