"""Inference records as JSON lines -> a RECORDS frame, and change events as JSON -> an EVENTS frame."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, TypeAlias

from tocsin.ingest.decoded import Decoded, Refusals, Unusable, decoded
from tocsin.ingest.limits import Limits
from tocsin.ingest.record_numbers import attention_text, embedding_of, numbers_text
from tocsin.ingest.times import check_time, parse_time_ns
from tocsin.model.errors import BadInput
from tocsin.model.frame import SCHEMAS, Frame, FrameKind, frame_of
from tocsin.model.record import FEEDBACK, PREDICTION, TRUTH
from tocsin.model.text import whole

Row: TypeAlias = dict[str, Any]

RECORDS_SOURCE = "records"
EVENTS_SOURCE = "events"
CHANGE_KINDS = ("deploy", "prompt", "flag", "config", "model", "node", "gpu", "dependency", "traffic")
_EVENT_FIELDS = ("kind", "what", "entity", "time", "source", "attributes")


def _text(value: object) -> str:
    """A scalar as text, "" for null."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if not isinstance(value, str):
        raise Unusable("bad_field")
    try:
        value.encode()
    except UnicodeEncodeError as bad:  # half of a surrogate pair, which JSON can spell
        raise Unusable("not_utf8") from bad
    return value


def _json(value: object) -> str:
    try:
        text = "" if value is None else json.dumps(value, separators=(",", ":"), allow_nan=False)
        if "\\ud" in text:  # a text that was cut in the middle of a character, perhaps
            text = json.dumps(json.loads(whole(json.dumps(value, ensure_ascii=False))), separators=(",", ":"))
    except (ValueError, RecursionError) as bad:  # an infinity, which JSON can't keep
        raise Unusable("bad_field") from bad
    return text


def _constant(name: str) -> float | None:
    """NaN is how many tools write "no value"; infinities stay what they are."""
    return None if name == "NaN" else float(name)


def _pairs(value: object) -> list[tuple[str, str]]:
    if value is None:
        return []
    if not isinstance(value, dict):
        raise Unusable("bad_field")
    return [(_text(key), _text(item)) for key, item in value.items()]


def _score(value: object) -> float:
    if value is None:
        return float("nan")
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Unusable("bad_field")
    try:
        return float(value)
    except OverflowError as bad:
        raise Unusable("bad_field") from bad


def _load(line: bytes) -> Mapping[str, object]:
    try:
        found = json.loads(line, parse_constant=_constant)
    except (ValueError, RecursionError) as bad:
        raise Unusable("bad_json") from bad
    if not isinstance(found, dict):
        raise Unusable("bad_json")
    return found


def record_row(found: Mapping[str, object], received: int, ahead_ns: int) -> Row:
    """One inference record as a row of a RECORDS frame; a time that is not told is that of receipt.

    Raises
    ------
    Unusable
        A field has the wrong type, the time can't be, or truth and feedback have nothing to be joined by.
    """
    features = found.get("features")
    if features is not None and not isinstance(features, dict):
        raise Unusable("bad_field")
    time = received if found.get("time") is None else parse_time_ns(found["time"])
    row = {
        "time": check_time(time, received, ahead_ns),
        "prediction_id": _text(found.get("prediction_id")),
        "model": _text(found.get("model")),
        "version": _text(found.get("version")),
        "prediction": _json(found.get("prediction")),
        "score": _score(found.get("score")),
        "features": _json(features or {}),
        "tags": _pairs(found.get("tags")),
        "truth": _json(found.get("truth")),
        "feedback": _json(found.get("feedback")),
        "kind": _kind(found),
        "embedding": embedding_of(found.get("embedding")),
        "attributions": numbers_text(found.get("attributions")),
        "attention": attention_text(found.get("attention")),
    }
    if row["kind"] != PREDICTION and not row["prediction_id"]:
        raise Unusable("no_prediction_id")
    return row


def _kind(found: Mapping[str, object]) -> str:
    """What a record says it is; without a word: a prediction, unless it brings nothing but truth or feedback."""
    told = found.get("kind")
    if told is not None:
        if told not in (PREDICTION, TRUTH, FEEDBACK) or (told != PREDICTION and found.get(told) is None):
            raise Unusable("bad_field")
        return told
    if any(found.get(name) for name in ("features", "embedding", "attributions", "attention")):
        return PREDICTION
    if found.get("prediction") is None and found.get("score") is None:
        for kind in (TRUTH, FEEDBACK):
            if found.get(kind) is not None:
                return kind
    return PREDICTION


def _record(line: bytes, received: int, ahead_ns: int) -> Row:
    return record_row(_load(line), received, ahead_ns)


def decode_records(body: bytes, tenant: str, received: int, limits: Limits) -> Decoded:
    """Frames of JSON lines, one record a line; lines that can't be read are refused one by one."""
    rows: list[Row] = []
    refusals = Refusals()
    for number, line in enumerate(body.splitlines(), 1):
        if not line.strip():
            continue
        try:
            rows.append(_record(line, received, limits.ahead_ns))
        except Unusable as bad:
            refusals.add(RECORDS_SOURCE, bad.reason, f"line {number}")
    frames = [rows_frame(FrameKind.RECORDS, tenant, RECORDS_SOURCE, rows)] if rows else []
    return decoded(frames, refusals)


def rows_frame(kind: FrameKind, tenant: str, source: str, rows: list[Row]) -> Frame:
    """A frame of rows that have the columns of their kind."""
    return frame_of(kind, tenant, source, {name: [row[name] for row in rows] for name in SCHEMAS[kind].names})


def decode_event(body: bytes, tenant: str, received: int, limits: Limits) -> Frame:
    """A frame of one change event; without a time it happened now.

    Raises
    ------
    BadInput
        It is not a JSON object, or a field is missing, unknown or wrong.
    """
    found = _load(body)
    unknown = sorted(found.keys() - set(_EVENT_FIELDS))
    if unknown:
        raise BadInput(f"unknown field {unknown[0][:40]!r}; an event has {', '.join(_EVENT_FIELDS)}")
    kind = found.get("kind")
    if kind not in CHANGE_KINDS:
        raise BadInput(f"kind {str(kind)[:40]!r} is none of {', '.join(CHANGE_KINDS)}")
    what = _text(found.get("what"))
    if not what:
        raise BadInput("`what` is missing: say in a few words what was changed")
    time = received if found.get("time") is None else parse_time_ns(found["time"])
    row = {
        "time": check_time(time, received, limits.ahead_ns),
        "kind": kind,
        "entity": _text(found.get("entity")),
        "what": what,
        "source": _text(found.get("source")) or "api",
        "attributes": _pairs(found.get("attributes")),
    }
    return rows_frame(FrameKind.EVENTS, tenant, EVENTS_SOURCE, [row])
