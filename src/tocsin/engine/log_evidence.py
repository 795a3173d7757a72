"""What findings on logs rest on: messages, how often they came and usually come, and lines as samples."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from tocsin.engine.log_service import NEW_NS, ServiceLogs
from tocsin.model.finding import Evidence, Finding

SHOWN: Final = 3
_TEXT_CHARS: Final = 200
CHOSEN: Final = "free text of logs: templates, counted by service and minute; no language model"


def evidence(finding: Finding, service: ServiceLogs) -> Evidence:
    """Short texts by name; all of them are what a log said, and nothing but text."""
    found: dict[str, float | str] = {"chosen": CHOSEN}
    for place, key in enumerate(_concerned(finding, service), 1):
        message = service.messages[key]
        found[f"template.{place}"] = message.text[:_TEXT_CHARS]
        found[f"template.{place}.id"] = key
        found[f"template.{place}.records"] = float(service.trailing()[key])
        found[f"template.{place}.usual"] = message.usual
        found[f"sample.{place}"] = message.sample[:_TEXT_CHARS]
    if finding.series.signal.name == "log.sequence_break_ratio":
        for place, (before, usual) in enumerate(dict.fromkeys(reversed(service.broken)), 1):
            if place <= SHOWN:
                found[f"missing.{place}"] = f"{_text(service, usual)} after {_text(service, before)}"
    return found


def _concerned(finding: Finding, service: ServiceLogs) -> list[str]:
    """Ids of the templates that a finding is about, the most telling first."""
    trailing, messages = service.trailing(), service.messages
    gain = {key: trailing[key] - message.usual for key, message in messages.items()}
    wanted: Iterable[str]
    match finding.series.signal.name:
        case "log.template.records":
            key = finding.series.label("log.template")
            return [key] if key in messages else []
        case "log.error_ratio":
            wanted = (key for key, message in messages.items() if message.failed and trailing[key])
        case "log.new_template.records":
            failed = finding.series.label("severity") == "error"
            wanted = (
                key
                for key, message in messages.items()
                if message.novel and message.failed == failed and service.closed - message.first < NEW_NS
            )
        case "log.vanished_templates":
            return service.vanished()[:SHOWN]
        case "log.template_shift":
            return sorted(messages, key=lambda key: (-abs(gain[key]), key))[:SHOWN]
        case "log.sequence_break_ratio":
            return []
        case _:
            wanted = messages
            if finding.direction == "down":
                gain = {key: -value for key, value in gain.items()}
    return sorted(wanted, key=lambda key: (-gain[key], key))[:SHOWN]


def _text(service: ServiceLogs, key: str) -> str:
    message = service.messages.get(key)
    return f"`{message.text[:_TEXT_CHARS]}`" if message is not None else "the end of the request"
