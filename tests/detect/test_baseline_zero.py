"""A series that was never anything but zero: its first move is judged by what it may be."""

import numpy as np
import pytest

from tocsin.detect.baseline import Baseline
from tocsin.model.detection import Step

ROW = np.zeros(1, "i4")
MINUTE = 60 * 10**9


def after_zeros(value, **params):
    detector = Baseline(**params)
    for k in range(300):
        detector.learn(Step(ROW, np.array([k * MINUTE]), np.zeros(1)), np.ones(1))
    return float(detector.score(Step(ROW, np.array([300 * MINUTE]), np.array([value]))).value[0])


@pytest.mark.parametrize(
    ("value", "score"),
    [
        (0.0, 0.0),
        (1.0, 1.0),  # one error in a minute is no news
        (40.0, 40.0),  # forty are
        (0.5, 25.0),  # half of all requests fail
        (0.01, 0.5),
        (4096.5, 0.0),  # bytes, seconds: nobody knows what is much
        (1e6, 0.0),
    ],
)
def test_the_first_move_of_a_constant_zero(value, score):
    assert after_zeros(value) == pytest.approx(score)


def test_a_floor_says_more():
    assert after_zeros(4096.5, floor=500.0) == pytest.approx(4096.5 / 500.0)


def test_what_moved_once_is_judged_by_how_it_moved():
    detector = Baseline()
    for k in range(300):
        value = 50.0 if k == 100 else 0.0
        detector.learn(Step(ROW, np.array([k * MINUTE]), np.array([value])), np.ones(1))
    got = detector.score(Step(ROW, np.array([300 * MINUTE]), np.array([50.0]))).value[0]
    assert got == pytest.approx(1.0, abs=0.2)
