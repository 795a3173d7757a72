"""The review of alerts: what fired, what people said of it, and whether each team's budget was kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Query
from prometheus_client.parser import text_string_to_metric_families

from tocsin.api.access import DepsIn, Reader
from tocsin.api.incidents import ALL_STATES
from tocsin.api.ports import Deps
from tocsin.api.present import Document, feedback_document, summary
from tocsin.api.problem import RESPONSES
from tocsin.api.retraining import standings
from tocsin.api.review_board import NOBODY, board, paged, pagers_of, place_document, why_quiet
from tocsin.api.times import NS
from tocsin.incident.rota import owner_of
from tocsin.model.codec import Json
from tocsin.model.decision import Feedback
from tocsin.model.incident import Incident
from tocsin.model.times import time_to_json
from tocsin.spec.team import TeamSpec

router = APIRouter(prefix="/api", tags=["review"], responses=RESPONSES)
DAY_NS = 86_400 * NS
MOST = 500
"""Incidents of a review; of more the newest."""
REST = TeamSpec(name="rest")
"""Who owns what nobody else does, where the configuration names no such team."""
_REALISED = "tocsin_engine_budget_realised_pages"


@dataclass(frozen=True, slots=True)
class Fired:
    """An incident that opened in the time under review, whose it was, and what was said of it last."""

    incident: Incident
    team: str
    said: Feedback | None
    sent: int
    paged: bool
    why: Sequence[Json]
    route: str

    @property
    def verdict(self) -> str:
        """`real_problem`, `false_alarm`, or nothing."""
        return "" if self.said is None else self.said.verdict

    def document(self) -> Json:
        """The JSON of it."""
        said = None if self.said is None else feedback_document(self.said)
        return {
            **summary(self.incident),
            **place_document(self.incident),
            "team": self.team,
            "said": said,
            "sent": self.sent,
            "paged": self.paged,
            "why": list(self.why),
            "route": self.route,
        }


def owner(teams: Sequence[TeamSpec], incident: Incident) -> TeamSpec:
    """The team of the finding that founded an incident."""
    return owner_of(teams, incident) or REST


def reckoned(team: TeamSpec, fired: Sequence[Fired], weeks: float, findings: dict[str, float]) -> Json:
    """The promise to a team beside what came: false alarms are those that people called so, at most all unsaid too."""
    mine = [each for each in fired if each.team == team.name]
    false, real = (sum(each.verdict == word for each in mine) for word in ("false_alarm", "real_problem"))
    unsaid = len(mine) - false - real
    return {
        "team": team.name,
        "promised_per_week": team.false_pages_per_week,
        "incidents": len(mine),
        "real": real,
        "false_alarms": false,
        "unsaid": unsaid,
        "false_per_week": false / weeks,
        "at_most_per_week": (false + unsaid) / weeks,
        "kept": _kept(team.false_pages_per_week * weeks, false, unsaid),
        "findings_per_week": findings.get("1w"),
        "findings_per_week_of_20": findings.get("20w"),
    }


def _kept(allowed: float, false: int, unsaid: int) -> str:
    if false > allowed:
        return "no"
    return "yes" if false + unsaid <= allowed else "unsaid"


def realised(deps: Deps) -> dict[str, dict[str, float]]:
    """Findings opened a week as the engine counts them, by team and by the weeks looked at."""
    found: dict[str, dict[str, float]] = {}
    for text in deps.expositions().values():
        for family in text_string_to_metric_families(text):
            for sample in family.samples if family.name == _REALISED else ():
                found.setdefault(sample.labels["team"], {})[sample.labels["over"]] = sample.value
    return found


def fired_since(deps: Deps, tenant: str, start: int) -> list[Fired]:
    """Incidents opened since a time (ns), newest first."""
    teams = deps.teams()
    pagers = pagers_of((each.name, each.type) for each in deps.destinations.all(tenant))
    found = []
    for each in deps.state.incidents(tenant, ALL_STATES, start, MOST):
        if each.opened_at >= start:
            said = list(deps.state.feedback(tenant, each.id))
            pages = deps.state.pages(tenant, each.id)
            sent = sum(page.message.action == "trigger" and page.state == "sent" for page in pages)
            last = said[-1] if said else None
            route = NOBODY if deps.routing is None else deps.routing.route(each)
            why = why_quiet(each, pages)
            found.append(Fired(each, owner(teams, each).name, last, sent, paged(pages, pagers), why, route))
    return sorted(found, key=lambda each: -each.incident.opened_at)


@router.get("/review", response_class=Document)
def review(access: Reader, deps: DepsIn, days: Annotated[int, Query(ge=1, le=140)] = 7) -> Document:
    """List what fired, with the last verdict on each, and each team's budget: the promise beside what came."""
    now = deps.clock.now()
    fired = fired_since(deps, access.tenant, now - days * DAY_NS)
    teams = list(deps.teams())
    if all(team.owns for team in teams):
        teams.append(REST)
    counted = realised(deps)
    rows = [each.document() for each in fired]
    return Document(
        {
            "from": time_to_json(now - days * DAY_NS),
            "to": time_to_json(now),
            "days": days,
            "teams": [reckoned(team, fired, days / 7, counted.get(team.name, {})) for team in teams],
            "models": standings(deps, access.tenant),
            "board": board(rows),
            "incidents": rows,
        }
    )
