"""What chance does to a mean of few, beside exact tails."""

import numpy as np
import pytest

from tocsin.assess.tails import beta_cdf
from tocsin.calibrate.sampling import LEAST, MEMORY, Sampling

ROW = np.zeros(1, "i4")


def learned(variance, count=1e5):
    found = Sampling()
    for _ in range(20):
        found.learn(ROW, np.array([count / 20]), np.array([variance]))
    return found


def log10_p(sampling, n, variance, reach, distance):
    return float(sampling.log10_p(ROW, *(np.array([float(each)]) for each in (n, variance, reach, distance)))[0])


@pytest.mark.parametrize("rate", [0.003, 0.03, 0.2])
@pytest.mark.parametrize("n", [20, 60, 400])
def test_shares_are_never_said_to_be_rarer_than_they_are_and_seldom_much_more_usual(rate, n):
    sampling = learned(rate * (1 - rate))
    for k in range(int(rate * n) + 1, min(n, int(rate * n) + 12)):
        share = k / n
        found = log10_p(sampling, n, share * (1 - share), 1 - rate, share - rate)
        exact = np.log10(beta_cdf(rate, k, n - k + 1))
        assert exact - 0.05 <= found <= max(0.7 * exact, exact + 1.3)


def test_one_far_observation_of_many_is_no_change_of_their_mean():
    sampling = learned(1.0)
    assert log10_p(sampling, 50, 200.0, 100.0, 2.0) > -3  # 100 sds far, it moves the mean by 14 of its sds
    assert log10_p(sampling, 50, 1.0, 4.0, 2.0) < -15  # all of them moved


def test_what_is_expected_is_known_no_better_than_the_past_is_long():
    long, short = (log10_p(learned(0.05, count), 60, 0.05, 0.95, 0.2) for count in (1e5, 60))
    assert short == pytest.approx(long / 2, rel=0.01)


def test_nothing_is_said_of_fewer_than_ten_or_where_nothing_varies():
    assert log10_p(learned(1.0), LEAST - 1, 1.0, 5.0, 5.0) == -np.inf
    assert log10_p(learned(0.0), 60, 0.0, 1.0, 1.0) == -np.inf
    assert log10_p(Sampling(), 60, 0.2, 1.0, 0.5) == -np.inf
    assert log10_p(learned(1.0), 60, 1.0, 2.0, 0.0) == -np.inf


def test_the_old_fades():
    sampling = learned(9.0, MEMORY)
    for _ in range(200):
        sampling.learn(ROW, np.array([MEMORY / 20]), np.array([1.0]))
    assert sampling.squares[0] / sampling.count[0] == pytest.approx(1.0, abs=0.05)
    assert sampling.count[0] <= MEMORY
