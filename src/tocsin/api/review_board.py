"""The review board: incidents that paged nobody, why, and where they lie between impact and confidence."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from tocsin.api.ports import Page
from tocsin.model.codec import Json
from tocsin.model.incident import Incident
from tocsin.spec.routing import ON_CALL_TYPES, URGENCIES

NOBODY = "no route"


def why_quiet(incident: Incident, pages: Sequence[Page]) -> list[Json]:
    """What kept whom from being told: reasons in the order they came, each with the destinations it held for."""
    found: dict[str, list[str]] = {}
    for page in pages:
        if page.message.dry_run:
            names = found.setdefault(page.message.reason or "dry run", [])
            if page.message.destination not in names:
                names.append(page.message.destination)
    if incident.late:
        found.setdefault("data came late", [])
    return [{"reason": reason, "to": names} for reason, names in found.items()]


def place_document(incident: Incident) -> Json:
    """The place of an incident in the 2x2, empty where it was graded before there was one."""
    quadrant = str(incident.impact.get("quadrant", ""))
    impact, _, confidence = quadrant.partition(" impact, ")
    return {
        "impact_level": impact,
        "confidence_level": confidence.removesuffix(" confidence"),
        "urgency": str(incident.impact.get("urgency", "")),
        "expected_loss": incident.impact.get("expected_loss"),
    }


def paged(pages: Iterable[Page], pagers: Collection[str]) -> bool:
    """Whether anybody was woken up; where no destination does that, whether anybody was told."""
    told = {page.message.destination for page in pages if page.message.action == "trigger" and page.state == "sent"}
    return bool(told & set(pagers)) if pagers else bool(told)


def pagers_of(kinds: Iterable[tuple[str, str]]) -> set[str]:
    """Names of destinations that wake somebody up, of names and kinds."""
    return {name for name, kind in kinds if kind in ON_CALL_TYPES}


def board(rows: Sequence[Json]) -> Json:
    """How many incidents lie in each square and took each route, with how many of them paged."""
    squares = {name: sum(row["urgency"] == name for row in rows) for name in URGENCIES}
    routes: dict[str, Json] = {}
    for row in rows:
        name = row["route"]
        entry = routes.setdefault(name, {"route": name, "incidents": 0, "paged": 0, "held": 0, "unsaid": 0})
        entry["incidents"] += 1
        entry["paged"] += row["paged"]
        entry["held"] += bool(row["why"])
        entry["unsaid"] += row["said"] is None
    return {"squares": squares, "routes": sorted(routes.values(), key=lambda each: (-each["incidents"], each["route"]))}
