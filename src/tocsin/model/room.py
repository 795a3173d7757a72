"""What a full disk says, in our words."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from tocsin.model.errors import DiskFull

FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
"""Numbers of errors that mean: no room."""


@contextmanager
def room_for(what: str) -> Iterator[None]:
    """Turn the error of a disk without room into ours; `what` needs the room.

    Raises
    ------
    DiskFull
        There was none.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in FULL:
            raise
        raise DiskFull(f"no room on the disk for {what}") from error
