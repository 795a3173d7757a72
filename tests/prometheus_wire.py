"""An encoder of remote write that shares nothing with the decoder, and an edge without a disk."""

from __future__ import annotations

import asyncio
import struct

import cramjam

from tocsin.ingest.edge import Edge
from tocsin.ingest.limits import Limits
from tocsin.ingest.redact import Redactor
from tocsin.ingest.remote_write import write_request
from tocsin.ingest.response import Response
from tocsin.model.clock import ManualClock
from tocsin.model.frame import Frame
from tocsin.model.series import Catalog
from tocsin.testing.memory_log import MemoryLog

NOW_MS = 1_763_768_254_123
V1 = {b"content-type": b"application/x-protobuf", b"content-encoding": b"snappy"}
V2 = V1 | {b"content-type": b"application/x-protobuf;proto=io.prometheus.write.v2.Request"}
STALE = struct.pack("<Q", 0x7FF0000000000002)


def varint(number: int) -> bytes:
    number &= (1 << 64) - 1
    out = b""
    while number > 127:
        out += bytes([number & 127 | 128])
        number >>= 7
    return out + bytes([number])


def zigzag(number: int) -> bytes:
    return varint((number << 1) ^ (number >> 63))


def blob(number: int, content: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(content)) + content


def integer(number: int, value: int) -> bytes:
    return varint(number << 3) + varint(value)


def signed(number: int, value: int) -> bytes:
    return varint(number << 3) + zigzag(value)


def double(number: int, value: float | bytes) -> bytes:
    return varint(number << 3 | 1) + (value if isinstance(value, bytes) else struct.pack("<d", value))


def sample(value: float | bytes, ms: int = NOW_MS, start_ms: int = 0) -> bytes:
    zero = not isinstance(value, bytes) and struct.pack("<d", value) == bytes(8)
    return (b"" if zero else double(1, value)) + integer(2, ms) + (integer(3, start_ms) if start_ms else b"")


def series_1(labels: dict[str, str] | list[tuple[str, str]], *samples: bytes, more: bytes = b"") -> bytes:
    pairs = labels.items() if isinstance(labels, dict) else labels
    body = b"".join(blob(1, blob(1, k.encode()) + blob(2, v.encode())) for k, v in pairs)
    return blob(1, body + b"".join(blob(2, one) for one in samples) + more)


def metadata_1(name: str, kind: int, unit: str = "") -> bytes:
    return blob(3, integer(1, kind) + blob(2, name.encode()) + blob(4, b"help") + blob(5, unit.encode()))


class Request2:
    """A 2.0 request while it is being put together."""

    def __init__(self) -> None:
        self.symbols = [""]
        self.body = b""

    def ref(self, text: str) -> int:
        if text not in self.symbols:
            self.symbols.append(text)
        return self.symbols.index(text)

    def add(self, labels: dict[str, str], content: bytes = b"", kind: int = 0, unit: str = "") -> None:
        refs = b"".join(varint(self.ref(text)) for pair in labels.items() for text in pair)
        metadata = blob(5, integer(1, kind) + integer(4, self.ref(unit))) if kind else b""
        self.body += blob(5, blob(1, refs) + content + metadata)

    def raw(self) -> bytes:
        return b"".join(blob(4, text.encode()) for text in self.symbols) + self.body


def snappy(raw: bytes) -> bytes:
    return bytes(cramjam.snappy.compress_raw(raw))


class Bench:
    """An edge on a log in memory, and what came out of it."""

    def __init__(self, limits: Limits | None = None) -> None:
        self.log = MemoryLog()
        self.catalog = Catalog()
        self.clock = ManualClock(NOW_MS * 10**6)
        redactor = Redactor((), keep_content=False, token_key=b"0123456789abcdef")
        self.edge = Edge(self.log, self.catalog, self.clock, redactor, limits or Limits())

    def post(self, body: bytes, headers: dict[bytes, bytes] = V1, tenant: str = "main") -> Response:
        return asyncio.run(write_request(headers, body, self.edge, tenant))

    def send(self, raw: bytes, headers: dict[bytes, bytes] = V1) -> Response:
        return self.post(snappy(raw), headers)

    def frames(self) -> list[Frame]:
        return [entry for entry in self.log.entries if isinstance(entry, Frame)]

    def rows(self) -> list[dict[str, object]]:
        """All rows, the series spelt out."""
        found = []
        for frame in self.frames():
            for row in frame.rows():
                series = self.catalog[row["series"]]  # type: ignore[index]
                found.append(row | {"name": series.signal.name, "signal": series.signal, "labels": dict(series.labels)})
        return found


def written(response: Response) -> tuple[int, int, int]:
    """Samples, histograms and exemplars that an answer says were written."""
    headers = dict(response.headers)
    return tuple(
        int(headers[f"x-prometheus-remote-write-{kind}-written".encode()])
        for kind in ("samples", "histograms", "exemplars")
    )  # type: ignore[return-value]
