"""Shadow mode: what there was beside what others alerted on, and whether it may be let out."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from tocsin.api.access import DepsIn, Operator, Reader, person
from tocsin.api.incidents import ALL_STATES
from tocsin.api.present import Document
from tocsin.api.problem import RESPONSES
from tocsin.api.replays import replays_of
from tocsin.api.times import NS
from tocsin.incident.scorecard import LEAST, MOST_ALERTS, PRECISION, RECALL, Gate, alerts_of, scorecard
from tocsin.model.times import time_to_json

router = APIRouter(prefix="/api/shadow", tags=["shadow"], responses=RESPONSES)
MOST = 2000
Share = Annotated[float, Query(ge=0, le=1)]


class Imported(BaseModel):
    """What others alerted on: an Alertmanager's list or webhook, Prometheus's `ALERTS` over a range, or rows."""

    alerts: list[dict[str, Any]] | dict[str, Any] = Field(description="as it was answered there")


@router.put("/alerts", response_class=Document)
def put_alerts(access: Operator, deps: DepsIn, given: Imported) -> Document:
    """Take in the history to compare with, in place of what was taken in before."""
    found = alerts_of(given.alerts)
    replays_of(deps).put_alerts(access.tenant, [each.to_json() for each in found], by=person(access))
    return Document({"alerts": len(found), "most": MOST_ALERTS})


@router.get("", response_class=Document)
def shadow(
    access: Reader,
    deps: DepsIn,
    days: Annotated[float, Query(gt=0, le=400)] = 14,
    precision: Share = PRECISION,
    recall: Share = RECALL,
    least: Annotated[int, Query(ge=1, le=1000)] = LEAST,
) -> Document:
    """Give precision, recall, overlap and lead over the last days, and whether that passes the gate."""
    now = deps.clock.now()
    start = now - int(days * 86_400 * NS)
    replays = replays_of(deps)
    alerts = [each for each in alerts_of(list(replays.alerts(access.tenant))) if start <= each.start < now]
    ours = []
    for each in deps.state.incidents(access.tenant, ALL_STATES, start, MOST):
        if each.opened_at >= start and not each.late:
            said = list(deps.state.feedback(access.tenant, each.id))
            ours.append((each, said[-1].verdict if said else ""))
    found = scorecard(ours, alerts, Gate(precision, recall, least))
    return Document(
        {**found, "days": days, "from": time_to_json(start), "to": time_to_json(now), "dry_run": replays.dry_run()}
    )
