"""C6: what people ask and what a model answers drifts in length, topic and tone; the finding says what it was compared with."""

import json

import numpy as np
import pytest

from acceptance.stack import SECOND, START, Hook, Stack, play
from tocsin.api.present import whole
from tocsin.model.incident import Severity

pytestmark = pytest.mark.acceptance

DAY = 86_400 * SECOND
FIRST = -(-START // DAY) * DAY
NORMAL_DAYS, DRIFT_DAYS, PER_DAY = 4, 2, 150
LINK = "https://mlflow.example/#/experiments/7/runs/42"
ASKED = {
    False: "Where is the parcel of order number {n} and when does the courier deliver it",
    True: "Please refund invoice {n} since the bank charged the credit card twice this month",
}
ANSWER = "The parcel {n} left the depot this morning and arrives at the given address before noon"
SORRY = "Sorry the parcel {n} is late unfortunately and arrives at the given address after the noon"


def said(rng, text, length):
    words = text.split()
    chosen = [words[i] for i in rng.integers(0, len(words), rng.integers(length, 2 * length))]
    return " ".join(chosen).replace("{n}", str(rng.integers(1e6))) + " " + " ".join(words)


@pytest.fixture
def hook():
    found = Hook()
    yield found
    found.close()


def config(hook):
    return f"""
destinations:
  - {{name: ops, type: webhook, url: "{hook.url}", allow: [127.0.0.0/8]}}
routes: [{{match: {{}}, to: [ops]}}]
drift:
  - model: "assist*"
    reference: first 3d
    for: 1d
    min_n: 100
    lineage:
      experiment: support-answers
      run: {{name: "run <42>", link: "{LINK}"}}
      dataset: {{name: "tickets @ 2026-08", link: "http://data.example/tickets?version=2026-08"}}
"""


async def days(path, text, *, asks, answers):
    rng = np.random.default_rng(6)
    stack = Stack(path, text)
    try:
        stack.clock.advance(FIRST + 1200 * SECOND - stack.clock.now())
        for day in range(NORMAL_DAYS + DRIFT_DAYS):
            odd = day >= NORMAL_DAYS
            stack.clock.advance(DAY - 602 * SECOND * (day > 0))
            now_s = stack.clock.now() / SECOND
            rows = [
                {
                    "prediction_id": f"{day}-{n}", "time": now_s - 80_000 + n * 500, "model": "assistant",
                    "prediction": said(rng, SORRY if odd and answers else ANSWER, 12),
                    "features": {"query": said(rng, ASKED[odd and asks], 30 if odd and asks else 8)},
                }
                for n in range(PER_DAY)
            ]  # fmt: skip
            body = "\n".join(json.dumps(row) for row in rows).encode()
            answer = await stack.http.post("/v1/records", content=body, headers={"content-type": "application/jsonl"})
            assert answer.json()["accepted"] == len(rows), answer.text
            for _ in range(2):
                stack.clock.advance(300 * SECOND)
                await stack.second()
            if day == NORMAL_DAYS - 1:
                assert not stack.incidents(), "an incident on normal days"
        return [each for each in stack.incidents() if any(f.monitor == "model-drift" for f in each.findings)]
    finally:
        await stack.close()


def test_c6_texts_that_drift_link_to_what_they_were_compared_with(tmp_path, hook):
    (incident,) = play(days(tmp_path, config(hook), asks=True, answers=True))
    finding = next(each for each in incident.findings if each.monitor == "model-drift")
    told = finding.evidence
    moved = {told[f"feature.{place}"]: told[f"feature.{place}.reason"] for place in range(1, 4)}
    assert {"query", "prediction.text"} <= set(moved)
    assert told["lineage.experiment"] == "support-answers"
    assert told["lineage.run.link"] == LINK
    lineage = [
        {"kind": "experiment", "name": "support-answers", "link": ""},
        {"kind": "run", "name": "run <42>", "link": LINK},
        {"kind": "dataset", "name": "tickets @ 2026-08", "link": "http://data.example/tickets?version=2026-08"},
    ]
    page = whole(incident, [], [], lambda _: Severity.WARNING)
    assert page["lineage"] == lineage
    notices = [body for _, _, body in hook.posts if body["incident"]["id"] == incident.id]
    assert notices
    assert all(body["lineage"] == lineage for body in notices)


def test_c6_the_tone_of_answers_alone_is_enough(tmp_path, hook):
    (incident,) = play(days(tmp_path, config(hook), asks=False, answers=True))
    told = next(each for each in incident.findings if each.monitor == "model-drift").evidence
    assert told["feature.1"] == "prediction.text"
    reasons = " ".join(str(told[f"feature.{place}.reason"]) for place in range(1, 3))
    assert "tone" in reasons or "topic" in reasons, reasons
