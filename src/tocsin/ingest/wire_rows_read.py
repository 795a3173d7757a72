"""What the compiled readers of spans and logs share: texts from everywhere, laid out as Arrow columns by source."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from google.protobuf.message import DecodeError

from tocsin.ingest.decoded import Unusable
from tocsin.ingest.identify import Recent
from tocsin.ingest.limits import Limits
from tocsin.ingest.otlp_metrics import SourceName
from tocsin.ingest.otlp_values import Values
from tocsin.ingest.wire_rows import (
    BEGIN,
    END,
    N_ATTRIBUTES,
    N_RESOURCES,
    N_ROWS,
    N_SCOPES,
    OF_RESOURCE,
    OF_SCOPE,
    Tables,
    count_pairs,
    lay_pairs,
    tables_for,
)
from tocsin.ingest.wire_text import (
    DIGITS,
    FORM,
    INTEGER,
    OTHER,
    PIECE,
    PIECE_END,
    VALUE,
    VALUE_END,
    count_of,
    fixed_width,
    gather,
    offsets_of,
    spell,
)
from tocsin.model.arrays import I4, I8, U1
from tocsin.model.frame import SCHEMAS, Frame, FrameKind

_KEPT_BYTES = 512 << 10
_RESOURCES = 10_000


class NotPlain(Exception):
    """Something in a request is for upb to judge."""


class Texts:
    """Texts that are not found in a request, behind its end."""

    def __init__(self, at: int, fixed: bytes = b"") -> None:
        self._begin = at
        self._pieces: list[bytes] = [fixed]
        self.end = at + len(fixed)

    def add(self, text: bytes) -> tuple[int, int]:
        """Where a text will be."""
        begin = self.end
        self._pieces.append(text)
        self.end = begin + len(text)
        return begin, self.end

    def array(self, raw: U1, more: int) -> U1:
        """The request, the texts, and room for more bytes."""
        found: U1 = np.empty(self.end + more, np.uint8)
        found[: raw.size] = raw
        found[raw.size : self.end] = np.frombuffer(b"".join(self._pieces), np.uint8)
        return found


class Walked(NamedTuple):
    """A request that a kernel has walked."""

    tenant: str
    raw: U1
    tables: Tables
    texts: Texts


class Resources(NamedTuple):
    """The resources of a request: source of each, their pairs as spans, and which are whose."""

    sources: list[str]
    pairs: I8
    held: I8


class Ordered(NamedTuple):
    """Rows by source: the order, and from where to where the rows of each source are."""

    order: I8
    parts: list[tuple[str, int, int]]


class Laid:
    """All texts of a request in one buffer, and the columns as parts of it."""

    def __init__(self, text: U1, spans: I8) -> None:
        offsets: I4 = np.empty(spans.shape[1] + 1, np.int32)
        size = offsets_of(spans[0], spans[1], offsets)
        if size < 0:
            raise NotPlain
        out: U1 = np.empty(size, np.uint8)
        if not gather(text, spans[0], spans[1], out):
            raise NotPlain
        self._offsets, self._texts = pa.py_buffer(offsets), pa.py_buffer(out)

    def strings(self, first: int, behind: int) -> pa.Array:
        """The texts numbered from `first` to before `behind`."""
        buffers = [None, self._offsets.slice(4 * first, 4 * (behind - first + 1)), self._texts]
        return pa.Array.from_buffers(pa.string(), behind - first, buffers, 0)


class RowsReader:
    """What is common to readers of spans and of logs; thread-safe.

    Parameters
    ----------
    columns : columns of the table of spans or log records
    """

    def __init__(self, source_name: SourceName, limits: Limits, columns: int) -> None:
        self.values = Values(limits.label_bytes)
        self.limits = limits
        self._source_name = source_name
        self._columns = columns
        self._local = threading.local()
        self._blobs = Recent[bytes, tuple[bytes, I8, str]](_RESOURCES)

    def tables(self, size_bytes: int) -> Tables:
        """Tables of this thread, kept because fresh memory costs more than what is written to it."""
        room, tables = getattr(self._local, "tables", (0, None))
        if tables is None or room < size_bytes:
            room = max(size_bytes, 1 << 16)
            tables = tables_for(room, self._columns)
            if room <= _KEPT_BYTES:
                self._local.tables = room, tables
        return tables

    def guarded(self, read: Callable[[], list[Frame]]) -> list[Frame] | None:
        """What a reader gives, or None when something in the request is for upb to judge."""
        try:
            return read()
        except (NotPlain, Unusable, DecodeError):
            return None

    def other_values(self, body: bytes, tables: Tables, texts: Texts) -> None:
        """Have upb make text of the values of attributes that are neither text, integer nor boolean."""
        attributes = tables[4]
        forms = attributes[: tables[0][N_ATTRIBUTES], FORM]
        for a in (forms == OTHER).nonzero()[0].tolist():
            ((_, text),) = self.values.pairs((body[attributes[a, PIECE] : attributes[a, PIECE_END]],))
            attributes[a, VALUE], attributes[a, VALUE_END] = texts.add(text.encode())

    def resources(self, body: bytes, tenant: str, tables: Tables, texts: Texts) -> Resources:
        """Sources and pairs of all resources."""
        sources: list[str] = []
        pairs: list[I8] = [np.empty((4, 0), np.int64)]
        held: I8 = np.zeros((2, int(tables[0][N_RESOURCES])), np.int64)
        for r in range(held.shape[1]):
            raw = body[tables[1][r, BEGIN] : tables[1][r, END]]
            blob, spans, service = self._blob(raw)
            sources.append(self._source_name(tenant, "otlp", service))
            begin, _ = texts.add(blob)
            held[:, r] = held[0, r - 1] + held[1, r - 1] if r else 0, spans.shape[1]
            pairs.append(spans + begin)
        return Resources(sources, np.concatenate(pairs, axis=1), held)

    def _blob(self, raw: bytes) -> tuple[bytes, I8, str]:
        """Texts of a resource end to end, where they are in it (4, pairs), and its service."""
        found = self._blobs.get(raw)
        if found is None:
            pairs = self.values.resource(raw)
            flat = [text.encode() for pair in pairs for text in pair]
            ends = np.cumsum([len(text) for text in flat], dtype=np.int64).reshape(-1, 2)
            begins = ends - np.array([len(text) for text in flat], np.int64).reshape(-1, 2)
            spans: I8 = np.stack([begins[:, 0], ends[:, 0], begins[:, 1], ends[:, 1]]).astype(np.int64)
            service = next((value for key, value in pairs if key == "service.name"), "")
            found = (b"".join(flat), spans, service)
            self._blobs.put(raw, found)
        return found

    def ordered(self, tables: Tables, sources: list[str]) -> Ordered:
        """Rows by source, in the order in which the sources come first, each in the order in which it came."""
        used, _, scopes, rows, _ = tables
        n = int(used[N_ROWS])
        names = list(dict.fromkeys(sources))
        if len(names) == 1:
            return Ordered(np.arange(n), [(names[0], 0, n)])
        rank = np.array([names.index(source) for source in sources], np.int64)
        of_row = rank[scopes[: used[N_SCOPES], OF_RESOURCE]][rows[:n, OF_SCOPE]]
        ends = np.cumsum(np.bincount(of_row, minlength=len(names))).tolist()
        parts = [(name, low, high) for name, low, high in zip(names, [0, *ends], ends, strict=False) if high > low]
        return Ordered(np.argsort(of_row, kind="stable"), parts)

    def frames(
        self,
        kind: FrameKind,
        request: Walked,
        resources: Resources,
        columns: Sequence[tuple[str, I8, I8]],
        plain: dict[str, Any],
        constants: tuple[int, int],
    ) -> list[Frame]:
        """Frames by source.

        `columns` are name, begin and end (n,) of each text column; `plain` has arrays for the rest, by name, ids as
        (position, width). `constants` is where `true` and `false` are.
        """
        order, parts = self.ordered(request.tables, resources.sources)
        columns_of = _laid(request, resources, order, columns, constants)
        ready = {name: _sorted(request.raw, value, order) for name, value in plain.items()}
        schema = SCHEMAS[kind]
        found = []
        for source, low, high in parts:
            arrays = {name: value.slice(low, high - low) for name, value in ready.items()} | columns_of(low, high)
            batch = pa.RecordBatch.from_arrays([arrays[name] for name in schema.names], schema=schema)
            found.append(Frame(kind, request.tenant, source, batch))
        return found


def _laid(
    request: Walked,
    resources: Resources,
    order: I8,
    columns: Sequence[tuple[str, I8, I8]],
    constants: tuple[int, int],
) -> Callable[[int, int], dict[str, pa.Array]]:
    """Lay all texts out; gives what makes the columns with texts of rows `low` to before `high`."""
    used, _, scopes, rows, attributes = request.tables
    n, of_attributes = order.size, int(used[N_ATTRIBUTES])
    text = request.texts.array(request.raw, DIGITS * count_of(attributes, of_attributes, INTEGER))
    spell(attributes, of_attributes, text, request.texts.end, *constants)
    offsets: tuple[I4, I4] = (np.empty(n + 1, np.int32), np.empty(n + 1, np.int32))
    count_pairs(order, rows, scopes, resources.held, *offsets)
    a, b = int(offsets[0][n]), int(offsets[1][n])
    at: I8 = len(columns) * n + np.array([0, a, 2 * a, 2 * a + b, 2 * a + 2 * b])
    spans: I8 = np.empty((2, int(at[4])), np.int64)
    for place, (_, begin, end) in enumerate(columns):
        spans[0, place * n : (place + 1) * n], spans[1, place * n : (place + 1) * n] = begin[order], end[order]
    lay_pairs(order, rows, scopes, resources.held, resources.pairs, attributes, spans, at)
    laid = Laid(text, spans)
    names = [name for name, _, _ in columns]
    maps = (("resource", int(at[0]), int(at[1]), offsets[0]), ("attributes", int(at[2]), int(at[3]), offsets[1]))

    def columns_of(low: int, high: int) -> dict[str, pa.Array]:
        arrays = {name: laid.strings(place * n + low, place * n + high) for place, name in enumerate(names)}
        for name, keys, items, offset in maps:
            first, behind = int(offset[low]), int(offset[high])
            arrays[name] = pa.MapArray.from_arrays(
                pa.array(offset[low : high + 1] - offset[low]),
                laid.strings(keys + first, keys + behind),
                laid.strings(items + first, items + behind),
            )
        return arrays

    return columns_of


def _sorted(raw: U1, value: Any, order: I8) -> pa.Array:
    if isinstance(value, tuple):
        position, width = value
        out: U1 = np.empty(order.size * width, np.uint8)
        fixed_width(raw, position[order], width, out)
        return pa.Array.from_buffers(pa.binary(width), order.size, [None, pa.py_buffer(out)], 0)
    return pa.array(value[order])
