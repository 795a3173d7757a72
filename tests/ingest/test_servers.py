"""Real servers on loopback, real OpenTelemetry SDK exporters and raw gRPC clients."""

import gzip
import logging
import socket
import time

import grpc
import pytest
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter as GrpcMetrics
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcSpans
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter as HttpLogs
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter as HttpMetrics
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpSpans
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2_grpc import MetricsServiceStub
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

from ingest_world import World, gauge_request, open_to_all, served
from tocsin.ingest.grpc import serve_grpc
from tocsin.ingest.http import ingest_app
from tocsin.model.access import Access, Scope
from tocsin.model.errors import Overloaded, Unreachable
from tocsin.model.frame import FrameKind

RESOURCE = Resource({"service.name": "sdk"})


@pytest.fixture
def world():
    return World(now=time.time_ns(), body_bytes=2**20)


@pytest.fixture
def grpc_address(world):
    server, port = serve_grpc(world.edge, open_to_all, "127.0.0.1:0", timeout_s=0.2)
    yield f"127.0.0.1:{port}"
    server.stop(0).wait(5)


@pytest.fixture
def export(grpc_address):
    with grpc.insecure_channel(grpc_address) as channel:
        yield MetricsServiceStub(channel).Export


def measure(exporter):
    provider = MeterProvider([PeriodicExportingMetricReader(exporter, export_interval_millis=60_000)], RESOURCE)
    meter = provider.get_meter("test")
    meter.create_counter("requests", "1").add(3, {"route": "/a"})
    meter.create_histogram("latency", "s").record(0.25)
    provider.shutdown()


def trace(exporter):
    provider = TracerProvider(resource=RESOURCE)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    with provider.get_tracer("test").start_as_current_span("work", attributes={"n": 1}) as span:
        span.add_event("note")
    provider.shutdown()


def check_metrics(world):
    [(series, row)] = [pair for pair in world.named() if pair[0].signal.name == "requests"]
    assert (row["value"], series.label("route"), series.label("service.name")) == (3.0, "/a", "sdk")
    assert series.signal.monotonic
    assert series.signal.cumulative
    [(wide, histogram)] = [p for p in world.named(FrameKind.DISTRIBUTIONS) if p[0].signal.name == "latency"]
    assert (histogram["count"], histogram["sum"], wide.signal.unit) == (1.0, 0.25, "s")
    assert len(histogram["counts"]) == len(histogram["bounds"]) + 1
    assert {frame.source for frame in world.frames()} == {"otlp/sdk"}


def check_spans(world):
    [row] = world.rows(FrameKind.SPANS)
    assert (row["name"], row["scope"], row["attributes"]) == ("work", "test", [("n", "1")])


@pytest.mark.parametrize("compression", [Compression.NoCompression, Compression.Gzip, Compression.Deflate])
def test_the_sdk_exports_over_http(world, compression):
    with served(ingest_app(world.edge, open_to_all)) as url:
        measure(HttpMetrics(f"{url}/v1/metrics", compression=compression))
        trace(HttpSpans(f"{url}/v1/traces", compression=compression))
        provider = LoggerProvider(RESOURCE)
        provider.add_log_record_processor(SimpleLogRecordProcessor(HttpLogs(f"{url}/v1/logs", compression=compression)))
        provider.get_logger("test").emit(body="hello", severity_text="INFO")
        provider.shutdown()
    check_metrics(world)
    check_spans(world)
    assert [row["body"] for row in world.rows(FrameKind.LOGS)] == ["hello"]


@pytest.mark.parametrize("compression", [grpc.Compression.NoCompression, grpc.Compression.Gzip])
def test_the_sdk_exports_over_grpc(world, grpc_address, compression):
    measure(GrpcMetrics(grpc_address, insecure=True, compression=compression))
    trace(GrpcSpans(grpc_address, insecure=True, compression=compression))
    check_metrics(world)
    check_spans(world)


def test_the_sdk_sees_a_refusal_over_http(world, caplog):
    with served(ingest_app(world.edge, lambda _header: None)) as url, caplog.at_level(logging.ERROR):
        measure(HttpMetrics(f"{url}/v1/metrics"))
    assert "401" in caplog.text
    assert not world.log.entries


def test_partial_success_is_seen_by_the_client(export):
    request = gauge_request([1.0], time=1)
    reply = export(request)
    assert reply.partial_success.rejected_data_points == 1
    assert "2000" in reply.partial_success.error_message


def failure(call, *args, **kwargs):
    with pytest.raises(grpc.RpcError) as caught:
        call(*args, **kwargs)
    details = dict(caught.value.trailing_metadata()).get("grpc-status-details-bin", b"")
    return caught.value.code(), Status.FromString(details)


def test_overload_says_when_to_come_back(world, export):
    world.log.refuse = Overloaded("disk full", retry_after_s=3)
    code, status = failure(export, gauge_request([1.0]))
    info = RetryInfo()
    assert code is grpc.StatusCode.UNAVAILABLE
    assert status.details[0].Unpack(info)
    assert info.retry_delay.seconds == 3
    world.log.refuse = None
    world.log.hold = True
    assert failure(export, gauge_request([1.0]))[0] is grpc.StatusCode.UNAVAILABLE
    world.log.release()
    with world.edge.budget.reservation() as other:
        other.take(world.edge.limits.in_flight_bytes)
        code, status = failure(export, gauge_request([1.0]))
    assert code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert status.details[0].Is(RetryInfo.DESCRIPTOR)


@pytest.mark.parametrize(
    "compression", [grpc.Compression.NoCompression, grpc.Compression.Gzip, grpc.Compression.Deflate]
)
def test_messages_over_the_limit_are_refused_without_a_hint_to_retry(world, grpc_address, compression):
    with grpc.insecure_channel(grpc_address) as channel:
        call = channel.unary_unary("/opentelemetry.proto.collector.metrics.v1.MetricsService/Export")
        code, status = failure(call, bytes(2**20 + 1), compression=compression)
        assert code is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert not status.details
        assert "over 1048576 bytes" in status.message
        assert failure(call, b"\xff\xff", compression=compression)[0] is grpc.StatusCode.INVALID_ARGUMENT
        assert failure(call, gzip.compress(b"x" * 99)[:-9])[0] is grpc.StatusCode.INVALID_ARGUMENT
        good = gauge_request([1.0]).SerializeToString()
        assert ExportMetricsServiceResponse.FromString(call(good, compression=compression)).ByteSize() == 0
    assert len(world.rows()) == 1


def test_grpc_asks_for_the_key():
    world = World()
    keys = {
        "Bearer in": Access("acme", frozenset({Scope.INGEST})),
        "Bearer out": Access("acme", frozenset({Scope.READ})),
    }
    server, port = serve_grpc(world.edge, keys.get, "127.0.0.1:0")
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        call = MetricsServiceStub(channel).Export
        assert failure(call, gauge_request([1.0]))[0] is grpc.StatusCode.UNAUTHENTICATED
        out = (("authorization", "Bearer out"),)
        assert failure(call, gauge_request([1.0]), metadata=out)[0] is grpc.StatusCode.PERMISSION_DENIED
        call(gauge_request([1.0]), metadata=(("authorization", "Bearer in"),))
    server.stop(0).wait(5)
    assert [frame.tenant for frame in world.frames()] == ["acme"]


def test_a_taken_port_is_a_clear_error(world):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(Unreachable, match="--otlp-grpc-port"):
            serve_grpc(world.edge, open_to_all, f"127.0.0.1:{taken.getsockname()[1]}")


def test_a_length_that_lies_harms_nobody(world):
    body = gauge_request([1.0]).SerializeToString()
    head = "POST /v1/metrics HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-protobuf\r\ncontent-length: {}\r\n\r\n"
    with served(ingest_app(world.edge, open_to_all)) as url:
        where = ("127.0.0.1", int(url.rsplit(":", 1)[1]))
        for stated in (len(body) + 100, len(body) - 5, 10**12, -3):
            with socket.create_connection(where, timeout=5) as client:
                client.sendall(head.format(stated).encode() + body)
                client.shutdown(socket.SHUT_WR)
                answer = client.recv(1000)
                assert b" 200 " not in answer
        measure(HttpMetrics(f"{url}/v1/metrics"))
    check_metrics(world)
    assert world.edge.budget.used_bytes == 0
