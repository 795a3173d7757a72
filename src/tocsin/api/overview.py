"""The first page: how things are, what is open, where it was strange, what learns, what is blind."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from tocsin.api.access import DepsIn, Reader
from tocsin.api.health import health
from tocsin.api.incidents import ACTIVE
from tocsin.api.own import OwnHealth, own_health
from tocsin.api.ports import Learning
from tocsin.api.present import Document, rows_document, summary
from tocsin.api.problem import RESPONSES
from tocsin.api.silences import in_force, silencing
from tocsin.api.times import NS
from tocsin.model.codec import Json
from tocsin.model.incident import IncidentState
from tocsin.model.times import time_to_json

router = APIRouter(prefix="/api", tags=["overview"], responses=RESPONSES)
_BAD_CONFIG = "The changed configuration has a fault and no effect; the one before it is in force"
_BLIND_STATES = {"absent": "stopped without a word", "stale": "declared gone by the source"}


@router.get("/overview", response_class=Document)
def overview(
    access: Reader,
    deps: DepsIn,
    hours: Annotated[int, Query(ge=1, le=168)] = 6,
    buckets: Annotated[int, Query(ge=10, le=500)] = 120,
) -> Document:
    """Give everything that the first page shows, in one answer."""
    now = deps.clock.now()
    tenant = access.tenant
    active = deps.state.incidents(tenant, ACTIVE, 0, 200)
    recent = deps.state.incidents(tenant, frozenset({IncidentState.RESOLVED}), now - 24 * 3600 * NS, 20)
    states = deps.telemetry.states(tenant)
    learning = deps.telemetry.learning(tenant)
    not_ready = deps.ready()
    held = silencing(deps, tenant, active)
    notices, faults = list(deps.notices(tenant)), list(deps.config_faults())
    how = health(active, states, learning, not_ready)
    start = now - hours * 3600 * NS
    rows = deps.telemetry.strip(tenant, start, now, buckets, "service.name") if states else ()
    own = own_health(deps.expositions(), tenant)
    return Document(
        {
            "now": time_to_json(now),
            "version": deps.version,
            "base_url": deps.base_url,
            "health": {"state": how.state, "sentence": how.sentence},
            "incidents": [summary(each, held.get(each.id)) for each in active],
            "silences": in_force(deps, tenant),
            "resolved": [summary(each) for each in recent],
            "strip": {
                "from": start / NS,
                "to": now / NS,
                "rows": [{"name": row.name, "worst": list(row.worst)} for row in rows],
            },
            "states": dict(states),
            "learning": _learning(learning),
            "blind": blind(states=dict(states), not_ready=list(not_ready), own=own, notices=notices, faults=faults),
            "changes": rows_document(deps.telemetry.events(tenant, now - 24 * 3600 * NS, now, 30)),
            "own": own.document(),
        }
    )


def _learning(learning: Learning) -> Json:
    first = None if learning.first_at is None else time_to_json(learning.first_at)
    return {"warm": learning.warm, "learning": learning.learning, "first_at": first}


def blind(
    *, states: dict[str, int], not_ready: list[str], own: OwnHealth, notices: list[str], faults: list[str]
) -> list[Json]:
    """What can't be seen now, and why: caps that were reached, silent series, data dropped or refused, destinations that fail."""
    found: list[Json] = [{"what": text, "why": "Tocsin itself", "link": "/status"} for text in not_ready]
    if faults:
        found.append({"what": _BAD_CONFIG, "why": faults[0], "link": "/status"})
    found += [{"what": "New series are not told apart any more", "why": text, "link": "/status"} for text in notices]
    for state, words in _BLIND_STATES.items():
        if states.get(state):
            found.append({"what": f"{states[state]} series {words}", "why": state, "link": f"/signals?state={state}"})
    for numbers, words in ((own.drops, "dropped"), (own.refusals, "refused or failed")):
        total = sum(number.value for number in numbers)
        if total:
            most = sorted(numbers, key=lambda number: (-number.value, number.name, number.labels))[:3]
            why = "; ".join(f"{number.words} {number.value:,.0f}" for number in most)
            found.append({"what": f"{total:,.0f} items {words} since start", "why": why, "link": "/status"})
    return found


@router.get("/status", response_class=Document)
def status(access: Reader, deps: DepsIn) -> Document:
    """Give the health of Tocsin itself: lags, drops and refusals by reason, states, destinations."""
    tenant = access.tenant
    return Document(
        {
            "now": time_to_json(deps.clock.now()),
            "version": deps.version,
            "not_ready": list(deps.ready()),
            "states": dict(deps.telemetry.states(tenant)),
            "learning": _learning(deps.telemetry.learning(tenant)),
            "notices": list(deps.notices(tenant)),
            "config_faults": list(deps.config_faults()),
            "unseen": list(deps.unseen()),
            "own": own_health(deps.expositions(), tenant).document(),
            "scopes": sorted(scope.value for scope in access.scopes),
        }
    )
