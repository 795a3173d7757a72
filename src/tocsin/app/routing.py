"""From a configuration to what the policy goes by: routes, rules, who is on call."""

from __future__ import annotations

from tocsin.incident.holding import Rules
from tocsin.incident.rota import Rota
from tocsin.spec.config import Config
from tocsin.spec.destination import RouteSpec
from tocsin.spec.routing import BOARD, ON_CALL_TYPES, TICKET_TYPES


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
