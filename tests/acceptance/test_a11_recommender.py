"""A11: click-through falls by 18 % at normal latency and without an error: the predictions tell before the clicks do."""

import numpy as np
import pytest

from acceptance.house import House
from acceptance.stack import SECOND, START, Hook, play

pytestmark = [pytest.mark.acceptance, pytest.mark.soak]  # a fall of predictions is found too in test_a10_late_labels.py

STEP_S = 30
NORMAL_S = 100 * 60
FAULT_S = 60 * 60
DECIDED_S = 15 * 60
"""An impression without a click so long after is one without a click."""
FAULT_AT = START + NORMAL_S * SECOND
CTR = 0.10
PER_STEP = 60


def impressions(rng, second, now_s, *, stale):
    """What the recommender was asked in one step: how likely it thought a click, and whether there was one."""
    score = np.clip(rng.normal(0.30 - 0.03 * stale, 0.08, PER_STEP), 0.01, 0.99)
    clicked = rng.random(PER_STEP) < CTR * (1 - 0.18 * stale)
    return [
        {
            "prediction_id": f"{second}-{n}", "time": now_s, "model": "recommender", "version": "7",
            "prediction": [int(item) for item in rng.integers(0, 100_000, 5)], "score": round(float(score[n]), 4),
            "features": {"recency_days": 3, "genre": "drama"}, "tags": {"region": "eu" if n % 2 else "us"},
        }
        for n in range(PER_STEP)
    ], clicked  # fmt: skip


async def evening(path, text, hook, seed):
    rng = np.random.default_rng(seed)
    house = House(path, text)
    undecided = []
    try:
        for second in range(STEP_S, NORMAL_S + FAULT_S + 1, STEP_S):
            now_s = house.clock.now() / SECOND
            rows, clicked = impressions(rng, second, now_s, stale=second > NORMAL_S)
            undecided.append(
                (second + DECIDED_S, [(row["prediction_id"], bool(c)) for row, c in zip(rows, clicked, strict=True)])
            )
            due = [pair for at, pairs in undecided if at <= second for pair in pairs]
            undecided = [(at, pairs) for at, pairs in undecided if at > second]
            told = [{"prediction_id": of, "feedback": {"clicked": c}, "time": now_s} for of, c in due]
            await house.records([*rows, *told])
            latency = 0.12 * (1 + 0.05 * rng.standard_normal())
            await house.gauges("ranker", {("ranker.latency", ()): latency, ("ranker.errors", ()): 0.0})
            house.clock.advance((STEP_S - 1) * SECOND)
            await house.second()
            if second % 300 == 0:
                house.join()
            if second == NORMAL_S:
                assert not hook.posts, "an alert on a normal day"
                assert not house.incidents()
        house.join()
        rows = list(house.telemetry.exports.rows("records", "main"))
        panes = list(house.telemetry.exports.rows("scores", "main", where={"monitor": "model-feedback"}))
        return house.incidents(), rows, panes
    finally:
        await house.close()


@pytest.fixture
def hook():
    server = Hook()
    yield server
    server.close()


def config(hook):
    return f"""
destinations: [{{name: hook, type: webhook, url: "{hook.url}", secret: s3cret, allow: [127.0.0.0/8]}}]
routes: [{{match: {{}}, to: [hook]}}]
"""


def test_a11_found_from_the_predictions_before_the_clicks(tmp_path, hook):
    incidents, rows, panes = play(evening(tmp_path, config(hook), hook, 11))
    (incident,) = incidents
    assert {finding.monitor for finding in incident.findings} == {"model-score"}
    whole = {"model": "recommender", "version": "7"}
    assert whole in [dict(finding.series.labels) for finding in incident.findings]
    for finding in incident.findings:  # the model's, and what it says of one region
        assert whole.items() <= dict(finding.series.labels).items()
        assert (finding.direction, finding.value < finding.expected[0]) == ("down", True)
        assert finding.start > FAULT_AT
    # found before any click of the time of the fault could be known
    assert incident.opened_at < FAULT_AT + DECIDED_S * SECOND
    _, _, body = hook.posts[0]
    assert (body["action"], body["incident"]["id"]) == ("trigger", incident.id)
    assert body["incident"]["findings"][0]["signal"] == "tocsin.model.score"
    later = [(told["action"], told["incident"]["id"]) for _, _, told in hook.posts[1:]]
    assert later in ([], [("update", incident.id)])
    # and the clicks did fall, as their joined records say, and were watched
    clicks = {
        fault: [row["feedback"]["clicked"] for row in rows if row["feedback"] and at_fault(row) is fault]
        for fault in (False, True)
    }
    fall = 1 - np.mean(clicks[True]) / np.mean(clicks[False])
    assert 0.10 < fall < 0.26, fall
    watched = [pane for pane in panes if not set(pane["labels"]) & {"region"}]
    assert {pane["labels"]["feedback"] for pane in watched} == {"clicked"}
    assert len(watched) >= 25, "each batch of joined clicks closes a window"


def at_fault(row):
    return int(row["prediction_id"].split("-")[0]) > NORMAL_S
