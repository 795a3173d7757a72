"""A2 and A33: unusual attributions, confidence and attention of models are found without configuration, and soon."""

import json

import numpy as np
import pytest

from acceptance.stack import SECOND, START, Stack, play

pytestmark = pytest.mark.acceptance

STEP_S = 60
NORMAL_S = 90 * 60
FAULT_S = 30 * 60
PER_STEP = 60
SOON_S = 600
"""A window of ten minutes that moves every minute: by when all of it is odd."""
FAULT_AT = START + NORMAL_S * SECOND


def credit(rng, odd):
    say = rng.dirichlet((60, 30, 10) if not odd else (30, 60, 10))
    return {"attributions": dict(zip(("income", "age", "tenure"), say.tolist(), strict=True))}


def vision(rng, odd):
    return {
        "prediction": "cat",
        "score": float(np.clip(rng.normal(0.98 if odd else 0.85, 0.02 if odd else 0.08), 0, 1)),
    }


def writer(rng, odd):
    weights = rng.dirichlet(np.full(16, 0.05 if odd else 2.0))
    return {"attention": weights.tolist()}


MODELS = {"credit": credit, "vision": vision, "writer": writer}
EXPECTED = {"credit": "model-attributions", "vision": "model-confidence", "writer": "model-attention"}


async def day(path, seed):
    rng = np.random.default_rng(seed)
    stack = Stack(path)
    seen = {}
    try:
        for second in range(STEP_S, NORMAL_S + FAULT_S + 1, STEP_S):
            now_s = stack.clock.now() / SECOND
            rows = [
                {"prediction_id": f"{model}-{second}-{n}", "time": now_s, "model": model, **say(rng, second > NORMAL_S)}
                for n in range(PER_STEP)
                for model, say in MODELS.items()
            ]
            body = "\n".join(json.dumps(row) for row in rows).encode()
            answer = await stack.http.post("/v1/records", content=body, headers={"content-type": "application/jsonl"})
            assert answer.json()["rejected"] == 0, answer.text
            stack.clock.advance((STEP_S - 1) * SECOND)
            await stack.second()
            for incident in stack.incidents():
                for finding in incident.findings:
                    seen.setdefault((finding.series.label("model"), finding.monitor), stack.clock.now())
            if second == NORMAL_S:
                assert not seen, "an incident on a normal day"
        return stack.incidents(), seen
    finally:
        await stack.close()


@pytest.fixture(scope="module")
def played(tmp_path_factory):
    return play(day(tmp_path_factory.mktemp("day"), 5))


def test_a2_unusual_behaviour_is_found(played):
    found = {}
    for incident in played[0]:
        assert incident.opened_at > FAULT_AT
        for finding in incident.findings:
            found.setdefault(finding.series.label("model"), set()).add(finding.monitor)
    for model, monitor in EXPECTED.items():
        assert monitor in found.get(model, set()), (model, found)


def test_a33_from_the_first_odd_record_to_its_incident_are_minutes(played):
    _, seen = played
    for place in EXPECTED.items():
        assert (seen[place] - FAULT_AT) / SECOND <= SOON_S, place
    assert min(seen.values()) > FAULT_AT
