"""The house with remediation: telemetry stored, playbooks run, and real peers to call, to tell and to ask."""

import json
import threading
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from acceptance.stack import SECOND, Stack
from tocsin.app.illustrated import Illustrated
from tocsin.app.logs import read_logs
from tocsin.app.remedy_world import RemedyWorld
from tocsin.app.responding import Responding
from tocsin.incident.outbox import Outbox
from tocsin.model.series import Catalog
from tocsin.model.summary import UNSAID
from tocsin.respond.telling import action_log
from tocsin.store.genai import SpanMapper
from tocsin.store.schema import TABLES
from tocsin.store.telemetry import TelemetryStore
from tocsin.store.writer import StoreWriter

GREEN = {
    "page": {"name": "Acme AI"},
    "components": [{"id": "1", "name": "API", "status": "operational"}],
    "incidents": [],
}


class Answers:
    """A real HTTP server in a thread: `reply(method, path, headers, body)` gives status and JSON."""

    def __init__(self, reply):
        self.got = []
        kept = self.got

        class Handler(BaseHTTPRequestHandler):
            def answer(self):
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                told = json.loads(body) if body else None
                kept.append((self.command, self.path, dict(self.headers), told))
                status, found = reply(self.command, self.path, {k.lower(): v for k, v in self.headers.items()}, told)
                text = json.dumps(found).encode()
                self.send_response(status)
                self.send_header("content-length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def do_GET(self):
                self.answer()

            def do_POST(self):
                self.answer()

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=partial(self.server.serve_forever, poll_interval=0.02), daemon=True)
        self.thread.start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


class House(Stack):
    """As `tocsin serve` joins them."""

    def __init__(self, path, config_text, packs):
        super().__init__(path, config_text, packs)
        kept = {each.name: 10 * 365 * 86_400 * SECOND for each in TABLES if each.kept}
        self.telemetry = TelemetryStore(path / "store", retention=kept)  # the clock is not that of the store
        catalog = Catalog()
        logs = read_logs(path, catalog)
        self.writer = StoreWriter(self.telemetry, *logs, catalog, SpanMapper(self.packs), self.clock)
        world = RemedyWorld(self.telemetry, self.state, self.clock, self.packs, lambda: self.config.context)
        self.responding = Responding(self.state, world, self.clock, self.config)
        done = lambda each: action_log(self.state.remedies(each.tenant, incident_id=each.id))  # noqa: E731 - short
        illustrated = Illustrated(self.state, lambda _: (), lambda *_: UNSAID, self.clock, done)
        self.outbox = Outbox(illustrated, self.destinations, self.clock)

    async def batch(self, service, points):
        """Points (name, labels, time ns, value) in one request."""
        by_name = {}
        for name, labels, at, value in points:
            attributes = [{"key": k, "value": {"stringValue": v}} for k, v in labels]
            by_name.setdefault(name, []).append({"timeUnixNano": str(at), "asDouble": value, "attributes": attributes})
        metrics = [{"name": name, "unit": "1", "gauge": {"dataPoints": found}} for name, found in by_name.items()]
        resource = {"attributes": [{"key": "service.name", "value": {"stringValue": service}}]}
        scopes = [{"resource": resource, "scopeMetrics": [{"metrics": metrics}]}]
        await self.post("/v1/metrics", {"resourceMetrics": scopes})

    async def pass_by(self, seconds, *, stored=True):
        """Let time pass: fold, store, correlate, respond, deliver."""
        self.clock.advance((seconds - 1) * SECOND)
        await self.second()
        while stored and self.writer.step():
            pass
        await self.responding._step()
        while await self.outbox.drain():
            await self.outbox.idle()
        await self.outbox.idle()

    async def close(self):
        self.responding._stale += self.responding._clients
        await self.responding._close()
        self.responding._loop.close()
        await super().close()
        self.telemetry.close()
