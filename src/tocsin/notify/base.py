"""What every destination shares: its name, its context, and the words of a notice."""

from __future__ import annotations

import base64
import math
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar
from urllib.parse import quote

from tocsin.model.bands import shown_lower
from tocsin.model.codec import incident_to_json
from tocsin.model.destination import Receipt
from tocsin.model.finding import Finding
from tocsin.model.incident import Incident, IncidentState
from tocsin.model.lineage import lineage_json, lineage_of_all
from tocsin.model.message import ROLES, Message, TraceExample
from tocsin.model.seen_at import seen_at
from tocsin.model.summary import summary_to_json
from tocsin.model.text import one_line
from tocsin.model.times import time_to_json
from tocsin.notify.guard import Resolve, resolve_name
from tocsin.spec.destination import DestinationBase

MAX_LINES = 8
MAX_ADDRESS = 500
"""Characters of an address: a name from telemetry may be longer than what receivers take for one."""
DONE_LINES = 20
_LOOK = "Open the incident, and look at what was out of line first."

S = TypeVar("S", bound=DestinationBase)


@dataclass(frozen=True, slots=True)
class Context:
    """What destinations need besides their spec: where the pages are, and how names are resolved."""

    base_url: str = "http://127.0.0.1:8642"
    resolve: Resolve = field(default=resolve_name)


class Notifier(Generic[S]):
    """Base of destinations; the class's `name` is the `type` in the configuration, an instance's its own name."""

    name: str
    resend_s: float = 0.0

    def __init__(self, spec: S, context: Context) -> None:
        self.name = spec.name
        self.spec = spec
        self.context = context

    async def send(self, message: Message, thread: str, now: int) -> Receipt:
        """Deliver one message."""
        raise NotImplementedError

    async def close(self) -> None:
        """Close connections."""


def link(incident: Incident, base_url: str) -> str:
    """Address of the incident's page."""
    return f"{base_url.rstrip('/')}/incidents/{quote(incident.id, safe='')}"


def actions_link(incident: Incident, base_url: str) -> str:
    """Address of the page of what was done about an incident."""
    return f"{base_url.rstrip('/')}/actions?incident={quote(incident.id, safe='')}"


def trace_link(example: TraceExample, base_url: str) -> str:
    """Address of the page of a trace."""
    return f"{base_url.rstrip('/')}/traces/{quote(example.trace_id, safe='')}"


def trace_lines(message: Message, base_url: str) -> list[str]:
    """Example traces, each on one line with its address."""
    return [
        f"{ROLES.get(each.role, each.role)}, {one_line(each.operation, 80)} of {one_line(each.service, 60)},"
        f" {each.duration_ns / 1e9:.3g} s: {trace_link(each, base_url)}"
        for each in message.traces
    ]


def lineage_lines(incident: Incident) -> list[str]:
    """What the references of findings stem from, each on one line with its address."""
    found = lineage_of_all(incident.findings)[:MAX_LINES]
    return [f"{each.words}: {each.link}" if each.link else each.words for each in found]


def page_of(message: Message, base_url: str) -> str:
    """Address of the page that a notice is about."""
    if message.action != "digest":
        return link(message.incident, base_url)
    return f"{base_url.rstrip('/')}/{'review' if message.dedup_key.startswith('digest-review-') else 'models'}"


def answers(message: Message, base_url: str) -> list[tuple[str, str]]:
    """What a person may say of it, each with the address of a page that asks once more: whoever only looks says nothing.

    A program that opens every address of a message, as chats do for their previews, thereby acknowledges nothing.
    """
    if message.action not in ("trigger", "update", "acknowledge", "resolve"):
        return []
    address = link(message.incident, base_url)
    found = [("It is real", f"{address}?say=real_problem"), ("False alarm", f"{address}?say=false_alarm")]
    if message.action in ("trigger", "update") and message.incident.state is IncidentState.OPEN:
        found.insert(0, ("Acknowledge", f"{address}?say=ack"))
    return found


def chart_json(message: Message) -> dict[str, Any]:
    """The chart of a notice as JSON, under `chart`; nothing where there is none."""
    it = message.picture
    if it is None:
        return {}
    body = base64.b64encode(it.png).decode()
    return {"chart": {"media_type": "image/png", "caption": it.caption, "base64": body}}


def first_steps(message: Message) -> list[str]:
    """Where to start: runbooks first, then what the likeliest cause asks for."""
    return message.summary.of("next")[:MAX_LINES] or [_LOOK]


def finding_line(finding: Finding) -> str:
    """Value and expected band of a finding on one line."""
    unit = finding.series.signal.unit.strip("{}")
    unit = "" if unit == "1" else f" {unit}"
    lower, upper = finding.expected
    lower = shown_lower(lower, finding.series.signal)
    known = [f"{limit:.6g}" for limit in (lower, upper) if math.isfinite(limit)]
    band = f"expected {' to '.join(known)}" if len(known) == 2 else f"limit {known[0]}" if known else "nothing expected"
    value = f"{finding.value:.6g}" if math.isfinite(finding.value) else "no value"
    labels = ", ".join(f"{key}={value}" for key, value in finding.series.labels[:6])
    return one_line(f"{finding.monitor}: {value}{unit}, {band} ({finding.series.signal.name} {labels})", 300)


def finding_link(finding: Finding, incident: Incident, base_url: str) -> str:
    """Address of the page with what a finding is about; of its incident where that is too long for an address."""
    found = base_url.rstrip("/") + seen_at(finding)
    return found if len(found) <= MAX_ADDRESS else link(incident, base_url)


def finding_lines(incident: Incident, base_url: str, most: int = MAX_LINES) -> list[str]:
    """Findings, each on one line with the address where it is seen."""
    return [f"{finding_line(each)}: {finding_link(each, incident, base_url)}" for each in incident.findings[:most]]


def headline(message: Message) -> str:
    """One line: severity, state where it isn't open, title."""
    incident = message.incident
    if message.action == "digest":
        return one_line(incident.title, 300)
    state = {"resolve": "RESOLVED ", "acknowledge": "ACKNOWLEDGED ", "test": "TEST "}.get(message.action, "")
    return one_line(f"{state}[{incident.severity.name}] {incident.title}", 300)


def notice(message: Message, base_url: str) -> dict[str, Any]:
    """The incident as JSON, with what a receiver needs to act: action, keys, links, first steps, reason."""
    incident = message.incident
    return {
        "action": message.action,
        "incident_id": incident.id,
        "dedup_key": message.dedup_key,
        "message_id": message.id,
        "sent_for": time_to_json(message.created_at),
        "reason": message.reason,
        "links": {
            "page" if message.action == "digest" else "incident": page_of(message, base_url),
            **{url.rpartition("=")[2]: url for _, url in answers(message, base_url)},
        },
        "first_steps": [] if message.action == "digest" else first_steps(message),
        "findings": [
            {"id": each.id.hex(), "said": finding_line(each), "url": finding_link(each, incident, base_url)}
            for each in incident.findings[:MAX_LINES]
        ],
        "summary": summary_to_json(message.summary, base_url),
        "lineage": lineage_json(lineage_of_all(incident.findings)),
        "traces": [
            {
                "role": each.role,
                "trace_id": each.trace_id,
                "service": each.service,
                "operation": each.operation,
                "start": time_to_json(each.start),
                "duration_s": each.duration_ns / 1e9,
                "url": trace_link(each, base_url),
            }
            for each in message.traces
        ],
        "incident": incident_to_json(incident),
        **({"done": list(message.done)} if message.done else {}),
        **chart_json(message),
    }


def text_body(message: Message, base_url: str) -> str:
    """The notice as plain text, readable on a phone."""
    incident = message.incident
    if message.action == "digest":
        return "\n".join([headline(message), "", incident.statement, "", page_of(message, base_url)])
    lines = [headline(message), "", incident.statement, "", f"Severity: {incident.severity_arithmetic}"]
    lines += ["", "Out of line:"] + [f"- {each}" for each in finding_lines(incident, base_url)]
    if len(incident.findings) > MAX_LINES:
        lines.append(f"- and {len(incident.findings) - MAX_LINES} more")
    if compared := lineage_lines(incident):
        lines += ["", "Compared with:"] + [f"- {each}" for each in compared]
    lines += ["", "Likely causes:"]
    lines += [
        f"- {cause.score:.2f} {cause.kind} {one_line(cause.entity, 80)}: {one_line(cause.what, 160)}"
        for cause in incident.causes[:3]
    ]
    if incident.changes:
        lines += ["", "Changes before it:"]
        lines += [
            f"- {time_to_json(change.time)[:19]}Z {change.kind} {one_line(change.entity, 80)}: {one_line(change.what, 160)}"
            for change in incident.changes[-MAX_LINES:]
        ]
    if message.summary.rephrased:
        lines += ["", f"In the words of {one_line(message.summary.model, 80)}, proven from the above:"]
        lines += [f"- {each.text}" for each in message.summary.rephrased]
    if message.done:
        lines += ["", "Done about it:"] + [f"- {one_line(each, 400)}" for each in message.done[-DONE_LINES:]]
        lines += [f"Find out why, and see what is to be taken back: {actions_link(message.incident, base_url)}"]
    if traces := trace_lines(message, base_url):
        lines += ["", "Example traces:"] + [f"- {each}" for each in traces]
    lines += ["", "Start here:"] + [f"- {step}" for step in first_steps(message)]
    if message.reason:
        lines += ["", f"Why now: {one_line(message.reason, 200)}"]
    lines += ["", *(f"{words}: {url}" for words, url in answers(message, base_url))]
    return "\n".join([*lines, "", link(incident, base_url)])
