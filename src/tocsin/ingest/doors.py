"""The ingest addresses: what each is, how to send to it, and what it does with a body."""

from __future__ import annotations

import asyncio
import json

from tocsin.ingest.check_results import decode_checks
from tocsin.ingest.decoded import Decoded, Unusable
from tocsin.ingest.door import INLINE_BYTES, JSON, PROTOBUF, PROTOBUF_WEIGHT, Door, Request, Take
from tocsin.ingest.edge import Edge
from tocsin.ingest.otlp import SIGNALS, OtlpReceiver, Taken
from tocsin.ingest.push_doors import push_doors
from tocsin.ingest.records import EVENTS_SOURCE, decode_event, decode_records
from tocsin.ingest.remote_write import write_request
from tocsin.ingest.response import Response
from tocsin.ingest.senders import Senders
from tocsin.ingest.webhooks import webhook_doors
from tocsin.model.access import Scope
from tocsin.model.errors import BadInput


def _otlp(signal: str, receiver: OtlpReceiver) -> Take:
    async def take(request: Request) -> Response:
        as_json = request.media == JSON

        def work() -> Taken:
            return receiver.take(signal, request.raw(), request.access.tenant, as_json=as_json)

        # a large body takes long to decode: the loop must go on reading and answering meanwhile
        taken = work() if len(request.body) <= INLINE_BYTES else await asyncio.to_thread(work)
        await asyncio.wrap_future(taken.durable)
        media = JSON if as_json else PROTOBUF
        return Response(200, ((b"content-type", media.encode()),), taken.reply(as_json=as_json))

    return take


async def take_records(request: Request) -> Response:
    """Take in JSON lines of inference records; lines that can't be read are refused one by one."""
    edge, tenant = request.edge, request.access.tenant

    def work() -> Decoded:
        return decode_records(request.raw(), tenant, edge.received(), edge.limits)

    found = work() if len(request.body) <= INLINE_BYTES else await asyncio.to_thread(work)
    accepted = sum(map(len, found.frames))
    await edge.accept(found.frames)
    for (source, reason), rows in found.reasons.items():
        edge.refuse(tenant, source, reason, rows)
    if found.rejected and not accepted:
        raise BadInput(found.message)
    reply = {"accepted": accepted, "rejected": found.rejected, "message": found.message}
    return Response(200, ((b"content-type", JSON.encode()),), json.dumps(reply).encode())


async def take_checks(request: Request) -> Response:
    """Take in the result of a run of data checks."""
    edge, tenant = request.edge, request.access.tenant

    def work() -> Decoded:
        return decode_checks(request.raw(), edge, tenant, edge.received())

    found = work() if len(request.body) <= INLINE_BYTES else await asyncio.to_thread(work)
    await edge.accept(found.frames)
    for (source, reason), rows in found.reasons.items():
        edge.refuse(tenant, source, reason, rows)
    reply = {"accepted": sum(map(len, found.frames)), "rejected": found.rejected, "message": found.message}
    return Response(200, ((b"content-type", JSON.encode()),), json.dumps(reply).encode())


async def take_event(request: Request) -> Response:
    """Take in one change event."""
    edge, tenant = request.edge, request.access.tenant
    try:
        frame = decode_event(request.raw(), tenant, edge.received(), edge.limits)
    except Unusable as bad:
        edge.refuse(tenant, EVENTS_SOURCE, bad.reason)
        raise
    await edge.accept([frame])
    return Response(202, ((b"content-type", JSON.encode()),), b'{"accepted": 1}')


async def take_remote_write(request: Request) -> Response:
    """Hand a remote-write request to its decoder, which knows its own rules."""
    request.held.take(len(request.body) * PROTOBUF_WEIGHT)
    return await write_request(request.headers, request.body, request.edge, request.access.tenant)


def doors(edge: Edge, senders: Senders) -> dict[str, Door]:
    """All ingest addresses by path."""
    receiver = OtlpReceiver(edge, senders)
    host = "http://127.0.0.1:4318"
    found = [
        Door(
            f"/v1/{signal}",
            _otlp(signal, receiver),
            f"OTLP/HTTP {signal}: point an OpenTelemetry exporter or Collector here.",
            f"export OTEL_EXPORTER_OTLP_ENDPOINT={host}",
            (PROTOBUF, JSON),
        )
        for signal in SIGNALS
    ]
    found += [
        Door(
            "/v1/records",
            take_records,
            "Inference records: one JSON object a line (prediction_id, time, kind, model, version, prediction, score, "
            "features, tags, truth, feedback, embedding, attributions, attention).",
            "curl -X POST -H 'Content-Type: application/x-ndjson' "
            '--data-binary \'{"prediction_id": "1", "model": "churn", "score": 0.7}\' http://127.0.0.1:8642/v1/records',
            ("application/x-ndjson", "application/jsonl", "application/json-lines", JSON),
        ),
        Door(
            "/v1/checks",
            take_checks,
            "Results of data checks: the JSON of an Evidently report or test suite, or of a Great Expectations "
            'validation or checkpoint; as it is, or as {"labels": {...}, "result": {...}}.',
            "curl -X POST -H 'Content-Type: application/json' --data-binary @report.json http://127.0.0.1:8642/v1/checks",
            (JSON,),
        ),
        Door(
            "/api/v1/write",
            take_remote_write,
            "Prometheus remote write, 1.0 and 2.0.",
            'remote_write: [{url: "http://127.0.0.1:8642/api/v1/write"}]   # in prometheus.yml',
        ),
        Door(
            "/api/events",
            take_event,
            "Change events: deploys, flags, prompts, whatever people and systems change.",
            "curl -X POST -H 'Content-Type: application/json' "
            '--data \'{"kind": "deploy", "entity": "checkout", "what": "v1.2.3"}\' http://127.0.0.1:8642/api/events',
            (JSON,),
            scopes=(Scope.INGEST, Scope.OPERATE),
        ),
    ]
    found += push_doors(edge, senders)
    found += webhook_doors(senders)
    return {door.path: door for door in found}
