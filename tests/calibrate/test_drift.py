"""The calibrator judges itself: p-values are uniform where nothing happens, and a past that no longer fits is let go."""

import numpy as np
import pytest

from tocsin.app.bench.stationary import STEPS_A_DAY, families
from tocsin.calibrate.calibrator import Calibrator
from tocsin.calibrate.tail import DRIFTED
from tocsin.detect.baseline import Baseline
from tocsin.model.detection import Step

SERIES = 12
ROWS = np.arange(SERIES, dtype="i4")
MONDAY = 20_381 * 86_400 * 10**9
NAMES = [family.name for family in families(1, 0)]


def p_values(life):
    """(t, n) values -> p of the second half, and the calibrator."""
    detector, calibrator = Baseline(), Calibrator()
    found = []
    for k, values in enumerate(life):
        step = Step(ROWS, np.full(SERIES, MONDAY + k * 60 * 10**9), values)
        score = detector.score(step).value
        if k >= len(life) // 2:
            found.append(10 ** calibrator.log10_p(ROWS, score)[0])
        calibrator.learn(ROWS, score)
        detector.learn(step, np.ones(SERIES))
    return np.concatenate(found), calibrator


@pytest.mark.parametrize("name", NAMES)
def test_p_values_are_uniform_where_nothing_happens(name):
    family = next(family for family in families(SERIES, 5) if family.name == name)
    days = 6 if name == "on/off" else 3  # of states that last, a series has seen few after a day and a half
    p, calibrator = p_values(np.concatenate([family.day(day) for day in range(days)]))
    ordered = np.sort(p)
    ranks = np.arange(1, p.size + 1) / p.size
    assert (ranks - ordered).max() < 0.03, "too many small ones"
    if name != "on/off":  # a value that rests has one p-value for most of its life
        assert (ordered - ranks).max() < 0.06, "too few small ones"
    assert not calibrator.drifts[:SERIES].any()
    assert max(calibrator.explain(row)["p_off_uniform"] for row in range(SERIES)) < DRIFTED / 2
    assert p.size == SERIES * (days * STEPS_A_DAY - days * STEPS_A_DAY // 2)


def half_normal(steps, scale, seed):
    return scale * np.abs(np.random.default_rng(seed).normal(size=(steps, 1)))


def test_a_past_that_no_longer_fits_is_let_go_and_p_values_are_right_again():
    calibrator, row = Calibrator(), np.zeros(1, "i4")
    for score in half_normal(20_000, 1.0, 1):
        calibrator.learn(row, score)
    settled = calibrator.family(row)[0]
    families_seen = set()
    for score in half_normal(8_000, 3.0, 2):
        calibrator.learn(row, score)
        families_seen.add(int(calibrator.family(row)[0]))
    assert calibrator.explain(0)["refits"] >= 1
    # fewer scores are behind it now, so it is judged as a younger row, which needs more
    assert min(families_seen) < settled
    p = np.array([10 ** calibrator.log10_p(row, score)[0][0] for score in half_normal(2_000, 3.0, 3)])
    assert np.mean(p < 0.1) == pytest.approx(0.1, abs=0.04)
    kept = Calibrator()
    for score in half_normal(3_000, 3.0, 2):
        kept.learn(row, score)
    assert kept.explain(0)["refits"] == 0


def test_one_incident_is_no_drift():
    calibrator, row = Calibrator(), np.zeros(1, "i4")
    for score in half_normal(5_000, 1.0, 1):
        calibrator.learn(row, score)
    for _ in range(2_000):
        calibrator.learn(row, np.array([25.0]))
    assert calibrator.explain(0)["refits"] == 0
