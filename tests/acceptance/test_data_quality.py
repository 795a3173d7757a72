"""Records with a broken feature: an incident that names feature, count and example within the hour, and closes after."""

import json

import numpy as np
import pytest

from acceptance.stack import SECOND, START, Stack, play

pytestmark = pytest.mark.acceptance

QUARTER = 900 * SECOND
FIRST = -(-START // (8 * QUARTER)) * 8 * QUARTER
REFERENCE, CALM, BROKEN, AFTER = 12, 4, 4, 10
CONFIG = "drift: [{model: fraud, reference: first 3h, chunk: 1h, for: 3h, min_n: 200}]"


def payments(rng, now, n, *, broken):
    times = np.sort(now - rng.integers(1, QUARTER, n))
    return [
        {
            "prediction_id": f"{now}-{k}", "time": int(times[k]) / SECOND, "model": "fraud", "version": "3",
            "prediction": bool(rng.random() < 0.1), "score": float(rng.beta(2, 8)),
            "features": {
                "amount": "ask alice@example.com" if broken and k % 5 == 0 else float(rng.lognormal(3, 1)),
                "country": str(rng.choice(["de", "fr", "it"])),
            },
        }
        for k in range(n)
    ]  # fmt: skip


async def hours(path):
    rng = np.random.default_rng(4)
    stack = Stack(path, CONFIG)
    try:
        stack.clock.advance(FIRST - stack.clock.now())
        for quarter in range(REFERENCE + CALM + BROKEN + AFTER):
            stack.clock.advance(QUARTER)
            broken = 0 <= quarter - REFERENCE - CALM < BROKEN
            rows = payments(rng, stack.clock.now(), 150, broken=broken)
            body = "\n".join(json.dumps(row) for row in rows).encode()
            headers = {"content-type": "application/x-ndjson"}
            answer = await stack.http.post("/v1/records", content=body, headers=headers)
            assert answer.json()["accepted"] == len(rows), answer.text
            await stack.second()
        return stack.incidents()
    finally:
        await stack.close()


def test_a_corrupted_feature_opens_one_incident_that_says_what_and_shows_one(tmp_path):
    (incident,) = play(hours(tmp_path))
    (finding,) = [each for each in incident.findings if each.monitor == "model-data-quality"]
    told = finding.evidence
    assert (told["violation.1"], told["violation.1.feature"]) == ("corrupted", "amount")
    assert told["violation.1.count"] >= 20
    assert "alice" not in json.dumps(dict(told))  # taken out before anything was kept
    assert "redacted" in told["violation.1.example"]
    assert "fraud: model data quality in amount (corrupted in " in incident.title
    assert finding.phase.value == "close"
