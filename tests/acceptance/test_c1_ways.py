"""C1: the same call of a model by every way in: REST (OTLP/JSON), an agent or a collector (OTLP over HTTP, gzip, and gRPC)."""

import gzip

import grpc
import pytest
from google.protobuf.json_format import MessageToDict, MessageToJson
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import TraceServiceStub

from ingest_world import World, call, open_to_all, set_pairs, span_request
from tocsin.ingest.grpc import serve_grpc
from tocsin.ingest.http import ingest_app
from tocsin.llm.calls import SPAN_COLUMNS, CallReader
from tocsin.model.frame import FrameKind
from tocsin.spec.packs import load_packs

pytestmark = pytest.mark.acceptance

SAID = {
    "gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.request.model": "gpt-4o-mini",
    "gen_ai.response.model": "gpt-4o-mini-2024-07-18", "gen_ai.usage.input_tokens": 1200, "gen_ai.usage.output_tokens": 300,
}  # fmt: skip


def request():
    made = span_request(trace_id=b"t" * 16, span_id=b"s" * 8)
    for span in made.resource_spans[0].scope_spans[0].spans:
        set_pairs(span.attributes, SAID)
    return made


def by_json(world):
    told = MessageToDict(request())
    (span,) = told["resourceSpans"][0]["scopeSpans"][0]["spans"]
    assert span["traceId"]
    body = (
        MessageToJson(request()).replace(span["traceId"], (b"t" * 16).hex()).replace(span["spanId"], (b"s" * 8).hex())
    )
    app = ingest_app(world.edge, open_to_all)
    assert call(app, path="/v1/traces", body=body.encode(), headers={"content-type": "application/json"}).status == 200


def by_http(world):
    body = gzip.compress(request().SerializeToString())
    assert (
        call(
            ingest_app(world.edge, open_to_all), path="/v1/traces", body=body, headers={"content-encoding": "gzip"}
        ).status
        == 200
    )


def by_grpc(world):
    server, port = serve_grpc(world.edge, open_to_all, "127.0.0.1:0")
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        TraceServiceStub(channel).Export(request())
    server.stop(0).wait(5)


@pytest.mark.parametrize("way", [by_json, by_http, by_grpc])
def test_c1_a_call_arrives_with_tokens_model_and_cost(way):
    world = World()
    way(world)
    (frame,) = world.frames(FrameKind.SPANS)
    found = CallReader(load_packs()).read("main", {name: frame.batch.column(name) for name in SPAN_COLUMNS})
    assert found.counted.tolist() == [True]
    assert (found.texts["provider"].of(0), found.texts["request_model"].of(0)) == ("openai", "gpt-4o-mini")
    assert (found.numbers["input_tokens"][0], found.numbers["output_tokens"][0]) == (1200, 300)
    assert found.numbers["cost_usd"][0] == pytest.approx((1200 * 0.15 + 300 * 0.60) * 1e-6)
