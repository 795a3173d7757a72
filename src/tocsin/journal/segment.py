"""One segment file, read: forward, with a sparse index for going back."""

from __future__ import annotations

import bisect
import os
from collections.abc import Iterator
from pathlib import Path

from tocsin.journal.blocks import SUFFIX, Block, BlockKind, block_bytes, blocks, read_header
from tocsin.journal.codec import MALFORMED, decode
from tocsin.journal.dictionary import ReadDictionary
from tocsin.model.errors import Corrupt
from tocsin.model.log import Entry, LogRecord
from tocsin.model.series import Catalog

CHUNK_BYTES = 1 << 20
_HEADER_BYTES = 4096
_INDEX_BYTES = 64 << 10


def segment_path(directory: Path, first: int) -> Path:
    """File of the segment whose first record has offset `first`."""
    return directory / f"{first:020d}{SUFFIX}"


def segment_firsts(directory: Path) -> list[int]:
    """First offsets of the segments in a directory, ascending."""
    return sorted(int(path.stem) for path in directory.glob(f"*{SUFFIX}") if path.stem.isdecimal())


class Segment:
    """Reads records of one file; dictionaries are kept as they are passed.

    Raises
    ------
    Corrupt
        The header is not one of ours.
    """

    def __init__(self, path: Path, catalog: Catalog) -> None:
        self.path = path
        self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            self.header, start = read_header(os.pread(self._fd, _HEADER_BYTES, 0))
        except Corrupt as e:
            os.close(self._fd)
            raise Corrupt(f"{path}: {e}") from e
        self._dictionary = ReadDictionary(catalog, self.header.format)
        self._index: list[tuple[int, int]] = [(self.header.first, start)]
        self._seen = start  # dictionary blocks before this position are known
        self._next = (self.header.first, start)
        self.whole = True  # whether the latest scan ended at the end of the file, not at a block that is not whole

    def close(self) -> None:
        """Close the file."""
        os.close(self._fd)

    def read(self, offset: int, stop: int, limit: int) -> list[LogRecord]:
        """Records with `offset` <= offset < `stop`, at most `limit`; ends early where a block is not whole."""
        found: list[LogRecord] = []
        at = self._place(offset)
        for block, position in self.scan(at):
            if len(found) >= limit or block.offset >= stop:
                break
            if position > self._seen:
                self._learn(block, position)
            if block.is_record:
                self._next = (block.offset + 1, position)
                if block.offset >= offset:
                    found.append(LogRecord(block.offset, self._entry(block, position)))
        return found

    def scan(self, at: int | None = None) -> Iterator[tuple[Block, int]]:
        """Whole blocks from a position on, each with the position behind it, as far as checksums hold."""
        at = self._index[0][1] if at is None else at
        want = CHUNK_BYTES
        while True:
            # a fresh buffer a chunk: frames that are not compressed keep pointing into it
            raw = os.pread(self._fd, want, at)
            used = 0
            for block in blocks(raw):
                used = block.end
                yield block, at + used
            at += used
            if used:
                want = CHUNK_BYTES
                continue
            span = block_bytes(raw, 0)
            if span is None or span <= len(raw) or len(raw) < want:
                self.whole = not raw
                return
            want = span

    def _place(self, offset: int) -> int:
        """Where to start to find `offset`: the place last read, or the nearest indexed one before."""
        if offset == self._next[0]:
            return self._next[1]
        return self._index[bisect.bisect_right(self._index, (offset, 1 << 62)) - 1][1]

    def _learn(self, block: Block, position: int) -> None:
        try:
            if block.kind is BlockKind.SERIES:
                self._dictionary.add_series(block.payload)
            elif block.kind is BlockKind.SCHEMA:
                self._dictionary.add_schema(block.payload)
        except MALFORMED as e:
            raise self._unreadable(f"a {block.kind.name.lower()} block", position, e) from e
        if block.is_record and position - self._index[-1][1] > _INDEX_BYTES:
            self._index.append((block.offset + 1, position))
        self._seen = position

    def _entry(self, block: Block, position: int) -> Entry:
        try:
            return decode(block.kind, block.payload, self._dictionary)
        except MALFORMED as e:
            raise self._unreadable(f"record {block.offset}", position, e) from e

    def _unreadable(self, what: str, position: int, reason: Exception) -> Corrupt:
        where = f"{self.path}: {what}, which ends at byte {position}"
        return Corrupt(f"{where}, passes its checksum and can't be read: {reason}")
