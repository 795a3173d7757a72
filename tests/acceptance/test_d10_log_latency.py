"""D10: the p95 of a model's latency, read from the lines of its log file, is above 200 ms for five minutes: a mail."""

import asyncio
import email
import json
import threading
import urllib.request
from email import policy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from aiosmtpd.smtp import SMTP

from acceptance.stack import SECOND, Stack, play
from tocsin.ingest.logfile import LineSignal, follow_log
from tocsin.model.times import time_to_json

pytestmark = pytest.mark.acceptance

PER_S = 2
CALM_MS, SLOW_MS = 80.0, 190.0  # medians; the p95 is twice as much


class ModelApi:
    """A small HTTP API of a model that writes a line per prediction, with how long it took by the clock of the test."""

    def __init__(self, path, clock):
        self.median_ms = CALM_MS
        rng = np.random.default_rng(10)
        api = self

        class Answer(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                took_ms = api.median_ms * float(rng.lognormal(0, 0.42))
                stamp = time_to_json(clock.now())
                with path.open("a", encoding="utf-8") as log:
                    log.write(f"{stamp} INFO predict rows={len(json.loads(body))} took {took_ms:.1f} ms\n")
                self.send_response(200)
                self.end_headers()
                self.wfile.write(b'{"prediction": 1}')

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        self.url = f"http://127.0.0.1:{self.server.server_port}/predict"
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def predict(self):
        request = urllib.request.Request(self.url, b"[1, 2, 3]")
        with urllib.request.urlopen(request, timeout=30) as answer:
            assert json.load(answer) == {"prediction": 1}

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


class Inbox:
    """Keeps what a real SMTP server was given."""

    def __init__(self):
        self.mails = []

    async def handle_DATA(self, server, session, envelope):
        found = email.message_from_bytes(envelope.content, policy=policy.default)
        self.mails.append((envelope.rcpt_tos, found))
        return "250 taken"


def config(path, port):
    return f"""
sources:
  - name: api-log
    type: file
    path: {path}
    resource: {{service.name: model-api}}
    rules: [{{signal: api.latency, unit: ms, pattern: 'took (?P<value>[0-9.]+) ms'}}]
monitors:
  - name: slow-inference
    signal: api.latency
    aggregate: p95
    window: {{size: 1m, step: 10s, min_samples: 20}}
    detect: {{threshold: {{above: 200ms}}}}
    for: 5m
    clear: 1m
destinations:
  - {{name: mail, type: email, host: 127.0.0.1, port: {port}, tls: false, from: tocsin@example.org,
     to: [oncall@example.org], allow: [127.0.0.0/8]}}
routes: [{{match: {{}}, to: [mail]}}]
"""


async def story(path, inbox):
    loop = asyncio.get_running_loop()
    listener = await loop.create_server(lambda: SMTP(inbox, loop=loop), "127.0.0.1", 0)
    log = path / "model api.log"
    stack = Stack(path, config(log, listener.sockets[0].getsockname()[1]))
    api = ModelApi(log, stack.clock)
    (source,) = stack.config.sources
    rules = [LineSignal(rule.signal, rule.pattern, rule.unit) for rule in source.rules]
    follow = follow_log(source.name, source.path, rules, stack.edge, path / "positions", resource=source.resource)
    seen = {}

    async def let(seconds, median_ms, what):
        api.median_ms = median_ms
        for _ in range(seconds):
            for _ in range(PER_S):
                api.predict()
            while await follow.step():
                pass
            await stack.second()
            for _ in range(len(seen), len(inbox.mails)):
                seen[len(seen)] = (what, stack.clock.now())

    try:
        await follow.step()  # begins before there is a file
        await let(60, CALM_MS, "calm")
        await let(220, SLOW_MS, "slow for not quite four minutes")
        log.rename(log.with_suffix(".log.1"))
        await let(70, CALM_MS, "calm again")
        onset = stack.clock.now()
        await let(345, SLOW_MS, "slow for long")
        return seen, onset, stack.incidents()
    finally:
        api.close()
        follow.close()
        await stack.close()
        listener.close()
        await listener.wait_closed()


def test_d10_a_mail_after_five_minutes_above_200_ms_and_none_before(tmp_path):
    inbox = Inbox()
    seen, onset, incidents = play(story(tmp_path, inbox))
    (what, at), *_ = seen.values()
    assert what == "slow for long"
    assert 300 <= (at - onset) / SECOND <= 340
    (incident,) = incidents
    (finding,) = incident.findings
    assert (finding.monitor, finding.series.signal.unit) == ("slow-inference", "ms")
    assert dict(finding.series.labels)["service.name"] == "model-api"
    to, mail = inbox.mails[0]
    assert to == ["oncall@example.org"]
    assert mail["From"] == "tocsin@example.org"
    text = mail.get_body(("plain",)).get_content()
    assert "slow-inference" in text
    assert "200" in text
