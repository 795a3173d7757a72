"""Outputs of many partitions in one order: a tick is told when all have come to it, all else as it comes."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from tocsin.model.frame import Frame
from tocsin.model.log import Output

NEVER: Final = 1 << 63
SLOWEST_NS: Final = 15 * 10**9
"""A partition this far behind the foremost is waited for no longer; what it says is told when it comes."""


class Told(NamedTuple):
    """Frames that are told together: at a tick of `received`, or between ticks."""

    received: int
    tick: bool
    frames: tuple[Frame, ...]


@dataclass(slots=True)
class _Stream:
    """What is known of one partition's outputs: up to which offset and cause they were told, and what waits."""

    offset: int = 0
    cause: int = -1
    ticked: int = 0
    pushed: int = -1
    waiting: deque[tuple[int, Output]] = field(default_factory=deque)

    def next_tick(self) -> int:
        """Time of the first tick that waits."""
        return next((output.received for _, output in self.waiting if output.tick), NEVER)


class OutputMerge:
    """Takes outputs as they are read from each partition, and gives them in an order that is then written down.

    Workers that relieve one another may write an output twice, each without a gap from a place that was reached: an
    output whose cause is not above the last one's was there already.
    """

    def __init__(self, partitions: int) -> None:
        self._streams = [_Stream() for _ in range(partitions)]
        self._told = 0

    def push(self, partition: int, offset: int, output: Output) -> None:
        """Take what a partition has at an offset; offsets ascend."""
        stream = self._streams[partition]
        if output.cause <= max(stream.cause, stream.pushed):
            if not stream.waiting:
                stream.offset = offset + 1
            return
        stream.pushed = output.cause
        stream.waiting.append((offset, output))
        if output.tick:
            stream.ticked = max(stream.ticked, output.received)

    def pop(self, reached: Sequence[int]) -> Told | None:
        """What is to be told next, if anything is.

        Nothing is told of a cause in partition `i` that is not below `reached[i]`: who hears of it may look there.
        """
        for stream, upto in zip(self._streams, reached, strict=True):
            if stream.waiting:
                output = stream.waiting[0][1]
                if output.cause < upto and not (output.tick and output.received > self._told):
                    self._take(stream)
                    return Told(self._told, False, output.frames)
        foremost = max(stream.ticked for stream in self._streams)
        frontier = min(stream.ticked for stream in self._streams if foremost - stream.ticked <= SLOWEST_NS)
        if frontier <= self._told:
            return None
        following = min(at for stream in self._streams if (at := stream.next_tick()) <= frontier)
        return self._tick(following) if self._reached(following, reached) else None

    def _reached(self, frontier: int, reached: Sequence[int]) -> bool:
        for stream, upto in zip(self._streams, reached, strict=True):
            for _, output in stream.waiting:
                if output.received > frontier:
                    break
                if output.cause >= upto:
                    return False
        return True

    def _tick(self, frontier: int) -> Told:
        frames: list[Frame] = []
        for stream in self._streams:
            while stream.waiting and _up_to(stream.waiting[0][1], frontier):
                frames += self._take(stream).frames
        self._told = frontier
        return Told(frontier, True, tuple(frames))

    @staticmethod
    def _take(stream: _Stream) -> Output:
        offset, output = stream.waiting.popleft()
        stream.offset, stream.cause = offset + 1, output.cause
        return output

    def up_to(self, ends: Sequence[int]) -> tuple[Frame, ...] | None:
        """Frames of all that waits below given offsets, partition by partition; None while some of it has not come."""
        frames: list[Frame] = []
        for stream, end in zip(self._streams[: len(ends)], ends, strict=True):
            if stream.offset < end and not (stream.waiting and stream.waiting[-1][0] >= end - 1):
                return None
            for offset, output in stream.waiting:
                if offset < end:
                    frames += output.frames
        return tuple(frames)

    def offsets(self) -> list[int]:
        """For each partition, the offset from which its outputs are still to be told."""
        return [stream.offset for stream in self._streams]

    def snapshot(self) -> dict[str, Any]:
        """How far all is told; what waits is read again."""
        return {"told": self._told, "streams": [[each.offset, each.cause] for each in self._streams]}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from where a snapshot was; what was told by then waits no longer. Partitions may have come since."""
        self._told = state["told"]
        known = state["streams"]
        for stream, (offset, cause) in zip(self._streams[: len(known)], known, strict=True):
            stream.offset, stream.cause = offset, cause
            while stream.waiting and stream.waiting[0][0] < offset:
                stream.waiting.popleft()


def _up_to(output: Output, frontier: int) -> bool:
    return output.received < frontier or (output.tick and output.received == frontier)
