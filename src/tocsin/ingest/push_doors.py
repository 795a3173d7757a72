"""The addresses of senders that speak the wire of another system: what they push is taken as it is."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from tocsin.ingest.decoded import Decoded
from tocsin.ingest.door import INLINE_BYTES, JSON, PROTOBUF, PROTOBUF_WEIGHT, Door, Request, Take
from tocsin.ingest.edge import Edge
from tocsin.ingest.loki import WIRE as STREAMS
from tocsin.ingest.loki import StreamsDecoder
from tocsin.ingest.response import Response, text_response
from tocsin.ingest.senders import Senders
from tocsin.ingest.snappy import declared_bytes, unsnappy
from tocsin.model.errors import TooLarge


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
    ]
