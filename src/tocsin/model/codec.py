"""The public JSON of findings, incidents and messages, and findings as a frame: lossless both ways.

Times are RFC 3339 with nanoseconds; NaN is null; an infinity is the text `inf` or `-inf`; ids of findings
are hex. What a reader of JSON doesn't need (series layout, phase, revision fields) is there as well, so that
a stored incident comes back as the value it was.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias, cast, get_args

from tocsin.model.errors import BadInput
from tocsin.model.finding import Direction, Evidence, Finding, Phase
from tocsin.model.frame import Frame, FrameKind, frame_of
from tocsin.model.incident import Cause, Change, Incident, IncidentState, Runbook, Severity
from tocsin.model.message import Message, MessageAction
from tocsin.model.series import MAIN_TENANT, Catalog, Kind, Labels, Series, Signal
from tocsin.model.times import time_from_json, time_to_json

Json: TypeAlias = dict[str, Any]
"""A JSON object: keys are texts, values are what `json` gives."""

ENGINE_SOURCE = "engine"


def number_to_json(value: float) -> float | str | None:
    """A number as JSON can hold it: NaN is null, an infinity a text."""
    if math.isnan(value):
        return None
    return value if math.isfinite(value) else str(value)


def number_from_json(value: object) -> float:
    """A number back from `number_to_json`."""
    return math.nan if value is None else float(cast("float | str", value))


def labels_text(labels: Labels) -> str:
    """Labels on one line, `key=value` joined by commas."""
    return ",".join(f"{key}={value}" for key, value in labels)


def entity_among(labels: Labels, entities: Sequence[str]) -> str:
    """The first of `entities` that is the value of a label; all labels as text if there is none."""
    values = {value for _, value in labels}
    return next((entity for entity in entities if entity in values), labels_text(labels))


def series_to_json(series: Series) -> Json:
    """Signal and labels of a series; its identity follows from them and the tenant."""
    signal = series.signal
    return {
        "name": signal.name,
        "unit": signal.unit,
        "kind": signal.kind.value,
        "monotonic": signal.monotonic,
        "cumulative": signal.cumulative,
        "labels": dict(series.labels),
    }


def series_from_json(tenant: str, found: Mapping[str, Any]) -> Series:
    """A series back from `series_to_json`."""
    signal = Signal(
        found["name"], found["unit"], Kind(found["kind"]), bool(found["monotonic"]), bool(found["cumulative"])
    )
    return Series.of(tenant, signal, found["labels"])


def _evidence_to_json(evidence: Evidence) -> Json:
    return {key: value if isinstance(value, str) else _tagged(float(value)) for key, value in evidence.items()}


def _tagged(value: float) -> float | Json | None:
    # a text "inf" in evidence must stay a text: infinities are tagged here
    return {"number": str(value)} if math.isinf(value) else cast("float | None", number_to_json(value))


def _evidence_from_json(found: Mapping[str, Any]) -> dict[str, float | str]:
    return {
        key: value
        if isinstance(value, str)
        else number_from_json(value["number"] if isinstance(value, dict) else value)
        for key, value in found.items()
    }


def finding_to_json(finding: Finding, entity: str = "") -> Json:
    """The public JSON of a finding; `entity` names what it is about (default: all its labels)."""
    return {
        "id": finding.id.hex(),
        "monitor": finding.monitor,
        "signal": finding.series.signal.name,
        "entity": entity or labels_text(finding.series.labels),
        "start": time_to_json(finding.start),
        "end": time_to_json(finding.end),
        "value": number_to_json(finding.value),
        "expected": [number_to_json(limit) for limit in finding.expected],
        "log10_p": number_to_json(finding.log10_p),
        "n_eff": number_to_json(finding.n_eff),
        "level": number_to_json(finding.level),
        "direction": finding.direction,
        "phase": finding.phase.value,
        "time": time_to_json(finding.time),
        "tenant": finding.tenant,
        "series": series_to_json(finding.series),
        "evidence": _evidence_to_json(finding.evidence),
    }


def finding_from_json(found: Mapping[str, Any]) -> Finding:
    """A finding back from `finding_to_json`.

    Raises
    ------
    BadInput
        A key is missing or a value is of the wrong form.
    """
    try:
        lower, upper = found["expected"]
        direction = found["direction"]
        if direction not in get_args(Direction):
            raise BadInput(f"direction {direction!r} is none of {', '.join(get_args(Direction))}")
        return Finding(
            id=bytes.fromhex(found["id"]),
            phase=Phase(found["phase"]),
            tenant=found["tenant"],
            monitor=found["monitor"],
            series=series_from_json(found["tenant"], found["series"]),
            start=time_from_json(found["start"]),
            end=time_from_json(found["end"]),
            time=time_from_json(found["time"]),
            value=number_from_json(found["value"]),
            expected=(number_from_json(lower), number_from_json(upper)),
            log10_p=number_from_json(found["log10_p"]),
            n_eff=number_from_json(found["n_eff"]),
            level=number_from_json(found["level"]),
            direction=direction,
            evidence=_evidence_from_json(found["evidence"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise BadInput(f"not the JSON of a finding: {error!r}") from error


def cause_to_json(cause: Cause) -> Json:
    """The public JSON of a candidate cause."""
    return {
        "kind": cause.kind,
        "entity": cause.entity,
        "what": cause.what,
        "score": cause.score,
        "evidence": list(cause.evidence),
        "refuted_by": list(cause.refuted_by),
        "links": list(cause.links),
    }


def cause_from_json(found: Mapping[str, Any]) -> Cause:
    """A candidate cause back from `cause_to_json`."""
    return Cause(
        kind=found["kind"],
        entity=found["entity"],
        what=found["what"],
        score=float(found["score"]),
        evidence=tuple(found["evidence"]),
        refuted_by=tuple(found["refuted_by"]),
        links=tuple(found.get("links", ())),  # what was stored before had none
    )


def change_to_json(change: Change) -> Json:
    """The public JSON of a change event."""
    return {
        "time": time_to_json(change.time),
        "kind": change.kind,
        "entity": change.entity,
        "what": change.what,
        "source": change.source,
    }


def change_from_json(found: Mapping[str, Any]) -> Change:
    """A change event back from `change_to_json`."""
    return Change(time_from_json(found["time"]), found["kind"], found["entity"], found["what"], found["source"])


def incident_to_json(incident: Incident, pages: Sequence[Json] = ()) -> Json:
    """The public JSON of an incident; `pages` are the notices of it that the state store knows."""
    return {
        "id": incident.id,
        "title": incident.title,
        "severity": incident.severity.name.lower(),
        "state": incident.state.value,
        "opened_at": time_to_json(incident.opened_at),
        "updated_at": time_to_json(incident.updated_at),
        "resolved_at": None if incident.resolved_at is None else time_to_json(incident.resolved_at),
        "entities": list(incident.entities),
        "statement": incident.statement,
        "findings": [
            finding_to_json(finding, entity_among(finding.series.labels, incident.entities))
            for finding in incident.findings
        ],
        "causes": [cause_to_json(cause) for cause in incident.causes],
        "changes": [change_to_json(change) for change in incident.changes],
        "severity_arithmetic": incident.severity_arithmetic,
        "impact": _evidence_to_json(incident.impact),
        "pages": list(pages),
        "late": incident.late,
        "reopened": incident.reopened,
        "tenant": incident.tenant,
        "dedup_key": incident.dedup_key,
        "runbooks": [{"title": each.title, "url": each.url} for each in incident.runbooks],
    }


def incident_from_json(found: Mapping[str, Any]) -> Incident:
    """An incident back from `incident_to_json` (`pages` are not part of it).

    Raises
    ------
    BadInput
        A key is missing or a value is of the wrong form.
    """
    try:
        return Incident(
            id=found["id"],
            tenant=found["tenant"],
            title=found["title"],
            state=IncidentState(found["state"]),
            severity=Severity[found["severity"].upper()],
            severity_arithmetic=found["severity_arithmetic"],
            findings=tuple(finding_from_json(each) for each in found["findings"]),
            causes=tuple(cause_from_json(each) for each in found["causes"]),
            changes=tuple(change_from_json(each) for each in found["changes"]),
            entities=tuple(found["entities"]),
            opened_at=time_from_json(found["opened_at"]),
            updated_at=time_from_json(found["updated_at"]),
            resolved_at=None if found["resolved_at"] is None else time_from_json(found["resolved_at"]),
            dedup_key=found["dedup_key"],
            late=bool(found["late"]),
            reopened=int(found["reopened"]),
            statement=found["statement"],
            impact=_evidence_from_json(found["impact"]),
            runbooks=tuple(Runbook(each["title"], each["url"]) for each in found.get("runbooks", ())),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BadInput(f"not the JSON of an incident: {error!r}") from error


def message_to_json(message: Message) -> Json:
    """The JSON of a message, its incident inside."""
    return {
        "id": message.id,
        "tenant": message.tenant,
        "destination": message.destination,
        "action": message.action,
        "incident": incident_to_json(message.incident),
        "dedup_key": message.dedup_key,
        "created_at": time_to_json(message.created_at),
        "not_before": time_to_json(message.not_before),
        "attempts": message.attempts,
        "dry_run": message.dry_run,
        "reason": message.reason,
    }


def message_from_json(found: Mapping[str, Any]) -> Message:
    """A message back from `message_to_json`.

    Raises
    ------
    BadInput
        A key is missing or a value is of the wrong form.
    """
    try:
        action = found["action"]
        if action not in get_args(MessageAction):
            raise BadInput(f"action {action!r} is none of {', '.join(get_args(MessageAction))}")
        return Message(
            id=found["id"],
            tenant=found["tenant"],
            destination=found["destination"],
            action=action,
            incident=incident_from_json(found["incident"]),
            dedup_key=found["dedup_key"],
            created_at=time_from_json(found["created_at"]),
            not_before=time_from_json(found["not_before"]),
            attempts=int(found["attempts"]),
            dry_run=bool(found["dry_run"]),
            reason=found["reason"],
        )
    except (KeyError, TypeError, ValueError) as error:
        raise BadInput(f"not the JSON of a message: {error!r}") from error


def findings_frame(
    findings: Iterable[Finding], catalog: Catalog, tenant: str = MAIN_TENANT, source: str = ENGINE_SOURCE
) -> Frame:
    """Findings of one tenant as a frame, their series interned in `catalog`."""
    rows = list(findings)
    columns: dict[str, Sequence[object]] = {
        "id": [row.id for row in rows],
        "phase": [row.phase.value for row in rows],
        "monitor": [row.monitor for row in rows],
        "series": [catalog.intern(row.series) for row in rows],
        "start": [row.start for row in rows],
        "end": [row.end for row in rows],
        "time": [row.time for row in rows],
        "value": [row.value for row in rows],
        "lower": [row.expected[0] for row in rows],
        "upper": [row.expected[1] for row in rows],
        "log10_p": [row.log10_p for row in rows],
        "n_eff": [row.n_eff for row in rows],
        "level": [row.level for row in rows],
        "direction": [row.direction for row in rows],
        "evidence": [json.dumps(_evidence_to_json(row.evidence), sort_keys=True) for row in rows],
    }
    return frame_of(FrameKind.FINDINGS, tenant, source, columns)


def findings_of(frame: Frame, catalog: Catalog) -> list[Finding]:
    """Findings of a frame of kind `findings`, in row order."""
    columns = frame.batch.to_pydict()
    names = ("id", "phase", "monitor", "series", "start", "end", "time", "value", "lower", "upper")
    rest = ("log10_p", "n_eff", "level", "direction", "evidence")
    rows = zip(*(columns[name] for name in names + rest), strict=True)
    return [
        Finding(
            id=fid,
            phase=Phase(phase),
            tenant=frame.tenant,
            monitor=monitor,
            series=catalog[ref],
            start=start,
            end=end,
            time=time,
            value=number_from_json(value),
            expected=(number_from_json(lower), number_from_json(upper)),
            log10_p=number_from_json(log10_p),
            n_eff=number_from_json(n_eff),
            level=number_from_json(level),
            direction=direction,
            evidence=_evidence_from_json(json.loads(evidence or "{}")),
        )
        for fid, phase, monitor, ref, start, end, time, value, lower, upper, log10_p, n_eff, level, direction, evidence in rows
    ]
