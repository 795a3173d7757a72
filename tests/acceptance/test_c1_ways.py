"""C1: the same call of a model by every way in: REST (OTLP/JSON), an agent or a collector (OTLP over HTTP, gzip, and gRPC), a log."""

import gzip

import grpc
import pytest
from google.protobuf.json_format import MessageToDict, MessageToJson
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import TraceServiceStub

from ingest_world import World, call, open_to_all, set_pairs, span_request
from tocsin.ingest.grpc import serve_grpc
from tocsin.ingest.http import ingest_app
from tocsin.ingest.log_calls import LoggedCalls
from tocsin.ingest.logfile import LineRules, decode_lines
from tocsin.ingest.otlp import OtlpReceiver
from tocsin.ingest.redact import Redactor
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


def by_log(world, request_id="chatcmpl-1"):
    line = (
        "INFO llm call done provider=openai model=gpt-4o-mini response_model=gpt-4o-mini-2024-07-18 prompt_tokens=1200 "
        f"completion_tokens=300 latency_ms=850 response_id={request_id}"
    )
    decoded = decode_lines([line.encode()], LineRules([]), world.edge, "main", "file/bot", world.edge.received())
    world.edge.submit(decoded.frames)


def reading():
    """A world in which lines of logs are read, as they are in `tocsin serve`."""
    lines = [pack.call_lines for pack in load_packs() if pack.call_lines is not None]
    return World(LoggedCalls(Redactor((), keep_content=False, token_key=bytes(32)), lines))


@pytest.mark.parametrize("way", [by_json, by_http, by_grpc, by_log])
def test_c1_a_call_arrives_with_tokens_model_and_cost(way):
    world = reading()
    way(world)
    (frame,) = world.frames(FrameKind.SPANS)
    found = CallReader(load_packs()).read("main", {name: frame.batch.column(name) for name in SPAN_COLUMNS})
    assert found.counted.tolist() == [True]
    assert (found.texts["provider"].of(0), found.texts["request_model"].of(0)) == ("openai", "gpt-4o-mini")
    assert (found.numbers["input_tokens"][0], found.numbers["output_tokens"][0]) == (1200, 300)
    assert found.numbers["cost_usd"][0] == pytest.approx((1200 * 0.15 + 300 * 0.60) * 1e-6)


@pytest.mark.parametrize("first", ["line", "span"])
def test_c1_a_call_that_a_span_and_a_line_tell_of_is_counted_once(first):
    world, reader = reading(), CallReader(load_packs())
    said = request()
    for span in said.resource_spans[0].scope_spans[0].spans:
        set_pairs(span.attributes, SAID | {"gen_ai.response.id": "chatcmpl-1"})
    ways = [by_log, lambda world: OtlpReceiver(world.edge).take("traces", said.SerializeToString(), "main")]
    for way in ways if first == "line" else reversed(ways):
        way(world)
    by_log(world, "chatcmpl-2")
    counted = []
    for frame in world.frames(FrameKind.SPANS):
        columns = {name: frame.batch.column(name) for name in SPAN_COLUMNS}
        counted += reader.read("main", columns).counted.tolist()
    assert counted == [True, False, True]
