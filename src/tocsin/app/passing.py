"""Directories that are there as long as a process is, and that the next start removes if the process was killed.

A directory is locked (BSD lock on the directory itself) by who made it, and by the children that inherit the
descriptor; nobody sweeps what is locked. systemd-tmpfiles leaves locked directories alone as well, so that sockets of
a server that runs for weeks stay in `/tmp`.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tocsin.app.datadir import DATA_LOCK
from tocsin.model.errors import BadConfig

MARK = ".made-by-tocsin"
"""Only directories with this file in them are ever removed."""
SOCKET_PATH_BYTES = 107
"""Longest path of a unix socket (`sun_path` of Linux, without its final NUL)."""
_PREFIX = "tocsin-"
_LONGEST_NAME = "/cold.sock"


@contextmanager
def passing_dir(what: str) -> Iterator[tuple[Path, int]]:
    """A fresh private directory (0700) and the descriptor that locks it, inheritable; removed at the end.

    Raises
    ------
    BadConfig
        No directory for temporary files can be written.
    """
    try:
        path, lock = _make(what)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise BadConfig(
            f"no directory for sockets can be made ({reason}); set TMPDIR to one that is writable"
        ) from None
    try:
        yield path, lock
    finally:
        shutil.rmtree(path, ignore_errors=True)
        os.close(lock)


def _make(what: str) -> tuple[Path, int]:
    # it gets its name when it is locked: who sees the name and no lock sees a dead one
    draft = Path(tempfile.mkdtemp(prefix=f".{_PREFIX}", dir=_place(what)))
    try:
        (draft / MARK).write_text("Belongs to one run of tocsin; the next start removes it if that run was killed.\n")
        lock = os.open(draft, os.O_RDONLY | os.O_DIRECTORY)
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        path = draft.with_name(f"{_PREFIX}{what}{draft.name.removeprefix(f'.{_PREFIX}')}")
        draft.rename(path)
    except OSError:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    os.set_inheritable(lock, True)
    return path, lock


def _place(what: str) -> str:
    """Where temporary files go, unless the paths of sockets would get too long there: then `/tmp`."""
    place = tempfile.gettempdir()
    longest = f"{place}/{_PREFIX}{what}12345678{_LONGEST_NAME}"
    return place if len(os.fsencode(longest)) <= SOCKET_PATH_BYTES else "/tmp"  # noqa: S108 - mkdtemp makes it safe


def sweep() -> list[Path]:
    """Remove the directories of this user's runs that were killed; gives those that were removed."""
    swept: list[Path] = []
    with suppress(OSError):  # no such place, as making a directory will tell
        for path in sorted(Path(_place("")).glob(f"{_PREFIX}*")):
            with suppress(OSError):  # somebody else's, or gone meanwhile
                if _abandoned(path):
                    shutil.rmtree(path, ignore_errors=True)
                    swept.append(path)
    return swept


def _abandoned(path: Path) -> bool:
    if path.is_symlink() or not (path / MARK).is_file() or path.stat().st_uid != os.getuid():
        return False
    # processes that still end hold the data in it
    return not any(_locked(each) for each in (path, path / DATA_LOCK) if each.exists())


def _locked(path: Path) -> bool:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
