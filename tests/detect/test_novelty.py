"""Novelty against a plain computation of its features, and the faults it is there for."""

import numpy as np

from tocsin.detect.novelty import Novelty
from tocsin.model.detection import Step
from tocsin.stats.past import BINS, bin_of, decades


def run(values):
    """Scores of one series, (n,)."""
    detector, out = Novelty(), []
    for k, value in enumerate(values):
        step = Step(np.zeros(1, "i4"), np.array([k]), np.array([value]))
        out.append(float(detector.score(step).value[0]))
        detector.learn(step, np.ones(1))
    return np.array(out)


def plain(values):
    """The records of the last value of a short series, by numpy over all windows at once."""
    n = len(values) - 1
    steps = np.abs(np.diff(values))
    short = np.lib.stride_tricks.sliding_window_view(values, 12)
    features = (
        (2.5, 20.0, values),
        (0.5, 60.0, short.mean(axis=1)),
        (0.5, 60.0, np.median(short, axis=1)),
        (0.5, 60.0, np.lib.stride_tricks.sliding_window_view(steps, 11).sum(axis=1)),
        (1.0, 120.0, np.lib.stride_tricks.sliding_window_view(steps, 47).sum(axis=1)),
    )
    total = 0.0
    for weight, youth, of in features:
        low, high = of[:-1].min(), of[:-1].max()
        excess = max(of[-1] - high, low - of[-1]) - youth / n * (high - low)
        total += weight * 8.0 * np.tanh(3.0 * max(excess, 0.0) / (high - low))
    return total


def test_scores_are_records_of_features():
    # of so short a past no shape is judged yet, and each new record stays below the range that it widens
    values = 50.0 + 5.0 * np.sin(np.arange(140) * 2.0) + np.random.default_rng(1).normal(size=140)
    for last in (58.5, 60.0, 70.0, 40.0, 50.0):
        series = np.append(values, last)
        assert np.isclose(run(series)[-1], plain(series))


def test_a_changed_distribution_is_found_within_the_range():
    values = 50.0 + np.random.default_rng(2).normal(size=1500)
    values[1400:] = 50.0 + 2.0 * np.sign(np.random.default_rng(3).normal(size=100))
    scores = run(values)
    assert scores[1400:1460].max() > 1.3
    assert np.quantile(scores[400:1400], 0.99) < 1.3


def test_rarity_is_a_share_at_first_and_a_tail_beyond():
    hist = np.zeros(BINS, "f4")
    for score in np.random.default_rng(4).exponential(size=5000):
        hist[bin_of(score)] += 1.0
    assert abs(decades(np.log(10.0), hist) - 1.0) < 0.15
    assert 2.0 < decades(8.0, hist) < decades(16.0, hist) < 12.0
    assert decades(8.0, np.zeros(BINS, "f4")) == 0.0
