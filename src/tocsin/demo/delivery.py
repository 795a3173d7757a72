"""Brings telemetry to a server: the SDK's OTLP exporters, remote write, change events; and the page to be scraped."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

import cramjam
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk._logs.export import LogRecordExportResult
from opentelemetry.sdk.metrics.export import MetricExportResult, MetricsData
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult

from tocsin.model.errors import Unreachable

_TRIES = 40
_PAUSE_S = 0.5
_TIMEOUT_S = 60.0
_TRY_AGAIN = frozenset({429, 502, 503, 504})


class Delivery:
    """One connection per kind of telemetry, all of a moment sent side by side, so that none runs ahead.

    Raises
    ------
    Unreachable
        The server took something for too long, or refused it.
    """

    def __init__(self, otlp: str, api: str, key: str) -> None:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        options: dict[str, Any] = {"headers": headers, "timeout": _TIMEOUT_S, "compression": Compression.Gzip}
        self._metrics = {
            name: OTLPMetricExporter(endpoint=f"{otlp}/v1/metrics", **options)
            for name in ("support-bot", "api-gateway", "billing")
        }
        self._spans = OTLPSpanExporter(endpoint=f"{otlp}/v1/traces", **options)
        self._logs = OTLPLogExporter(endpoint=f"{otlp}/v1/logs", **options)
        self._write = Poster(f"{api}/api/v1/write", headers)
        self._events = Poster(f"{api}/api/events", headers)
        self._pool = ThreadPoolExecutor(6, thread_name_prefix="delivery")
        self._stop = threading.Event()

    def send(
        self, metrics: Mapping[str, MetricsData], spans: list[ReadableSpan], logs: list[ReadableLogRecord], write: bytes
    ) -> None:
        """Send everything of a stretch of time and wait until all of it is taken."""
        jobs: list[Callable[[], bool]] = [
            lambda data=data, name=name: self._metrics[name].export(data) is MetricExportResult.SUCCESS  # type: ignore[misc]  # defaults keep the loop's variables
            for name, data in metrics.items()
        ]
        if spans:
            jobs.append(lambda: self._spans.export(spans) is SpanExportResult.SUCCESS)
        if logs:
            jobs.append(lambda: self._logs.export(logs) is LogRecordExportResult.SUCCESS)
        if write:
            jobs.append(lambda: self._remote_write(write))
        results = [self._pool.submit(self._insist, job) for job in jobs]
        for result in results:
            result.result()

    def event(self, kind: str, entity: str, what: str, at_s: float) -> None:
        """Announce a change."""
        body = json.dumps({"kind": kind, "entity": entity, "what": what, "time": at_s}).encode()
        status = self._events.post(body, {"Content-Type": "application/json"})
        if status >= 300:
            raise Unreachable(f"the server did not take the change {kind} of {entity}: HTTP {status}")

    def close(self) -> None:
        """Stop insisting and let go of all connections."""
        self._stop.set()
        for exporter in self._metrics.values():
            exporter.shutdown()
        self._spans.shutdown()  # type: ignore[no-untyped-call]  # the SDK left it untyped
        self._logs.shutdown()  # type: ignore[no-untyped-call]  # the SDK left it untyped
        self._pool.shutdown(cancel_futures=True)
        self._write.close()
        self._events.close()

    def _remote_write(self, raw: bytes) -> bool:
        body = bytes(cramjam.snappy.compress_raw(raw))
        headers = {
            "Content-Type": "application/x-protobuf",
            "Content-Encoding": "snappy",
            "X-Prometheus-Remote-Write-Version": "0.1.0",
        }
        status = self._write.post(body, headers)
        if status < 300:
            return True
        if status in _TRY_AGAIN:
            return False
        raise Unreachable(f"the server refused a remote write with HTTP {status}")

    def _insist(self, job: Callable[[], bool]) -> None:
        for _ in range(_TRIES):
            if job() or self._stop.is_set():
                return
            self._stop.wait(_PAUSE_S)
        raise Unreachable(f"the server took nothing in {_TRIES} tries: is it up, and is the address right?")


class Poster:
    """Posts bodies to one address over one connection; answers 503 where nobody listens."""

    def __init__(self, url: str, headers: Mapping[str, str]) -> None:
        self._at = urlsplit(url)
        self._headers = dict(headers)
        self._connection: http.client.HTTPConnection | None = None

    def post(self, body: bytes, headers: Mapping[str, str]) -> int:
        """Send one body; gives the status."""
        kind = http.client.HTTPSConnection if self._at.scheme == "https" else http.client.HTTPConnection
        for _ in range(2):  # a kept connection may have been closed meanwhile
            connection = self._connection or kind(self._at.hostname or "127.0.0.1", self._at.port, timeout=_TIMEOUT_S)
            try:
                connection.request("POST", self._at.path, body, {**self._headers, **headers})
                response = connection.getresponse()
                response.read()
            except (http.client.HTTPException, OSError):
                connection.close()
                self._connection = None
                continue
            self._connection = connection
            return response.status
        return 503

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()


class Page:
    """Serves the newest exposition on loopback; a page is swapped whole, so a scrape never sees half of one."""

    def __init__(self, port: int) -> None:
        self.body = b""
        page = self

        class _Answer(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200 if page.body else 503)
                self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
                self.send_header("Content-Length", str(len(page.body)))
                self.end_headers()
                self.wfile.write(page.body)

            def log_message(self, *_: object) -> None:
                """Scrapes are no news."""

        self._server = ThreadingHTTPServer(("127.0.0.1", port), _Answer)
        self.port = int(self._server.server_address[1])
        threading.Thread(target=self._server.serve_forever, name="page", daemon=True).start()

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()
