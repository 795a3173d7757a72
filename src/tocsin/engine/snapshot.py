"""Snapshots of the fold: one file per kept offset, checksummed, on a shelf that keeps files whole."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from io import BytesIO
from threading import Thread
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import structlog

from tocsin.engine.passed import Passed
from tocsin.model.arrays import Array
from tocsin.model.errors import Corrupt, TooLarge, Unreachable
from tocsin.model.shelf import Shelf
from tocsin.selfmon.metrics import counter

FORMAT = 2
SNAPSHOTS = counter("tocsin_engine_snapshots_total", "Snapshots written")
SNAPSHOT_FAILURES = counter("tocsin_engine_snapshot_failures_total", "Snapshots that could not be written")
_log = structlog.get_logger(__name__)
_MAGIC = b"TOCSNAP2"
_OLDER = (b"TOCSNAP1",)
_DIGEST_BYTES = 16
KEEP = 2


def write(tree: Mapping[str, Any], file: BinaryIO) -> None:
    """Write a tree of dicts, lists, JSON scalars, bytes and arrays to a file.

    A magic word, a zstd stream, its checksum. In the stream: a JSON header, behind it the arrays one after another.
    They go from where they lie through the compressor, so that writing needs no copies and leaves the interpreter
    to others nearly all of the time.
    """
    arrays: list[Array] = []
    header = json.dumps({"format": FORMAT, "tree": _plain(tree, arrays)}, separators=(",", ":")).encode()
    file.write(_MAGIC)
    sink = _Summed(file)
    with pa.CompressedOutputStream(pa.PythonFile(sink, "w"), "zstd") as out:
        out.write(len(header).to_bytes(8, "little") + header)
        for array in arrays:
            if array.nbytes:
                out.write(np.ascontiguousarray(array))
    file.write(sink.sum.digest())


class _Summed:
    """What Arrow writes to: passes everything on and keeps its checksum."""

    closed = False

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.sum = hashlib.blake2b(digest_size=_DIGEST_BYTES)

    def write(self, piece: bytes) -> int:
        self.sum.update(piece)
        return self._file.write(piece)

    def flush(self) -> None:
        self._file.flush()

    def close(self) -> None:
        """Leave the file open: the checksum is still to come."""


def pack(tree: Mapping[str, Any]) -> bytes:
    """What `write` would write, as bytes."""
    file = BytesIO()
    write(tree, file)
    return file.getvalue()


def unpack(raw: bytes) -> dict[str, Any]:
    """Turn what `write` wrote back into its tree; arrays are copies.

    Raises
    ------
    Corrupt
        The bytes are not a whole snapshot of a known format.
    """
    if raw[:8] in _OLDER:
        raise Corrupt(f"a snapshot has an older format than {FORMAT}, which this program reads; the log is used")
    packed = memoryview(raw)[8:-_DIGEST_BYTES]
    if raw[:8] != _MAGIC or hashlib.blake2b(packed, digest_size=_DIGEST_BYTES).digest() != raw[-_DIGEST_BYTES:]:
        raise Corrupt("a snapshot's checksum does not fit; it is left aside and an older one or the log is used")
    with pa.CompressedInputStream(pa.BufferReader(packed), "zstd") as stream:
        header = json.loads(stream.read(int.from_bytes(stream.read(8), "little")))
        if header["format"] != FORMAT:
            raise Corrupt(f"a snapshot has format {header['format']}, this program reads {FORMAT}; the log is used")
        tree: dict[str, Any] = _rich(header["tree"], stream)
    return tree


_AS_IT_IS = frozenset({str, int, float, bool, type(None)})


def _plain(node: Any, arrays: list[Array]) -> Any:
    if type(node) in _AS_IT_IS:
        return node
    if isinstance(node, np.ndarray):
        arrays.append(node)
        return {"$a": [node.dtype.str, list(node.shape), node.nbytes]}
    if isinstance(node, bytes):
        return {"$b": node.hex()}
    if isinstance(node, Mapping):
        return {"$d": [[_key(k), _plain(v, arrays)] for k, v in node.items()]}
    if isinstance(node, list | tuple):
        return [_plain(v, arrays) for v in node]
    return node.item() if isinstance(node, np.generic) else node


def _key(key: Any) -> Any:
    return list(key) if isinstance(key, tuple) else key


def _rich(node: Any, stream: Any) -> Any:
    if isinstance(node, list):
        return [_rich(v, stream) for v in node]
    if not isinstance(node, dict):
        return node
    if "$a" in node:
        dtype, shape, size = node["$a"]  # arrays are met in the order in which they were laid down
        array: Array = np.frombuffer(stream.read(size), np.dtype(dtype)).reshape(shape).copy()
        return array
    if "$b" in node:
        return bytes.fromhex(node["$b"])
    return {(tuple(k) if isinstance(k, list) else k): _rich(v, stream) for k, v in node["$d"]}


class Snapshots:
    """Snapshots on a shelf, named by the offset up to which the log is folded in."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf

    def passed(self, first: int = 0) -> Passed:
        """Entries of the log that are passed over; those before `first` are forgotten."""
        return Passed(self._shelf, first)

    def bury(self, offset: int, message: bytes) -> None:
        """Keep an entry that is passed over beside the snapshots, as a message, where the log itself goes on to forget it."""
        self._shelf.write(f"{offset:020d}.dead", lambda file: file.write(message))

    def _names(self) -> list[str]:
        return sorted((name for name in self._shelf.names() if name.endswith(_END)), reverse=True)

    def save(self, offset: int, state: Mapping[str, Any]) -> None:
        """Write a snapshot durably and drop all but the newest few."""
        self._shelf.write(f"{offset:020d}{_END}", lambda file: write(state, file))
        for old in self._names()[KEEP:]:
            self._shelf.drop(old)

    def load(self, newest_allowed: int) -> tuple[int, dict[str, Any]] | None:
        """The newest whole snapshot at or below an offset, or None; broken ones are put aside."""
        gone: set[str] = set()
        while True:
            names = [each for each in self._names() if _offset(each) <= newest_allowed and each not in gone]
            if not names:
                return None
            try:
                return _offset(names[0]), unpack(self._shelf.read(names[0]))
            except Corrupt:
                self._shelf.rename(names[0], names[0].removesuffix(_END) + ".broken")
                gone.add(names[0])
            except FileNotFoundError:  # dropped by who wrote a newer one meanwhile, which is looked for now
                gone.add(names[0])

    def keep_only(self, offset: int) -> None:
        """Drop all but one snapshot, broken ones as well: they know what holds no longer."""
        for name in self._shelf.names():
            if name != f"{offset:020d}{_END}":
                self._shelf.drop(name)

    def oldest(self) -> int:
        """Offset that the oldest kept snapshot needs the log from (0 without any)."""
        names = self._names()
        return _offset(names[-1]) if names else 0


_END = ".snap"


def _offset(name: str) -> int:
    return int(name.removesuffix(_END))


class Keeper:
    """Writes snapshots in a thread of its own, one at a time; the log is kept from the last one on, so none may fail."""

    def __init__(self, snapshots: Snapshots) -> None:
        self._snapshots = snapshots
        self._saving: Thread | None = None

    def save(self, offset: int, state: Mapping[str, Any]) -> None:
        """Begin to write a state down, once the one before is written."""
        self.wait()
        self._saving = Thread(target=self._save, args=(offset, state), name="snapshot")
        self._saving.start()

    def wait(self) -> None:
        """Wait until what was begun is done."""
        if self._saving is not None:
            self._saving.join()

    def oldest(self) -> int:
        """Offset below which no snapshot needs the log."""
        return self._snapshots.oldest()

    def _save(self, offset: int, state: Mapping[str, Any]) -> None:
        try:
            self._snapshots.save(offset, state)
        except (OSError, Unreachable, TooLarge) as error:  # a full disk, say
            SNAPSHOT_FAILURES.inc()
            _log.error(
                "a snapshot could not be written; the next is tried in a minute", offset=offset, cause=str(error)
            )
        else:
            SNAPSHOTS.inc()
