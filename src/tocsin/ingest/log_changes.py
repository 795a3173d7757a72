"""Log events of OpenTelemetry that tell of a change, by the names that packs list: kept as logs, and change events as well."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from tocsin.ingest.change_rules import Row, change_of, fits
from tocsin.ingest.decoded import Decoded
from tocsin.ingest.limits import Limits
from tocsin.ingest.records import EVENTS_SOURCE, rows_frame
from tocsin.model.frame import Frame, FrameKind
from tocsin.spec.wire import LogChangeSpec

_EVENT_NAME: Final = "event.name"
_BODY_CHARS: Final = 1000


def with_changes(found: Decoded, rules: Sequence[LogChangeSpec], tenant: str, received: int, limits: Limits) -> Decoded:
    """What was decoded from logs, with a frame of the changes that events among them tell of."""
    rows = [
        row
        for frame in found.frames
        if frame.kind is FrameKind.LOGS
        for row in _changes(frame, rules, received, limits)
    ]
    if not rows:
        return found
    frame = rows_frame(FrameKind.EVENTS, tenant, EVENTS_SOURCE, rows)
    return Decoded((*found.frames, frame), found.rejected, found.reasons, found.message)


def _changes(frame: Frame, rules: Sequence[LogChangeSpec], received: int, limits: Limits) -> Iterator[Row]:
    for place, name in _named(frame, rules):
        log = frame.batch.slice(place, 1).to_pylist()[0]
        tree = {
            "name": name,
            "body": (log["body"] or "")[:_BODY_CHARS],
            "attributes": dict(log["attributes"] or ()),
            "resource": dict(log["resource"] or ()),
        }
        rule = next((each for each in rules if _speaks_of(each, name) and fits(each, tree)), None)
        if rule is not None:
            row = change_of(rule, tree, frame.source, received, limits.ahead_ns)
            yield {**row, "time": log["time"]}


def _speaks_of(rule: LogChangeSpec, name: str) -> bool:
    return any(fnmatchcase(name, glob) for glob in rule.names)


def _named(frame: Frame, rules: Sequence[LogChangeSpec]) -> list[tuple[int, str]]:
    """Rows whose event has a name that a rule speaks of, by its own field or the attribute that older senders use."""
    names = frame.batch.column("event_name")
    attributes = frame.batch.column("attributes")
    if pc.any(pc.equal(attributes.keys, _EVENT_NAME)).as_py():
        told = pc.map_lookup(attributes, pa.scalar(_EVENT_NAME), "last")
        names = pc.if_else(pc.equal(names, ""), pc.fill_null(told, ""), names)
    wanted = {name for name in pc.unique(names).to_pylist() if name and any(_speaks_of(rule, name) for rule in rules)}
    if not wanted:
        return []
    return [(place, name) for place, name in enumerate(names.to_pylist()) if name in wanted]
