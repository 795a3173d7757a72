"""The segment that is being written, and the list of those that are kept."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tocsin.journal.blocks import BlockKind, SegmentHeader, pack_block, pack_header
from tocsin.journal.codec import encode
from tocsin.journal.dictionary import SeriesTexts, WrittenDictionary
from tocsin.journal.files import Files, LogFile
from tocsin.journal.recovery import KeptSegment
from tocsin.journal.segment import segment_path
from tocsin.model.clock import Clock
from tocsin.model.errors import DiskFull
from tocsin.model.log import Entry, LogRecord
from tocsin.model.room import FULL
from tocsin.model.series import Catalog


class SegmentWriter:
    """Writes groups of units durably; used by one thread."""

    def __init__(
        self,
        directory: Path,
        catalog: Catalog,
        clock: Clock,
        files: Files,
        kept: list[KeptSegment],
        end: int,
        segment_bytes: int,
        versions: dict[str, str],
    ) -> None:
        self._directory = directory
        self._texts = SeriesTexts(catalog)
        self._clock = clock
        self._files = files
        self._segment_bytes = segment_bytes
        self._versions = versions
        self._next = end
        self._file: LogFile | None = None
        self._dictionary = WrittenDictionary(self._texts)
        self.kept = kept
        self.disk_bytes = sum(segment.size_bytes for segment in kept)

    def write(self, units: Sequence[Sequence[Entry]]) -> tuple[list[LogRecord], int]:
        """Write units in order and make them durable; gives their records and the bytes written.

        Raises
        ------
        DiskFull
            There is no room; nothing was written.
        OSError
            The disk failed; what is on it is unknown.
        """
        if not any(units):
            return [], 0
        if self._file is None:
            self._begin()
        records: list[LogRecord] = []
        parts: list[bytes] = []
        for entries in units:
            for i, entry in enumerate(entries):
                offset = self._next + len(records)
                kind, payload, schemas = encode(entry, self._dictionary)
                parts.extend(pack_block(BlockKind.SCHEMA, schema, offset) for schema in schemas)
                parts.extend(pack_block(BlockKind.SERIES, series, offset) for series in self._dictionary.fresh())
                parts.append(pack_block(kind, payload, offset, unit_end=i == len(entries) - 1))
                records.append(LogRecord(offset, entry))
        blob = b"".join(parts)
        self._store(blob)
        self._next += len(records)
        if self.kept[-1].size_bytes >= self._segment_bytes:
            self._end_segment()
        return records, len(blob)

    def expired(self, retain_from: int, limit_bytes: int, oldest_ns: int) -> list[KeptSegment]:
        """Segments, oldest first, that may go: all their records are below `retain_from`, and they are too old or too much."""
        gone: list[KeptSegment] = []
        left_bytes = self.disk_bytes
        for segment, after in zip(self.kept, self.kept[1:], strict=False):
            too_much, too_old = left_bytes > limit_bytes, after.created_ns < oldest_ns
            if after.first > retain_from or not (too_much or too_old):
                break
            left_bytes -= segment.size_bytes
            gone.append(segment)
        return gone

    def remove(self, gone: list[KeptSegment]) -> None:
        """Delete segments, oldest first."""
        for segment in gone:
            self._files.remove(segment.path)
            self.disk_bytes -= segment.size_bytes
            segment.path.with_suffix(".cut").unlink(missing_ok=True)
        del self.kept[: len(gone)]

    def close(self) -> None:
        """Close the file; everything written is durable already."""
        self._end_segment()

    def _begin(self) -> None:
        path = segment_path(self._directory, self._next)
        created_ns = self._clock.now()
        header = pack_header(SegmentHeader(self._next, created_ns, versions=self._versions))
        self.kept.append(KeptSegment(self._next, path, 0, created_ns))
        self._dictionary = WrittenDictionary(self._texts)
        try:
            self._file = self._files.create(path)
            self._write(header)
            self._files.sync_directory(self._directory)
        except OSError as e:
            if e.errno not in FULL:
                raise
            self._undo()
            raise DiskFull(str(e)) from e

    def _store(self, blob: bytes) -> None:
        assert self._file is not None
        before = self.kept[-1].size_bytes
        try:
            self._write(blob)
        except OSError as e:
            if e.errno not in FULL:
                raise
            self._file.truncate(before)
            self.disk_bytes -= self.kept[-1].size_bytes - before
            self.kept[-1].size_bytes = before
            self._undo()
            raise DiskFull(str(e)) from e
        self._file.sync()

    def _write(self, blob: bytes) -> None:
        assert self._file is not None
        self._file.write(blob)
        self.kept[-1].size_bytes += len(blob)
        self.disk_bytes += len(blob)

    def _undo(self) -> None:
        """End the segment, since its dictionary has codes that were never written; drop it if it holds no record."""
        segment = self.kept[-1]
        self._end_segment()
        if segment.first == self._next:
            self.kept.pop()
            self.disk_bytes -= segment.size_bytes
            if segment.path.exists():
                self._files.remove(segment.path)

    def _end_segment(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
