"""D13 from OTLP and records to what a webhook is told: the fall of confidence is put down to the GPU out of memory."""

from __future__ import annotations

import pytest

from acceptance.memory_world import CALM_S, CONFIG, SCORER, STEP_S, packs, steps
from acceptance.stack import SECOND, START, Hook, Stack, play
from acceptance.wire import send_lines, send_points, send_records

pytestmark = pytest.mark.acceptance

TOLD = """
destinations: [{{name: oncall, type: webhook, url: "{hook}", allow: [127.0.0.0/8]}}]
routes: [{{match: {{}}, to: [oncall], cooldown: 0s}}]
"""


async def story(path, hook):
    stack = Stack(path, CONFIG + TOLD.format(hook=hook.url), packs())
    try:
        for points, records, lines in steps(START):
            await send_points(stack, points)
            await send_records(stack, [prediction(*each) for each in records])
            await send_lines(stack, SCORER, lines)
            stack.clock.advance((STEP_S - 1) * SECOND)
            await stack.second()
            assert stack.clock.now() > START + CALM_S * SECOND or not hook.posts, "told before anything broke"
        return stack.incidents()
    finally:
        await stack.close()


def prediction(key, time, score):
    return {
        "prediction_id": key, "model": "fraud", "version": "3", "prediction": "ok", "score": score,
        "time": time / SECOND,
    }  # fmt: skip


def test_d13_the_webhook_is_told_of_the_gpu_as_the_cause_and_of_the_shop_apart(tmp_path):
    hook = Hook()
    try:
        incidents = play(story(tmp_path, hook))
    finally:
        hook.close()
    assert len(incidents) == 2
    posts = [body for _, _, body in hook.posts]
    last = {each["incident"]["id"]: each["incident"] for each in posts}
    assert last.keys() == {each.id for each in incidents}
    assert sum(each["action"] == "trigger" for each in posts) == 2, "each once"
    shop, fraud = sorted(last.values(), key=lambda each: "fraud" in each["entities"])
    assert {each["monitor"] for each in fraud["findings"]} >= {"model-confidence", "gpu-memory", "log-new-errors"}
    first = fraud["causes"][0]
    assert (first["kind"], first["entity"]) == ("gpu", "GPU-7")
    assert any("known to lead to" in each and "model confidence" in each for each in first["evidence"])
    assert {each["monitor"] for each in shop["findings"]} == {"shop-latency"}
    assert shop["causes"][0]["kind"] == "unknown"
