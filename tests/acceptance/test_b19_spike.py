"""B19: ten normal minutes at a point per second and series, then +300 %: silence before, the webhook within 30 s."""

import numpy as np
import pytest

from acceptance.stack import SECOND, Hook, Stack, play

pytestmark = pytest.mark.acceptance

NORMAL_S = 600


async def spike(path, text, hook, seed):
    rng = np.random.default_rng(seed)
    stack = Stack(path, text)
    names = [(f"app.{kind}", (("zone", zone),)) for kind in ("load", "latency") for zone in "abc"]
    fired_after = None
    try:
        for second in range(1, NORMAL_S + 31):
            high = second > NORMAL_S
            values = {name: 100.0 * (4.0 if high else 1.0) * (1 + 0.1 * rng.standard_normal()) for name in names}
            await stack.gauges("api", values)
            await stack.second()
            if not high:
                assert not hook.posts, f"an alert in the normal minutes, at {second} s"
                assert not stack.incidents()
            elif hook.posts and fired_after is None:
                fired_after = second - NORMAL_S
        pages = stack.state.pages("main", stack.incidents()[0].id)
        return fired_after, stack.incidents(), pages, stack.metrics()
    finally:
        await stack.close()


@pytest.fixture
def hook():
    server = Hook()
    yield server
    server.close()


def config(hook, dry_run):
    return f"""
destinations: [{{name: hook, type: webhook, url: "{hook.url}", secret: s3cret, allow: [127.0.0.0/8]}}]
routes: [{{match: {{}}, to: [hook]}}]
dry_run: {str(dry_run).lower()}
"""


@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.soak)])
def test_b19_the_webhook_fires_within_thirty_seconds(tmp_path, hook, seed):
    fired_after, incidents, _, metrics = play(spike(tmp_path, config(hook, dry_run=False), hook, seed))
    assert fired_after is not None
    assert fired_after <= 30
    (incident,) = incidents
    _, headers, body = hook.posts[0]
    assert body["action"] == "trigger"
    assert body["incident"]["id"] == incident.id
    assert any("signature" in name.lower() for name in headers)
    finding = body["incident"]["findings"][0]
    lower, upper = finding["expected"]
    assert lower < 100 < upper < finding["value"]
    for name in (
        "tocsin_engine_records_total",
        "tocsin_ingest_accepted_rows_total",
        "tocsin_incident_messages_settled_total",
    ):
        assert name in metrics


@pytest.mark.soak
def test_b19_dry_run_records_the_page_and_sends_nothing(tmp_path, hook):
    fired_after, incidents, pages, _ = play(spike(tmp_path, config(hook, dry_run=True), hook, 1))
    assert fired_after is None
    assert not hook.posts
    assert len(incidents) == 1
    assert [(page.message.destination, page.message.dry_run) for page in pages][:1] == [("hook", True)]
    assert incidents[0].opened_at <= (pages[0].message.created_at) <= incidents[0].opened_at + 30 * SECOND
