"""Opsgenie's Alert API: create, acknowledge, close and annotate an alert by its alias.

Reference: https://docs.opsgenie.com/docs/alert-api (limits of each field).
"""

from __future__ import annotations

import json
from typing import Any, Final, TypeVar
from urllib.parse import quote

from tocsin.model.destination import Receipt
from tocsin.model.incident import Severity
from tocsin.model.message import Message
from tocsin.model.text import one_line
from tocsin.notify.base import Context, Notifier, first_steps, headline, link, text_body
from tocsin.notify.guard import GuardedClient
from tocsin.spec.destination import JiraServiceManagementDestination, OpsgenieDestination

MESSAGE_CHARS: Final = 130
DESCRIPTION_CHARS: Final = 15_000
ALIAS_CHARS: Final = 512
ENTITY_CHARS: Final = 512
NOTE_CHARS: Final = 25_000
SOURCE: Final = "tocsin"
PRIORITY: Final = {Severity.CRITICAL: "P1", Severity.ERROR: "P2", Severity.WARNING: "P3", Severity.INFO: "P5"}

S = TypeVar("S", bound=OpsgenieDestination | JiraServiceManagementDestination)


def request(message: Message, base_url: str) -> tuple[str, dict[str, Any]]:
    """What is asked below the address of all alerts, and the body.

    An update is a note: creating an alert anew would only raise its count.
    """
    incident = message.incident
    alias = message.dedup_key[:ALIAS_CHARS]
    one = f"/{quote(alias, safe='')}"
    if message.action == "acknowledge":
        return f"{one}/acknowledge?identifierType=alias", {"source": SOURCE, "note": one_line(message.reason, 200)}
    if message.action == "resolve":
        return f"{one}/close?identifierType=alias", {"source": SOURCE, "note": headline(message)}
    text = text_body(message, base_url)
    if message.action == "update":
        return f"{one}/notes?identifierType=alias", {"source": SOURCE, "note": text[:NOTE_CHARS]}
    return "", {
        "message": headline(message)[:MESSAGE_CHARS],
        "alias": alias,
        "description": text[:DESCRIPTION_CHARS],
        "entity": one_line(incident.entities[0], ENTITY_CHARS) if incident.entities else "",
        "source": SOURCE,
        "priority": PRIORITY[incident.severity],
        "tags": [SOURCE, incident.severity.name.lower()],
        "details": {
            "incident": link(incident, base_url),
            "severity": one_line(incident.severity_arithmetic, 500),
            "start_here": one_line(first_steps(message)[0], 500),
        },
    }


class AlertsByAlias(Notifier[S]):
    """What Opsgenie and its successor share; sending one alert twice is harmless there."""

    def __init__(self, spec: S, context: Context) -> None:
        super().__init__(spec, context)
        self._client = GuardedClient(spec.allow, resolve=context.resolve)

    async def send(self, message: Message, thread: str, now: int) -> Receipt:
        """Ask for the alert, or for what becomes of it; the answer says only that it was taken."""
        path, body = request(message, self.context.base_url)
        headers = {"content-type": "application/json", "authorization": f"GenieKey {self.spec.api_key}"}
        answer = await self._client.post(f"{self.spec.url.rstrip('/')}{path}", json.dumps(body).encode(), headers)
        return Receipt(f"{answer.status} at {now}", thread)

    async def close(self) -> None:
        """Close connections."""
        await self._client.close()


class Opsgenie(AlertsByAlias[OpsgenieDestination]):
    """Alerts of an API integration of Opsgenie."""

    name = "opsgenie"
