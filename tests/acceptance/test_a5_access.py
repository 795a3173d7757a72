"""A5: who gets in without credentials, who looks for a way in and who asks too much: from spans and access logs to the security team."""

import pytest

from acceptance.stack import SECOND, START, Hook, Stack, play
from tocsin.model.security import is_security
from tocsin.model.visit import PIECE_NS

pytestmark = pytest.mark.acceptance

PIECES = 108
"""Of a quarter of an hour: a day and a little more of normal life."""
FIRST = START // PIECE_NS - PIECES


@pytest.fixture
def hooks():
    found = {name: Hook() for name in ("security", "ops")}
    yield found
    for hook in found.values():
        hook.close()


def config(hooks):
    rows = "\n".join(
        f'  - {{name: {name}, type: webhook, url: "{hook.url}", allow: [127.0.0.0/8]}}' for name, hook in hooks.items()
    )
    return f"destinations:\n{rows}\nroutes:\n  - {{match: {{kind: security}}, to: [security]}}\n  - {{match: {{}}, to: [ops]}}"


def pairs(**named):
    return [{"key": key.replace("__", "."), "value": {"stringValue": str(value)}} for key, value in named.items()]


def span(number, time_ns, route, code=200, user="", client="10.0.0.1", tool="okhttp/4"):
    told = {"http__route": route, "http__response__status_code": code, "client__address": client,
            "user_agent__original": tool, "http__request__method": "GET"}  # fmt: skip
    return {
        "traceId": f"{number:032x}", "spanId": f"{number:016x}", "name": f"GET {route}", "kind": 2,
        "startTimeUnixNano": str(time_ns - 20_000_000), "endTimeUnixNano": str(time_ns),
        "attributes": pairs(**told, **({"enduser__id": user} if user else {})),
    }  # fmt: skip


def line(user, path, code, client="10.0.0.1"):
    return f'{client} - {user} [22/Nov/2026:10:00:00 +0000] "GET {path} HTTP/1.1" {code} 512 "-" "curl/8.5.0"'


class Shop:
    """Spans of the shop and access log lines of its front, numbered."""

    def __init__(self, stack):
        self.stack = stack
        self.number = 1
        self.spans, self.lines = [], []

    def ask(self, time_ns, n, route="/orders/{id}", **rest):
        for k in range(n):
            self.spans.append(span(self.number, time_ns + k * 1_000_000, route, **rest))
            self.number += 1

    def log(self, time_ns, n, *told, **rest):
        for k in range(n):
            body = {"stringValue": line(*told, **rest)}
            self.lines.append({"timeUnixNano": str(time_ns + k * 1_000_000), "severityNumber": 9, "body": body})

    async def send(self):
        spans, self.spans = self.spans, []
        lines, self.lines = self.lines, []
        shop, front = ({"attributes": pairs(service__name=name)} for name in ("shop", "front"))
        if spans:
            await self.stack.post(
                "/v1/traces", {"resourceSpans": [{"resource": shop, "scopeSpans": [{"spans": spans}]}]}
            )
        if lines:
            told = {"resourceLogs": [{"resource": front, "scopeLogs": [{"logRecords": lines}]}]}
            await self.stack.post("/v1/logs", told)


def normal(shop, piece):
    at = piece * PIECE_NS + 60 * SECOND
    for who in range(4):
        shop.ask(at + who * 60 * SECOND, 2, user=f"u{who}", client=f"10.0.0.{who}")
    shop.ask(at, 1, "/health", client="10.0.0.99", tool="kube-probe/1.29")
    shop.log(at, 6, "alice", "/admin/report?month=3", 200)
    shop.log(at, 1, "-", "/login", 401)


async def story(path, text):
    stack = Stack(path, text)
    shop = Shop(stack)
    try:
        for piece in range(FIRST, FIRST + PIECES):
            normal(shop, piece)
        await shop.send()
        await stack.second()
        quiet = list(stack.incidents())
        now = FIRST + PIECES
        stack.clock.advance((now + 1) * PIECE_NS - stack.clock.now())
        normal(shop, now)
        attacks(shop, now * PIECE_NS + 120 * SECOND)
        await shop.send()
        await stack.second()
        stack.clock.advance(400 * SECOND)
        for _ in range(3):
            await stack.second()
        return quiet, [f for each in stack.incidents() for f in each.findings if is_security(f)], stack.incidents()
    finally:
        await stack.close()


def attacks(shop, at):
    shop.ask(at, 12, client="6.6.6.6")  # /orders/{id} answers without credentials
    shop.ask(at, 90, "/login", code=401, client="6.6.6.7", tool="hydra")
    shop.ask(at, 400, "/search", user="u3", client="10.0.0.3")
    shop.log(at, 8, "-", "/admin/report?month=4", 200, client="6.6.6.8")


def test_ways_in_and_abnormal_access_reach_the_security_team_alone(tmp_path, hooks):
    quiet, found, incidents = play(story(tmp_path, config(hooks)))
    assert quiet == [], "a day like the others is no incident"
    told = {(each.monitor, each.series.label("service.name"), each.series.label("endpoint") or each.series.label("client"))
            for each in found}  # fmt: skip
    assert told == {
        ("access-unauthenticated", "shop", "/orders/{id}"),
        ("access-unauthenticated", "front", "/admin/report"),
        ("access-denied", "shop", "6.6.6.7"),
        ("access-volume", "shop", "u3"),
    }
    said = {each.monitor: each.evidence["deviation"] for each in found}
    assert said["access-denied"].startswith("by 6.6.6.7: turned away 90 times in a quarter of an hour")
    sent = {post[2]["incident_id"] for post in hooks["security"].posts}
    mine = {each.id for each in incidents if any(is_security(f) for f in each.findings)}
    assert mine <= sent
