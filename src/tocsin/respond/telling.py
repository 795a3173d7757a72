"""What people are told of remedies: notices for the outbox, and the lines of the action log."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Final

from tocsin.model.incident import Incident
from tocsin.model.message import Message
from tocsin.model.remedy import Remedy
from tocsin.model.text import one_line
from tocsin.model.times import time_to_json

TOLD: Final = frozenset({"waiting", "verifying", "undoing", "succeeded", "rolled_back", "kept", "failed", "dry_run"})
"""States that people hear of when they are reached."""
LINE_CHARS: Final = 400


def notices(
    remedy: Remedy, incident: Incident, told: Sequence[str], tell: Sequence[str], *, dry_run: bool
) -> list[Message]:
    """A notice for each destination that was told of the incident, and for those that the playbook names beside them.

    They are ordered by the incident's own time, so that its later news overtake them and never the other way round.
    """
    if remedy.state not in TOLD:
        return []
    at = incident.updated_at + remedy.revision
    step = remedy.log[-1]
    found = []
    for name in dict.fromkeys([*told, *tell]):
        text = f"{remedy.id}\0{remedy.revision}\0{name}"
        found.append(
            Message(
                id="msg-" + hashlib.blake2b(text.encode(), digest_size=16, person=b"tocsin.message").hexdigest(),
                tenant=remedy.tenant,
                destination=name,
                action="update" if name in told else "trigger",
                incident=incident,
                dedup_key=incident.dedup_key,
                created_at=at,
                not_before=step.time,
                dry_run=dry_run,
                reason=one_line(f"{remedy.playbook}: {step.what}", LINE_CHARS),
            )
        )
    return found


def action_log(remedies: Sequence[Remedy]) -> list[str]:
    """All that was done about an incident, oldest first, a line each: when, which playbook, on what, what came of it."""
    lines = []
    for remedy in sorted(remedies, key=lambda each: (each.created_at, each.id)):
        for step in remedy.log:
            when = time_to_json(step.time)[:19].replace("T", " ")
            who = f" by {step.by}" if step.by != "tocsin" else ""
            lines.append(one_line(f"{when} UTC {remedy.playbook} [{remedy.id}]{who}: {step.what}", LINE_CHARS))
    return lines


def context_words(context: Mapping[str, Any]) -> str:
    """Model, endpoint and how the values are spread, on one line."""
    parts = [f"{name} {one_line(str(context[name]), 80)}" for name in ("model", "endpoint") if context.get(name)]
    finding = context.get("finding", {})
    if isinstance(finding.get("rise_ratio"), float):
        parts.append(f"{finding['monitor']} {finding['rise_ratio']:+.0%} of what was expected")
    spread = context.get("distribution", {})
    for word in ("before", "now"):
        if numbers := spread.get(word):
            shown = ", ".join(f"{name} {value:.4g}" for name, value in numbers.items())
            parts.append(f"{word}: {shown}")
    return "; ".join(parts)
