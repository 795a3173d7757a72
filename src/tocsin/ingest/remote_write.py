"""Prometheus remote write 1.0 and 2.0 as HTTP: what is spoken, limits, and what is answered.

Unlike with OTLP, a request that was taken in part is answered with 400: the sender must not believe that all of it
arrived (specification of remote write, "partial write").
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from weakref import WeakKeyDictionary

from tocsin.ingest.edge import Edge
from tocsin.ingest.remote_write_decode import SOURCE, RemoteWriteDecoder, Written
from tocsin.ingest.response import Response, text_response
from tocsin.ingest.snappy import declared_bytes, unsnappy
from tocsin.model.errors import BadInput, Overloaded, TooLarge, Unsupported
from tocsin.selfmon.metrics import counter

_PROTO_1 = "prometheus.WriteRequest"
_PROTO_2 = "io.prometheus.write.v2.Request"
_SPOKEN = f"application/x-protobuf;proto={_PROTO_1} or application/x-protobuf;proto={_PROTO_2}, content encoding snappy"
_IN_THREAD_BYTES = 512 * 1024
_REQUESTS = counter(
    "tocsin_ingest_remote_write_requests_total", "Requests, by version and status", ["version", "status"]
)
_EXEMPLARS = counter("tocsin_ingest_unused_exemplars_total", "Exemplars received; they are not kept", ["source"])
_decoders: WeakKeyDictionary[Edge, RemoteWriteDecoder] = WeakKeyDictionary()


def message_of(headers: Mapping[bytes, bytes]) -> str:
    """Name of the message that a request carries, from its headers (names in lower case).

    Raises
    ------
    Unsupported
        It is no remote write that is spoken here.

    >>> message_of({b"content-type": b"application/x-protobuf", b"content-encoding": b"snappy"})
    'prometheus.WriteRequest'
    """
    told_type = headers.get(b"content-type", b"").decode("latin-1")
    kind, *parameters = (part.strip() for part in told_type.split(";"))
    told = dict(part.partition("=")[::2] for part in parameters)
    message = told.get("proto", _PROTO_1).strip('"')
    if kind.lower() not in {"", "application/x-protobuf"} or message not in {_PROTO_1, _PROTO_2}:
        raise Unsupported(f"content type {told_type[:100]!r} is not remote write; send {_SPOKEN}")
    encoding = headers.get(b"content-encoding", b"snappy").decode("latin-1").strip().lower()
    if encoding != "snappy":
        raise Unsupported(f"content encoding {encoding[:40]!r} is not spoken here; send {_SPOKEN}")
    return message


def _answer(written: Written, text: str = "") -> Response:
    headers = tuple(
        (f"x-prometheus-remote-write-{name}-written".encode(), str(count).encode())
        for name, count in (("samples", written.samples), ("histograms", written.histograms), ("exemplars", 0))
    )
    if not text:
        return Response(204, headers)
    return text_response(400, text, *headers)


async def write_request(headers: Mapping[bytes, bytes], body: bytes, edge: Edge, tenant: str) -> Response:
    """Take in one POST of remote write; header names in lower case, the body as received."""
    version = "unknown"
    try:
        message = message_of(headers)
        version = "1" if message == _PROTO_1 else "2"
        response = await _write(message, body, edge, tenant)
    except Unsupported as error:
        response = _refused(415, error, edge, tenant)
    except TooLarge as error:
        response = _refused(413, error, edge, tenant)
    except BadInput as error:
        response = _refused(400, error, edge, tenant)
    except Overloaded as error:
        # Prometheus sends again after any 5xx, but after 429 only when it was configured to
        retry = (b"retry-after", str(max(1, round(error.retry_after_s))).encode())
        response = text_response(503, str(error), retry)
    _REQUESTS.labels(version, str(response.status)).inc()
    return response


def _refused(status: int, error: BadInput, edge: Edge, tenant: str) -> Response:
    edge.refuse(tenant, SOURCE, error.code)
    refused = _answer(Written(), str(error))
    return Response(status, refused.headers, refused.body)


async def _write(message: str, body: bytes, edge: Edge, tenant: str) -> Response:
    size = declared_bytes(body)
    if max(size, len(body)) > edge.limits.body_bytes:
        raise TooLarge(
            f"the body is {size} bytes after decompression, the limit is {edge.limits.body_bytes}; send fewer samples a "
            "request (max_samples_per_send) or raise limits.body_bytes"
        )
    decoder = _decoders.get(edge)
    if decoder is None:
        decoder = _decoders[edge] = RemoteWriteDecoder(edge.identifier, edge.limits)
    decode = decoder.decode_1 if message == _PROTO_1 else decoder.decode_2
    with edge.budget.reservation() as held:
        held.take(size)
        raw = unsnappy(body, size)
        if size > _IN_THREAD_BYTES:
            written = await asyncio.to_thread(decode, raw, tenant, edge.received())
        else:
            written = decode(raw, tenant, edge.received())
        await edge.accept(written.frames)
    for (source, reason), rows in written.refusals.counts.items():
        edge.refuse(tenant, source, reason, rows)
    if written.exemplars:
        _EXEMPLARS.labels(SOURCE).inc(written.exemplars)
    return _answer(written, written.message())
