"""The durable mark: up to where other processes may read. Written after fdatasync, shared through mapped memory.

A reader must not act on a record that a power cut could take back, and can't see an fdatasync; so the writer
publishes the end of what is durable. The mark itself is never synced: its value on disk can only be too low.
"""

from __future__ import annotations

import mmap
import os
from pathlib import Path

_BYTES = 16
_CHECK = 0x5A5A_5A5A_5A5A_5A5A


class DurableMark:
    """The number of the next record, all below being durable; one writer, many readers."""

    def __init__(self, directory: Path, *, writable: bool) -> None:
        path = directory / "durable"
        if writable and not (path.exists() and path.stat().st_size == _BYTES):
            fresh = path.with_suffix(".new")
            fresh.write_bytes((0).to_bytes(8, "little") + _CHECK.to_bytes(8, "little"))
            fresh.replace(path)
        fd = os.open(path, (os.O_RDWR if writable else os.O_RDONLY) | os.O_CLOEXEC)
        try:
            access = mmap.ACCESS_WRITE if writable else mmap.ACCESS_READ
            self._map = mmap.mmap(fd, _BYTES, access=access)
        finally:
            os.close(fd)
        self._words = memoryview(self._map).cast("Q")

    def get(self) -> int | None:
        """The mark; None when it is being changed just now, or was damaged."""
        end, check = self._words
        return end if end ^ _CHECK == check else None

    def set(self, end: int) -> None:
        """Publish a new mark."""
        self._words[0] = end
        self._words[1] = end ^ _CHECK

    def close(self) -> None:
        """Unmap."""
        self._words.release()
        self._map.close()
