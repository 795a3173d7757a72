"""Following all files that a pattern of paths names, those too that come later."""

from __future__ import annotations

import asyncio
import glob
import hashlib
from collections.abc import Awaitable, Callable
from pathlib import Path
from stat import S_ISREG
from typing import Final

import structlog

from tocsin.ingest.follow import Follow
from tocsin.selfmon.metrics import counter

MOST_FILES: Final = 200
_LOOK_EVERY: Final = 20
_POLL_S: Final = 0.25
_PACKED: Final = (".gz", ".bz2", ".xz", ".zst", ".lz4", ".zip", ".Z")
_LEFT_OUT = counter(
    "tocsin_ingest_files_left_out_total", "Files of a pattern that are not followed: there are too many.", ["source"]
)
_log = structlog.get_logger(__name__)

Open = Callable[[Path, str, bool], Follow]
"""Makes what follows a path: path, name of its position, and whether to begin at its end."""


def is_pattern(path: str) -> bool:
    """Whether a path names files by `*`, `?` or `[...]`.

    >>> is_pattern("/var/log/app-*.log"), is_pattern("/var/log/app.log")
    (True, False)
    """
    return glob.has_magic(path)


class FollowGlob:
    """Runs the files of a pattern until cancelled.

    Files that are there at first are read from their end, later ones from their first line. A file that was followed
    and is renamed is no new one; packed files are old ones and left alone.
    """

    def __init__(
        self, name: str, pattern: str, open_file: Open, *, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    ) -> None:
        self._name = name
        self._pattern = pattern
        self._open = open_file
        self._sleep = sleep
        self._follows: dict[str, Follow] = {}
        self._known: dict[tuple[int, int], str] = {}
        self._refused: set[str] = set()
        self._gone: set[str] = set()
        self._steps = 0

    async def run(self) -> None:
        """Follow the files until cancelled."""
        try:
            while True:
                if not await self.step():
                    await self._sleep(_POLL_S)
        finally:
            self.close()

    def close(self) -> None:
        """Let go of all files."""
        for follow in self._follows.values():
            follow.close()

    async def step(self) -> bool:
        """Take what is there now in any of the files; False when there was nothing."""
        if self._steps % _LOOK_EVERY == 0:
            await asyncio.to_thread(self._look)
        self._steps += 1
        return any([await follow.step() for follow in list(self._follows.values())])

    def _look(self) -> None:
        """See which files the pattern names now."""
        first = not self._steps
        named = sorted(glob.glob(self._pattern))  # noqa: PTH207 - Path.glob takes no whole path
        found = {path: identity for path in named if (identity := _identity(Path(path)))}
        for path in list(self._follows):
            if path in found:
                self._known[found[path]] = path
        for path, identity in found.items():
            if path in self._follows or identity in self._known or path.endswith(_PACKED):
                continue
            if len(self._follows) >= MOST_FILES:
                self._refuse(path)
                continue
            position = f"{self._name}.{hashlib.blake2b(path.encode('utf-8', 'replace'), digest_size=6).hexdigest()}"
            self._follows[path] = self._open(Path(path), position, first)
            self._known[identity] = path
        gone = {path for path in self._follows if path not in found}
        for path in gone & self._gone:  # since the last look already: what was left in it is read
            self._follows.pop(path).close()
        self._gone = gone
        there = set(found.values())
        self._known = {identity: path for identity, path in self._known.items() if identity in there}

    def _refuse(self, path: str) -> None:
        if path not in self._refused:
            self._refused.add(path)
            _LEFT_OUT.labels(self._name).inc()
            _log.warning("too many files for one source; this one is not followed", source=self._name, file=path)


def _identity(path: Path) -> tuple[int, int] | None:
    """Device and inode of a file; None for what is none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return (status.st_dev, status.st_ino) if S_ISREG(status.st_mode) else None
