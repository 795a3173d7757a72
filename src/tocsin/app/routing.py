"""From a configuration to what the policy goes by: routes, rules, who is on call."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any, Final

from tocsin.incident.holding import PhaseSaid, Rules
from tocsin.incident.policy import Policy
from tocsin.incident.rota import Rota
from tocsin.model.errors import BadInput
from tocsin.model.incident import Incident
from tocsin.model.series import MAIN_TENANT
from tocsin.spec.config import Config
from tocsin.spec.destination import RouteSpec
from tocsin.spec.routing import BOARD, ON_CALL_TYPES, TICKET_TYPES
from tocsin.store.state import StateStore

ROLLOUT: Final = "rollout"
"""Kind of the words of people on the rollout, in the state store."""


def routes_of(config: Config) -> list[RouteSpec]:
    """The routes; without any, the 2x2 of impact and confidence chooses: high and high pages, the rest does not.

    >>> from tocsin.spec.load import parse_config
    >>> text = "destinations: [{name: pd, type: pagerduty, routing_key: k}, {name: log, type: console}]"
    >>> [(each.name, each.to) for each in routes_of(parse_config(text, "t.yaml", {}).config)]
    [('page', ['pd', 'log']), ('ticket', ['log']), ('chat', ['log']), ('review', ['review'])]
    """
    if config.routes or not config.destinations:
        return list(config.routes)
    pagers = [each.name for each in config.destinations if each.type in ON_CALL_TYPES]
    tickets = [each.name for each in config.destinations if each.type in TICKET_TYPES]
    readers = [each.name for each in config.destinations if each.name not in (*pagers, *tickets)]
    told = {
        "page": [*pagers, *readers, *tickets],
        "ticket": tickets or readers or [BOARD],
        "chat": readers or [BOARD],
        "review": [BOARD],
    }
    return [RouteSpec(name=name, match={"urgency": [name]}, to=names) for name, names in told.items()]


def rules_of(config: Config) -> Rules:
    """What stands between an incident and its destinations."""
    return Rules(
        routes=routes_of(config),
        maintenance=config.maintenance,
        inhibit=config.inhibit,
        flapping=config.flapping,
        tickets=config.tickets,
        rollout=config.rollout,
        teams=config.teams,
        pagers=frozenset(each.name for each in config.destinations if each.type in ON_CALL_TYPES),
    )


def rota_of(config: Config) -> Rota:
    """Who is behind the names in routes."""
    return Rota(config.oncall, config.people, config.teams)


class RoutingView:
    """`tocsin.api.ports.Routing` over the configuration in force; a person's word on the rollout is kept in the state store."""

    def __init__(self, config: Callable[[], Config], state: StateStore, policy: Policy) -> None:
        self._config = config
        self._state = state
        self._policy = policy
        self._said = self._recall()
        policy.enter(self._said)

    def _recall(self) -> PhaseSaid | None:
        kept = self._state.specs(MAIN_TENANT, ROLLOUT, 1)
        return PhaseSaid(json.loads(kept[0].body)["phase"], kept[0].time, kept[0].by) if kept else None

    def route(self, incident: Incident) -> str:
        """The route that an incident takes, by its name or what it matches."""
        route = self._policy.route(incident)
        match = ", ".join(f"{key}={'|'.join(values)}" for key, values in route.match.items())
        return route.name or match or f"to {', '.join(route.to)}"

    def next_level(self, incident: Incident) -> dict[str, Any] | None:
        """Who is told next unless somebody acknowledges an incident: level, of how many, names of the route, when."""
        climb = self._policy.next_level(incident)
        if climb is None:
            return None
        return {"level": climb.number, "of": climb.of, "to": list(climb.spec.to), "at": climb.at}

    def on_call(self, now: int) -> list[dict[str, Any]]:
        """Who is on call now, by schedule."""
        config = self._config()
        rota = rota_of(config)
        found = []
        for each in config.oncall:
            people = rota.on_call(each.name, now)
            told = [name for person in people for name in person.to] or list(each.otherwise)
            found.append({"schedule": each.name, "people": [person.name for person in people], "to": told})
        return found

    def rollout(self, now: int) -> dict[str, Any]:
        """The phase of the rollout at `now` (ns), who said so, and the days of the others."""
        config = self._config()
        found: dict[str, Any] = {"phase": rules_of(config).phase(self._said, now)}
        if config.rollout is None:
            return found
        found |= {"second": config.rollout.begins(2), "third": config.rollout.begins(3)}
        if self._said is not None and self._said.phase == found["phase"]:
            found |= {"since": self._said.at, "by": self._said.by}
        return found

    def enter(self, phase: int, *, by: str, at: int) -> None:
        """Put Tocsin in a phase of its rollout; the trail of what people did says who."""
        if self._config().rollout is None:
            raise BadInput(
                "the configuration has no `rollout:`, so that everything is told; add `rollout: {}` to begin with phase 1"
            )
        body = json.dumps({"phase": phase, "at": at}).encode()
        self._state.add_spec(MAIN_TENANT, ROLLOUT, body, hashlib.sha256(body).hexdigest(), by=by, at=at)
        self._said = self._recall()
        self._policy.enter(self._said)
