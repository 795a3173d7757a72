"""What one source has delivered and its watermark has not yet passed."""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tocsin.derive.buckets import Distribution
from tocsin.derive.calls import Call
from tocsin.derive.changes import Sighting
from tocsin.derive.votes import Vote
from tocsin.model.arrays import I8
from tocsin.model.frame import NO_VALUE, Frame
from tocsin.model.rows import Rows
from tocsin.model.samples import Samples
from tocsin.window.reorder import Reorder


@dataclass(slots=True)
class Intake:
    """Waiting rooms of one (tenant, source), one per way in which samples are told apart."""

    number: int
    readings: Reorder = field(default_factory=Reorder)
    events: Reorder = field(default_factory=Reorder)
    distributions: list[Distribution] = field(default_factory=list)
    sightings: list[Sighting] = field(default_factory=list)
    watermark: int = 0
    calls: list[Call] = field(default_factory=list)
    votes: list[Vote] = field(default_factory=list)
    late_calls: int = 0

    def ripe_distributions(self, watermark: int) -> list[Distribution]:
        """Histogram readings up to a watermark, by series and time, repeats left out."""
        ripe = {(d.row, d.time): d for d in self.distributions if d.time <= watermark}
        self.distributions = [d for d in self.distributions if d.time > watermark]
        return [ripe[key] for key in sorted(ripe)]

    def ripe_sightings(self, watermark: int) -> list[Sighting]:
        """Sightings up to a watermark, by time."""
        self.sightings.sort()
        cut = bisect.bisect_right(self.sightings, watermark, key=lambda s: s.time)
        ripe, self.sightings = self.sightings[:cut], self.sightings[cut:]
        return ripe

    def take_calls(self, calls: Sequence[Call], votes: Sequence[Vote]) -> None:
        """Keep calls and votes until their watermark; those that it has passed are late."""
        timely = [call for call in calls if call.time > self.watermark]
        in_time = [vote for vote in votes if vote.time > self.watermark]
        self.late_calls += len(calls) - len(timely) + len(votes) - len(in_time)
        self.calls += timely
        self.votes += in_time

    def ripe_calls(self, watermark: int) -> list[Call]:
        """Calls up to a watermark, by time."""
        ripe = sorted((call for call in self.calls if call.time <= watermark), key=Call.place)
        self.calls = [call for call in self.calls if call.time > watermark]
        return ripe

    def ripe_votes(self, watermark: int) -> list[Vote]:
        """Votes up to a watermark, by time."""
        ripe = sorted(vote for vote in self.votes if vote.time <= watermark)
        self.votes = [vote for vote in self.votes if vote.time > watermark]
        return ripe

    def snapshot(self) -> dict[str, Any]:
        """All state, as a tree."""
        return {
            "number": self.number,
            "watermark": self.watermark,
            "readings": _room(self.readings),
            "events": _room(self.events),
            "distributions": [[d.row, d.time, d.edges, d.counts, d.total, d.low, d.high] for d in self.distributions],
            "sightings": [[s.time, s.tenant, s.spec, s.entity, s.value] for s in self.sightings],
            "calls": [list(call) for call in self.calls],
            "votes": [list(vote) for vote in self.votes],
        }

    @staticmethod
    def of(state: dict[str, Any]) -> Intake:
        """An intake back from a snapshot."""
        return Intake(
            state["number"],
            _room_of(state["readings"]),
            _room_of(state["events"]),
            [distribution_of(d) for d in state["distributions"]],
            [Sighting(*s) for s in state["sightings"]],
            state["watermark"],
            [Call(*call) for call in state.get("calls", ())],  # snapshots of before had none
            [Vote(*vote) for vote in state.get("votes", ())],
        )


def distribution_of(d: Sequence[Any]) -> Distribution:
    """A histogram reading back from a snapshot."""
    row, time, edges, counts, total, low, high = d
    return Distribution(row, time, tuple(edges), tuple(counts), total, low, high)


def _room(room: Reorder) -> dict[str, Any]:
    counts = [room.released, room.late, room.repeated]
    return {"counts": counts, "waiting": dict(room.waiting().columns())}


def _room_of(state: dict[str, Any]) -> Reorder:
    released, late, repeated = state["counts"]
    return Reorder.of(released, late, repeated, Samples.of_columns(state["waiting"]))


def readings_of(frame: Frame, rows: Rows) -> tuple[Samples, I8]:
    """Samples of a frame of points in log order, and their start times; markers of no value become NaN."""
    row = rows.of_refs(frame.i4("series"))
    none = (np.asarray(frame.batch.column("flags")) & NO_VALUE) != 0
    value = frame.f8("value")
    if none.any():
        value = np.where(none, np.nan, value)
    return Samples.plain(row, frame.i8("time"), value), frame.i8("start")
