"""`Directory`: a shelf of files on a disk, written aside and renamed into place."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO


class Directory:
    """A directory, made where it is missing."""

    def __init__(self, path: Path) -> None:
        self._path = path
        path.mkdir(parents=True, exist_ok=True)

    def names(self) -> Sequence[str]:
        """Names of all files."""
        return [path.name for path in self._path.iterdir() if path.is_file()]

    def read(self, name: str) -> bytes:
        """A file's content."""
        return (self._path / name).read_bytes()

    def write(self, name: str, fill: Callable[[BinaryIO], object]) -> None:
        """Write a file aside, durably, and rename it into place."""
        aside = self._path / f"{name}.new"
        with aside.open("wb") as file:
            fill(file)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(self._path / name)
        directory = os.open(self._path, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)

    def rename(self, name: str, other: str) -> None:
        """Give a file another name."""
        with suppress(FileNotFoundError):
            (self._path / name).replace(self._path / other)

    def drop(self, name: str) -> None:
        """Forget a file."""
        (self._path / name).unlink(missing_ok=True)
