"""A disk that loses power: what was not synced is gone when the process dies, but for a random part.

`kill -9` alone can't see a missing fsync, since the kernel keeps what was written. Here unsynced writes wait in
the memory of the process; only `sync` brings them to the file, and a name becomes real at `sync_directory`.
Now and then the disk writes something early, as the real one does: any pieces, not only the first ones.
"""

from __future__ import annotations

import os
import random  # noqa: TID251 - this is a test tool: what the disk writes early is drawn from a seed
from collections.abc import Sequence
from pathlib import Path

from tocsin.journal.files import DiskFiles, Files, LogFile

_PIECE_BYTES = 4096
_EARLY = 0.1


class PowerCutFile:
    """A file whose unsynced part is kept apart."""

    def __init__(self, path: Path, rng: random.Random) -> None:
        self._fd = os.open(path, os.O_CREAT | os.O_WRONLY, 0o600)
        self._size = os.fstat(self._fd).st_size
        self._rng = rng
        self._waiting: list[tuple[int, bytes]] = []

    def write(self, data: bytes) -> None:
        """Keep for later; a few pieces reach the disk at once, out of order."""
        for at in range(0, len(data), _PIECE_BYTES):
            piece = data[at : at + _PIECE_BYTES]
            self._waiting.append((self._size + at, piece))
            if self._rng.random() < _EARLY:
                os.pwrite(self._fd, piece, self._size + at)
        self._size += len(data)

    def sync(self) -> None:
        """Bring everything to the disk."""
        for at, piece in self._waiting:
            os.pwrite(self._fd, piece, at)
        self._waiting.clear()

    def truncate(self, size_bytes: int) -> None:
        """Cut at once: recovery relies on nothing that comes before a sync."""
        self.sync()
        os.ftruncate(self._fd, size_bytes)
        self._size = size_bytes

    def close(self) -> None:
        """What is still waiting is lost, as it may be."""
        os.close(self._fd)


class PowerCutFiles:
    """Files on a disk that loses power when the process is killed."""

    def __init__(self, seed: int) -> None:
        self._rng = random.Random(seed)
        self._unnamed: list[tuple[Path, Path]] = []

    def create(self, path: Path) -> LogFile:
        """New file; its name is lost with the power until the directory is synced."""
        hidden = path.with_suffix(f".hidden-{os.getpid()}")
        self._unnamed.append((hidden, path))
        return PowerCutFile(hidden, self._rng)

    def reopen(self, path: Path) -> LogFile:
        """Existing file, to be mended."""
        return PowerCutFile(path, self._rng)

    def remove(self, path: Path) -> None:
        """Delete a file."""
        path.unlink()

    def sync_directory(self, path: Path) -> None:
        """Make the names in a directory durable."""
        for hidden, name in self._unnamed:
            if name.parent == path:
                hidden.rename(name)
        self._unnamed = [pair for pair in self._unnamed if pair[1].parent != path]


class Unsynced:
    """Mutant: says that it synced, and did not."""

    def __init__(self, file: LogFile) -> None:
        self._file = file

    def write(self, data: bytes) -> None:
        self._file.write(data)

    def sync(self) -> None:
        """Do nothing."""

    def truncate(self, size_bytes: int) -> None:
        self._file.truncate(size_bytes)

    def close(self) -> None:
        self._file.close()


class NoSyncFiles(PowerCutFiles):
    """Mutant: files on the same disk, never synced."""

    def create(self, path: Path) -> LogFile:
        return Unsynced(super().create(path))


class NoDirectorySyncFiles(PowerCutFiles):
    """Mutant: the directory is never synced."""

    def sync_directory(self, path: Path) -> None:
        """Do nothing."""


DISKS: dict[str, type[PowerCutFiles]] = {
    "power": PowerCutFiles,
    "no-sync": NoSyncFiles,
    "no-directory-sync": NoDirectorySyncFiles,
}


def disk(name: str, seed: int) -> Files:
    """A disk by name: `real`, `power`, or one of the mutants."""
    return DiskFiles() if name == "real" else DISKS[name](seed)


__all__: Sequence[str] = ["DISKS", "NoDirectorySyncFiles", "NoSyncFiles", "PowerCutFiles", "disk"]
