"""The whole house in one process under a manual clock: real edge, journal, fold, stores, outbox; no sleeping."""

import asyncio
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import MappingProxyType

import httpx2

from tocsin.app.correlating import Correlating
from tocsin.app.models import with_models
from tocsin.app.routing import rota_of, rules_of
from tocsin.correlate.reducer import Reducer
from tocsin.engine.runner import Runner
from tocsin.engine.snapshot import Snapshots
from tocsin.incident.outbox import Outbox
from tocsin.incident.policy import Policy
from tocsin.incident.severity import grader
from tocsin.ingest.edge import Edge
from tocsin.ingest.http import ingest_app
from tocsin.ingest.limits import Limits
from tocsin.ingest.log_calls import LoggedCalls
from tocsin.ingest.redact import Redactor
from tocsin.ingest.token_counts import TokenCounts
from tocsin.journal.directory import Directory
from tocsin.journal.log import SegmentLog
from tocsin.model.access import OPEN_ACCESS
from tocsin.model.clock import ManualClock
from tocsin.model.series import Catalog
from tocsin.notify.base import Context
from tocsin.notify.registry import open_destinations, resend_ns
from tocsin.selfmon.metrics import exposition
from tocsin.spec.load import parse_config
from tocsin.spec.packs import load_packs
from tocsin.store.state import StateStore

SECOND = 1_000_000_000
START = 1_790_000_000 * SECOND


class Hook:
    """A real HTTP server that keeps what is posted to it."""

    def __init__(self):
        self.posts = []
        kept = self.posts

        class Answer(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                kept.append((self.path, dict(self.headers), json.loads(body)))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook"
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


class Stack:
    """Edge, journal, fold, incidents and outbox as `tocsin serve` joins them, stepped by hand."""

    def __init__(self, path, config_text="{}", packs=None, env=MappingProxyType({}), *, snapshots=False):
        self.packs = load_packs() if packs is None else packs
        self.config = with_models(parse_config(config_text, "tocsin.yaml", env)).loaded.config
        self.clock = ManualClock(START)
        self.catalog = Catalog()
        self.input = SegmentLog(path / "input", self.catalog, self.clock)
        self.output = SegmentLog(path / "output", self.catalog, self.clock)
        lines = [pack.call_lines for pack in self.packs if pack.call_lines is not None]
        reading = LoggedCalls(TokenCounts(Redactor((), False, b"k" * 32)), lines, self.config.llm.call_lines)
        self.edge = Edge(self.input, self.catalog, self.clock, reading, Limits())
        self.edge.control(self.config.engine_spec(self.packs).control()).result()
        self.runner = Runner(self.input, self.output, Snapshots(Directory(path / "snapshots")), self.catalog)
        if not snapshots:  # each takes as long as a minute of a story; one is written at the end all the same
            self.runner._snapshot_at = 1 << 62
        self.state = StateStore(f"sqlite:///{path / 'state.db'}")
        self.destinations = open_destinations(self.config.outgoing(), Context("http://127.0.0.1:8642"))
        reducer = Reducer(self.config.engine_spec(self.packs), grader(self.config.loss), self.input)
        policy = Policy(
            rules_of(self.config),
            dry_run=self.config.dry_run,
            resend_ns=resend_ns(self.destinations.values()),
            drift=self.config.drift,
            rota=rota_of(self.config),
        )
        self.policy = policy
        self.correlating = Correlating(self.output, self.catalog, self.state, reducer, policy)
        self.outbox = Outbox(self.state, self.destinations, self.clock)
        transport = httpx2.ASGITransport(app=ingest_app(self.edge, lambda _: OPEN_ACCESS))
        self.http = httpx2.AsyncClient(transport=transport, base_url="http://tocsin")

    async def post(self, path, body):
        answer = await self.http.post(path, json=body)
        assert answer.status_code == 200, answer.text
        return answer

    async def gauges(self, service, values, *, time_ns=None):
        """One point per (name, labels) -> value, as an OTLP/JSON request."""
        stamp = str(self.clock.now() if time_ns is None else time_ns)
        metrics = [
            {
                "name": name,
                "unit": "1",
                "gauge": {
                    "dataPoints": [
                        {
                            "timeUnixNano": stamp,
                            "asDouble": value,
                            "attributes": [{"key": k, "value": {"stringValue": v}} for k, v in labels],
                        }
                    ]
                },
            }
            for (name, labels), value in values.items()
        ]
        resource = {"attributes": [{"key": "service.name", "value": {"stringValue": service}}]}
        await self.post(
            "/v1/metrics", {"resourceMetrics": [{"resource": resource, "scopeMetrics": [{"metrics": metrics}]}]}
        )

    async def second(self):
        """Let a second pass: tick, fold, correlate, deliver."""
        self.clock.advance(SECOND)
        self.edge.append_tick().result()
        while self.runner.step():
            pass
        while self.correlating.step():
            pass
        while await self.outbox.drain():
            await self.outbox.idle()
        await self.outbox.idle()

    def incidents(self):
        return self.state.incidents("main")

    @staticmethod
    def metrics():
        return exposition().decode()

    async def close(self):
        await self.outbox.close()
        await self.http.aclose()
        self.runner.close()
        self.input.close()
        self.output.close()
        self.state.close()


def play(coroutine):
    """Run a scenario."""
    return asyncio.run(coroutine)
