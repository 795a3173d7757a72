"""An excerpt of a log: the records of a stretch with the dictionaries they need, as segment files of their own.

Blocks are copied as they are, offsets included: an excerpt of an excerpt is the same bytes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from tocsin.journal.blocks import BlockKind, SegmentHeader, pack_block, pack_header
from tocsin.journal.segment import Segment, segment_firsts, segment_path
from tocsin.model.log import LogRecord
from tocsin.model.series import Catalog


class Excerpt(NamedTuple):
    """Records [first, stop) with the time of the last tick among them (0 without one), and how many bytes they take."""

    first: int
    stop: int
    received: int
    size_bytes: int


def excerpt(directory: Path, first: int, until_ns: int, into: Path, most_bytes: int) -> Excerpt:
    """Write the records of a log from `first` on, up to the tick of `until_ns`, into another directory.

    It ends earlier where the log ends, or where it would take more than `most_bytes`.

    Raises
    ------
    Corrupt
        A file is no segment.
    """
    into.mkdir(parents=True, exist_ok=True)
    firsts = segment_firsts(directory)
    done = Excerpt(first, first, 0, 0)
    for number, start in enumerate(firsts):
        if number + 1 < len(firsts) and firsts[number + 1] <= first:
            continue
        done, more = _one(segment_path(directory, start), done, until_ns, into, most_bytes)
        if not more:
            break
    return done


def _one(path: Path, done: Excerpt, until_ns: int, into: Path, most_bytes: int) -> tuple[Excerpt, bool]:
    first, stop, received, size = done
    begin = stop
    with closing(Segment(path, Catalog())) as segment:
        header = segment.header
        with segment_path(into, max(begin, header.first)).open("wb") as file:
            size += file.write(pack_header(SegmentHeader(max(begin, header.first), 0, header.format, header.versions)))
            for block, _ in segment.scan():
                if block.is_record and block.offset < begin:
                    continue
                packed = pack_block(block.kind, bytes(block.payload), block.offset, unit_end=block.unit_end)
                if block.is_record and size + len(packed) > most_bytes:
                    return Excerpt(first, stop, received, size), False
                size += file.write(packed)
                if block.is_record:
                    stop = block.offset + 1
                if block.kind is BlockKind.TICK:
                    received = int(json.loads(bytes(block.payload))[0])
                    if received >= until_ns:
                        return Excerpt(first, stop, received, size), False
    return Excerpt(first, stop, received, size), True


def records_of(directory: Path, catalog: Catalog, first: int = 0) -> Iterator[LogRecord]:
    """All whole records of the segments in a directory from `first` on, without a log's mark of what is durable.

    Raises
    ------
    Corrupt
        A file is no segment, or a record can't be read.
    """
    for start in segment_firsts(directory):
        with closing(Segment(segment_path(directory, start), catalog)) as segment:
            at = max(first, start)
            while found := segment.read(at, 1 << 62, 256):
                yield from found
                at = found[-1].offset + 1
