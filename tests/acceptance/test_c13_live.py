"""C13 live: a prompt on trial does harm; records and late feedback, comparison, point, finding, incident, webhook."""

import json

import numpy as np
import pytest

from acceptance.house import House
from acceptance.stack import SECOND, Hook, play
from tocsin.app.handover import assessed_frame
from tocsin.app.model_health.experiments import Experiments
from tocsin.app.model_health.trial_watch import TrialWatch
from tocsin.store.experiment_rows import ExperimentRows

pytestmark = pytest.mark.acceptance

ROUNDS = 8
PER_ROUND = 400
CONFIG = """
ab: [{{model: bot, arm: prompt, arms: [now, short, long], metric: feedback.resolved, ratio: [2, 1, 1]}}]
destinations: [{{name: hook, type: webhook, url: "{url}", allow: [127.0.0.0/8]}}]
"""


async def trial(path, hook, rates):
    house = House(path, CONFIG.format(url=hook.url))

    def send(tenant, points):
        body = json.dumps(points).encode()
        house.edge.submit([assessed_frame(tenant, body, house.edge.identifier.resolve)]).result()

    watch = TrialWatch(
        Experiments(ExperimentRows(house.telemetry.db)), lambda: ["main"], house.config, house.clock, send
    )
    rng = np.random.default_rng(5)
    told = []
    try:
        for number in range(ROUNDS):
            arms = rng.choice(["now", "short", "long"], PER_ROUND, p=[0.5, 0.25, 0.25])
            ids = [f"{number}-{n}" for n in range(PER_ROUND)]
            now_s = house.clock.now() / SECOND
            made = [
                {
                    "prediction_id": of,
                    "time": now_s,
                    "model": "bot",
                    "prediction": "an answer",
                    "tags": {"prompt": str(arm)},
                }
                for of, arm in zip(ids, arms, strict=True)
            ]
            feedback = [
                {"prediction_id": of, "time": now_s, "feedback": {"resolved": bool(rng.random() < rates[arm])}}
                for of, arm in told
            ]
            await house.records([*made, *feedback])
            told = list(zip(ids, arms, strict=True))
            house.clock.advance(29 * SECOND)
            await house.second()
            house.join()
            watch.step()
            await house.second()
        return house.incidents(), list(hook.posts)
    finally:
        await house.close()


@pytest.fixture
def hook():
    server = Hook()
    yield server
    server.close()


def of_trials(incidents):
    found = [each for incident in incidents for each in incident.findings]
    return [each for each in found if each.monitor in ("model-arm-worse", "model-split-wrong")]


def test_c13_a_prompt_that_does_harm_is_told_while_the_trial_runs(tmp_path, hook):
    incidents, posts = play(trial(tmp_path, hook, {"now": 0.7, "short": 0.7, "long": 0.4}))
    (finding,) = of_trials(incidents)
    assert finding.monitor == "model-arm-worse"
    assert dict(finding.series.labels)["treatment"] == "long"
    assert any(body["action"] == "trigger" for _, _, body in posts)


def test_c13_prompts_that_are_alike_are_told_nobody(tmp_path, hook):
    incidents, _ = play(trial(tmp_path, hook, {"now": 0.7, "short": 0.7, "long": 0.7}))
    assert not of_trials(incidents)
