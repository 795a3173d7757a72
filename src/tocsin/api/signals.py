"""Signals, their series and values, closed windows with their bands, and change events."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query

from tocsin.api.access import DepsIn, Reader
from tocsin.api.present import Document, line_document, rows_document
from tocsin.api.problem import RESPONSES
from tocsin.api.times import NS, span_ns
from tocsin.model.errors import BadInput

router = APIRouter(prefix="/api", tags=["signals"], responses=RESPONSES)
_SIX_HOURS_S = 6 * 3600

From = Annotated[str | None, Query(alias="from", description="RFC 3339 or seconds since 1970")]
To = Annotated[str | None, Query(alias="to", description="RFC 3339 or seconds since 1970; now when absent")]
WhereQuery = Annotated[list[str] | None, Query(description="label pairs KEY=VALUE", max_length=20)]
LastSeconds = Annotated[int, Query(ge=1, le=366 * 86400, description="length of the span when `from` is absent")]
SeriesId = Annotated[str, Query(alias="series", pattern="^([0-9a-f]{32})?$", description="only this one")]
MaxPoints = Annotated[int, Query(ge=10, le=20000)]


def where_of(pairs: list[str] | None) -> dict[str, str]:
    """Label pairs from `KEY=VALUE` texts.

    Raises
    ------
    BadInput
        A text has no `=` or no key.

    >>> where_of(["host=a", "path=/x=y"])
    {'host': 'a', 'path': '/x=y'}
    """
    found: dict[str, str] = {}
    for pair in pairs or []:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise BadInput(f"{pair[:80]!r} is no label pair; write it as KEY=VALUE")
        found[key] = value
    return found


@router.get("/signals", response_class=Document)
def signals(
    access: Reader,
    deps: DepsIn,
    search: Annotated[str, Query(max_length=200)] = "",
    entity: Annotated[str, Query(max_length=500, description="a service or host")] = "",
    limit: Annotated[int, Query(ge=1, le=2000)] = 200,
) -> Document:
    """List signals whose name contains the search text."""
    return Document({"signals": rows_document(deps.telemetry.signals(access.tenant, search, entity, limit))})


@router.get("/series", response_class=Document)
def series(
    access: Reader,
    deps: DepsIn,
    signal: Annotated[str, Query(min_length=1, max_length=500)],
    where: WhereQuery = None,
    limit: Annotated[int, Query(ge=1, le=2000)] = 200,
) -> Document:
    """List the series of a signal with their states."""
    found = deps.telemetry.series(access.tenant, signal, where_of(where), limit)
    # only changes of state are stored: a series that was never said to be otherwise is live
    rows = [{**row, "state": row.get("state") or "live"} for row in found]
    return Document({"signal": signal, "series": rows_document(rows)})


@router.get("/states", response_class=Document)
def states(
    access: Reader,
    deps: DepsIn,
    state: Literal["", "live", "absent", "zero", "late", "stale", "reset"] = "",
    limit: Annotated[int, Query(ge=1, le=2000)] = 500,
) -> Document:
    """List series by their state, with since when."""
    return Document({"series": rows_document(deps.telemetry.series_states(access.tenant, state, limit))})


@router.get("/points", response_class=Document)
def points(
    access: Reader,
    deps: DepsIn,
    signal: Annotated[str, Query(min_length=1, max_length=500)],
    *,
    where: WhereQuery = None,
    series_id: SeriesId = "",
    start: From = None,
    end: To = None,
    last_s: LastSeconds = _SIX_HOURS_S,
    max_points: MaxPoints = 1000,
) -> Document:
    """Give values as received, thinned to at most `max_points` a series."""
    first, last = span_ns(start, end, deps.clock.now(), last_s)
    found = deps.telemetry.points(access.tenant, signal, where_of(where), first, last, max_points, series_id)
    return Document({"from": first / NS, "to": last / NS, "lines": [line_document(each) for each in found]})


@router.get("/panes", response_class=Document)
def panes(
    access: Reader,
    deps: DepsIn,
    monitor: Annotated[str, Query(max_length=200)] = "",
    series_id: SeriesId = "",
    start: From = None,
    end: To = None,
    last_s: LastSeconds = _SIX_HOURS_S,
    max_points: MaxPoints = 1000,
) -> Document:
    """Give closed windows with value, expected band and log10 p."""
    if not monitor and not series_id:
        raise BadInput("name a `monitor`, a `series`, or both")
    first, last = span_ns(start, end, deps.clock.now(), last_s)
    found = deps.telemetry.panes(access.tenant, monitor, series_id, first, last, max_points)
    return Document({"from": first / NS, "to": last / NS, "lines": [line_document(each) for each in found]})


@router.get("/events", response_class=Document)
def events(
    access: Reader,
    deps: DepsIn,
    start: From = None,
    end: To = None,
    limit: Annotated[int, Query(ge=1, le=2000)] = 200,
) -> Document:
    """List change events (deploys, prompts, flags, ...), newest first."""
    first, last = span_ns(start, end, deps.clock.now(), 24 * 3600)
    return Document({"events": rows_document(deps.telemetry.events(access.tenant, first, last, limit))})
