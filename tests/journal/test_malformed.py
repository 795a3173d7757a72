"""Blocks whose checksum holds and whose content is nothing this format writes: `Corrupt`, with the place."""

import json
import struct
import zlib

import pytest

from tocsin.journal.blocks import BlockKind, SegmentHeader, pack_block, pack_header
from tocsin.journal.segment import Segment
from tocsin.model.errors import Corrupt
from tocsin.model.series import Catalog

FRAME_THAT_UNPACKS_TO_MUCH = bytes((0, 1, 0, 0)) + bytes(12) + (1 << 60).to_bytes(8, "little")


@pytest.mark.parametrize(
    ("kind", "payload"),
    [
        (BlockKind.CONTROL, b""),
        (BlockKind.OUTPUT, b"\0" * 20),
        (BlockKind.FRAME, b"\0" * 3),
        (BlockKind.FRAME, FRAME_THAT_UNPACKS_TO_MUCH),
        (BlockKind.TICK, b"[" * 100_000),
        (BlockKind.TICK, json.dumps([1, [[1]]]).encode()),
        (BlockKind.SERIES, b""),
        (BlockKind.SERIES, (1 << 31).to_bytes(4, "little")),
        (BlockKind.SCHEMA, b""),
        (BlockKind.SCHEMA, b"\1\3abc"),
    ],
)
def test_a_malformed_block_is_named(tmp_path, kind, payload):
    path = tmp_path / "0.seg"
    path.write_bytes(pack_header(SegmentHeader(0, 0)) + pack_block(kind, payload, 0, unit_end=True))
    segment = Segment(path, Catalog())
    try:
        with pytest.raises(Corrupt, match=r"0\.seg.*ends at byte"):
            segment.read(0, 10, 10)
    finally:
        segment.close()


@pytest.mark.parametrize(
    "text", [b"", b"{}", b"[1]", b'{"first": 1e999, "created_ns": 0, "versions": {}}', b"[" * 3_000]
)
def test_a_header_that_says_nothing_is_corrupt(tmp_path, text):
    magic = pack_header(SegmentHeader(0, 0))[:8]
    path = tmp_path / "0.seg"
    path.write_bytes(magic + struct.pack("<II", len(text), zlib.crc32(text)) + text + bytes(64))
    with pytest.raises(Corrupt, match="header can't be read"):
        Segment(path, Catalog())
