"""The Log port on segment files: `SegmentLog` writes (and reads), `SegmentReader` reads from any process."""

from tocsin.journal.errors import LogFailed
from tocsin.journal.log import SegmentLog
from tocsin.journal.reader import SegmentReader

__all__ = ["LogFailed", "SegmentLog", "SegmentReader"]
