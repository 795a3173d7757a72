"""D11: a recommender's click-through falls by 15 % over a week: retraining is called and the engineer on call told."""

import json

import numpy as np
import pytest

from acceptance.stack import SECOND, START, Hook, Stack, play
from tocsin.notify.webhook import SIGNATURE_HEADER, TIMESTAMP_HEADER, sign

pytestmark = pytest.mark.acceptance

DAY = 86_400 * SECOND
FIRST = -(-START // DAY) * DAY
STEPS = 2
REFERENCE_DAYS, STABLE_DAYS, FALL_DAYS, AFTER_DAYS = 3, 1, 7, 2
FALL_AT = FIRST + (REFERENCE_DAYS + STABLE_DAYS) * DAY
CTR = 0.30


@pytest.fixture
def hooks():
    found = {name: Hook() for name in ("retrain", "oncall", "ops")}
    yield found
    for hook in found.values():
        hook.close()


def config(hooks, *, min_n):
    return f"""
destinations:
  - {{name: ml-oncall, type: webhook, url: "{hooks["oncall"].url}", allow: [127.0.0.0/8]}}
  - {{name: ops, type: webhook, url: "{hooks["ops"].url}", allow: [127.0.0.0/8]}}
routes: [{{match: {{}}, to: [ops]}}]
drift:
  - model: recommender
    reference: first {REFERENCE_DAYS}d
    chunk: 1d
    threshold: 0.2
    for: 3d
    min_n: {min_n}
    actions:
      - {{type: webhook, url: "{hooks["retrain"].url}", secret: s3cret, allow: [127.0.0.0/8]}}
      - {{type: notify, to: [ml-oncall]}}
"""


def impressions(rng, now, fall, per_step):
    """What was shown in the last twelve hours: how likely a click was thought, of whom, and whether there was one."""
    score = np.clip(rng.normal(CTR * (1 - fall), 0.08, per_step), 0.01, 0.99)
    clicked = rng.random(per_step) < score
    times = np.sort(now - rng.integers(1, DAY // STEPS, per_step))
    return [
        {
            "prediction_id": f"{now}-{n}", "time": int(times[n]) / SECOND, "model": "recommender", "version": "7",
            "prediction": bool(score[n] > 0.5), "score": float(score[n]),
            "features": {"recency_days": float(rng.gamma(2.0, 3.0)), "genre": str(rng.choice(["drama", "news", "film"]))},
            "feedback": {"clicked": bool(clicked[n])},
        }
        for n in range(per_step)
    ]  # fmt: skip


async def weeks(path, text, hooks, *, per_step, fall=0.15, days=REFERENCE_DAYS + STABLE_DAYS + FALL_DAYS + AFTER_DAYS):
    rng = np.random.default_rng(11)
    stack = Stack(path, text)
    first_call = None
    try:
        stack.clock.advance(FIRST - stack.clock.now())
        for _ in range(days * STEPS):
            stack.clock.advance(DAY // STEPS)
            now = stack.clock.now()
            fallen = fall * float(np.clip((now - FALL_AT) / (FALL_DAYS * DAY), 0.0, 1.0))
            rows = impressions(rng, now, fallen, per_step)
            body = "\n".join(json.dumps(row) for row in rows).encode()
            answer = await stack.http.post(
                "/v1/records", content=body, headers={"content-type": "application/x-ndjson"}
            )
            assert answer.json()["accepted"] == len(rows), answer.text
            await stack.second()
            if first_call is None and hooks["retrain"].posts:
                first_call = now
        return stack.incidents(), first_call
    finally:
        await stack.close()


def test_d11_three_days_above_the_threshold_call_retraining_and_the_engineer_on_call(tmp_path, hooks):
    incidents, first_call = play(weeks(tmp_path, config(hooks, min_n=300), hooks, per_step=250))
    (incident,) = incidents
    (finding,) = incident.findings
    assert (finding.monitor, finding.direction) == ("model-drift", "shape")
    assert dict(finding.series.labels) == {"model": "recommender", "version": "7"}
    told = finding.evidence
    assert (told["feature.1"], told["threshold"], told["policy_met"]) == ("score", 0.2, 1.0)
    assert told["chunks_in_a_row"] >= 3
    assert told["psi"] > 0.2
    assert told["p_value"] < 1e-6
    # nobody heard anything before the third day in a row was over
    assert finding.start > FALL_AT
    assert first_call - finding.start >= 3 * DAY
    assert [len(hooks[name].posts) for name in ("retrain", "oncall", "ops")] == [1, 1, 1]
    _, headers, body = hooks["retrain"].posts[0]
    assert (body["action"], body["incident"]["id"]) == ("trigger", incident.id)
    assert body["reason"] == "its drift policy is met"
    named = {name.lower(): value for name, value in headers.items()}
    raw = json.dumps(body, separators=(",", ":")).encode()
    assert named[SIGNATURE_HEADER] == sign("s3cret", named[TIMESTAMP_HEADER], raw)
    assert hooks["oncall"].posts[0][2]["incident"]["title"].startswith("recommender: model drift in score (PSI 0.")


def test_d11_without_drift_and_with_few_rows_nobody_is_called(tmp_path, hooks):
    # at 40 rows a day the index of ten buckets is above 0.2 on most days by chance alone
    incidents, first_call = play(weeks(tmp_path, config(hooks, min_n=30), hooks, per_step=20, fall=0.0))
    assert (incidents, first_call) == ([], None)
    assert not any(hook.posts for hook in hooks.values())
