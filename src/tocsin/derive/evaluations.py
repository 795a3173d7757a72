"""What people, judges and guards say of answers, in events of spans and in log records, as rows like those of spans.

So one rule reads them all: an evaluation that is a span of its own, one that is an event of the call it is about, and
one that comes later as a log record with the ids of that call.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from tocsin.model.frame import Frame, FrameKind, frame_of
from tocsin.spec.pack import PackSpec

FIELDS: Final = ("evaluation_score", "evaluation_label", "guard_denied", "threat_class")
MOST_EVENTS: Final = 64
"""Events of one span that are looked at."""
_NAME: Final = "evaluation"


class Evaluations:
    """Finds evaluations by the names that packs have for what they say."""

    def __init__(self, packs: Sequence[PackSpec]) -> None:
        found = [name for pack in packs for each in pack.mappings if each.field in FIELDS for name in each.names]
        self._names = frozenset(found)
        self._pattern = "|".join(f'"{name}"'.replace(".", r"\.") for name in sorted(self._names))

    def rows(self, frame: Frame) -> Frame | None:
        """Evaluations in a frame of spans or logs, as a frame of spans; None if there are none."""
        if not self._names or not len(frame):
            return None
        found = list(self._of_spans(frame) if frame.kind is FrameKind.SPANS else self._of_logs(frame))
        if not found:
            return None
        columns: dict[str, Sequence[object]] = {name: [row[name] for row in found] for name in found[0]}
        return frame_of(FrameKind.SPANS, frame.tenant, frame.source, columns)

    def _of_spans(self, frame: Frame) -> Iterator[dict[str, Any]]:
        events = frame.batch.column("events")
        hits = pc.indices_nonzero(pc.match_substring_regex(events, self._pattern)).to_pylist()
        for at in hits:
            row = {name: frame.batch.column(name)[at].as_py() for name in _TAKEN}
            for number, event in enumerate(_events(events[at].as_py())):
                attributes = _texts(event.get("attributes"))
                if not self._names.isdisjoint(attributes):
                    yield _row(row, _time(event.get("time"), row), attributes, number)

    def _of_logs(self, frame: Frame) -> Iterator[dict[str, Any]]:
        keys = frame.batch.column("attributes").keys
        if not len(keys) or not pc.any(pc.is_in(keys, value_set=pa.array(sorted(self._names), pa.string()))).as_py():
            return
        for number, row in enumerate(frame.rows()):
            attributes = dict(row["attributes"] or ())  # type: ignore[call-overload]  # rows are of any kind
            if not self._names.isdisjoint(attributes):
                yield _row(row, row["time"], attributes, number)


_TAKEN: Final = ("trace_id", "span_id", "start", "time", "resource")


def _time(told: object, span: Mapping[str, Any]) -> int:
    """When an event was; one that tells no time within its span, as nobody checks it on the way in, was at its end."""
    end: int = span["time"]
    return told if isinstance(told, int) and span["start"] <= told <= end else end


def _events(text: str) -> list[Mapping[str, Any]]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return []
    return [each for each in found[:MOST_EVENTS] if isinstance(each, dict)] if isinstance(found, list) else []


def _texts(attributes: object) -> dict[str, str]:
    if not isinstance(attributes, dict):
        return {}
    return {key: value if isinstance(value, str) else json.dumps(value) for key, value in attributes.items()}


def _row(of: Mapping[str, Any], time: object, attributes: Mapping[str, str], number: int) -> dict[str, Any]:
    span = of["span_id"] or bytes(8)
    told = repr((span, number, time, sorted(attributes.items()))).encode("utf-8", "replace")
    return {
        "trace_id": of["trace_id"] or bytes(16),
        "span_id": hashlib.blake2b(told, digest_size=8, person=b"tocsin.evaluate").digest(),
        "parent_id": span,
        "name": _NAME,
        "kind": "internal",
        "start": time,
        "time": time,
        "status": "unset",
        "status_message": "",
        "scope": "",
        "resource": of["resource"] or [],
        "attributes": list(attributes.items()),
        "events": "[]",
    }
