"""Chunks of the current file: so many rows, or so much time."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from tocsin.model.arrays import I8
from tocsin.model.errors import BadInput
from tocsin.model.times import time_to_json

_UNITS: Final = {"s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9, "d": 86_400 * 10**9, "w": 7 * 86_400 * 10**9}
MOST_CHUNKS: Final = 10_000


@dataclass(frozen=True, slots=True)
class ChunkSize:
    """So many rows, or so many nanoseconds; neither is the file as one chunk."""

    rows: int = 0
    span_ns: int = 0

    @staticmethod
    def read(text: str | None) -> ChunkSize:
        """From `5000`, `1d`, `6h`, `30m`, `2w`.

        Raises
        ------
        BadInput
            It is neither.

        >>> ChunkSize.read("5000").rows, ChunkSize.read("1d").span_ns
        (5000, 86400000000000)
        """
        if text is None:
            return ChunkSize()
        found = re.fullmatch(r"([0-9]{1,12})([smhdw]?)", text.strip())
        if found is None or int(found[1]) == 0:
            raise BadInput(
                f"--chunk: {text[:40]!r} is neither a number of rows like 5000 nor a time like 1d, 6h or 30m"
            )
        size = int(found[1])
        return ChunkSize(span_ns=size * _UNITS[found[2]]) if found[2] else ChunkSize(rows=size)


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """One chunk: `rows` are numbers of rows of the file; `start` and `end` are times, else numbers of rows."""

    index: int
    start: str | int
    end: str | int
    rows: I8


def cut(count: int, time: I8 | None, size: ChunkSize) -> Iterator[Part]:
    """The chunks in order of time if there is one, else of the file; spans of time without rows give none.

    Raises
    ------
    BadInput
        A span of time is asked for without times, or there would be more than 10,000 chunks.
    """
    order = np.arange(count) if time is None else np.argsort(time, kind="stable")
    for index, (start, end, rows) in enumerate(_bounds(order, time, size)):
        yield Part(index, start, end, rows)


def _bounds(order: I8, time: I8 | None, size: ChunkSize) -> Iterator[tuple[str | int, str | int, I8]]:
    if size.span_ns:
        if time is None:
            raise BadInput(
                "--chunk: a span of time needs times; name their column with --time, or give a number of rows"
            )
        yield from _by_time(order, time, size.span_ns)
        return
    rows = size.rows or order.size
    _bounded(-(-order.size // rows), "--chunk")
    for first in range(0, order.size, rows):
        inside = order[first : first + rows]
        if time is None:
            yield first, first + inside.size, inside
        else:
            yield time_to_json(int(time[inside[0]])), time_to_json(int(time[inside[-1]])), inside


def _by_time(order: I8, time: I8, span_ns: int) -> Iterator[tuple[str | int, str | int, I8]]:
    which = time[order] // span_ns
    starts = np.flatnonzero(np.diff(which, prepend=which[0] - 1))
    _bounded(starts.size, "--chunk")
    for inside in np.split(order, starts[1:]):
        start = int(time[inside[0]]) // span_ns * span_ns
        yield time_to_json(start), time_to_json(start + span_ns), inside


def _bounded(count: int, option: str) -> None:
    if count > MOST_CHUNKS:
        raise BadInput(f"{option}: {count} chunks are more than {MOST_CHUNKS}; take larger ones")
