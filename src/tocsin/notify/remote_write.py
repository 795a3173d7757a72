"""Prometheus remote write, the sending side: samples as a request of version 1.0 or 2.0, posted to one receiver.

Source: Prometheus Remote-Write 1.0 and 2.0 specifications.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import cramjam

from tocsin.model.prometheus_pb import STALE_BITS, Label, Request2, TimeSeries, WriteRequest
from tocsin.model.prometheus_pb import Sample as Point
from tocsin.model.series import Labels
from tocsin.notify.base import Context
from tocsin.notify.guard import GuardedClient
from tocsin.spec.scores import RemoteWriteTarget

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


def encode_1(samples: Sequence[Sample], help_texts: Mapping[str, str]) -> bytes:
    """A `prometheus.WriteRequest`, not compressed."""
    request = WriteRequest()
    for sample in samples:
        one = TimeSeries(samples=[_point(sample)])
        one.labels.extend(Label(name=_utf8(k), value=_utf8(v)).SerializeToString() for k, v in sample.labels)
        request.timeseries.append(one.SerializeToString())
    for name in sorted({dict(sample.labels)["__name__"] for sample in samples} & help_texts.keys()):
        request.metadata.add(type=GAUGE, metric_family_name=name.encode(), help=help_texts[name].encode())
    return bytes(request.SerializeToString())


def encode_2(samples: Sequence[Sample], help_texts: Mapping[str, str]) -> bytes:
    """An `io.prometheus.write.v2.Request`, not compressed: every text once, series name them by number."""
    symbols = {"": 0}

    def ref(text: str) -> int:
        return symbols.setdefault(text, len(symbols))

    request = Request2()
    for sample in samples:
        one = request.timeseries.add(samples=[_point(sample)])
        one.labels_refs.extend(ref(text) for pair in sample.labels for text in pair)
        one.metadata.type = GAUGE
        one.metadata.help_ref = ref(help_texts.get(dict(sample.labels)["__name__"], ""))
    request.symbols.extend(map(_utf8, symbols))
    return bytes(request.SerializeToString())


def _point(sample: Sample) -> Any:
    bits = STALE_BITS if sample.value is None else struct.unpack("<Q", struct.pack("<d", sample.value))[0]
    return Point(value=bits, timestamp=sample.time_ms)


def _utf8(text: str) -> bytes:
    return text.encode("utf-8", "replace")  # a lone surrogate from telemetry must not end the sending


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
