import gzip
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import cramjam
import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

REQUESTS = {
    "/v1/traces": ExportTraceServiceRequest,
    "/v1/metrics": ExportMetricsServiceRequest,
    "/v1/logs": ExportLogsServiceRequest,
}


class Collector:
    """Takes what the world sends, parsed by the published schemas, and remembers it by address."""

    def __init__(self):
        self.got = {path: [] for path in (*REQUESTS, "/api/v1/write", "/api/events")}
        self.refuse = 0
        collector = self

        class Answer(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                if collector.refuse:
                    collector.refuse -= 1
                    self.answer(503)
                    return
                if self.headers["content-encoding"] == "gzip":
                    body = gzip.decompress(body)
                elif self.headers["content-encoding"] == "snappy":
                    body = bytes(cramjam.snappy.decompress_raw(body))
                parse = REQUESTS.get(self.path)
                collector.got[self.path].append(parse.FromString(body) if parse else body)
                self.answer(200)

            def answer(self, status):
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def collector():
    found = Collector()
    yield found
    found.server.shutdown()
    found.server.server_close()
