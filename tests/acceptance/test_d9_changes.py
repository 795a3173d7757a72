"""D9: whoever tells of a change - a webhook, a log event, spans, a status page - it becomes the cause of what follows."""

import asyncio
import json

import pytest

from acceptance.stack import SECOND, Stack, play
from notify_server import http_server
from tocsin.app.status_pages import StatusPages

pytestmark = pytest.mark.acceptance

STEP_S = 15
GOOD = 8
BAD = 6
CONFIG = """
monitors:
  - name: errors
    signal: checkout.error_ratio
    aggregate: mean
    window: {size: 1m, step: 15s, min_samples: 2}
    detect: {threshold: {above: 0.2}}
    for: 15s
context:
  - {name: provider, type: status_page, url: "http://localhost/api/v2/summary.json", entity: api.example.com, allow: [127.0.0.0/8]}
"""
ROUND_TRIP = {"page": {"name": "Example AI"}, "components": [{"id": "c", "name": "API", "status": "operational"}]}


def stamp(stack):
    return stack.clock.now() // SECOND


async def webhook(stack):
    """As a deployment that went live is told."""
    payload = {
        "deployment_status": {"state": "success", "environment": "production"},
        "deployment": {"id": 1, "sha": "f95f852bd8fca8fcc58a9a2d6c842781e32a215e", "ref": "main"},
        "repository": {"name": "checkout", "full_name": "shop/checkout"},
    }
    headers = {"x-github-event": "deployment_status"}
    answer = await stack.http.post("/api/events/github", json=payload, headers=headers)
    assert answer.json() == {"accepted": 1}


async def log_event(stack):
    record = {
        "timeUnixNano": str(stack.clock.now()),
        "eventName": "deployment",
        "body": {"stringValue": "rolled out"},
        "attributes": [{"key": "service.version", "value": {"stringValue": "2.0"}}],
    }
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "checkout"}}]}
    await stack.post("/v1/logs", {"resourceLogs": [{"resource": resource, "scopeLogs": [{"logRecords": [record]}]}]})


async def spans(stack, version="2.0"):
    resource = {
        "attributes": [
            {"key": "service.name", "value": {"stringValue": "checkout"}},
            {"key": "service.version", "value": {"stringValue": version}},
        ]
    }
    found = [
        {
            "traceId": f"{stamp(stack):032x}",
            "spanId": f"{number + 1:016x}",
            "name": "pay",
            "kind": 2,
            "startTimeUnixNano": str(stack.clock.now() - SECOND),
            "endTimeUnixNano": str(stack.clock.now()),
        }
        for number in range(4)
    ]
    await stack.post("/v1/traces", {"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": found}]}]})


class Page:
    """A provider's status page, polled through the client that guards addresses."""

    def __init__(self, stack, kept):
        (self.spec,) = stack.config.context
        self.kept = kept
        self.stack = stack
        self.reader = None

    async def read(self, status):
        page = json.loads(json.dumps(ROUND_TRIP))
        page["components"][0]["status"] = status
        async with http_server((200, {}, json.dumps(page).encode())) as server:
            spec = self.spec.model_copy(update={"url": f"{server.url}/api/v2/summary.json"})
            if self.reader is None:
                self.reader = StatusPages(spec, self.stack.packs, self.stack.edge, asyncio.sleep, self.kept)
            self.reader._spec = spec
            await self.reader.poll()


async def day(path, tell):
    stack = Stack(path, CONFIG)
    page = Page(stack, path / "page.json")
    labels = (("server.address", "api.example.com"),)
    try:
        for step in range(GOOD + BAD):
            if tell is spans and step % 4 == 0 and step < GOOD:
                await spans(stack, "1.9")
            if step == GOOD - 1 and tell is not Page:
                await tell(stack)
            if tell is Page and step in {0, GOOD - 1}:
                await page.read("operational" if step == 0 else "major_outage")
            await stack.gauges("checkout", {("checkout.error_ratio", labels): 0.01 if step < GOOD else 0.5})
            stack.clock.advance((STEP_S - 1) * SECOND)
            await stack.second()
        for _ in range(5):
            await stack.second()
        return stack.incidents()
    finally:
        if page.reader is not None:
            await page.reader._client.close()
        await stack.close()


@pytest.mark.parametrize(
    ("tell", "kind", "entity", "what"),
    [
        (webhook, "deploy", "checkout", "main (f95f852bd8) to production: success"),
        (log_event, "deploy", "checkout", "deployment: checkout 2.0 rolled out"),
        (spans, "deploy", "checkout", "2.0"),
        (Page, "dependency", "api.example.com", "Example AI: API is major_outage"),
    ],
)
def test_d9_a_change_is_the_cause_of_what_follows_it(tmp_path, tell, kind, entity, what):
    (incident,) = play(day(tmp_path, tell))
    best = incident.causes[0]
    assert (best.kind, best.entity) == (kind, entity)
    assert what in best.what
    assert any("the first symptom" in text for text in best.evidence)
