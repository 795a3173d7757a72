"""A level read from counted episodes."""

import numpy as np
import pytest

from tocsin.calibrate.entity_level import EntityLevel
from tocsin.model.errors import Corrupt

WEEK = 10_080


def realised(surprise, budget, episode_steps=1.0):
    """Episodes a week that the level let through, after the first two weeks."""
    level = EntityLevel(steps_per_week=WEEK)
    alarms, held = 0, 0
    for t, x in enumerate(surprise):
        hot = x >= level.level(budget, episode_steps) if x > 1.4 else False
        if hot and held == 0 and t > 2 * WEEK:
            alarms += 1
        held = 15 if hot else max(held - 1, 0)
        level.learn(float(x))
    return alarms / (len(surprise) / WEEK - 2)


@pytest.mark.parametrize("budget", [3.0, 10.0])
@pytest.mark.parametrize("bias", [0.8, 1.0, 1.1])  # p-values that are wrong in the tail
def test_the_budget_holds_though_p_values_are_biased(budget, bias):
    rng = np.random.default_rng(7)
    surprise = -np.log10(rng.random(6 * WEEK)) * bias
    assert realised(surprise, budget) <= 1.7 * budget


def test_real_trouble_does_not_silence():
    level = EntityLevel(steps_per_week=WEEK)
    for t in range(4 * WEEK):
        level.learn(6.0 if t % 200 < 5 else 0.1)
    assert level.level(7.0, 10.0) == pytest.approx(np.log10(WEEK / 10 / 7) + 0.5)


def test_a_restart_changes_nothing():
    one, other = EntityLevel(steps_per_week=WEEK), EntityLevel(steps_per_week=WEEK)
    for t in range(5000):
        one.learn(t % 37 / 10)
    other.restore(one.snapshot())
    for t in range(5000):
        one.learn(t % 41 / 10)
        other.learn(t % 41 / 10)
    assert one.level(3.0, 1.0) == other.level(3.0, 1.0)
    with pytest.raises(Corrupt):
        other.restore({"counts": np.zeros(3)})
