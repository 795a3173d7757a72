"""Incidents, lines and rows as the JSON that the pages read."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence

from fastapi.responses import JSONResponse

from tocsin.api.ports import IncidentEvent, Line, Page, Row
from tocsin.model.bands import shown_lower
from tocsin.model.codec import Json, change_to_json, incident_to_json
from tocsin.model.decision import Feedback, Silence
from tocsin.model.finding import Finding
from tocsin.model.incident import Incident, Severity
from tocsin.model.lineage import lineage_json, lineage_of_all
from tocsin.model.series import Kind, Signal
from tocsin.model.times import time_to_json

_TIMES = frozenset({"time", "last_time", "since", "start", "end"})
_SECONDS = 1e-9


class Document(JSONResponse):
    """A JSON answer in which NaN and infinities are null."""

    def render(self, content: object) -> bytes:
        """UTF-8 JSON; a lone surrogate becomes an escape, never an error."""
        return json.dumps(clean(content), separators=(",", ":"), allow_nan=False).encode()


def clean(value: object) -> object:
    """The same value with numbers JSON can't hold made null, and bytes hex."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): clean(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [clean(item) for item in value]
    if isinstance(value, bytes):
        return value.hex()
    return value


def summary(incident: Incident, silence: Silence | None = None) -> Json:
    """An incident as the inbox lists it, and the silence that holds its pages back."""
    first = incident.causes[0] if incident.causes else None
    return {
        "id": incident.id,
        "title": incident.title,
        "statement": incident.statement,
        "severity": incident.severity.name.lower(),
        "state": incident.state.value,
        "opened_at": time_to_json(incident.opened_at),
        "updated_at": time_to_json(incident.updated_at),
        "resolved_at": None if incident.resolved_at is None else time_to_json(incident.resolved_at),
        "entities": list(incident.entities),
        "findings": len(incident.findings),
        "cause": None if first is None else {"kind": first.kind, "what": first.what, "score": first.score},
        "late": incident.late,
        "reopened": incident.reopened,
        "silenced": None if silence is None else silence_document(silence),
    }


def silence_document(silence: Silence, now: int = 0) -> Json:
    """A silence, and whether it is over at `now` (ns)."""
    return {
        "id": silence.id,
        "matchers": dict(silence.matchers),
        "starts_at": time_to_json(silence.starts_at),
        "ends_at": time_to_json(silence.ends_at),
        "by": silence.by,
        "note": silence.note,
        "over": silence.ends_at <= now,
    }


def feedback_document(each: Feedback) -> Json:
    """What a person said of an incident."""
    return {"time": time_to_json(each.time), "verdict": each.verdict, "by": each.by, "note": each.note}


def whole(
    incident: Incident,
    pages: Sequence[Page],
    events: Sequence[IncidentEvent],
    grade: Callable[[Finding], Severity],
) -> Json:
    """An incident with everything that is known of it."""
    found = incident_to_json(incident, [page_document(page) for page in pages])
    for row, finding in zip(found["findings"], incident.findings, strict=True):
        # the public JSON writes an infinity as text; to a page an open end is just no number
        for name in ("value", "log10_p", "n_eff", "level"):
            row[name] = getattr(finding, name)
        lower, upper = finding.expected
        row["expected"] = [shown_lower(lower, finding.series.signal), upper]
        row["series_id"] = finding.series.id.hex()
        row["labels"] = dict(finding.series.labels)
        row["unit"] = finding.series.signal.unit
        row["severity"] = grade(finding).name.lower()
    found["timeline"] = timeline(incident, events)
    found["lineage"] = lineage_json(lineage_of_all(incident.findings))
    return found


def timeline(incident: Incident, events: Sequence[IncidentEvent]) -> list[Json]:
    """Changes before it, its findings and what was done about it, oldest first."""
    rows = [{**change_to_json(change), "type": "change"} for change in incident.changes]
    rows += [
        {
            "type": "finding",
            "time": time_to_json(each.start),
            "kind": each.direction,
            "entity": each.monitor,
            "what": each.series.signal.name,
            "source": "",
        }
        for each in incident.findings
    ]
    rows += [
        {
            "type": "life",
            "time": time_to_json(each.time),
            "kind": each.kind,
            "entity": each.by,
            "what": each.note,
            "source": "",
        }
        for each in events
    ]
    return sorted(rows, key=lambda row: str(row["time"]))


def page_document(page: Page) -> Json:
    """A message on its way, without its incident."""
    message = page.message
    return {
        "id": message.id,
        "destination": message.destination,
        "action": message.action,
        "state": page.state,
        "created_at": time_to_json(message.created_at),
        "sent_at": None if page.sent_at is None else time_to_json(page.sent_at),
        "attempts": message.attempts,
        "dry_run": message.dry_run,
        "reason": page.error or message.reason,
    }


def line_document(line: Line) -> Json:
    """A line as columns; times are seconds since 1970, for charts."""
    signal = Signal(line.signal, line.unit, Kind.GAUGE)
    return {
        "series_id": line.series_id,
        "signal": line.signal,
        "unit": line.unit,
        "monitor": line.monitor,
        "labels": dict(line.labels),
        "time": [time * _SECONDS for time in line.time],
        "value": list(line.value),
        "lower": [None if lower is None else shown_lower(lower, signal) for lower in line.lower],
        "upper": list(line.upper),
        "log10_p": list(line.log10_p),
    }


def rows_document(rows: Iterable[Row]) -> list[Json]:
    """Rows of the store, their times as RFC 3339, durations in seconds."""
    return [_row(row) for row in rows]


def _row(row: Row) -> Json:
    found: Json = {}
    for name, value in row.items():
        if name in _TIMES and isinstance(value, int):
            found[name] = time_to_json(value) if value > 0 else None
        elif name == "cadence" and isinstance(value, int):
            found["cadence_s"] = value * _SECONDS
        else:
            found[name] = value
    return found
