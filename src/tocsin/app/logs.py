"""Opening the two logs of a data directory, for the process that writes and the one that reads."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

from tocsin.ingest.redact import REDACTOR_VERSION
from tocsin.journal.log import SegmentLog
from tocsin.journal.reader import SegmentReader
from tocsin.model.clock import Clock
from tocsin.model.errors import BadConfig
from tocsin.model.room import room_for
from tocsin.model.series import Catalog
from tocsin.spec.config import LimitsSpec

INPUT, OUTPUT = "input", "output"
DECODER_VERSION = "upb-1"
KEY_BYTES: Final = (16, 64)
"""A key of redaction has so many bytes, at least and at most."""


def open_logs(
    data_dir: Path, catalog: Catalog, clock: Clock, limits: LimitsSpec, on_fatal: Callable[[BaseException], None]
) -> tuple[SegmentLog, SegmentLog]:
    """The input and the output log, to write."""
    versions = {"decoder": DECODER_VERSION, "redactor": str(REDACTOR_VERSION)}

    def opened(name: str) -> SegmentLog:
        return SegmentLog(
            data_dir / name,
            catalog,
            clock,
            disk_budget_bytes=limits.log_bytes,
            versions=versions,
            on_fatal=on_fatal,
        )

    return opened(INPUT), opened(OUTPUT)


def read_logs(data_dir: Path, catalog: Catalog) -> tuple[SegmentReader, SegmentReader]:
    """The input and the output log, to read from another process."""
    return SegmentReader(data_dir / INPUT, catalog), SegmentReader(data_dir / OUTPUT, catalog)


def redaction_key(data_dir: Path) -> bytes:
    """The key of redaction tokens, made once per data directory and readable by its owner alone."""
    path = data_dir / "redaction.key"
    try:
        return path.read_bytes()
    except FileNotFoundError:
        key = os.urandom(32)
        aside = path.with_suffix(".new")  # a disk that gets full leaves half a key here, never there
        descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with room_for("the key of redaction"), os.fdopen(descriptor, "wb") as file:
            file.write(key)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
        return key


def share_redaction_key(data_dir: Path, shared: Path) -> None:
    """Take over the key that all machines of a cluster redact with; the first of them brings its own.

    Tokens of one value are the same everywhere then: a series that two machines deliver stays one. A directory that
    can't be written, such as a mounted secret, must hold the key already.

    Raises
    ------
    BadConfig
        There is no key, and none can be put there; or what is there is none.
    """
    path, common = data_dir / "redaction.key", shared / "redaction.key"
    try:
        agreed = common.read_bytes() if common.exists() else _offered(shared, redaction_key(data_dir))
    except OSError as error:
        raise BadConfig(
            f"{common} is not there and can't be made ({(error.strerror or str(error)).lower()}): all machines of a cluster"
            " redact with one key; `tocsin key redaction --data keys` makes keys/redaction.key, for the secret or directory"
            " that `cluster: shared` names"
        ) from error
    if not KEY_BYTES[0] <= len(agreed) <= KEY_BYTES[1]:
        raise BadConfig(
            f"{common} has {len(agreed)} bytes and is no key of redaction: that has {KEY_BYTES[0]} to {KEY_BYTES[1]}"
        )
    if not path.exists() or agreed != path.read_bytes():
        aside_own = path.with_suffix(".new")
        aside_own.touch(mode=0o600)
        aside_own.write_bytes(agreed)
        aside_own.replace(path)


def _offered(shared: Path, own: bytes) -> bytes:
    """Offer a key to all; gives the one that is agreed on."""
    shared.mkdir(parents=True, exist_ok=True)
    common = shared / "redaction.key"
    aside = shared / f".redaction.{os.getpid()}.{os.urandom(4).hex()}"
    aside.touch(mode=0o600)
    try:
        aside.write_bytes(own)
        os.link(aside, common)  # whole and once, whoever else tries
    except FileExistsError:
        return common.read_bytes()
    finally:
        aside.unlink()
    return own
