"""What the writer does with what it finds: cut the torn tail, make the rest durable, say what is missing."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import structlog

from tocsin.journal.files import Files
from tocsin.journal.segment import Segment, segment_firsts, segment_path
from tocsin.model.errors import Corrupt
from tocsin.model.series import Catalog
from tocsin.selfmon.metrics import counter

_CUT = counter("tocsin_journal_cut_bytes_total", "Bytes cut from the tail of a log that did not pass their checksum")
_LOST = counter("tocsin_journal_lost_records_total", "Records that were durable once and were not found again")
_log = structlog.get_logger("tocsin.journal")


@dataclass(slots=True)
class KeptSegment:
    """A segment on disk: first offset, size, and when it was begun."""

    first: int
    path: Path
    size_bytes: int
    created_ns: int


def recover(directory: Path, files: Files, mark: int) -> tuple[list[KeptSegment], int]:
    """Segments that are kept, and the offset of the next record.

    Only the last segment can have a torn tail: the ones before were durable when it was made. What is cut is
    kept beside it as `*.cut`. The next offset never falls below the durable mark, since readers may have been
    there: if a disk lost what it had called durable, a gap remains and is counted.
    """
    kept: list[KeptSegment] = []
    end = 0
    for first in segment_firsts(directory):
        path = segment_path(directory, first)
        try:
            segment = Segment(path, Catalog())
        except Corrupt:
            _log.warning("segment without a header is put aside", path=str(path))
            path.replace(path.with_suffix(".cut"))
            continue
        kept.append(KeptSegment(first, path, path.stat().st_size, segment.header.created_ns))
        segment.close()
    if kept:
        end = _mend(kept[-1], files)
        if end == kept[-1].first:
            path = kept.pop().path  # no whole unit in it
            path.replace(path.with_suffix(".cut"))
    files.sync_directory(directory)
    if end < mark:
        _LOST.inc(mark - end)
        _log.critical("records that were durable are missing", first=end, end=mark, directory=str(directory))
    return kept, max(end, mark)


def _mend(last: KeptSegment, files: Files) -> int:
    """Cut the last segment behind its last whole unit and make it durable; gives the offset after it."""
    segment = Segment(last.path, Catalog())
    end, good = last.first, 0
    for block, position in segment.scan():
        if block.is_record and block.unit_end:
            end, good = block.offset + 1, position
    segment.close()
    if end == last.first:
        return end
    file = files.reopen(last.path)
    try:
        if good < last.size_bytes:
            with last.path.open("rb") as damaged:
                damaged.seek(good)
                last.path.with_suffix(".cut").write_bytes(damaged.read())
            _CUT.inc(last.size_bytes - good)
            _log.warning("torn tail cut", path=str(last.path), at=good, bytes=last.size_bytes - good)
            file.truncate(good)
            last.size_bytes = good
        file.sync()
    finally:
        file.close()
    return end
