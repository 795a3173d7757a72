"""What logs say: lines found by service, severity, template, text and request, and templates with their counts."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from fastapi import APIRouter, Query

from tocsin.api.access import DepsIn, Reader
from tocsin.api.present import Document, rows_document
from tocsin.api.problem import RESPONSES
from tocsin.api.signals import From, LastSeconds, To, WhereQuery, where_of
from tocsin.api.times import NS, span_ns

router = APIRouter(prefix="/api", tags=["logs"], responses=RESPONSES)
_HOUR_S: Final = 3600
_LEAST: Final = {"any": 0, "trace": 1, "debug": 5, "info": 9, "warn": 13, "error": 17, "fatal": 21}

Service = Annotated[str, Query(max_length=500, description="value of `service.name`")]
Severity = Annotated[
    Literal["any", "trace", "debug", "info", "warn", "error", "fatal"], Query(description="this or worse")
]
Template = Annotated[str, Query(max_length=2000, description="id or text of a template")]
TraceId = Annotated[str, Query(pattern="^([0-9a-fA-F]{32})?$")]
Text = Annotated[str, Query(max_length=500, description="a part of the text, case ignored")]


@router.get("/logs", response_class=Document)
def logs(
    access: Reader,
    deps: DepsIn,
    *,
    service: Service = "",
    severity: Severity = "any",
    template: Template = "",
    trace_id: TraceId = "",
    text: Text = "",
    where: WhereQuery = None,
    start: From = None,
    end: To = None,
    last_s: LastSeconds = _HOUR_S,
    limit: Annotated[int, Query(ge=1, le=2000)] = 200,
) -> Document:
    """List log lines, newest first."""
    first, last = span_ns(start, end, deps.clock.now(), last_s)
    named = {"service": service, "template": template, "trace_id": trace_id}
    wanted = {**where_of(where), **{key: value for key, value in named.items() if value}}
    found = deps.telemetry.logs(access.tenant, wanted, first, last, limit, search=text, least=_LEAST[severity])
    return Document({"from": first / NS, "to": last / NS, "logs": rows_document(found)})


@router.get("/log_templates", response_class=Document)
def log_templates(
    access: Reader,
    deps: DepsIn,
    *,
    service: Service = "",
    text: Text = "",
    start: From = None,
    end: To = None,
    last_s: LastSeconds = _HOUR_S,
    limit: Annotated[int, Query(ge=1, le=1000)] = 200,
) -> Document:
    """List what logs say: templates by service with their counts, those of as long a time before, and a line of each.

    `alike` is the number, in this list, of the first template that says nearly the same; `by` tells what that goes by
    (`hashed words`, or `model NAME`), `fault` why a model that is configured was not used.
    """
    first, last = span_ns(start, end, deps.clock.now(), last_s)
    found = deps.telemetry.log_templates(access.tenant, first, last, service, search=text, limit=limit)
    rows = rows_document(found)
    groups = deps.alike([str(row.get("text") or row.get("sample") or "") for row in rows])
    templates = [{**row, "alike": group} for row, group in zip(rows, groups.first, strict=True)]
    by = {"by": groups.by, "fault": groups.fault}
    return Document({"from": first / NS, "to": last / NS, **by, "templates": templates})
