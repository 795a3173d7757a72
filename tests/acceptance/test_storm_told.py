"""A storm from OTLP to what a webhook is told: ten thousand services break within ten seconds, and few pages go out."""

from __future__ import annotations

import pytest

from acceptance.stack import Hook, Stack, play
from acceptance.wire import send_points
from tocsin.model.codec import findings_of
from tocsin.model.frame import FrameKind
from tocsin.model.log import Output
from tocsin.model.series import Signal

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(300)]

SERVICES, STORM_S, MOST = 10_000, 10, 10
QUEUE = Signal("queue.depth", "1")
CONFIG = """
monitors: [{{name: queue, signal: queue.depth, detect: {{threshold: {{above: 100}}}}}}]
destinations: [{{name: oncall, type: webhook, url: "{hook}", allow: [127.0.0.0/8]}}]
routes: [{{match: {{}}, to: [oncall], cooldown: 0s}}]
"""


async def storm(path, hook, labels):
    """One tenth of all services breaks in each second; ten seconds later it is looked at."""
    stack = Stack(path, CONFIG.format(hook=hook.url))
    try:
        for second in range(2 * STORM_S):
            first = second * SERVICES // STORM_S
            broken = range(first, first + SERVICES // STORM_S if second < STORM_S else first)
            if broken:
                await send_points(stack, [(QUEUE, {"service.name": f"s{n}", **labels}, 150.0) for n in broken])
            await stack.second()
        found = set()
        for record in stack.output.read(0, 1 << 20):
            if isinstance(record.entry, Output):
                for frame in record.entry.frames:
                    if frame.kind is FrameKind.FINDINGS:
                        found.update(each.id for each in findings_of(frame, stack.catalog))
        return found, stack.incidents()
    finally:
        await stack.close()


@pytest.mark.parametrize(
    "labels", [pytest.param({}, marks=pytest.mark.soak), {"host.name": "node-1"}], ids=["of strangers", "on one host"]
)
def test_a_storm_of_ten_thousand_findings_in_ten_seconds_is_told_as_a_handful_of_incidents(tmp_path, labels):
    hook = Hook()
    try:
        found, incidents = play(storm(tmp_path, hook, labels))
    finally:
        hook.close()
    assert len(found) == SERVICES
    assert 1 <= len(incidents) <= MOST
    posts = [body for _, _, body in hook.posts]
    triggers = [each["incident"]["id"] for each in posts if each["action"] == "trigger"]
    assert len(triggers) == len(set(triggers)) == len(incidents), "each incident is told, once"
    assert {each["incident"]["id"] for each in posts} == {each.id for each in incidents}
    assert len(posts) <= 3 * MOST, "and what changed in them is not told time after time"
