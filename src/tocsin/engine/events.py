"""Spans, logs and records wait for the next tick and are then read together: many at once cost a fraction of one by one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from tocsin.derive.calls import calls_of
from tocsin.derive.changes import ByField, Changes
from tocsin.derive.drawn import Drawn, numbered
from tocsin.derive.evaluations import Evaluations
from tocsin.derive.fields import FieldReader
from tocsin.derive.logs import LogCounts
from tocsin.derive.records import RecordFields, RecordSignals
from tocsin.derive.service_graph import ServiceGraph
from tocsin.derive.spans import SpanSignals
from tocsin.derive.visits import visits_of_logs, visits_of_spans
from tocsin.derive.votes import votes_of_records, votes_of_spans
from tocsin.engine.access_watch import AccessWatch
from tocsin.engine.intake import Intake
from tocsin.engine.log_lines import LogLines
from tocsin.model.arrays import I8
from tocsin.model.frame import Frame, FrameKind
from tocsin.model.rows import Rows
from tocsin.model.samples import Samples

MOST_ROWS = 1 << 16
"""So many rows don't wait for a tick."""


@dataclass(frozen=True, slots=True)
class EventReaders:
    """What makes samples of each kind of event, under the spec in force."""

    fields: FieldReader
    spans: SpanSignals
    logs: LogCounts
    records: RecordSignals
    evaluations: Evaluations
    lines: LogLines
    access: AccessWatch
    graph: ServiceGraph


@dataclass(slots=True)
class EventFrames:
    """Frames of spans, logs and records since the last tick, each with the intake of its source.

    When they are read leaves no trace: nothing is let go between ticks, and series are numbered in the order of the
    frames.
    """

    held: list[tuple[Intake, Frame]] = field(default_factory=list)
    rows: int = 0

    def hold(self, intake: Intake, frame: Frame) -> bool:
        """Keep a frame; whether it is time to read what is held."""
        if len(frame):
            self.held.append((intake, frame))
            self.rows += len(frame)
        return self.rows >= MOST_ROWS

    def read(self, readers: EventReaders, changes: Changes, rows: Rows) -> None:
        """Turn what is held into samples and sightings of its sources."""
        held, self.held, self.rows = self.held, [], 0
        held += [
            (intake, made)
            for intake, frame in held
            if frame.kind in (FrameKind.SPANS, FrameKind.LOGS) and (made := readers.evaluations.rows(frame)) is not None
        ]
        drawn: list[tuple[Drawn, I8]] = []
        for (kind, _), places in _alike(held).items():
            frames = [held[place][1] for place in places]
            if kind is FrameKind.LOGS:
                of_logs = readers.fields.read(frames)
                drawn.append((readers.logs.draw(frames, of_logs), np.array(places)))
                readers.lines.take(frames, of_logs)
                readers.access.take(frames[0].tenant, visits_of_logs(frames, of_logs, readers.access.logs))
                continue
            fields: ByField
            if kind is FrameKind.RECORDS:
                fields = RecordFields(frames)
                drawn.append((readers.records.draw(frames), np.array(places)))
                for place, votes in zip(places, votes_of_records(frames), strict=True):
                    held[place][0].take_calls((), votes)
            else:
                fields = of_spans = readers.fields.read(frames)
                drawn.append((readers.spans.draw(frames, of_spans), np.array(places)))
                readers.access.take(frames[0].tenant, visits_of_spans(frames, of_spans))
                readers.graph.take(frames, of_spans)
                told = zip(places, calls_of(frames, of_spans), votes_of_spans(frames, of_spans), strict=True)
                for place, calls, votes in told:
                    held[place][0].take_calls(calls, votes)
            for place, sightings in zip(places, changes.sight(frames, fields), strict=True):
                held[place][0].sightings += sightings
        for (some, places_of), samples in zip(drawn, numbered(rows, drawn), strict=True):
            _hand_out([held[place][0] for place in places_of.tolist()], some, samples)


def _alike(held: Sequence[tuple[Intake, Frame]]) -> dict[tuple[FrameKind, str], list[int]]:
    """Places of the frames by kind and tenant."""
    found: dict[tuple[FrameKind, str], list[int]] = {}
    for place, (_, frame) in enumerate(held):
        found.setdefault((frame.kind, frame.tenant), []).append(place)
    return found


def _hand_out(intakes: Sequence[Intake], drawn: Drawn, samples: Samples) -> None:
    """Give each source its samples."""
    if not len(samples):
        return
    owners = {intake.number: intake for intake in intakes}
    if len(owners) == 1:
        intakes[0].events.push(samples)
        return
    number = np.array([intake.number for intake in intakes])[drawn.frame]
    order = np.argsort(number, kind="stable")
    ordered = samples.take(order)
    found, starts = np.unique(number[order], return_index=True)
    for owner, start, stop in zip(found.tolist(), starts, [*starts[1:], len(number)], strict=True):
        owners[owner].events.push(ordered.slice(int(start), int(stop)))
