"""A6: a client that steals a model and a source that flips labels, from records to incident and the security team's webhook."""

import numpy as np
import pytest

from acceptance.house import House
from acceptance.stack import SECOND, START, Hook, play
from tocsin.model.security import is_security

pytestmark = pytest.mark.acceptance

STEP = 2 * 3600 * SECOND
DAY = 12 * STEP
FIRST = -(-START // DAY) * DAY
PER_STEP = 100
ATTACK = 13
STEPS = 16


@pytest.fixture
def hooks():
    found = {name: Hook() for name in ("security", "ops", "retrain")}
    yield found
    for hook in found.values():
        hook.close()


def config(hooks):
    urls = {
        name: f'{{name: {name}, type: webhook, url: "{hook.url}", allow: [127.0.0.0/8]}}'
        for name, hook in hooks.items()
    }
    return f"""
destinations:
  - {urls["security"]}
  - {urls["ops"]}
routes:
  - {{match: {{kind: security}}, to: [security]}}
  - {{match: {{}}, to: [ops]}}
drift:
  - model: credit
    reference: first 12h
    chunk: 6h
    min_n: 100
    actions: [{{type: webhook, url: "{hooks["retrain"].url}", allow: [127.0.0.0/8]}}]
"""


def asked(rng, step, who, x, number):
    score = float(1 / (1 + np.exp(-x.sum())))
    time_s = (FIRST + step * STEP) / SECOND + 7000 * (number + 0.5) / 400
    return {
        "prediction_id": f"{who}-{step}-{number}", "time": time_s, "model": "credit", "version": "1",
        "prediction": score > 0.5, "score": score, "tags": {"api_key_hash": who},
        "features": {"income": float(x[0]), "age": float(x[1]), "debt": float(x[2])},
    }  # fmt: skip


def told(rng, row, source, wrong):
    truth = row["prediction"] != (rng.random() < wrong)
    return {
        "kind": "truth", "prediction_id": row["prediction_id"], "truth": bool(truth), "time": row["time"] + 60,
        "tags": {"annotator": source},
    }  # fmt: skip


def step_of(rng, step):
    """Six clients and two annotators; at last a thief sweeps the inputs and a third annotator flips labels."""
    rows = [asked(rng, step, f"shop{n % 6}", rng.normal(0.3 * (n % 6) - 0.8, 0.7, 3), n) for n in range(PER_STEP)]
    flipped = step >= ATTACK
    truths = [
        told(rng, row, "eve" if flipped and n % 2 else ("ann", "bob")[n % 2], 0.7 if flipped and n % 2 else 0.08)
        for n, row in enumerate(rows)
    ]
    if flipped:
        rows += [asked(rng, step, "thief", rng.uniform(-4, 4, 3), n) for n in range(300)]
    return rows, truths


async def steps(path, text):
    rng = np.random.default_rng(6)
    house = House(path, text)
    try:
        house.clock.advance(FIRST - house.clock.now())
        for step in range(STEPS):
            rows, truths = step_of(rng, step)
            house.clock.advance(STEP - 2 * SECOND)
            await house.records(rows)
            await house.records(truths)
            await house.second()
            house.join()
            await house.second()
            if step == ATTACK - 1:
                assert not house.incidents(), "an incident on a normal day"
        return house.incidents()
    finally:
        await house.close()


def test_a6_a_thief_and_flipped_labels_reach_the_security_team_and_retrain_nothing(tmp_path, hooks):
    incidents = play(steps(tmp_path, config(hooks)))
    found = {each.monitor: each for incident in incidents for each in incident.findings if is_security(each)}
    assert dict(found["model-extraction"].series.labels)["api_key_hash"] == "thief"
    assert dict(found["model-poisoning"].series.labels)["annotator"] == "eve"
    assert set(found) == {"model-extraction", "model-poisoning"}
    posts = [body["incident"] for _, _, body in hooks["security"].posts]
    monitors = {each["monitor"] for incident in posts for each in incident["findings"]}
    assert {"model-extraction", "model-poisoning"} <= monitors
    assert hooks["retrain"].posts == []
