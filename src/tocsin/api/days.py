"""The health of models and services, day by day."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query

from tocsin.api.access import DepsIn, Reader
from tocsin.api.model_ports import MOST_CHARS
from tocsin.api.present import Document
from tocsin.api.problem import RESPONSES, HttpProblem
from tocsin.model.times import time_to_json
from tocsin.spec.problem import nearest

router = APIRouter(prefix="/api", tags=["health"], responses=RESPONSES)
Day = Annotated[str | None, Query(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$", description="a date; the last one judged")]


@router.get("/health", response_class=Document)
def health(access: Reader, deps: DepsIn, day: Day = None) -> Document:
    """Give the health of all models and services on a day, the worst first, with the terms that cost most."""
    kept: list[Mapping[str, Any]] = list(deps.days(access.tenant))
    names = [str(each["day"]) for each in kept]
    if not kept and day is None:
        return Document({"day": None, "judged_at": None, "entities": [], "days": []})
    if day is not None and day not in names:
        known = f"; there are {names[0]} to {names[-1]}" if names else "; none was judged yet"
        raise HttpProblem(
            404, f"{day} was not judged{known}", next_step="list the days at /api/health", code="not_found"
        )
    found = kept[-1] if day is None else kept[names.index(day)]
    return Document({**_shown(found), "days": names})


@router.get("/health/{kind}/{name:path}", response_class=Document)
def one(
    access: Reader,
    deps: DepsIn,
    kind: Annotated[str, Path(pattern="^(model|service|own)$")],
    name: Annotated[str, Path(max_length=MOST_CHARS)],
) -> Document:
    """Give the health of one model or service on every day that is kept, the oldest first."""
    days, others = [], set()
    for each in deps.days(access.tenant):
        for entity in _entities(each):
            if entity["entity"] == {"kind": kind, "name": name}:
                days.append({"day": each["day"], **entity})
            elif entity["entity"]["kind"] == kind:
                others.add(str(entity["entity"]["name"]))
    if not days:
        said = f"no day of the {kind} {name[:80]!r} was judged{nearest(name, others) if others else ''}"
        raise HttpProblem(404, said, next_step="list what was judged at /api/health", code="not_found")
    return Document({"entity": {"kind": kind, "name": name}, "days": days})


def _shown(day: Mapping[str, Any]) -> dict[str, Any]:
    return {**day, "judged_at": time_to_json(int(day["judged_at"]))}


def _entities(day: Mapping[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = day["entities"]
    return found
