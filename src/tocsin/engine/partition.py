"""The fold over one partition of a shared log: its shards, each a pipeline, and the time and rules that they share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from tocsin.engine.edge_clocks import EdgeClocks
from tocsin.engine.pipeline import Pipeline
from tocsin.model.frame import Frame
from tocsin.model.log import Control, LogRecord, Output, Tick
from tocsin.model.routed import GOODBYE, GROWN, Routed, Seen
from tocsin.model.series import Catalog
from tocsin.selfmon.metrics import counter
from tocsin.selfmon.stopwatch import Stopwatch

REPEATED = counter(
    "tocsin_engine_repeated_frames_total", "Frames of brokers' messages that came once more and were left out"
)


class Partition:
    """State of one partition; what it says depends on the partition's entries alone.

    A shard is made when its first frame comes. It begins with the rules in force, which are kept in a pipeline that
    gets no frames.
    """

    def __init__(self, catalog: Catalog, stopwatch: Stopwatch | None = None) -> None:
        self._catalog = catalog
        self._stopwatch = stopwatch or Stopwatch()
        self._clocks = EdgeClocks()
        self._seen = Seen()
        self._ruled = Pipeline(catalog)
        self.shards: dict[int, Pipeline] = {}
        self.received = 0

    @staticmethod
    def of_one(pipeline: Pipeline, shard: int, catalog: Catalog) -> Partition:
        """A partition with a single shard: what one machine has learned."""
        found = Partition(catalog)
        found._ruled.fold(LogRecord(-1, pipeline.control))
        found.shards[shard] = pipeline
        found.received = pipeline.received
        marks = {key: intake.watermark for key, intake in pipeline.intakes.items()}
        found._clocks = EdgeClocks.after(Tick(pipeline.received, marks))
        return found

    def fold(self, record: Routed) -> Output | None:
        """Take one entry in; give what there is to say about it."""
        if record.place is not None and not self._seen.first_time(record.place):
            REPEATED.inc()
            return None
        entry = record.entry
        if isinstance(entry, Tick):
            tick = self._clocks.fold(record.edge, entry)
            return None if tick is None else self._tick(LogRecord(record.offset, tick), tick.received)
        if isinstance(entry, Control):
            if entry.kind == GROWN:
                return None  # who reads several partitions needs it
            if entry.kind == GOODBYE:
                tick = self._clocks.leave(record.edge)
                return None if tick is None else self._tick(LogRecord(record.offset, tick), tick.received)
            self._rule(LogRecord(record.offset, entry), entry)
            return None
        output = self._shard(record.shard).fold(LogRecord(record.offset, entry))
        return None if output is None else replace(output, received=self.received)

    def _tick(self, record: LogRecord, received: int) -> Output:
        self.received = received
        frames: list[Frame] = []
        with self._stopwatch.tick:
            for number in sorted(self.shards):
                output = self.shards[number].fold(record)
                if output is not None:
                    frames += output.frames
        return Output(record.offset, received, True, tuple(frames))

    def _rule(self, record: LogRecord, control: Control) -> None:
        if control.kind == "spec" and control.sha256 == self._ruled.control.sha256:
            return  # each replica says at its start what holds
        for pipeline in (self._ruled, *self.shards.values()):
            pipeline.fold(record)

    def _shard(self, number: int) -> Pipeline:
        found = self.shards.get(number)
        if found is None:
            found = self.shards[number] = Pipeline(self._catalog, self._stopwatch)
            found.restore(self._ruled.snapshot())
        return found

    def late(self) -> int:
        """How many samples came after their watermark and were left out."""
        return sum(pipeline.late() for pipeline in self.shards.values())

    def left_out(self) -> int:
        """How many values of records were beyond their caps."""
        return sum(pipeline.left_out() for pipeline in self.shards.values())

    def snapshot(self) -> dict[str, Any]:
        """All state, as a tree of copies."""
        return {
            "received": self.received,
            "clocks": self._clocks.snapshot(),
            "seen": self._seen.snapshot(),
            "ruled": self._ruled.snapshot(),
            "shards": {number: self.shards[number].snapshot() for number in sorted(self.shards)},
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take a snapshot back into a new partition."""
        self.received = state["received"]
        self._clocks.restore(state["clocks"])
        self._seen.restore(state["seen"])
        self._ruled.restore(state["ruled"])
        for number, tree in state["shards"].items():
            self.shards[number] = Pipeline(self._catalog, self._stopwatch)
            self.shards[number].restore(tree)


def divided(state: Mapping[str, Any], number: int, partitions: int, wanted: int) -> dict[int, dict[str, Any]]:
    """What a partition's state becomes when there are more: each takes its shards along, and all else as it is.

    Parameters
    ----------
    state : snapshot of partition `number` of `partitions`
    wanted : how many there will be, a multiple of `partitions`: then all shards of a new one come from one old one, and
        time, rules, and what came of brokers' messages are for it what they were there

    >>> states = divided({"received": 7, "shards": {1: "b", 3: "d", 5: "f"}}, 1, 2, 4)
    >>> {number: sorted(state["shards"]) for number, state in states.items()}
    {1: [1, 5], 3: [3]}
    """
    shards: Mapping[int, Any] = state["shards"]
    return {
        each: {**state, "shards": {shard: tree for shard, tree in shards.items() if shard % wanted == each}}
        for each in range(number, wanted, partitions)
    }
