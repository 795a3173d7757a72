"""What the tests of ingest build their requests with."""

import asyncio
import os
from contextlib import contextmanager

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tocsin.ingest.edge import Edge
from tocsin.ingest.limits import Limits
from tocsin.model.access import OPEN_ACCESS
from tocsin.model.clock import SECOND, ManualClock
from tocsin.model.frame import Frame, FrameKind
from tocsin.model.series import Catalog
from tocsin.testing.memory_log import MemoryLog

NOW = 1_790_000_000 * SECOND


class KeepAll:
    """A redactor that finds nothing."""

    def frames(self, frames):
        return list(frames)

    def labels(self, labels):
        return labels


class World:
    """An edge on a manual clock and a log in memory."""

    def __init__(self, redactor=None, now=NOW, log=None, **limits):
        self.clock = ManualClock(now)
        self.catalog = Catalog()
        self.log = log or MemoryLog()
        self.edge = Edge(self.log, self.catalog, self.clock, redactor or KeepAll(), Limits(**limits))

    def frames(self, kind=None):
        return [entry for entry in self.log.entries if isinstance(entry, Frame) and kind in {None, entry.kind}]

    def rows(self, kind=FrameKind.POINTS):
        return [row for frame in self.frames(kind) for row in frame.rows()]

    def named(self, kind=FrameKind.POINTS):
        """Rows with their series instead of its number."""
        return [(self.catalog[row["series"]], row) for row in self.rows(kind)]


def open_to_all(_header):
    return OPEN_ACCESS


def set_pairs(attributes, pairs):
    for key, value in pairs.items():
        entry = attributes.add()
        entry.key = key
        match value:
            case bool():
                entry.value.bool_value = value
            case int():
                entry.value.int_value = value
            case float():
                entry.value.double_value = value
            case bytes():
                entry.value.bytes_value = value
            case str():
                entry.value.string_value = value


def gauge_request(values, *, name="cpu", unit="1", time=NOW, service="api", attributes=None):
    """One gauge with a point per value."""
    request = ExportMetricsServiceRequest()
    of_resource = request.resource_metrics.add()
    if service:
        set_pairs(of_resource.resource.attributes, {"service.name": service})
    metric = of_resource.scope_metrics.add().metrics.add(name=name, unit=unit)
    for number, value in enumerate(values):
        point = metric.gauge.data_points.add(time_unix_nano=time)
        if isinstance(value, int):
            point.as_int = value
        else:
            point.as_double = value
        set_pairs(point.attributes, {"n": number} if attributes is None else attributes)
    return request


def span_request(n=1, *, end=NOW, service="api", **fields):
    request = ExportTraceServiceRequest()
    of_resource = request.resource_spans.add()
    set_pairs(of_resource.resource.attributes, {"service.name": service})
    of_scope = of_resource.scope_spans.add()
    of_scope.scope.name = "lib"
    for _ in range(n):
        given = {"trace_id": os.urandom(16), "span_id": os.urandom(8), "name": "chat", "kind": 3} | fields
        of_scope.spans.add(start_time_unix_nano=end - SECOND, end_time_unix_nano=end, **given)
    return request


def log_request(*bodies, service="api", **fields):
    request = ExportLogsServiceRequest()
    of_resource = request.resource_logs.add()
    set_pairs(of_resource.resource.attributes, {"service.name": service})
    records = of_resource.scope_logs.add().log_records
    for body in bodies:
        records.add(**({"time_unix_nano": NOW} | fields)).body.string_value = body
    return request


class Answer:
    def __init__(self):
        self.status = None
        self.headers = {}
        self.body = b""


def call(app, method="POST", path="/v1/metrics", body=b"", headers=None, pieces=None, disconnect=False, length=True):
    """Call an ASGI app once, in process."""
    given = {"content-type": "application/x-protobuf"} | (headers or {})
    if length and pieces is None:
        given.setdefault("content-length", str(len(body)))
    raw = [(key.lower().encode(), value.encode("latin-1")) for key, value in given.items() if value is not None]
    scope = {"type": "http", "method": method, "path": path, "headers": raw, "query_string": b""}
    parts = [body] if pieces is None else list(pieces)
    messages = [{"type": "http.request", "body": part, "more_body": True} for part in parts]
    if disconnect:
        messages.append({"type": "http.disconnect"})
    else:
        messages[-1]["more_body"] = False
    answer = Answer()
    waiting = iter(messages)

    async def receive():
        message = next(waiting, None)
        if message is None:
            await asyncio.Event().wait()
        return message

    async def send(message):
        if message["type"] == "http.response.start":
            answer.status = message["status"]
            answer.headers = {key.decode(): value.decode() for key, value in message["headers"]}
        else:
            answer.body += message["body"]

    asyncio.run(app(scope, receive, send))
    return answer


@contextmanager
def served(app):
    """A real uvicorn on a free loopback port; gives its address."""
    import socket
    import threading

    import uvicorn

    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="on", timeout_graceful_shutdown=2))
    started = threading.Event()
    startup = server.startup

    async def announce(sockets=None):
        await startup(sockets=sockets)
        started.set()

    server.startup = announce
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        assert started.wait(20)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(20)
        listener.close()
