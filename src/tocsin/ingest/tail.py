"""Following a file that grows and is rotated, from where the last acknowledged line ended."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO

import structlog

from tocsin.selfmon.metrics import counter

_STEP_BYTES = 1 << 20
_LINE_BYTES = 1 << 20
_HEAD_BYTES = 256
_TOO_LONG = counter(
    "tocsin_ingest_long_lines_total", "Lines of followed files that were too long and skipped", ["source"]
)
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Position:
    """Which file, and how much of it is done; `head` is a digest of its first bytes, since inodes are used again."""

    device: int = 0
    inode: int = 0
    offset: int = 0
    head: str = ""
    head_bytes: int = 0


class Tail:
    """Complete lines of a file, once; rotation by renaming and by truncation are both seen.

    Lines are given by `poll` and done at `commit`: what was not committed comes again after a restart.
    """

    def __init__(self, path: Path, state: Path, source: str, *, from_end: bool = False) -> None:
        self._path = path
        self._state = state
        self._source = source
        self._file: BinaryIO | None = None
        self._at = Position()
        self._skipping = False
        self._begun = False
        self._from_end = from_end

    def poll(self) -> Sequence[bytes]:
        """New complete lines without their ends, at most 1 MiB of them; empty when there is nothing new."""
        if self._file is None and not self._open():
            return []
        assert self._file is not None
        lines = self._read(self._file)
        if not lines and self._moved():
            # nobody writes to it any more: what has no line feed is a line all the same
            self._file.seek(self._at.offset)
            rest = self._file.read(_LINE_BYTES)
            lines = [rest] if rest and not self._skipping else []
            self._advance(self._file, self._at.offset + len(rest))
            self._file.close()
            self._file = None
        return lines

    def commit(self) -> None:
        """Remember that all lines given so far are done."""
        if not self._at.inode:
            return
        self._state.parent.mkdir(parents=True, exist_ok=True)
        new = self._state.with_suffix(".new")
        new.write_text(json.dumps(asdict(self._at)), encoding="utf-8")
        new.replace(self._state)

    def close(self) -> None:
        """Let go of the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _recall(self) -> Position:
        try:
            return Position(**json.loads(self._state.read_text(encoding="utf-8")))
        except FileNotFoundError:
            return Position()
        except (ValueError, TypeError) as bad:
            _log.warning(
                "position of a followed file is unreadable, starting anew", file=str(self._state), error=str(bad)
            )
            return Position()

    def _open(self) -> bool:
        told = Position()
        if not self._begun:
            told = self._recall()
            if told.inode and self._resume(told):
                self._begun = True
                return True
        try:
            file = self._path.open("rb")
        except FileNotFoundError:
            self._begun = True
            return False
        # only the very first time, and never after a rotation: what is new is wanted from its first line
        skip = self._from_end and not self._begun and not told.inode
        self._begun = True
        offset = _last_line_end(file) if skip else 0
        self._start(file, offset)
        return True

    def _resume(self, told: Position) -> bool:
        """Go on in the file of the position, wherever it was renamed to."""
        for path in [self._path, *sorted(self._path.parent.glob(self._path.name + "*"))]:
            try:
                file = path.open("rb")
            except OSError:
                continue
            status = os.fstat(file.fileno())
            same = (status.st_dev, status.st_ino) == (told.device, told.inode) and status.st_size >= told.offset
            if same and _digest(file, told.head_bytes) == told.head:
                self._start(file, told.offset)
                return True
            file.close()
        return False

    def _start(self, file: BinaryIO, offset: int) -> None:
        status = os.fstat(file.fileno())
        self._file = file
        self._skipping = False
        self._at = Position(status.st_dev, status.st_ino)
        self._advance(file, offset)

    def _read(self, file: BinaryIO) -> Sequence[bytes]:
        at = self._at
        size = os.fstat(file.fileno()).st_size
        # truncated; or that and grown beyond the old place before anyone looked: then it begins otherwise
        if size < at.offset or (size > at.offset and _digest(file, at.head_bytes) != at.head):
            self._start(file, 0)
            at = self._at
        file.seek(at.offset)
        piece = file.read(_STEP_BYTES)
        end = piece.rfind(b"\n") + 1
        if not end:
            if len(piece) < _LINE_BYTES:
                return []
            # no line may hold up all that follow, nor fill the memory
            if not self._skipping:
                _TOO_LONG.labels(self._source).inc()
            self._skipping = True
            self._advance(file, at.offset + len(piece))
            return self._read(file)
        lines = piece[:end].split(b"\n")[:-1]
        if self._skipping:
            lines, self._skipping = lines[1:], False
        self._advance(file, at.offset + end)
        return [line.removesuffix(b"\r") for line in lines]

    def _advance(self, file: BinaryIO, offset: int) -> None:
        size = min(offset, _HEAD_BYTES)
        head = self._at.head if self._at.head and self._at.head_bytes == size else _digest(file, size)
        self._at = Position(self._at.device, self._at.inode, offset, head, size)

    def _moved(self) -> bool:
        """Whether the path now names another file."""
        try:
            now = self._path.stat()
        except FileNotFoundError:
            return False
        return (now.st_dev, now.st_ino) != (self._at.device, self._at.inode)


def _digest(file: BinaryIO, size: int) -> str:
    file.seek(0)
    return hashlib.blake2b(file.read(size), digest_size=8).hexdigest()


def _last_line_end(file: BinaryIO) -> int:
    """Offset behind the last line feed."""
    at = file.seek(0, os.SEEK_END)
    while at > 0:
        begin = max(at - 65536, 0)
        file.seek(begin)
        found = file.read(at - begin).rfind(b"\n")
        if found >= 0:
            return begin + found + 1
        at = begin
    return 0
