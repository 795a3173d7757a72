"""A segment's own dictionaries: numbers of a process's `Catalog` to codes of the segment, and back."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pyarrow as pa

from tocsin.model.arrays import I4, I8, U1
from tocsin.model.errors import Corrupt
from tocsin.model.frame import SCHEMAS, FrameKind
from tocsin.model.rows import grown
from tocsin.model.series import Catalog, Kind, Series, Signal

_COUNT = struct.Struct("<I")
_ID_BYTES = 16
_NONE = -1
SERIES_PER_BLOCK = 10_000


def _said(series: Series) -> list[object]:
    signal = series.signal
    labels = [part for pair in series.labels for part in pair]
    kind = [signal.unit, signal.kind.value, int(signal.monotonic), int(signal.cumulative)]
    return [series.tenant, signal.name, *kind, labels]


def _series(series_id: bytes, said: list[object]) -> Series:
    tenant, name, unit, kind, monotonic, cumulative, labels = said
    assert isinstance(labels, list)
    signal = Signal(str(name), str(unit), Kind(kind), bool(monotonic), bool(cumulative))
    return Series(series_id, str(tenant), signal, tuple(zip(labels[::2], labels[1::2], strict=True)))


# ASCII escapes also carry lone surrogates, which a hostile sender can get into a label
_encoded = json.JSONEncoder(separators=(",", ":")).encode


class SeriesTexts:
    """What dictionary blocks say of each series, by catalog number: encoded once, however many segments name it."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._texts = bytearray()
        self._start: I8 = np.full(1024, _NONE, np.int64)
        self._stop: I8 = np.full(1024, _NONE, np.int64)
        self._ids: U1 = np.zeros((1024, _ID_BYTES), np.uint8)

    def pack(self, numbers: I4) -> bytes:
        """A block of these series: identities, then one JSON list per series behind its length."""
        self._learn(numbers)
        start, stop = self._start[numbers], self._stop[numbers]
        # series that became known together lie together
        cuts = np.flatnonzero(np.r_[True, start[1:] != stop[:-1], True])
        texts = [self._texts[start[a] : stop[b - 1]] for a, b in pairwise(cuts.tolist())]
        lengths = (stop - start).astype("<u4").tobytes()
        return b"".join((_COUNT.pack(len(numbers)), self._ids[numbers].tobytes(), lengths, *texts))

    def _learn(self, numbers: I4) -> None:
        need = int(numbers.max()) + 1
        self._start = grown(self._start, need, _NONE).astype(np.int64, copy=False)
        self._stop = grown(self._stop, need, _NONE).astype(np.int64, copy=False)
        self._ids = grown(self._ids, need, 0).astype(np.uint8, copy=False)
        for number in numbers[self._start[numbers] == _NONE].tolist():
            series = self._catalog[number]
            self._start[number] = len(self._texts)
            self._texts += _encoded(_said(series)).encode("ascii")
            self._stop[number] = len(self._texts)
            self._ids[number] = np.frombuffer(series.id, np.uint8)


def unpack_series(payload: memoryview, catalog: Catalog) -> list[int]:
    """Catalog numbers of a dictionary block, in its order; only what the catalog lacks is decoded."""
    (n,) = _COUNT.unpack_from(payload)
    ids_end = _COUNT.size + n * _ID_BYTES
    texts = ids_end + n * _COUNT.size
    if len(payload) < texts:
        raise Corrupt(f"a dictionary block of {len(payload)} bytes can't name {n} series")
    ends = texts + np.cumsum(np.frombuffer(payload[ids_end:texts], "<u4"), dtype=np.int64)
    numbers = []
    start = texts
    for i, stop in enumerate(ends.tolist()):
        series_id = bytes(payload[_COUNT.size + i * _ID_BYTES : _COUNT.size + (i + 1) * _ID_BYTES])
        number = catalog.find(series_id)
        if number is None:
            number = catalog.intern(_series(series_id, json.loads(bytes(payload[start:stop]))))
        numbers.append(number)
        start = stop
    return numbers


def pack_schema(code: int, kind: FrameKind) -> bytes:
    """The column layout of a kind, under the code its frames use in this segment."""
    name = kind.value.encode()
    schema: bytes = SCHEMAS[kind].serialize().to_pybytes()
    return bytes((code, len(name))) + name + schema


def unpack_schema(payload: memoryview) -> tuple[int, FrameKind, pa.Schema]:
    """Code, kind and the schema as it was when the segment was written."""
    code, size = payload[0], payload[1]
    return code, FrameKind(bytes(payload[2 : 2 + size]).decode()), pa.ipc.read_schema(pa.py_buffer(payload[2 + size :]))


class SchemaCodes:
    """Codes of schemas given out so far, where frames of several kinds lie together."""

    def __init__(self) -> None:
        self._schemas: dict[FrameKind, int] = {}

    def schema(self, kind: FrameKind) -> tuple[int, bytes | None]:
        """Code of a kind's schema, and its block payload when it is used for the first time."""
        code = self._schemas.get(kind)
        if code is not None:
            return code, None
        code = self._schemas[kind] = len(self._schemas)
        return code, pack_schema(code, kind)


class WrittenDictionary(SchemaCodes):
    """Codes given out so far in the segment that is being written."""

    def __init__(self, texts: SeriesTexts) -> None:
        super().__init__()
        self._texts = texts
        self._codes: I4 = np.full(1024, _NONE, np.int32)
        self._used = 0
        self._fresh: list[I4] = []

    def codes(self, numbers: I4) -> I4:
        """Segment codes of catalog numbers, shape (n,); new ones are remembered for `fresh`."""
        if not len(numbers):
            return numbers
        top = int(numbers.max())
        if top >= len(self._codes):
            grown = np.full(max(2 * len(self._codes), top + 1), _NONE, np.int32)
            grown[: len(self._codes)] = self._codes
            self._codes = grown
        found: I4 = self._codes[numbers]
        if found.min() == _NONE:
            fresh = np.unique(numbers[found == _NONE])
            self._codes[fresh] = np.arange(self._used, self._used + len(fresh), dtype=np.int32)
            self._used += len(fresh)
            self._fresh.append(fresh)
            found = self._codes[numbers]
        return found

    def fresh(self) -> Iterator[bytes]:
        """Payloads of the series blocks that must precede what was just encoded."""
        if not self._fresh:
            return
        fresh = np.concatenate(self._fresh)
        self._fresh.clear()
        for at in range(0, len(fresh), SERIES_PER_BLOCK):
            yield self._texts.pack(fresh[at : at + SERIES_PER_BLOCK])


class ReadDictionary:
    """What the dictionary blocks of a segment have said up to the place read so far."""

    def __init__(self, catalog: Catalog, version: int) -> None:
        self._catalog = catalog
        self.version = version
        self._numbers: list[int] = []
        self._array: I4 = np.empty(0, np.int32)
        self._schemas: dict[int, tuple[FrameKind, pa.Schema]] = {}

    def add_series(self, payload: memoryview) -> None:
        """Take in a series block."""
        self._numbers.extend(unpack_series(payload, self._catalog))

    def add_schema(self, payload: memoryview) -> None:
        """Take in a schema block."""
        code, kind, schema = unpack_schema(payload)
        self._schemas[code] = kind, schema

    def numbers(self, codes: I4) -> I4:
        """Catalog numbers of segment codes, shape (n,).

        Raises
        ------
        Corrupt
            A code was never defined.
        """
        if len(self._array) != len(self._numbers):
            self._array = np.array(self._numbers, np.int32)
        if len(codes) and not 0 <= int(codes.min()) <= int(codes.max()) < len(self._array):
            raise Corrupt("a frame uses a series that its segment never defined")
        found: I4 = self._array[codes]
        return found

    def schema(self, code: int) -> tuple[FrameKind, pa.Schema]:
        """Kind and schema under a code.

        Raises
        ------
        Corrupt
            The code was never defined.
        """
        if code not in self._schemas:
            raise Corrupt("a frame uses a schema that its segment never defined")
        return self._schemas[code]
