"""Prometheus remote write, the sending side: samples as a request of version 1.0 or 2.0, posted to one receiver.

Sources: prompb/remote.proto, prompb/types.proto and prompb/io/prometheus/write/v2/types.proto of Prometheus;
Prometheus Remote-Write 1.0 and 2.0 specifications.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import cramjam

from tocsin.model.series import Labels
from tocsin.notify.base import Context
from tocsin.notify.guard import GuardedClient
from tocsin.spec.scores import RemoteWriteTarget

STALE: Final = struct.pack("<Q", 0x7FF0000000000002)
"""The NaN by which Prometheus knows that a series has ended."""
GAUGE: Final = 2
"""Number of the type gauge in both versions."""
_HEADERS = {
    1: {"content-type": "application/x-protobuf", "x-prometheus-remote-write-version": "0.1.0"},
    2: {
        "content-type": "application/x-protobuf;proto=io.prometheus.write.v2.Request",
        "x-prometheus-remote-write-version": "2.0.0",
    },
}


class Sample(NamedTuple):
    """One sample: its labels with `__name__`, sorted; value, None ends the series; milliseconds since 1970."""

    labels: Labels
    value: float | None
    time_ms: int


def _varint(number: int) -> bytes:
    """A number as base-128, the least significant first.

    >>> _varint(300).hex()
    'ac02'
    """
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)


def _utf8(text: str) -> bytes:
    return text.encode("utf-8", "replace")  # a lone surrogate from telemetry must not end the sending


def _field(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _integer(number: int, value: int) -> bytes:
    return _varint(number << 3) + _varint(value)


def _sample(sample: Sample) -> bytes:
    value = STALE if sample.value is None else struct.pack("<d", sample.value)
    return b"\x09" + value + _integer(2, sample.time_ms)


def encode_1(samples: Sequence[Sample], help_texts: Mapping[str, str]) -> bytes:
    """A `prometheus.WriteRequest`, not compressed."""
    out = []
    for sample in samples:
        pairs = b"".join(_field(1, _field(1, _utf8(k)) + _field(2, _utf8(v))) for k, v in sample.labels)
        out.append(_field(1, pairs + _field(2, _sample(sample))))
    for name in sorted({dict(sample.labels)["__name__"] for sample in samples} & help_texts.keys()):
        text = _integer(1, GAUGE) + _field(2, name.encode()) + _field(4, help_texts[name].encode())
        out.append(_field(3, text))
    return b"".join(out)


def encode_2(samples: Sequence[Sample], help_texts: Mapping[str, str]) -> bytes:
    """An `io.prometheus.write.v2.Request`, not compressed: every text once, series name them by number."""
    symbols = {"": 0}

    def ref(text: str) -> int:
        return symbols.setdefault(text, len(symbols))

    series = []
    for sample in samples:
        refs = b"".join(_varint(ref(text)) for pair in sample.labels for text in pair)
        about = _integer(1, GAUGE) + _integer(3, ref(help_texts.get(dict(sample.labels)["__name__"], "")))
        series.append(_field(5, _field(1, refs) + _field(2, _sample(sample)) + _field(5, about)))
    return b"".join(_field(4, _utf8(text)) for text in symbols) + b"".join(series)


class RemoteWriter:
    """One receiver of remote write."""

    def __init__(self, target: RemoteWriteTarget, context: Context, help_texts: Mapping[str, str]) -> None:
        self.target = target
        self._help = help_texts
        self._client = GuardedClient(target.allow, resolve=context.resolve)

    async def send(self, samples: Sequence[Sample]) -> None:
        """Post samples as one request; a receiver takes all of them or none.

        Raises
        ------
        Retryable
            Not now; `Retry-After` is passed on.
        Refused
            Never in this form: wrong address, key, version, or samples out of order.
        """
        version = self.target.version
        body = (encode_1 if version == 1 else encode_2)(samples, self._help)
        headers = {
            **self.target.headers,
            **_HEADERS[version],
            "content-encoding": "snappy",
            "user-agent": "tocsin",
        }
        await self._client.post(self.target.url, bytes(cramjam.snappy.compress_raw(body)), headers)

    async def close(self) -> None:
        """Close connections."""
        await self._client.close()
