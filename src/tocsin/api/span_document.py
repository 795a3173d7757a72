"""Everything that one span told, as JSON: prompts and completions apart from the rest, all of it bounded."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from tocsin.api.times import NS
from tocsin.ingest.redact_content import ContentNames
from tocsin.model.codec import Json
from tocsin.model.times import time_to_json

_MOST_CHARS = 20_000
_MOST_ATTRIBUTES = 300
_MOST_EVENTS = 200
_DROPPED = ("[content dropped: ", "[redacted:")
_OWN = (
    "name", "service", "kind", "status", "status_message", "scope", "operation", "provider", "request_model",
    "response_model", "finish_reason", "error_class", "prompt_version", "input_tokens", "output_tokens", "total_tokens",
    "cost_usd", "time_to_first_token_s", "retries",
)  # fmt: skip


@cache
def _names() -> ContentNames:
    return ContentNames()


def span_document(row: Mapping[str, Any]) -> Json:
    """A stored span; `content` are prompts and completions (kept only if that is configured), the page folds them."""
    attributes = dict(row["attributes"])
    content = {name: value for name, value in attributes.items() if _names().key(name).content}
    plain = {name: value for name, value in attributes.items() if name not in content}
    events = [_event(each) for each in row["events"][:_MOST_EVENTS] if isinstance(each, Mapping)]
    return {
        **{name: row[name] for name in _OWN},
        "start": time_to_json(row["start"]),
        "end": time_to_json(row["end"]),
        "duration_s": (row["end"] - row["start"]) / NS,
        "attributes": _bounded(plain),
        "resource": _bounded(dict(row["resource"])),
        "content": [_content(name, str(value)) for name, value in sorted(content.items())][:_MOST_ATTRIBUTES],
        "events": events,
        "left_out": {
            "attributes": max(0, len(plain) - _MOST_ATTRIBUTES),
            "events": max(0, len(row["events"]) - _MOST_EVENTS),
        },
    }


def _bounded(pairs: Mapping[str, Any]) -> Json:
    return {name: str(value)[:_MOST_CHARS] for name, value in sorted(pairs.items())[:_MOST_ATTRIBUTES]}


def _content(name: str, text: str) -> Json:
    return {"name": name, "chars": len(text), "kept": not text.startswith(_DROPPED), "text": text[:_MOST_CHARS]}


def _event(event: Mapping[str, Any]) -> Json:
    pairs = event.get("attributes") or {}
    attributes = dict(pairs) if isinstance(pairs, Mapping) else {}
    content = {name: value for name, value in attributes.items() if _names().key(name).content}
    time = event.get("time")
    return {
        "name": str(event.get("name", ""))[:_MOST_CHARS],
        "time": time_to_json(time) if isinstance(time, int) else None,
        "attributes": _bounded({name: value for name, value in attributes.items() if name not in content}),
        "content": [_content(name, str(value)) for name, value in sorted(content.items())][:_MOST_ATTRIBUTES],
    }
