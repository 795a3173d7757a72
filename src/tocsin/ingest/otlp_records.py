"""Inference records that come as OTLP log events.

An event named `tocsin.record` is a record: its body is a map (or JSON text) with the fields of `/v1/records`; without
one, its attributes are the fields, `features.NAME` and `tags.NAME` among them. It is kept as a record, not as a log.
An event named `gen_ai.evaluation.result` stays a log and is feedback as well: `gen_ai.evaluation.name` with
`gen_ai.evaluation.score.value` (or `.label`) for the prediction whose id is `gen_ai.response.id`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tocsin.ingest.decoded import Decoded, Refusals, Unusable, decoded
from tocsin.ingest.limits import Limits
from tocsin.ingest.records import RECORDS_SOURCE, Row, record_row, rows_frame
from tocsin.model.frame import Frame, FrameKind

RECORD_EVENT: Final = "tocsin.record"
EVALUATION_EVENT: Final = "gen_ai.evaluation.result"
_EVENTS: Final = (RECORD_EVENT, EVALUATION_EVENT)
_EVENT_NAME: Final = "event.name"
_MAPS: Final = ("features", "tags", "attributions", "attention")
_TEXTS: Final = ("kind", "prediction_id", "model", "version")
_OTHERS: Final = ("prediction", "score", "truth", "feedback", "embedding")
Fields: TypeAlias = dict[str, object]


def with_records(found: Decoded, tenant: str, received: int, limits: Limits) -> Decoded:
    """What was decoded from logs, events that are records as records; itself when there are none."""
    if not any(map(_has_events, found.frames)):
        return found
    frames: list[Frame] = []
    rows: list[Row] = []
    refusals = Refusals()
    for frame in found.frames:
        kept = np.ones(len(frame), bool)
        for time, fields in _fields_of(frame, kept):
            try:
                row = record_row(fields, received, limits.ahead_ns)
                rows.append(row if fields.get("time") is not None else {**row, "time": time})
            except Unusable as bad:
                refusals.add(RECORDS_SOURCE, bad.reason, "a log event")
        if kept.all():
            frames.append(frame)
        elif kept.any():
            frames.append(Frame(frame.kind, frame.tenant, frame.source, frame.batch.filter(pa.array(kept))))
    if rows:
        frames.append(rows_frame(FrameKind.RECORDS, tenant, RECORDS_SOURCE, rows))
    more = decoded(frames, refusals)
    message = "; ".join(filter(None, (found.message, more.message)))
    return Decoded(more.frames, found.rejected + more.rejected, {**found.reasons, **more.reasons}, message)


def _has_events(frame: Frame) -> bool:
    names = frame.batch.column("event_name")
    if pc.any(pc.is_in(names, pa.array(_EVENTS))).as_py():
        return True
    attributes = frame.batch.column("attributes")
    return bool(pc.any(pc.equal(attributes.keys, _EVENT_NAME)).as_py() and _named(frame))


def _named(frame: Frame) -> list[int]:
    """Rows of events of ours, by their own field or the attribute that older senders use."""
    names = frame.batch.column("event_name").to_pylist()
    told = pc.map_lookup(frame.batch.column("attributes"), pa.scalar(_EVENT_NAME), "last").to_pylist()
    ours = {RECORD_EVENT, EVALUATION_EVENT}
    return [row for row, (name, older) in enumerate(zip(names, told, strict=True)) if (name or older) in ours]


def _fields_of(frame: Frame, kept: Any) -> Sequence[tuple[int, Fields]]:
    """Time and fields of each record; rows of records leave `kept`."""
    found: list[tuple[int, Fields]] = []
    for row in _named(frame):
        log = frame.batch.slice(row, 1).to_pylist()[0]
        attributes = dict(log["attributes"] or ())
        if (log["event_name"] or attributes.get(_EVENT_NAME)) == RECORD_EVENT:
            kept[row] = False
            found.append((log["time"], _body(log["body"]) or _attributes(attributes)))
        elif fields := _evaluation(attributes):
            found.append((log["time"], fields))
    return found


def _body(text: str | None) -> Fields:
    try:
        found = json.loads(text) if text else None
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _attributes(attributes: Mapping[str, str]) -> Fields:
    found: Fields = {name: attributes[name] for name in _TEXTS if name in attributes}
    found |= {name: _value(attributes[name]) for name in (*_OTHERS, *_MAPS) if name in attributes}
    for group in _MAPS:
        read: Callable[[str], object] = str if group == "tags" else _value
        own = {name[len(group) + 1 :]: read(text) for name, text in attributes.items() if name.startswith(f"{group}.")}
        if own:
            found[group] = own
    return found


def _value(text: str) -> object:
    """A number, truth value, list or object as JSON has it, else the text itself."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _evaluation(attributes: Mapping[str, str]) -> Fields:
    """Feedback of an evaluation; empty when it does not say of what, or nothing at all."""
    of = attributes.get("gen_ai.response.id")
    label = attributes.get("gen_ai.evaluation.score.label")
    value = attributes.get("gen_ai.evaluation.score.value")
    score = _value(value) if value is not None else label
    if not of or score is None:
        return {}
    name = attributes.get("gen_ai.evaluation.name") or "evaluation"
    return {"kind": "feedback", "prediction_id": of, "feedback": {name: score}}
