"""Alertmanager API v2: an incident is an alert that fires until it is resolved."""

from __future__ import annotations

import json
import re
from typing import Any

from tocsin.model.destination import Receipt
from tocsin.model.message import Message
from tocsin.model.text import one_line
from tocsin.model.times import time_to_json
from tocsin.notify.base import Context, Notifier, finding_lines, first_steps, link
from tocsin.notify.guard import GuardedClient
from tocsin.spec.destination import AlertmanagerDestination

RESEND_S = 300.0
HOLD_S = 4 * RESEND_S
"""An alert that isn't sent again for this long is over for Alertmanager: if we die, it doesn't fire for ever."""
_SECOND = 1_000_000_000
_LABEL = re.compile(r"[^a-zA-Z0-9_]")


def alert(message: Message, base_url: str, now: int) -> dict[str, Any]:
    """The alert of a notice at time `now` (ns); labels stay the same over an incident's life, annotations don't."""
    incident = message.incident
    over = message.action == "resolve"
    labels = {
        "alertname": "TocsinTest" if message.action == "test" else "TocsinIncident",
        "incident_id": incident.id,
        "tenant": one_line(incident.tenant, 100),
    }
    # what an incident was founded on never changes; its severity may, so that is an annotation
    if incident.findings:
        first = min(incident.findings, key=lambda finding: (finding.start, finding.id))
        labels["monitor"] = one_line(first.monitor, 100)
        for key, value in first.series.labels[:20]:
            labels.setdefault(
                _LABEL.sub("_", key) if key[:1].isalpha() else f"label_{_LABEL.sub('_', key)}", one_line(value, 200)
            )
    ends = (incident.resolved_at or now) if over else now + int(HOLD_S * _SECOND)
    return {
        "labels": {key: value for key, value in labels.items() if value},
        "annotations": {
            "title": incident.title,
            "statement": incident.statement,
            "severity": incident.severity.name.lower(),
            "severity_arithmetic": incident.severity_arithmetic,
            "findings": "\n".join(finding_lines(incident, base_url)),
            "cause": f"{incident.causes[0].kind}: {one_line(incident.causes[0].what, 200)}" if incident.causes else "",
            "first_steps": "\n".join(first_steps(message)),
            "state": incident.state.value,
        },
        "startsAt": time_to_json(incident.opened_at),
        "endsAt": time_to_json(ends),
        "generatorURL": link(incident, base_url),
    }


class Alertmanager(Notifier[AlertmanagerDestination]):
    """Posts alerts; they must be told again while they fire."""

    name = "alertmanager"
    resend_s = RESEND_S

    def __init__(self, spec: AlertmanagerDestination, context: Context) -> None:
        super().__init__(spec, context)
        self._client = GuardedClient(spec.allow, resolve=context.resolve)
        base = spec.url.rstrip("/")
        self._url = base if base.endswith("/api/v2/alerts") else f"{base}/api/v2/alerts"

    async def send(self, message: Message, thread: str, now: int) -> Receipt:
        """Post the alert."""
        body = json.dumps([alert(message, self.context.base_url, now)]).encode()
        answer = await self._client.post(self._url, body, {"content-type": "application/json"})
        return Receipt(f"{answer.status}", thread)

    async def close(self) -> None:
        """Close connections."""
        await self._client.close()
