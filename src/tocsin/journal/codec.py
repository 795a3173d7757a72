"""Entries to block payloads and back. Frames are Arrow IPC messages, lz4-compressed where that pays."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Mapping
from typing import Protocol, TypeAlias

import pyarrow as pa

from tocsin.journal.blocks import BlockKind, padded
from tocsin.journal.dictionary import ReadDictionary
from tocsin.model.arrays import I4
from tocsin.model.errors import Corrupt
from tocsin.model.frame import SCHEMAS, Frame, FrameKind
from tocsin.model.log import Control, Entry, Output, Tick
from tocsin.model.record import PREDICTION

_FRAME = struct.Struct("<BBHIIIQ")  # schema code, flags, reserved, tenant, source, message bytes, bytes when unpacked
_OUTPUT = struct.Struct("<qqII")  # cause, received, tick, frames
_CONTROL = struct.Struct("<III")  # bytes of kind, sha256, body
_LZ4 = 1
_WORTH = 0.9  # decompressing costs less than reading the tenth that is saved
_SMALL_BYTES = 512
_CODEC = pa.Codec("lz4_raw")
_MOST_LZ4_RATIO = 255  # what one byte of LZ4 can stand for

MALFORMED: tuple[type[Exception], ...] = (
    *(Corrupt, ValueError, TypeError, LookupError, ArithmeticError, RecursionError, AssertionError),
    *(OSError, struct.error, pa.ArrowException),
)
"""What decoding bytes that this format never writes can end in."""

Upcast: TypeAlias = Callable[[pa.RecordBatch], pa.RecordBatch]


def _with_kinds(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Records of format 1: all of them predictions, without embedding, attributions and attention."""
    n = batch.num_rows
    schema = SCHEMAS[FrameKind.RECORDS]
    texts = {"kind": pa.array([PREDICTION] * n, pa.string())}
    new = [texts.get(name, pa.nulls(n, schema.field(name).type)) for name in schema.names[batch.num_columns :]]
    return pa.RecordBatch.from_arrays([*batch.columns, *new], schema=schema)


UPCASTS: Mapping[tuple[int, FrameKind], Upcast] = {(1, FrameKind.RECORDS): _with_kinds}
"""From frames of format n to frames of format n + 1; a release that changes a layout adds its entry and stays."""


class Codes(Protocol):
    """Where codes of series and schemas come from: the dictionary of a segment, or that of one message."""

    def codes(self, numbers: I4) -> I4:
        """Codes of catalog numbers, shape (n,)."""

    def schema(self, kind: FrameKind) -> tuple[int, bytes | None]:
        """Code of a kind's schema, and its block payload when it is used for the first time."""


def encode(entry: Entry, dictionary: Codes) -> tuple[BlockKind, bytes, list[bytes]]:
    """Block kind, payload, and the schema payloads that must precede it."""
    schemas: list[bytes] = []
    if isinstance(entry, Frame):
        return BlockKind.FRAME, _frame(entry, dictionary, schemas), schemas
    if isinstance(entry, Tick):
        marks = [[*key, mark] for key, mark in entry.watermarks.items()]
        return BlockKind.TICK, json.dumps([entry.received, marks], separators=(",", ":")).encode(), schemas
    if isinstance(entry, Control):
        kind, digest = entry.kind.encode(), entry.sha256.encode()
        return (
            BlockKind.CONTROL,
            _CONTROL.pack(len(kind), len(digest), len(entry.body)) + kind + digest + entry.body,
            [],
        )
    frames = [_frame(frame, dictionary, schemas) for frame in entry.frames]
    parts = [_OUTPUT.pack(entry.cause, entry.received, int(entry.tick), len(frames))]
    for frame in frames:
        parts.append(len(frame).to_bytes(8, "little"))
        parts.append(frame.ljust(padded(len(frame)), b"\0"))
    return BlockKind.OUTPUT, b"".join(parts), schemas


def decode(kind: BlockKind, payload: memoryview, dictionary: ReadDictionary) -> Entry:
    """The entry in a record block.

    Raises
    ------
    Corrupt
        The payload can't be what this format writes.
    """
    if kind is BlockKind.FRAME:
        return _unframe(payload, dictionary)
    if kind is BlockKind.TICK:
        received, marks = json.loads(bytes(payload))
        return Tick(received, {(tenant, source): mark for tenant, source, mark in marks})
    if kind is BlockKind.CONTROL:
        a, b, c = _CONTROL.unpack_from(payload)
        rest = bytes(payload[_CONTROL.size :])
        return Control(rest[:a].decode(), rest[a : a + b].decode(), rest[a + b : a + b + c])
    if kind is BlockKind.OUTPUT:
        cause, received, tick, n = _OUTPUT.unpack_from(payload)
        frames, at = [], _OUTPUT.size
        for _ in range(n):
            size = int.from_bytes(payload[at : at + 8], "little")
            frames.append(_unframe(payload[at + 8 : at + 8 + size], dictionary))
            at += 8 + padded(size)
        return Output(cause, received, bool(tick), tuple(frames))
    raise Corrupt(f"block kind {kind} is no record")


def _frame(frame: Frame, dictionary: Codes, schemas: list[bytes]) -> bytes:
    code, schema = dictionary.schema(frame.kind)
    if schema is not None:
        schemas.append(schema)
    batch = frame.batch
    at = batch.schema.get_field_index("series")
    if at >= 0:
        codes = dictionary.codes(batch.column(at).to_numpy(zero_copy_only=True))
        batch = batch.set_column(at, batch.schema.field(at), pa.array(codes, pa.int32()))
    message = batch.serialize()
    flags, raw_bytes = 0, message.size
    if raw_bytes >= _SMALL_BYTES:
        packed = _CODEC.compress(message)
        if packed.size < _WORTH * raw_bytes:
            message, flags = packed, _LZ4
    tenant = frame.tenant.encode("utf-8", "surrogatepass")
    source = frame.source.encode("utf-8", "surrogatepass")
    head = _FRAME.pack(code, flags, 0, len(tenant), len(source), message.size, raw_bytes) + tenant + source
    return b"".join((head.ljust(padded(len(head)), b"\0"), memoryview(message)))


def _unframe(payload: memoryview, dictionary: ReadDictionary) -> Frame:
    code, flags, _, tenant_bytes, source_bytes, message_bytes, raw_bytes = _FRAME.unpack_from(payload)
    kind, schema = dictionary.schema(code)
    at = _FRAME.size + tenant_bytes
    tenant = bytes(payload[_FRAME.size : at]).decode("utf-8", "surrogatepass")
    source = bytes(payload[at : at + source_bytes]).decode("utf-8", "surrogatepass")
    at = padded(at + source_bytes)
    message = pa.py_buffer(payload[at : at + message_bytes])
    if flags & _LZ4:
        if raw_bytes > _MOST_LZ4_RATIO * message.size:
            raise Corrupt(f"{message.size} bytes can't unpack to {raw_bytes}")
        message = _CODEC.decompress(message, raw_bytes)
    batch = pa.ipc.read_record_batch(message, schema)
    for version in range(dictionary.version, max((v for v, _ in UPCASTS), default=0) + 1):
        upcast = UPCASTS.get((version, kind))
        batch = batch if upcast is None else upcast(batch)
    if not batch.schema.equals(SCHEMAS[kind]):
        raise Corrupt(f"columns of a {kind.value} frame are not those of this release, and no reader for them is known")
    at = batch.schema.get_field_index("series")
    if at >= 0:
        numbers = dictionary.numbers(batch.column(at).to_numpy(zero_copy_only=True))
        batch = batch.set_column(at, batch.schema.field(at), pa.array(numbers, pa.int32()))
    return Frame(kind, tenant, source, batch)
