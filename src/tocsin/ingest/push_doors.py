"""The addresses of senders that speak the wire of another system: what they push is taken as it is."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable

from tocsin.ingest.cloudwatch import WIRE as METRIC_STREAMS
from tocsin.ingest.cloudwatch import MetricStreamDecoder
from tocsin.ingest.decoded import Decoded
from tocsin.ingest.door import INLINE_BYTES, JSON, PROTOBUF, PROTOBUF_WEIGHT, Door, Headers, Request, Take
from tocsin.ingest.edge import Edge
from tocsin.ingest.identify import Pairs
from tocsin.ingest.loki import WIRE as STREAMS
from tocsin.ingest.loki import StreamsDecoder
from tocsin.ingest.response import Response, text_response
from tocsin.ingest.senders import Senders
from tocsin.ingest.series_api import WIRE as SERIES
from tocsin.ingest.series_api import SeriesDecoder
from tocsin.ingest.snappy import declared_bytes, unsnappy
from tocsin.model.errors import BadInput, TooLarge

_IS_JSON = ((b"content-type", JSON.encode()),)


async def taken(request: Request, work: Callable[[], Decoded]) -> Decoded:
    """Decode, append and count the refused; returns when all is durable."""
    # a large body takes long to decode: the loop must go on reading and answering meanwhile
    found = work() if len(request.body) <= INLINE_BYTES else await asyncio.to_thread(work)
    await request.edge.accept(found.frames)
    for (source, reason), rows in found.reasons.items():
        request.edge.refuse(request.access.tenant, source, reason, rows)
    return found


def unpacked(request: Request) -> bytes:
    """The body of a request in protobuf that is packed with snappy.

    Raises
    ------
    TooLarge
        It is over the limit when unpacked.
    BadInput
        It is not packed so.
    """
    size, limit = declared_bytes(request.body), request.edge.limits.body_bytes
    if size > limit:
        raise TooLarge(f"the body is {size} bytes after decompression, the limit is {limit}; send smaller batches")
    request.held.take(size * PROTOBUF_WEIGHT)
    return unsnappy(request.body, size)


def _streams(edge: Edge, senders: Senders) -> Take:
    decoder = StreamsDecoder(edge, senders.wire(STREAMS).labels)

    async def take(request: Request) -> Response:
        as_json = request.media == JSON

        def work() -> Decoded:
            raw = request.raw() if as_json else unpacked(request)
            return decoder.decode(raw, request.access.tenant, as_json=as_json)

        found = await taken(request, work)
        # as the original does: what is fine was taken, and the sender is told that not all was
        return text_response(400, found.message) if found.rejected else Response(204)

    return take


def _deliveries(edge: Edge, senders: Senders) -> Take:
    decoder = MetricStreamDecoder(edge, senders.wire(METRIC_STREAMS))

    async def take(request: Request) -> Response:
        common = _common(request.headers)

        def work() -> Decoded:
            return decoder.decode(request.raw(), request.access.tenant, common)

        found = await taken(request, work)
        if found.rejected and not found.frames:
            raise BadInput(found.message)
        # a delivery that is not taken whole would come again for a day, and be as bad: it is counted instead
        return _delivered(request.headers, edge.received())

    return take


def _common(headers: Headers) -> Pairs:
    """Labels that a delivery stream is configured to add."""
    raw = headers.get(b"x-amz-firehose-common-attributes", b"{}")
    try:
        found = json.loads(raw).get("commonAttributes", {})
        return tuple((str(name), str(value)) for name, value in found.items())
    except (ValueError, RecursionError, AttributeError) as bad:
        raise BadInput(f"the header X-Amz-Firehose-Common-Attributes is not an object of texts: {bad}") from None


def _delivered(headers: Headers, received: int, error: str = "") -> Response:
    """The answer that Firehose asks for: its own id, the time in ms, and what was wrong."""
    body: dict[str, object] = {
        "requestId": headers.get(b"x-amz-firehose-request-id", b"").decode("latin-1")[:200],
        "timestamp": received // 1_000_000,
    }
    if error:
        body["errorMessage"] = error[:8000]
    return Response(200, _IS_JSON, json.dumps(body).encode())


def _series(edge: Edge, senders: Senders, done: bytes) -> Take:
    decoder = SeriesDecoder(edge, senders.wire(SERIES))

    async def take(request: Request) -> Response:
        as_json = request.media != PROTOBUF

        def work() -> Decoded:
            return decoder.decode(request.raw(), request.access.tenant, as_json=as_json)

        found = await taken(request, work)
        if found.rejected and not found.frames:
            raise BadInput(found.message)
        if found.rejected:  # known to the sender, though it asks for no such thing
            return Response(202, _IS_JSON, json.dumps({"errors": [], "warnings": [found.message]}).encode())
        return Response(202, _IS_JSON, done)

    return take


def _errors(_headers: Headers, reason: str) -> Response:
    return Response(400, _IS_JSON, json.dumps({"errors": [reason]}).encode())


def _series_doors(edge: Edge, senders: Senders) -> list[Door]:
    key = (b"dd-api-key",)
    title = "Series of the metrics API: the agent's (dd_url, additional_endpoints), a client's or Vector's."
    curl = "curl -X POST -H 'Content-Type: application/json' -H 'DD-API-KEY: KEY' --data "
    valid = Response(200, _IS_JSON, b'{"valid": true}')

    async def validated(_request: Request) -> Response:
        return valid

    return [
        Door(
            "/api/v1/series",
            _series(edge, senders, b'{"status": "ok"}'),
            title,
            curl
            + '\'{"series": [{"metric": "queue.depth", "points": [[EPOCH_S, 3]]}]}\' http://127.0.0.1:8642/api/v1/series',
            key_headers=key,
            refuse=_errors,
        ),
        Door(
            "/api/v2/series",
            _series(edge, senders, b'{"errors": []}'),
            title,
            curl + '\'{"series": [{"metric": "queue.depth", "points": [{"timestamp": EPOCH_S, "value": 3}]}]}\' '
            "http://127.0.0.1:8642/api/v2/series",
            key_headers=key,
            refuse=_errors,
        ),
        Door(
            "/api/v1/validate",
            validated,
            "Whether a key is good, as agents of the metrics API ask.",
            "curl -H 'DD-API-KEY: KEY' http://127.0.0.1:8642/api/v1/validate",
            key_headers=key,
            refuse=_errors,
            get=lambda: valid,
        ),
    ]


def push_doors(edge: Edge, senders: Senders) -> list[Door]:
    """Addresses of the wires of other systems."""
    return [
        Door(
            "/loki/api/v1/push",
            _streams(edge, senders),
            "Log streams as Promtail, Alloy, Fluent Bit and Vector push them to Loki.",
            "clients: [{url: http://127.0.0.1:8642/loki/api/v1/push}]   # in promtail.yaml",
            (JSON, PROTOBUF),
            refuse=lambda _headers, reason: text_response(400, reason),
        ),
        Door(
            "/aws/firehose",
            _deliveries(edge, senders),
            "Metric streams of CloudWatch, as Amazon Data Firehose delivers them to an HTTP endpoint: JSON, "
            "OpenTelemetry 0.7 and 1.0.",
            "the endpoint's URL is https://HOST/aws/firehose, its access key a key of the scope ingest",
            (JSON,),
            key_headers=(b"x-amz-firehose-access-key",),
            refuse=lambda headers, reason: _delivered(headers, edge.received(), reason),
        ),
        *_series_doors(edge, senders),
    ]
