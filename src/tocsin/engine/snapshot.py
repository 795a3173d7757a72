"""Snapshots of the fold: one file per kept offset, checksummed, written aside and renamed into place."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from tocsin.model.arrays import Array
from tocsin.model.errors import Corrupt

FORMAT = 1
_MAGIC = b"TOCSNAP1"
KEEP = 2


def pack(tree: Mapping[str, Any]) -> bytes:
    """Turn a tree of dicts, lists, JSON scalars, bytes and arrays into bytes.

    Arrays lie one after another behind a JSON header; the whole is compressed and checksummed.
    """
    blobs: list[bytes] = []
    header = json.dumps({"format": FORMAT, "tree": _plain(tree, blobs)}, separators=(",", ":")).encode()
    body = len(header).to_bytes(8, "little") + header + b"".join(blobs)
    packed = bytes(pa.compress(body, codec="zstd", asbytes=True))
    digest = hashlib.blake2b(packed, digest_size=16).digest()
    return _MAGIC + digest + len(body).to_bytes(8, "little") + packed


def unpack(raw: bytes) -> dict[str, Any]:
    """Turn what `pack` made back into its tree; arrays are copies.

    Raises
    ------
    Corrupt
        The bytes are not a whole snapshot of a known format.
    """
    packed = raw[32:]
    if raw[:8] != _MAGIC or hashlib.blake2b(packed, digest_size=16).digest() != raw[8:24]:
        raise Corrupt("a snapshot's checksum does not fit; it is left aside and an older one or the log is used")
    body = bytes(pa.decompress(packed, int.from_bytes(raw[24:32], "little"), codec="zstd", asbytes=True))
    size = int.from_bytes(body[:8], "little")
    header = json.loads(body[8 : 8 + size])
    if header["format"] != FORMAT:
        raise Corrupt(f"a snapshot has format {header['format']}, this program reads {FORMAT}; the log is used")
    tree: dict[str, Any] = _rich(header["tree"], BytesIO(body[8 + size :]))
    return tree


_AS_IT_IS = frozenset({str, int, float, bool, type(None)})


def _plain(node: Any, blobs: list[bytes]) -> Any:
    if type(node) in _AS_IT_IS:
        return node
    if isinstance(node, np.ndarray):
        blob = np.ascontiguousarray(node).tobytes()
        blobs.append(blob)
        return {"$a": [node.dtype.str, list(node.shape), len(blob)]}
    if isinstance(node, bytes):
        return {"$b": node.hex()}
    if isinstance(node, Mapping):
        return {"$d": [[_key(k), _plain(v, blobs)] for k, v in node.items()]}
    if isinstance(node, list | tuple):
        return [_plain(v, blobs) for v in node]
    return node.item() if isinstance(node, np.generic) else node


def _key(key: Any) -> Any:
    return list(key) if isinstance(key, tuple) else key


def _rich(node: Any, blob: BytesIO) -> Any:
    if isinstance(node, list):
        return [_rich(v, blob) for v in node]
    if not isinstance(node, dict):
        return node
    if "$a" in node:
        dtype, shape, size = node["$a"]  # arrays are met in the order in which they were laid down
        array: Array = np.frombuffer(blob.read(size), np.dtype(dtype)).reshape(shape).copy()
        return array
    if "$b" in node:
        return bytes.fromhex(node["$b"])
    return {(tuple(k) if isinstance(k, list) else k): _rich(v, blob) for k, v in node["$d"]}


class Snapshots:
    """A directory of snapshots, named by the offset up to which the log is folded in."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir(parents=True, exist_ok=True)

    def _files(self) -> list[Path]:
        return sorted(self.path.glob("*.snap"), reverse=True)

    def save(self, offset: int, raw: bytes) -> None:
        """Write a snapshot durably and drop all but the newest few."""
        target = self.path / f"{offset:020d}.snap"
        aside = target.with_suffix(".new")
        with aside.open("wb") as file:
            file.write(raw)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(target)
        directory = os.open(self.path, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
        for old in self._files()[KEEP:]:
            old.unlink()

    def load(self, newest_allowed: int) -> tuple[int, dict[str, Any]] | None:
        """The newest whole snapshot at or below an offset, or None; broken ones are put aside."""
        for file in self._files():
            offset = int(file.stem)
            if offset > newest_allowed:
                continue
            try:
                return offset, unpack(file.read_bytes())
            except Corrupt:
                file.rename(file.with_suffix(".broken"))
        return None

    def oldest(self) -> int:
        """Offset that the oldest kept snapshot needs the log from (0 without any)."""
        files = self._files()
        return int(files[-1].stem) if files else 0
