"""The real Prometheus scrapes a real exporter and writes to us: samples, totals, and the marker when it dies."""

from __future__ import annotations

import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import uvicorn

from prometheus_wire import Bench
from tocsin.ingest.http import ingest_app
from tocsin.model.access import OPEN_ACCESS
from tocsin.model.frame import NO_VALUE
from tocsin.model.series import Kind

PAGE = """# TYPE jobs_total counter
jobs_total{queue="a"} %d
# TYPE depth gauge
depth 7
# TYPE wait_seconds histogram
wait_seconds_bucket{le="0.1"} 1
wait_seconds_bucket{le="+Inf"} 2
wait_seconds_sum 0.5
wait_seconds_count 2
"""


class RealTime:
    """The clock of the machine: Prometheus knows no other."""

    def now(self) -> int:
        return time.time_ns()


@contextmanager
def exporter() -> Iterator[ThreadingHTTPServer]:
    class Page(BaseHTTPRequestHandler):
        served = 0

        def do_GET(self) -> None:
            Page.served += 1
            body = (PAGE % Page.served).encode()
            self.send_response(200)
            self.send_header("content-type", "text/plain; version=0.0.4")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Page)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def served(bench: Bench) -> Iterator[int]:
    app = ingest_app(bench.edge, lambda _key: OPEN_ACCESS)
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        config = uvicorn.Config(app, log_level="error", lifespan="off", timeout_graceful_shutdown=1)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            wait_for(lambda: server.started, 10)
            yield listening.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join()


def wait_for(found: Callable[[], object], seconds: float) -> None:
    """Another process is asked here, so real time is all there is."""
    end = time.monotonic() + seconds
    while not found():
        assert time.monotonic() < end, "it did not come in time"
        time.sleep(0.05)


@pytest.mark.system
def test_real_prometheus_writes_samples_and_stale_markers(tmp_path: Path) -> None:
    binary = shutil.which("prometheus")
    if binary is None:
        pytest.skip("prometheus is not installed (apt install prometheus)")
    bench = Bench()
    bench.edge._clock = RealTime()
    with served(bench) as port, socket.socket() as own, (tmp_path / "log").open("wb") as log:
        own.bind(("127.0.0.1", 0))
        own_port = own.getsockname()[1]
        own.close()
        with exporter() as page:
            (tmp_path / "prometheus.yml").write_text(
                "global: {scrape_interval: 1s, scrape_timeout: 500ms, external_labels: {cluster: test}}\n"
                f"scrape_configs: [{{job_name: app, static_configs: [{{targets: ['127.0.0.1:{page.server_port}']}}]}}]\n"
                f"remote_write: [{{url: 'http://127.0.0.1:{port}/api/v1/write', queue_config: {{batch_send_deadline: 200ms}}}}]\n"
            )
            process = subprocess.Popen(
                [
                    binary,
                    f"--config.file={tmp_path / 'prometheus.yml'}",
                    f"--storage.tsdb.path={tmp_path / 'data'}",
                    f"--web.listen-address=127.0.0.1:{own_port}",
                ],
                stdout=subprocess.DEVNULL,
                stderr=log,
            )
            try:
                wait_for(lambda: sum(row["name"] == "jobs_total" for row in bench.rows()) >= 3, 60)
                page.shutdown()
                page.socket.close()
                wait_for(lambda: any(row["name"] == "depth" and row["flags"] == NO_VALUE for row in bench.rows()), 60)
                wait_for(lambda: any(row["name"] == "up" and row["value"] == 0.0 for row in bench.rows()), 60)
            finally:
                process.terminate()
                process.wait(20)
    rows = bench.rows()
    jobs = [row for row in rows if row["name"] == "jobs_total" and row["flags"] == 0]
    assert jobs[0]["labels"] == {
        "cluster": "test",
        "instance": f"127.0.0.1:{page.server_port}",
        "job": "app",
        "queue": "a",
    }
    assert [row["value"] for row in jobs] == sorted(row["value"] for row in jobs)  # type: ignore[type-var]
    assert jobs[0]["signal"].kind is Kind.SUM  # type: ignore[attr-defined]
    names = {row["name"] for row in rows}
    assert {"up", "depth", "wait_seconds_bucket", "wait_seconds_sum", "scrape_duration_seconds"} <= names
    assert {row["value"] for row in rows if row["name"] == "depth" and not row["flags"]} == {7.0}
    assert b"level=error" not in (tmp_path / "log").read_bytes()
