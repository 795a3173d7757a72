"""The runner on a shared log: folds the partitions that its group gives it, and says what they find.

Exactly once by arithmetic, as on one machine: what a partition says is a function of its entries and names the offset
that caused it. A worker that takes a partition over starts from a snapshot, folds again, and holds back what was
written already. One that was paused and wakes up may still write what the new owner writes as well: both write the same
records in the same order from a place that was reached, so readers take each cause once (`Causes`). The lease, asked for
before each write, keeps that from happening but for a moment.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import structlog

from tocsin.engine.budget import calibration_of
from tocsin.engine.partition import Partition
from tocsin.engine.passed import Passed, Stumbles, told
from tocsin.engine.runner import FINDINGS, FOLDED, HELD_BACK, LATE, LEFT_OUT, SNAPSHOT_EVERY_NS
from tocsin.engine.score_metrics import ScoreMetrics, show_calibration
from tocsin.engine.snapshot import Keeper, Snapshots
from tocsin.model.errors import Corrupt, Overloaded, Unreachable
from tocsin.model.frame import Frame
from tocsin.model.log import Output, Tick
from tocsin.model.routed import LeaseLost, Owner, Routed
from tocsin.model.series import Catalog
from tocsin.selfmon.metrics import counter, gauge
from tocsin.selfmon.stopwatch import Stopwatch

HELD = gauge("tocsin_engine_held_partitions", "Partitions of the log that this worker folds")
LAG = gauge("tocsin_engine_partition_lag_records", "Entries of a partition that are not folded in", ["partition"])
LOST = counter("tocsin_engine_leases_lost_total", "Times that partitions had gone to another worker meanwhile")
GONE = counter("tocsin_engine_gone_records_total", "Entries that the log no longer had when they were to be folded")
_log = structlog.get_logger(__name__)


class Feed(Protocol):
    """A group's view of the log."""

    def poll(self, owner: Owner, catalogs: Mapping[int, Catalog]) -> Sequence[tuple[int, Routed]]:
        """Entries by partition that came next; tells `owner` of partitions that come and go."""

    def lease(self, offsets: Mapping[int, int]) -> bool:
        """Tell the group how far partitions are folded; False: nobody can say at present whether they are still ours.

        Raises
        ------
        LeaseLost
            They are no longer this worker's.
        """

    def lag(self, partition: int, offset: int) -> int:
        """How many entries of a partition are at `offset` or above."""

    def rejoin(self) -> None:
        """Become a new member, after a lease was lost."""

    def seek(self, partition: int, offset: int) -> None:
        """Read a partition from `offset` on once more.

        Raises
        ------
        Unreachable
            The client can't.
        """

    def bury(self, record: Routed, catalog: Catalog, origin: int, reason: str) -> None:
        """Keep an entry of partition `origin` that can't be folded where people look for it; durable when it returns.

        Raises
        ------
        Overloaded
            The brokers do not take it.
        """

    def close(self) -> None:
        """Leave the group."""


class Findings(Protocol):
    """Where outputs go, a partition for each of the log's."""

    def last_cause(self, partition: int) -> int:
        """Offset that caused the last output written, -1 for none."""

    def write(self, outputs: Sequence[tuple[int, Output]], catalogs: Mapping[int, Catalog]) -> None:
        """Write outputs by partition; returns when all are durable. Their series are numbered by the catalogs."""


@dataclass(slots=True)
class _Held:
    """A partition of this worker."""

    fold: Partition
    offset: int
    written: int
    keeper: Keeper
    snapshot_at: int
    passed: Passed
    late: int = 0
    left_out: int = 0
    outputs: list[Output] = field(default_factory=list)
    leased: int = -1
    since: list[Routed] = field(default_factory=list)


class _Stumble(NamedTuple):
    """Where a fold failed, half way through an entry."""

    record: Routed
    error: Exception


class Group:
    """Folds what the group gives; used by one thread. `stopwatch` times ticks and runs of models."""

    def __init__(
        self,
        feed: Feed,
        findings: Findings,
        snapshots: Callable[[int], Snapshots],
        bounds: Callable[[int], tuple[int, int]],
        stopwatch: Stopwatch | None = None,
        stumbles: Stumbles | None = None,
    ) -> None:
        self._stopwatch = stopwatch or Stopwatch()
        self._stumbles = stumbles or Stumbles()
        self._scores = ScoreMetrics()
        self._feed = feed
        self._findings = findings
        self._snapshots = snapshots
        self._bounds = bounds
        self._held: dict[int, _Held] = {}
        self.catalogs: dict[int, Catalog] = {}

    @property
    def partitions(self) -> list[int]:
        """Partitions that are folded here."""
        return sorted(self._held)

    def shard(self, partition: int) -> Partition | None:
        """State of a partition that is folded here."""
        held = self._held.get(partition)
        return None if held is None else held.fold

    def states(self) -> dict[int, tuple[int, dict[str, Any]]]:
        """For each partition that is folded here, how far it is folded and its state; what is being saved is down then."""
        for held in self._held.values():
            held.keeper.wait()
        return {number: (held.offset, held.fold.snapshot()) for number, held in sorted(self._held.items())}

    # -- the owner's part -------------------------------------------------------------------------------------------

    def assigned(self, partitions: Collection[int]) -> Mapping[int, int]:
        """Load the newest snapshot of each partition; what was said since then is known from what was written."""
        found = {}
        for number in partitions:
            catalog = self.catalogs[number] = Catalog()
            snapshots = self._snapshots(number)
            first, end = self._bounds(number)
            fold, offset = _restored(snapshots, catalog, first, end, self._stopwatch)
            written = self._findings.last_cause(number)
            passed = snapshots.passed(first)
            self._held[number] = _Held(fold, offset, written, Keeper(snapshots), fold.received, passed)
            self._held[number].late, self._held[number].left_out = fold.late(), fold.left_out()
            found[number] = offset
        self._show()
        _log.info("partitions are folded here", partitions=sorted(found), offsets=[found[n] for n in sorted(found)])
        return found

    def revoked(self, partitions: Collection[int]) -> None:
        """Write what is folded, and a snapshot for the worker that comes next."""
        try:
            written = self._write()
        except LeaseLost:
            written = False
        if not written:
            self.lost(partitions)
            return
        leaving = [self._held[number] for number in partitions if number in self._held]
        for held in leaving:
            held.keeper.save(held.offset, held.fold.snapshot())
        for held in leaving:
            held.keeper.wait()
        self._forget(partitions)

    def lost(self, partitions: Collection[int]) -> None:
        """Discard what was folded and not written: the new owner folds it again."""
        LOST.inc()
        _log.warning("partitions went to another worker meanwhile", partitions=sorted(partitions))
        self._forget(partitions)

    def _forget(self, partitions: Collection[int]) -> None:
        for number in partitions:
            self._held.pop(number, None)
            self.catalogs.pop(number, None)
        self._show()

    def _show(self) -> None:
        HELD.set(len(self._held))
        shards = [shard for held in self._held.values() for shard in held.fold.shards.values()]
        show_calibration(calibration_of(shard.roster.watches.values()) for shard in shards)

    # -- the fold ---------------------------------------------------------------------------------------------------

    def step(self) -> int:
        """Fold what came, and write what there is to say; how many entries it was."""
        records = self._feed.poll(self, self.catalogs)
        due: set[int] = set()
        stumbled: dict[int, _Stumble] = {}
        for number, record in records:
            held = self._held.get(number)
            if held is None or record.offset < held.offset or number in stumbled:
                continue
            try:
                self._fold(held, record)
            except MemoryError:
                raise  # whatever entry comes next would be the one to blame
            except Exception as error:  # noqa: BLE001 - whatever it is, the same entry fails at every worker
                stumbled[number] = _Stumble(record, error)
                continue
            if isinstance(record.entry, Tick) and held.fold.received - held.snapshot_at >= SNAPSHOT_EVERY_NS:
                due.add(number)
        try:
            written = self._write()
            self._save(due - stumbled.keys())
            for number, stumble in stumbled.items():
                self._recover(number, stumble, sure=written)
        except LeaseLost:
            self.lost(self.partitions)
            self._feed.rejoin()
            return len(records)
        for number, held in self._held.items():
            self._count(number, held)
        return len(records)

    def _save(self, due: Collection[int]) -> None:
        for number in sorted(due):
            held = self._held[number]
            if held.outputs:
                continue  # a snapshot never goes before what was written
            held.snapshot_at = held.fold.received
            held.keeper.save(held.offset, held.fold.snapshot())
        if due:
            self._show()

    def _fold(self, held: _Held, record: Routed) -> None:
        output = None if record.offset in held.passed else held.fold.fold(record)
        held.offset = record.offset + 1
        FOLDED.inc()
        if isinstance(record.entry, Frame) and record.offset not in held.passed:
            held.since.append(record)
        if output is not None:
            if output.tick:
                held.since.clear()
            if output.cause <= held.written:
                HELD_BACK.inc()
            else:
                held.outputs.append(output)

    def _recover(self, number: int, stumble: _Stumble, *, sure: bool) -> None:
        """Restore a state that is half changed, and fold again; an entry that failed often enough is passed over first."""
        held, (record, error) = self._held[number], stumble
        enough = self._stumbles.enough(number, record.offset)
        _log.error(
            "an entry can't be folded; the state is restored",
            partition=number,
            offset=record.offset,
            reason=told(error),
        )
        held.keeper.wait()
        if enough and sure and self._feed.lease({number: held.offset}):  # only who owns it says what all pass over
            blamed = self._stumbles.blamed(record, held.since, held.passed, error)
            try:
                for each in blamed:
                    self._feed.bury(each, self.catalogs[number], number, told(error))
                held.passed.add([each.offset for each in blamed], told(error))
            except (OSError, Unreachable, Overloaded) as away:
                _log.error("an entry can't be kept as a dead letter; it is tried again", reason=str(away))
        try:
            self._feed.seek(number, self.assigned([number])[number])
        except Unreachable:
            self.lost(self.partitions)
            self._feed.rejoin()
            raise

    def _count(self, number: int, held: _Held) -> None:
        late, left_out = held.fold.late(), held.fold.left_out()
        LATE.inc(max(0, late - held.late))
        LEFT_OUT.inc(max(0, left_out - held.left_out))
        held.late, held.left_out = late, left_out
        LAG.labels(str(number)).set(self._feed.lag(number, held.offset))

    def _write(self) -> bool:
        """Write what there is to say; False: that must wait."""
        outputs = [(number, output) for number in self.partitions for output in self._held[number].outputs]
        moved = {n: held.offset for n, held in self._held.items() if held.offset != held.leased}
        if not moved or not (outputs or any(held.offset - held.leased > _LEASED for held in self._held.values())):
            return True
        if not self._feed.lease(moved):
            return False
        if outputs:
            self._findings.write(outputs, self.catalogs)
            FINDINGS.inc(len(outputs))
            self._scores.take([output for _, output in outputs])
        for number, held in self._held.items():
            held.leased = moved.get(number, held.leased)
            if held.outputs:
                held.written = held.outputs[-1].cause
                held.outputs = []
        return True

    def close(self) -> None:
        """Hand all over and leave the group."""
        self._feed.close()
        self.revoked(self.partitions)


_LEASED = 1_000
"""Entries that may be folded before the group is told, when there is nothing to say."""


def _restored(
    snapshots: Snapshots, catalog: Catalog, first: int, end: int, stopwatch: Stopwatch
) -> tuple[Partition, int]:
    newest = end
    while (found := snapshots.load(newest)) is not None:
        offset, state = found
        fold = Partition(catalog, stopwatch)
        try:
            fold.restore(state)
        except (Corrupt, KeyError):  # of another version: an older one or the log has the same knowledge
            newest = offset - 1
        else:
            if offset < first:
                GONE.inc(first - offset)
                _log.error("the log no longer has what came after the newest snapshot", snapshot=offset, first=first)
            return fold, max(offset, first)
    return Partition(catalog, stopwatch), first
