"""A10: labels come days late: a warning from predictions, an estimate, both set right when truth arrives - one finding."""

import json

import numpy as np
import pytest

from acceptance.house import House
from acceptance.stack import SECOND, START, Hook, play

pytestmark = pytest.mark.acceptance

DAY = 86_400 * SECOND
FIRST = -(-START // DAY) * DAY
PER_DAY = 250
DELAY_DAYS = 6
"""A loan's fate is known so long after it was granted."""
SHIFT_DAY = 12
DAYS = SHIFT_DAY + DELAY_DAYS + 5


def applications(rng, day):
    """One day's: how sure the model is of a default, and what will come of each; from the shift on it is unsure."""
    logit = rng.normal(0.0, 0.8 if day >= SHIFT_DAY else 2.5, PER_DAY)
    chance = 1 / (1 + np.exp(-logit))
    fate = rng.random(PER_DAY) < chance
    begin = FIRST / SECOND + day * 86_400
    rows = [
        {
            "prediction_id": f"{day}-{n}", "time": begin + 1 + n * 340, "model": "default-risk", "version": "3",
            "prediction": bool(chance[n] > 0.5), "score": float(chance[n]),
        }
        for n in range(PER_DAY)
    ]  # fmt: skip
    return rows, fate


async def season(path, text, hook):
    rng = np.random.default_rng(4)
    house = House(path, text)
    fates = []
    said = []
    try:
        house.clock.advance(FIRST - house.clock.now())
        for day in range(DAYS):
            house.clock.advance(DAY)
            rows, fate = applications(rng, day)
            fates.append(fate)
            told = []
            if day >= DELAY_DAYS:
                of = day - DELAY_DAYS
                now_s = house.clock.now() / SECOND
                told = [
                    {"prediction_id": f"{of}-{n}", "truth": bool(right), "time": now_s}
                    for n, right in enumerate(fates[of])
                ]
            await house.records([*rows, *told])
            await house.second()
            house.join()
            await house.second()
            said.append((day, house.incidents(), len(hook.posts)))
        return said
    finally:
        await house.close()


@pytest.fixture
def hook():
    server = Hook()
    yield server
    server.close()


def config(hook):
    return f"""
destinations: [{{name: hook, type: webhook, url: "{hook.url}", allow: [127.0.0.0/8]}}]
drift: [{{model: default-risk, reference: first 3d, chunk: 1d, threshold: 0.2, for: 3d, min_n: 200}}]
"""


def test_a10_warned_from_predictions_and_set_right_by_truth_as_one_finding(tmp_path, hook):
    said = play(season(tmp_path, config(hook), hook))
    assert all(not incidents and not posts for day, incidents, posts in said if day < SHIFT_DAY)
    # warned within two days of the shift, days before any truth of it could be known
    first = next((day, incidents[0]) for day, incidents, _ in said if incidents)
    assert SHIFT_DAY <= first[0] <= SHIFT_DAY + 2
    early = first[1].findings[0].evidence
    assert early["early_warning"].startswith("estimated ")
    assert "confirmed" not in early
    assert early["estimated.accuracy"] < early["reference.accuracy"] - 0.05
    # truth came: the same finding, in the same incident, says what became of it
    (last,) = said[-1][1]
    (finding,) = last.findings
    assert (last.id, finding.id) == (first[1].id, first[1].findings[0].id)
    told = finding.evidence
    assert (told["confirmed"], told["policy_met"]) == (1.0, 1.0)
    assert told["realised.accuracy"] < told["reference.accuracy"] - 0.05
    assert abs(told["realised.accuracy"] - told["realised.estimated_before"]) < 0.06
    assert abs(told["estimated.accuracy"] - told["realised.accuracy"]) < 0.06
    assert told["estimate.corrected_by_rows"] >= PER_DAY
    body = json.dumps(hook.posts[0][2])
    assert "estimated" in body
    assert {post["incident"]["id"] for _, _, post in hook.posts} == {last.id}
