"""Severity, routing and the rollout from telemetry to a webhook: what is held back, written down and let go."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from acceptance.stack import Hook, Stack, play
from incident_world import packs
from tocsin.app.routing import RoutingView
from tocsin.incident.policy import Policy
from tocsin.model.incident import Cause

CONFIG = """
destinations:
  - {{name: chat, type: webhook, url: "{url}", allow: [127.0.0.0/8]}}
  - {{name: pager, type: webhook, url: "{url}/pager", allow: [127.0.0.0/8]}}
  - {{name: backlog, type: webhook, url: "{url}/backlog", allow: [127.0.0.0/8]}}
monitors:
  - {{name: refusals, signal: shop.conversion, detect: {{threshold: {{below: 0.5}}}}, impact: {{revenue: high}}, runbook: "https://wiki.example/shop"}}
  - {{name: queue, signal: queue.latency, detect: {{threshold: {{above: 100}}}}, impact: {{users: high}}}}
people: [{{name: ann, to: pager}}]
oncall: [{{name: primary, time_zone: Europe/Berlin, rotation: {{people: ann, starts: 2026-01-05T09:00}}}}]
routes: [{{match: {{urgency: page}}, to: [primary, chat]}}, {{to: review}}]
tickets: [{{name: causes, to: backlog, score: 0}}]
rollout: {{}}
"""


@pytest.fixture
def hook():
    found = Hook()
    yield found
    found.close()


def told(hook):
    return sorted(
        (path.removeprefix("/hook") or "/chat", body["incident"]["title"].split(":")[0]) for path, _, body in hook.posts
    )


async def rollout(path, hook):
    stack = Stack(path, CONFIG.format(url=hook.url), packs=packs())
    try:
        routing = RoutingView(lambda: stack.config, stack.state, stack.policy)
        steps = []

        async def seconds(count):
            for _ in range(count):
                await stack.gauges("shop", {("shop.conversion", (("kind", "business"),)): 0.2})
                await stack.gauges("queue", {("queue.latency", (("kind", "latency"),)): 250.0})
                await stack.second()
            steps.append(told(hook))

        await seconds(5)
        for phase in (2, 3):
            routing.enter(phase, by="ann", at=stack.clock.now())
            await seconds(2)
        [shop] = [each for each in stack.incidents() if "shop" in each.entities]
        stack.correlating.confirm(replace(shop, causes=(Cause("deploy", "shop", "release 7", 0.9),)), "ann")
        await seconds(2)
        pages = {each.title.split(":")[0]: stack.state.pages("main", each.id) for each in stack.incidents()}
        again = RoutingView(lambda: stack.config, stack.state, Policy())
        return steps, pages, stack.incidents(), again.rollout(stack.clock.now()), list(hook.posts)
    finally:
        await stack.close()


def test_e7_first_latency_then_business_then_on_call_and_what_was_held_back_is_known(tmp_path, hook):
    steps, pages, incidents, after, posts = play(rollout(tmp_path, hook))
    shop, queue = sorted(pages, key=lambda title: "queue" in title)
    assert steps[0] == [("/chat", queue)]
    assert steps[1] == sorted([("/chat", queue), ("/chat", shop)])
    assert steps[2] == sorted([*steps[1], ("/pager", queue), ("/pager", shop)])
    assert [each for each in steps[3] if each not in steps[2]] == [("/backlog", shop)]
    held = {
        (title, each.message.destination, each.message.reason)
        for title in pages
        for each in pages[title]
        if each.message.dry_run
    }
    assert held == {
        (shop, "chat", "rollout: told from phase 2 on"),
        (shop, "pager", "rollout: told from phase 2 on"),
        (shop, "pager", "rollout: on-call is told from phase 3 on"),
        (queue, "pager", "rollout: on-call is told from phase 3 on"),
    }
    assert (after["phase"], after["by"]) == (3, "ann")
    for each in incidents:
        assert each.impact["quadrant"] == "high impact, high confidence"
    assert all("= 3.00 -> critical" in json.dumps(body) for _, _, body in posts)
    assert any("https://wiki.example/shop" in json.dumps(body["incident"]["findings"]) for _, _, body in posts)
