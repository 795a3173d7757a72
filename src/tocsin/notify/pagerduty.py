"""PagerDuty Events API v2: trigger, acknowledge and resolve by one deduplication key."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from tocsin.model.destination import Receipt
from tocsin.model.incident import Severity
from tocsin.model.message import ROLES, Message
from tocsin.model.text import one_line
from tocsin.model.times import time_to_json
from tocsin.notify.base import (
    DONE_LINES,
    Context,
    Notifier,
    finding_line,
    finding_link,
    first_steps,
    headline,
    link,
    trace_link,
)
from tocsin.notify.guard import GuardedClient
from tocsin.spec.destination import PagerdutyDestination

MAX_KEY = 255
MAX_SUMMARY = 1024
LINKED = 3
SEVERITY = {
    Severity.INFO: "info",
    Severity.WARNING: "warning",
    Severity.ERROR: "error",
    Severity.CRITICAL: "critical",
}
_ACTIONS = {
    "trigger": "trigger",
    "update": "trigger",
    "test": "trigger",
    "acknowledge": "acknowledge",
    "resolve": "resolve",
}


def dedup_key(key: str) -> str:
    """A key of at most 255 characters; longer ones end in a hash of themselves."""
    if len(key) <= MAX_KEY:
        return key
    return f"{key[: MAX_KEY - 33]}-{hashlib.blake2b(key.encode('utf-8', 'replace'), digest_size=16).hexdigest()}"


def payload(message: Message, routing_key: str, base_url: str) -> dict[str, Any]:
    """The event of a notice."""
    incident = message.incident
    event: dict[str, Any] = {
        "routing_key": routing_key,
        "event_action": _ACTIONS[message.action],
        "dedup_key": dedup_key(message.dedup_key),
    }
    if message.action in ("acknowledge", "resolve"):
        return event
    entity = one_line(incident.entities[0], 200) if incident.entities else "unknown"
    first = incident.findings[0] if incident.findings else None
    event["payload"] = {
        "summary": headline(message)[:MAX_SUMMARY],
        "source": entity,
        "severity": SEVERITY[incident.severity],
        "timestamp": time_to_json(incident.opened_at),
        "component": entity,
        "group": one_line(incident.tenant, 100),
        "class": one_line(first.monitor, 100) if first is not None else "",
        "custom_details": {
            "statement": incident.statement,
            "severity": incident.severity_arithmetic,
            "findings": [finding_line(finding) for finding in incident.findings[:10]],
            "causes": [
                f"{cause.score:.2f} {cause.kind} {one_line(cause.entity, 80)}: {one_line(cause.what, 160)}"
                for cause in incident.causes[:3]
            ],
            "changes": [
                f"{time_to_json(change.time)} {change.kind} {one_line(change.entity, 80)}: {one_line(change.what, 160)}"
                for change in incident.changes[-10:]
            ],
            "first_steps": first_steps(message),
            "reason": message.reason,
            **({"done": list(message.done[-DONE_LINES:])} if message.done else {}),
        },
    }
    event["links"] = [{"href": link(incident, base_url), "text": "Incident in Tocsin"}]
    event["links"] += [
        {"href": finding_link(each, incident, base_url), "text": f"Out of line: {one_line(each.monitor, 60)}"}
        for each in incident.findings[:LINKED]
    ]
    event["links"] += [
        {"href": trace_link(each, base_url), "text": f"Trace: {ROLES.get(each.role, each.role)}"}
        for each in message.traces
    ]
    event["client"] = "Tocsin"
    event["client_url"] = base_url
    return event


class Pagerduty(Notifier[PagerdutyDestination]):
    """Sends events to a PagerDuty service; sending one twice is harmless there."""

    name = "pagerduty"

    def __init__(self, spec: PagerdutyDestination, context: Context) -> None:
        super().__init__(spec, context)
        self._client = GuardedClient(spec.allow, resolve=context.resolve)

    async def send(self, message: Message, thread: str, now: int) -> Receipt:
        """Enqueue the event."""
        body = json.dumps(payload(message, self.spec.routing_key, self.context.base_url)).encode()
        answer = await self._client.post(self.spec.url, body, {"content-type": "application/json"})
        return Receipt(f"{answer.status} at {now}", thread)

    async def close(self) -> None:
        """Close connections."""
        await self._client.close()
