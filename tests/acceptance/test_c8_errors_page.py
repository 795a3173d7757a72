"""C8: an error rate three sigmas above its week for more than five minutes pages through PagerDuty."""

import asyncio
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from acceptance.llm_spans import chat
from incident_world import World
from llm_world import HOUR, MINUTE, MONDAY, S, folded, genai_packs, spans_frame
from tocsin.incident.policy import Policy
from tocsin.incident.severity import grader
from tocsin.model.finding import Phase
from tocsin.notify.base import Context
from tocsin.notify.pagerduty import Pagerduty
from tocsin.spec.destination import PagerdutyDestination

pytestmark = pytest.mark.acceptance

KEY = "R0123456789ABCDEF0123456789ABCDE"
WEEK_HOURS = 7 * 24


def faults(event):
    """What Events API v2 would find wrong with an event."""
    found = [] if event.get("routing_key") == KEY else ["routing_key"]
    if event.get("event_action") not in ("trigger", "acknowledge", "resolve"):
        found.append("event_action")
    if not isinstance(event.get("dedup_key"), str) or not 0 < len(event["dedup_key"]) <= 255:
        found.append("dedup_key")
    if event.get("event_action") != "trigger":
        return found
    payload = event.get("payload", {})
    if not 0 < len(payload.get("summary", "")) <= 1024:
        found.append("summary")
    if not payload.get("source"):
        found.append("source")
    if payload.get("severity") not in ("critical", "error", "warning", "info"):
        found.append("severity")
    if not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|\+\d\d:\d\d)", payload.get("timestamp", "")):
        found.append("timestamp")
    found += [key for key in ("component", "group", "class") if not isinstance(payload.get(key, ""), str)]
    found += [f"link {each}" for each in event.get("links", []) if not each.get("href", "").startswith("http")]
    return found


class EventsV2:
    """The peer: takes what is an event, refuses what is none, keeps both."""

    def __init__(self):
        self.events = []
        kept = self.events

        class Answer(BaseHTTPRequestHandler):
            def do_POST(self):
                event = json.loads(self.rfile.read(int(self.headers["content-length"])))
                wrong = faults(event) + ([] if self.path == "/v2/enqueue" else [self.path])
                kept.append((event, wrong))
                said = {"status": "invalid event", "errors": wrong} if wrong else {"status": "success"}
                body = json.dumps(said).encode()
                self.send_response(400 if wrong else 202)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        self.url = f"http://127.0.0.1:{self.server.server_port}/v2/enqueue"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def week(seed):
    """A week of calls, three a minute, with two errors in a hundred; then for half an hour a third of them fail."""
    rng = np.random.default_rng(seed)
    usual = chat()
    frames = []
    for hour in range(WEEK_HOURS + 1):
        share = 0.02 if hour < WEEK_HOURS else 0.35
        rows = []
        for k in range(180 if hour < WEEK_HOURS else 90):
            failed = bool(rng.random() < share)
            said = usual | ({"error.type": "503"} if failed else {})
            rows.append((MONDAY + hour * HOUR + (k + 1) * 20 * S, said, {"status": "error" if failed else "ok"}))
        size = 180 if hour < WEEK_HOURS else 3  # from here on a minute at a time
        frames += [spans_frame(rows[at : at + size], "support-bot") for at in range(0, len(rows), size)]
    return frames


async def page(finding, monitor, url):
    """What comes of a finding: the incident, its message, and its event through the real destination."""
    world = World([monitor])
    world.reducer._grade = grader()
    (message,) = Policy().fold(world.tick(finding.time, finding), finding.time, tick=True)
    spec = PagerdutyDestination(name="pd", type="pagerduty", routing_key=KEY, url=url, allow=["127.0.0.0/8"])
    destination = Pagerduty(spec, Context("http://127.0.0.1:8642"))
    try:
        return message.incident, await destination.send(message, "", finding.time)
    finally:
        await destination.close()


def test_c8_an_error_rate_three_sigmas_above_its_week_pages_after_five_minutes():
    packs = genai_packs("genai-errors-week")
    found, _ = folded(week(8), packs, every=HOUR, then=(MONDAY + WEEK_HOURS * HOUR, MINUTE), source="otlp/support-bot")
    begin = MONDAY + WEEK_HOURS * HOUR
    (at, finding), *_ = found
    assert finding.phase is Phase.OPEN
    assert begin + 5 * MINUTE < at <= begin + 18 * MINUTE
    assert finding.value > finding.expected[1]
    (monitor,) = [each for pack in packs for each in pack.monitors]
    peer = EventsV2()
    try:
        incident, receipt = asyncio.run(page(finding, monitor, peer.url))
    finally:
        peer.close()
    ((event, wrong),) = peer.events
    assert not wrong
    assert receipt.detail.startswith("202")
    assert event["event_action"] == "trigger"
    assert event["payload"]["class"] == "genai-errors-week"
    assert "support-bot" in event["payload"]["summary"]
    assert event["links"][0]["href"].endswith(incident.id)
