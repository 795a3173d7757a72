"""A data directory belongs to one server at a time."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tocsin.model.errors import BadConfig, BadInput

DATA_LOCK = "tocsin.lock"


def lock_data_dir(path: Path) -> int:
    """Take a data directory for this server alone; gives the descriptor that holds the lock.

    The children inherit it: the directory stays taken until the last of them has ended.

    Raises
    ------
    BadConfig
        It can't be made or written, or another server has it.
    """
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(path / DATA_LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise BadConfig(f"can't use the data directory {path}: {reason}; choose another with --data DIR") from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        owner = os.pread(lock, 32, 0).decode(errors="replace").strip()
        os.close(lock)
        raise BadConfig(
            f"another tocsin (pid {owner or 'unknown'}) uses the data directory {path}; "
            "end it or choose another with --data DIR"
        ) from None
    os.ftruncate(lock, 0)
    os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
    os.set_inheritable(lock, True)
    return lock


@contextmanager
def stopped(path: Path) -> Iterator[None]:
    """Hold the data directory of a server that does not run, so that none starts on it meanwhile.

    Raises
    ------
    BadInput
        There is no such directory.
    BadConfig
        A server has it.
    """
    if not path.is_dir():
        raise BadInput(f"there is no data directory {path}; name it with --data DIR")
    lock = lock_data_dir(path)
    try:
        yield
    finally:
        os.close(lock)
