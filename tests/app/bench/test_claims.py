"""The three claims are counted as they are told."""

import numpy as np
import pytest

from tocsin.app.bench.beside import PEERS, beside
from tocsin.app.bench.claims import SAME_ROWS, claims, counted, fixed, moving, subtle_windows
from tocsin.app.bench.nab_scoring import labels_of
from tocsin.app.bench.sizes import SMALL

N = 1000


def world():
    """Noise with a plain spike and a dip that stays in range, each in a window."""
    values = np.random.default_rng(1).normal(10.0, 1.0, N)
    values[100] = 20.0  # seen before it is judged
    values[500], values[800:810] = 40.0, 13.0
    return values, labels_of(np.arange(N), [(495, 510), (795, 815)])


def test_a_plain_spike_is_no_subtle_one():
    values, of = world()
    assert subtle_windows(values, of).tolist() == [False, True]


def test_alarms_close_together_are_one():
    _, of = world()
    alarm = np.zeros(N, bool)
    alarm[[300, 300 + SAME_ROWS, 301 + 2 * SAME_ROWS + 1, 10]] = True  # the last is in the probationary part
    assert counted([alarm], [of]).false == 2


@pytest.mark.parametrize("limit", [fixed, moving])
def test_limits_see_a_plain_spike(limit):
    values, of = world()
    score = limit(values, of)
    assert score[500] > 6.0 > np.median(score)
    assert np.isfinite(score).all()


def test_moving_is_the_plain_computation():
    values, of = world()
    past = values[400 - 288 : 400]
    assert moving(values, of)[400] == pytest.approx(abs(values[400] - past.mean()) / past.std())


def test_a_perfect_detector_beside_limits():
    values, of = world()
    alarm = np.zeros(N)
    alarm[[500, 800]] = 1.0
    told = {figure.name: figure for figure in claims([values], [of], [alarm])}
    assert told["windows found by our own alarms"].value == 2
    assert "1 of the 1 subtle ones, 0 false alarms" in told["windows found by our own alarms"].note
    assert told["fixed limit, windows found at as few false alarms"].value == 1
    assert told["fixed limit, false alarms at as many windows"].value > 0


def test_peers_judge_the_same_points():
    told = {figure.name: figure.value for figure in beside(SMALL)}
    assert len(told) == 1 + len(PEERS)
    assert all(rate > 0 for rate in told.values())
