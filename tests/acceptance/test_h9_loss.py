"""The loss of an incident from spans to the webhook: who was hit, what it burnt, and the sum that made it a page."""

from __future__ import annotations

import pytest

from acceptance.house import House
from acceptance.llm_spans import Spans
from acceptance.stack import SECOND, Hook, play
from tocsin.app.weighing import Weighing
from tocsin.store.toll_rows import TollRows

CONFIG = """
destinations: [{{name: hook, type: webhook, url: "{url}", allow: [127.0.0.0/8]}}]
monitors: [{{name: queue, signal: queue.depth, detect: {{threshold: {{above: 100}}}}}}]
routes: [{{match: {{urgency: page}}, to: hook}}, {{to: review}}]
severity: {{worth: [{{match: {{service.name: bot}}, usd_per_request: 0.5}}]}}
objectives: [{{name: chat, match: {{service.name: bot}}, target: 99%, within: 2s}}]
"""


class Here:
    """Counts at once, in this thread."""

    def submit(self, work, *given):
        found = work(*given)

        class Done:
            def result(self, _):
                return found

        return Done()


def calls(spans, now, first, *, failed=0, slow=0):
    for k in range(20):
        attributes = {
            "gen_ai.operation.name": "chat",
            "gen_ai.request.model": "small",
            "gen_ai.usage.input_tokens": 190,
            "gen_ai.usage.output_tokens": 10,
            "gen_ai.usage.cost": 0.25,
            "user.id": f"user-{k % 10}",
        }
        took = 5.0 if failed <= k < failed + slow else 0.5
        spans.add("chat", now - k, attributes, trace=first + k, took_s=took, failed=k < failed)


async def outage(path, hook, *, failed, slow):
    house = House(path, CONFIG.format(url=hook.url))
    house.correlating._weighing = Weighing(
        TollRows(house.telemetry.db, house.packs), house.config.loss, executor=Here()
    )
    try:
        spans = Spans("bot")
        for minute in range(3):
            calls(spans, house.clock.now(), 1000 + 20 * minute)
            await spans.send(house)
            house.clock.advance(59 * SECOND)
            await house.second()
        start = house.clock.now()
        await house.gauges("bot", {("queue.depth", (("queue", "q"),)): 150.0})
        for second in range(8):
            house.clock.advance(9 * SECOND)
            calls(spans, house.clock.now(), 5000 + 20 * second, failed=failed, slow=slow)
            await spans.send(house)
            await house.gauges("bot", {("queue.depth", (("queue", "q"),)): 150.0})
            house.writer.drain()
            await house.second()
        [incident] = house.incidents()
        return incident, [body for _, _, body in hook.posts], house.state.pages("main", incident.id), start
    finally:
        await house.close()


@pytest.fixture
def hook():
    found = Hook()
    yield found
    found.close()


def test_h9_an_outage_pages_with_the_sum_of_what_it_took(tmp_path, hook):
    incident, posts, _, _ = play(outage(tmp_path, hook, failed=6, slow=4))
    impact, text = incident.impact, incident.severity_arithmetic
    assert impact["quadrant"] == "high impact, high confidence"
    assert impact["requests_hit"] > 0.4 * impact["requests"]
    assert impact["requests_hit"] == pytest.approx(impact["requests_failed"] * 10 / 6)
    assert (impact["users_counted"], impact["users_hit"]) == (10, 10)
    assert impact["tokens_burnt"] == pytest.approx(200 * impact["requests_failed"])
    assert impact["usd_burnt"] == pytest.approx(0.25 * impact["requests_failed"])
    assert impact["revenue_at_risk_usd"] == pytest.approx(0.5 * impact["requests_hit"])
    assert impact["objective.chat.burn_rate"] == pytest.approx(
        100 * impact["requests_hit"] / impact["requests"], abs=0.01
    )
    assert "objective chat burns " in text
    assert text.endswith("x confidence 1.00 (a stated limit is broken) = 3.00 -> critical")
    assert "requests hit" in posts[-1]["incident"]["severity_arithmetic"]
    assert posts[-1]["incident"]["impact"]["urgency"] == "page"


def test_h9_a_breach_that_hits_nobody_is_of_low_impact_and_pages_nobody_once_that_is_known(tmp_path, hook):
    incident, posts, pages, _ = play(outage(tmp_path, hook, failed=0, slow=0))
    assert incident.impact["quadrant"] == "low impact, high confidence"
    assert "0 of" in incident.severity_arithmetic
    assert [each.message.reason for each in pages if each.message.destination == "review"] == ["for the review board"]
    assert [body["action"] for body in posts] in ([], ["trigger"])  # before anything was counted it was not known
