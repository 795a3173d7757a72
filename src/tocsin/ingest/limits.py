"""How much is taken in at most: bodies before and after decompression, bytes in flight, series, sources."""

from __future__ import annotations

import threading
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol, cast

import pyarrow as pa
from isal import isal_zlib
from isal.igzip_lib import IsalError

from tocsin.model.errors import BadInput, Overloaded, TooLarge, Unsupported

MIB = 2**20
SECOND = 1_000_000_000
LATENESS_NS = {
    "otlp": 5 * SECOND,
    "records": 5 * SECOND,
    "loki": 5 * SECOND,
    "kafka": 5 * SECOND,  # partitions are read in turn
    "redis": 5 * SECOND,
    "series_api": 15 * SECOND,  # agents flush every 10 to 15 seconds
    "cloudwatch": 180 * SECOND,  # metrics of one minute become known minutes apart
    "outcomes": 30 * SECOND,  # they have been through the store
    "remote_write": 5 * SECOND,
    "scrape": 2 * SECOND,
}
"""Senders with several connections, and targets scraped one after another, deliver out of order by a little."""
ENCODINGS = ("gzip", "deflate", "zstd", "identity")
_STEP_BYTES = 256 * 1024
_ISAL_ERROR = cast("type[Exception]", IsalError)  # its stub calls the class an instance


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of the edge; sizes in bytes, times in nanoseconds.

    `lateness_ns` maps prefixes of source names to how much later than its neighbours a record may come;
    the longest matching prefix wins.
    """

    body_bytes: int = 20 * MIB
    in_flight_bytes: int = 256 * MIB
    label_bytes: int = 32 * 1024
    series_per_source: int = 100_000
    series_per_tenant: int = 1_000_000
    sources_per_tenant: int = 1_000
    json_depth: int = 100
    ahead_ns: int = 600 * SECOND
    silent_ns: int = 30 * SECOND
    lagging_silent_ns: int = 300 * SECOND
    lag_ns: int = 600 * SECOND
    body_timeout_s: float = 60.0
    lateness_ns: Mapping[str, int] = field(default_factory=lambda: dict(LATENESS_NS))

    def lateness_of(self, source: str) -> int:
        """Lateness of a source, 0 where nothing is said.

        >>> Limits().lateness_of("otlp/api"), Limits().lateness_of("scrape/node")
        (5000000000, 2000000000)
        """
        found = [prefix for prefix in self.lateness_ns if source.startswith(prefix)]
        return self.lateness_ns[max(found, key=len)] if found else 0


class Inflater(Protocol):
    """The part of a zlib decompressor that is used here."""

    eof: bool
    unused_data: bytes
    unconsumed_tail: bytes

    def decompress(self, data: bytes, max_length: int) -> bytes:
        """Decompress at most `max_length` bytes."""


def _too_large(limit_bytes: int) -> TooLarge:
    return TooLarge(
        f"the body is over {limit_bytes} bytes after decompression; send smaller batches or raise limits.body_bytes"
    )


def _inflate(body: bytes, wbits: int, limit_bytes: int) -> bytes:
    """Inflate all members of a gzip or zlib body without ever holding more than the limit and one step."""
    pieces: list[bytes] = []
    size = 0
    while body:
        member: Inflater = isal_zlib.decompressobj(wbits=wbits)
        while not member.eof:
            piece = member.decompress(body, min(_STEP_BYTES, limit_bytes - size + 1))
            size += len(piece)
            if size > limit_bytes:
                raise _too_large(limit_bytes)
            pieces.append(piece)
            body = member.unconsumed_tail
            if not piece and not body and not member.eof:
                raise BadInput("the compressed body ends early")
        body = member.unused_data
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def _unzstd(body: bytes, limit_bytes: int) -> bytes:
    try:
        with pa.CompressedInputStream(pa.BufferReader(body), "zstd") as stream:
            raw: bytes = stream.read(limit_bytes + 1)
    except (OSError, pa.ArrowException) as bad:
        raise BadInput(f"the body is not zstd: {str(bad)[:100]}") from bad
    if len(raw) > limit_bytes:
        raise _too_large(limit_bytes)
    return raw


def decompress(body: bytes, encoding: str, limit_bytes: int) -> bytes:
    """Undo one content encoding with the limit applied to what comes out.

    Raises
    ------
    TooLarge
        More than `limit_bytes` come out.
    Unsupported
        The encoding is not one of `ENCODINGS`.
    BadInput
        The body is not what its encoding says.

    >>> decompress(zlib.compress(b"abc" * 9), "deflate", 100) == b"abc" * 9
    True
    """
    match encoding.strip().lower():
        case "" | "identity":
            if len(body) > limit_bytes:
                raise _too_large(limit_bytes)
            return body
        case "gzip" | "x-gzip":
            wbits = 16 + zlib.MAX_WBITS
        case "deflate":
            wbits = zlib.MAX_WBITS
        case "zstd" | "zstd1":
            wbits = 0
        case other:
            raise Unsupported(f"content encoding {other[:40]!r} is not spoken here; use one of {', '.join(ENCODINGS)}")
    if not body:
        raise BadInput("the compressed body is empty")
    if not wbits:
        return _unzstd(body, limit_bytes)
    try:
        return _inflate(body, wbits, limit_bytes)
    except _ISAL_ERROR as bad:
        raise BadInput(f"the body is not {encoding}: {bad}") from bad


class Budget:
    """Bytes that may be in flight at once, over all requests and threads."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit = limit_bytes
        self._used = 0
        self._lock = threading.Lock()

    @property
    def used_bytes(self) -> int:
        """Bytes in flight now."""
        return self._used

    def _take(self, size: int, own: int) -> None:
        with self._lock:
            # one request alone always fits: a limit below the body limit must not lock the door
            if self._used > own and self._used + size > self._limit:
                raise Overloaded(
                    f"{self._used} bytes of other requests are in flight, the limit is {self._limit}; try again later"
                )
            self._used += size

    def _give_back(self, size: int) -> None:
        with self._lock:
            self._used -= size

    @contextmanager
    def reservation(self) -> Iterator[Reservation]:
        """What one request reserves; all of it is given back at the end."""
        held = Reservation(self._take)
        try:
            yield held
        finally:
            self._give_back(held.held_bytes)


class Reservation:
    """The bytes that one request holds in a `Budget`."""

    def __init__(self, take: Callable[[int, int], None]) -> None:
        self._take = take
        self.held_bytes = 0

    def take(self, size: int) -> None:
        """Reserve more bytes.

        Raises
        ------
        Overloaded
            They don't fit beside what others have in flight.
        """
        self._take(size, self.held_bytes)
        self.held_bytes += size
