"""The file layer under a log: what must be asked of a disk, so that a test can play a disk that loses power."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Protocol


class LogFile(Protocol):
    """A file that is written at its end."""

    def write(self, data: bytes) -> None:
        """Append all of `data`; not durable before `sync`."""

    def sync(self) -> None:
        """Make everything written so far durable."""

    def truncate(self, size_bytes: int) -> None:
        """Cut the file to `size_bytes`."""

    def close(self) -> None:
        """Give the file up; says nothing about durability."""


class Files(Protocol):
    """A directory on a disk. Any call may raise `OSError`."""

    def create(self, path: Path) -> LogFile:
        """New empty file; its name is durable only after `sync_directory`."""

    def reopen(self, path: Path) -> LogFile:
        """Existing file, to be mended."""

    def remove(self, path: Path) -> None:
        """Delete a file."""

    def sync_directory(self, path: Path) -> None:
        """Make the names in a directory durable."""


class DiskFile:
    """A real file, synced by fdatasync."""

    def __init__(self, path: Path, flags: int) -> None:
        self._fd = os.open(path, flags | os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC, 0o600)

    def write(self, data: bytes) -> None:
        """Append all of `data`."""
        view = memoryview(data)
        while view:
            view = view[os.write(self._fd, view) :]

    def sync(self) -> None:
        """fdatasync: data and the size that is needed to read it back."""
        os.fdatasync(self._fd)

    def truncate(self, size_bytes: int) -> None:
        """Cut the file to `size_bytes`."""
        os.ftruncate(self._fd, size_bytes)

    def close(self) -> None:
        """Close the descriptor."""
        os.close(self._fd)


class DiskFiles:
    """The file system as it is."""

    def create(self, path: Path) -> LogFile:
        """New empty file, readable by its owner only; fails if there is one."""
        return DiskFile(path, os.O_CREAT | os.O_EXCL)

    def reopen(self, path: Path) -> LogFile:
        """Existing file, to be mended."""
        return DiskFile(path, 0)

    def remove(self, path: Path) -> None:
        """Delete a file."""
        path.unlink()

    def sync_directory(self, path: Path) -> None:
        """Fsync a directory."""
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
