"""Segment files, format 1: a header, then checksummed blocks; the table is in docs/adr/0002.

Everything is little-endian and padded to 8 bytes, so that Arrow buffers that are read in place are aligned.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import IntEnum
from typing import NamedTuple

from isal import isal_zlib

from tocsin.model.errors import Corrupt

FORMAT = 2
MAGIC = b"TOCSEG"
SUFFIX = ".seg"
ALIGN = 8
MAX_BLOCK_BYTES = 1 << 30
_FILE = struct.Struct("<6sHII")  # magic, format, bytes of JSON, crc of the JSON
_BLOCK = struct.Struct("<IIBBHIQ")  # crc of the rest, payload bytes, kind, flags, reserved, reserved, offset
_CRC_FROM = 4
UNIT_END = 1
"""Flag of the last record of one `append`: a log is only ever cut behind such a block."""


class BlockKind(IntEnum):
    """What a block holds; the first two are dictionaries and have no offset of their own."""

    SERIES = 1
    SCHEMA = 2
    FRAME = 16
    CONTROL = 17
    TICK = 18
    OUTPUT = 19


_RECORD_KINDS = frozenset({BlockKind.FRAME, BlockKind.CONTROL, BlockKind.TICK, BlockKind.OUTPUT})
_KINDS = {int(kind): kind for kind in BlockKind}


class Block(NamedTuple):
    """One block as found: `end` is the position after it, relative to the buffer it was found in."""

    kind: BlockKind
    offset: int
    unit_end: bool
    payload: memoryview
    end: int

    @property
    def is_record(self) -> bool:
        """Whether it counts as a record (dictionaries don't)."""
        return self.kind in _RECORD_KINDS


@dataclass(frozen=True, slots=True)
class SegmentHeader:
    """What a segment says about itself."""

    first: int
    created_ns: int
    format: int = FORMAT
    versions: dict[str, str] = field(default_factory=dict)  # of decoder and redactor


def padded(size: int) -> int:
    """Round up to the next multiple of 8.

    >>> padded(9), padded(16)
    (16, 16)
    """
    return -(-size // ALIGN) * ALIGN


def pack_header(header: SegmentHeader) -> bytes:
    """Bytes at the start of a segment file."""
    text = json.dumps({"first": header.first, "created_ns": header.created_ns, "versions": header.versions}).encode()
    raw = _FILE.pack(MAGIC, header.format, len(text), isal_zlib.crc32(text)) + text
    return raw.ljust(padded(len(raw)), b"\0")


def read_header(raw: bytes) -> tuple[SegmentHeader, int]:
    """Read the header; also gives the position of the first block.

    Raises
    ------
    Corrupt
        It is not a segment, is cut short, or was written by a newer release.
    """
    if len(raw) < _FILE.size:
        raise Corrupt("segment header is cut short")
    magic, version, size, crc = _FILE.unpack_from(raw)
    text = raw[_FILE.size : _FILE.size + size]
    if magic != MAGIC or len(text) != size or isal_zlib.crc32(text) != crc:
        raise Corrupt("segment header fails its checksum")
    if not 1 <= version <= FORMAT:
        raise Corrupt(f"segment format {version} is newer than this release reads (up to {FORMAT}): upgrade tocsin")
    try:
        said = json.loads(text)
        header = SegmentHeader(int(said["first"]), int(said["created_ns"]), version, dict(said["versions"]))
    except (
        ValueError,
        TypeError,
        KeyError,
        OverflowError,
        RecursionError,
    ):  # the checksum of nothing is 0, as zeros after a crash are
        raise Corrupt("segment header can't be read") from None
    return header, padded(_FILE.size + size)


def pack_block(kind: BlockKind, payload: bytes, offset: int, *, unit_end: bool = False) -> bytes:
    """One block with its checksum, padded.

    >>> next(blocks(pack_block(BlockKind.TICK, b"abc", 7))).offset
    7
    """
    if len(payload) > MAX_BLOCK_BYTES:
        raise ValueError(f"a record of {len(payload)} bytes is over the limit of {MAX_BLOCK_BYTES}")
    head = _BLOCK.pack(0, len(payload), kind, UNIT_END if unit_end else 0, 0, 0, offset)[_CRC_FROM:]
    crc = isal_zlib.crc32(payload, isal_zlib.crc32(head))
    return b"".join((crc.to_bytes(4, "little"), head, payload, b"\0" * (-len(payload) % ALIGN)))


def block_bytes(raw: bytes | memoryview, at: int) -> int | None:
    """Bytes of the block at `at` as its (unchecked) head says; None if the head is cut short or absurd."""
    if len(raw) - at < _BLOCK.size:
        return None
    size: int = _BLOCK.unpack_from(raw, at)[1]
    return _BLOCK.size + padded(size) if size <= MAX_BLOCK_BYTES else None


def blocks(raw: bytes | memoryview, at: int = 0) -> Iterator[Block]:
    """Blocks from position `at`, up to the first that is cut short or fails its checksum."""
    view = memoryview(raw)
    while True:
        span = block_bytes(view, at)
        if span is None or at + span > len(view):
            return
        crc, size, kind, flags, _, _, offset = _BLOCK.unpack_from(view, at)
        stop = at + _BLOCK.size + size
        if isal_zlib.crc32(view[at + _CRC_FROM : stop]) != crc or kind not in _KINDS or any(view[stop : at + span]):
            return
        payload = view[at + _BLOCK.size : stop]
        at += span
        yield Block(_KINDS[kind], offset, bool(flags & UNIT_END), payload, at)
