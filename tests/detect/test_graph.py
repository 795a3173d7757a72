"""The residual of a node given its neighbours, against a textbook regression; the laws with neighbours; whose fault it is."""

import math

import numpy as np
import pytest

from tocsin.detect.baseline import Baseline
from tocsin.detect.graph import MOST_NEIGHBOURS, PRIOR_STEPS, RIDGE, Graph
from tocsin.engine.watch import LEAST_SCORE
from tocsin.model.detection import Step

NODES, STEPS, STEP_NS = 3, 150, 30 * 10**9


def stream(seed=1, steps=STEPS):
    """Three nodes with 1, 2 and 3 neighbours; each waits for the first wholly and for the others by half."""
    rng = np.random.default_rng(seed)
    found = []
    for k in range(steps):
        beside = np.full((NODES, MOST_NEIGHBOURS), np.nan)
        for node in range(NODES):
            beside[node, : node + 1] = 1.0 + 0.1 * rng.standard_normal(node + 1)
        value = 2.0 + 0.05 * rng.standard_normal(NODES) + beside[:, 0] + 0.5 * np.nansum(beside[:, 1:], axis=1)
        rows = np.arange(NODES, dtype="i4")
        found.append(Step(rows, np.full(NODES, k * STEP_NS), value, None, beside))
    return found


def learned(steps, detector=None):
    detector = detector or Graph(warmup=15)
    for step in steps:
        detector.learn(step, np.ones(len(step)))
    return detector


def textbook(x, y, memory):
    """Gains, one step at a time: means and products that forget, and ridge regression towards 1 by `numpy.linalg`."""
    n, k = x.shape
    mean_x, mean_y, weight = x[0].copy(), y[0], 1.0
    products, crossed, gains = np.zeros((k, k)), np.zeros(k), np.ones(k)
    heard = np.ones(k)
    for t in range(1, n):
        weight = weight * (1 - 1 / memory) + 1
        heard = heard * (1 - 1 / memory) + 1
        away, gap = x[t] - mean_x, y[t] - mean_y
        mean_x, mean_y = mean_x + away / heard, mean_y + gap / weight
        products += (np.outer(away, away) - products) / weight
        crossed += (away * gap - crossed) / weight
        sd = np.sqrt(np.diagonal(products))
        pull = RIDGE + PRIOR_STEPS / (PRIOR_STEPS + weight)
        left = products / np.outer(sd, sd) + pull * np.eye(k)
        gains = np.linalg.solve(left, crossed / sd + pull * sd) / sd
    return gains


def test_gains_are_those_of_ridge_regression_with_forgetting():
    rng = np.random.default_rng(3)
    x = np.clip(rng.standard_normal((300, 3)), -1.5, 1.5)  # within 3 sds: nothing is cut
    y = x @ np.array([1.0, 0.5, 0.2]) + 0.2 * np.clip(rng.standard_normal(300), -1.5, 1.5)
    detector = Graph(memory=100)
    for k in range(300):
        beside = np.full((1, MOST_NEIGHBOURS), np.nan)
        beside[0, :3] = x[k]
        detector.learn(Step(np.zeros(1, "i4"), np.full(1, k * STEP_NS), y[k : k + 1], None, beside), np.ones(1))
    np.testing.assert_allclose(detector.gains[0, :3], textbook(x, y, 100.0), rtol=1e-6)
    assert abs(detector.gains[0, 0] - 1.0) < 0.1
    assert detector.gains[0, 2] < 0.7


def test_without_neighbours_the_bands_are_those_of_the_baseline():
    plain = [Step(step.rows, step.time, step.value) for step in stream()]
    graph, baseline = learned(plain), learned(plain, Baseline())
    far = Step(plain[-1].rows, plain[-1].time + STEP_NS, plain[-1].value + 5.0)
    np.testing.assert_array_equal(graph.score(far).value, baseline.score(far).value)
    np.testing.assert_array_equal(graph.expect(far).upper, baseline.expect(far).upper)


def test_a_state_that_lasts_is_no_finding_though_the_baseline_would_say_so():
    lengths = np.random.default_rng(3).integers(5, 20, 60)
    values = np.concatenate([np.repeat(np.tile([1.0, 2.0], 30), lengths), np.full(200, 2.0)])
    detectors, most = (Graph(), Baseline()), [0.0, 0.0]
    for k, value in enumerate(values.tolist()):
        step = Step(np.zeros(1, "i4"), np.array([k * STEP_NS]), np.array([value]))
        for n, detector in enumerate(detectors):
            band = detector.expect(step)
            if k >= lengths.sum() and band.lower[0] <= value <= band.upper[0]:
                most[n] = max(most[n], float(detector.score(step).value[0]))
            detector.learn(step, np.ones(1))
    assert most[0] < LEAST_SCORE < most[1]


@pytest.mark.parametrize("factor", [3.0, 30.0, 3000.0])
def test_a_victim_is_explained_and_a_culprit_is_not(factor):
    steps = stream()
    detector = learned(steps)
    last = steps[-1]
    slow = last.beside.copy()
    slow[:, 0] += factor
    victim = Step(last.rows, last.time + STEP_NS, last.value + factor, None, slow)
    culprit = Step(last.rows, last.time + STEP_NS, last.value + factor, None, last.beside)
    assert (detector.score(victim).value <= 3.0).all()
    assert (detector.score(culprit).value > 10.0).all()
    both = Step(last.rows, last.time + STEP_NS, last.value + 2 * factor, None, slow)
    assert (detector.score(both).value > 10.0).all(), "what it adds by itself is its own"
    np.testing.assert_allclose(detector.parts(victim)[:, 0], factor, rtol=0.3)


def test_a_neighbour_in_parallel_that_was_never_waited_for_explains_all_the_same():
    """C answers long before B does; when C becomes slow, the caller waits for C, and is its victim."""
    rng = np.random.default_rng(5)
    detector = Graph()
    for k in range(200):
        b, c = 1.0 + 0.1 * rng.standard_normal(), 0.1 + 0.01 * rng.standard_normal()
        beside = np.array([[b, c] + [math.nan] * (MOST_NEIGHBOURS - 2)])
        value = np.array([0.2 + 0.02 * rng.standard_normal() + max(b, c)])
        detector.learn(Step(np.zeros(1, "i4"), np.array([k * STEP_NS]), value, None, beside), np.ones(1))
    slow = np.array([[1.0, 4.0] + [math.nan] * (MOST_NEIGHBOURS - 2)])
    assert detector.score(Step(np.zeros(1, "i4"), np.array([200 * STEP_NS]), np.array([4.2]), None, slow)).value < 3.0


def test_neighbours_keep_the_laws():
    steps = stream(2)
    whole, parts, order = Graph(), Graph(), np.array([2, 0, 1])
    turned, again = Graph(), Graph()
    for k, step in enumerate(steps):
        score = whole.score(step).value
        halves = [step.take(np.arange(k % 3)), step.take(np.arange(k % 3, 3))]
        np.testing.assert_array_equal(score, np.concatenate([parts.score(half).value for half in halves]))
        np.testing.assert_array_equal(score[order], turned.score(step.take(order)).value)
        np.testing.assert_array_equal(whole.score(step).value, score, err_msg="scoring leaves no trace")
        whole.learn(step, np.ones(3))
        turned.learn(step.take(order), np.ones(3))
        for half in halves:
            parts.learn(half, np.ones(len(half)))
        if k == 70:
            again.restore(whole.snapshot())
        if k > 70:
            again.learn(step, np.ones(3))
    for other in (parts, turned, again):
        for name, state in whole.snapshot().items():
            np.testing.assert_array_equal(state, other.snapshot()[name], err_msg=name)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_neighbour_that_is_no_number_explains_and_teaches_nothing(bad):
    steps = stream(4)
    detector = learned(steps[:100])
    before = detector.snapshot()
    step = steps[100]
    broken = step.beside.copy()
    broken[0, 0] = bad
    told = Step(step.rows, step.time, step.value, None, broken)
    assert np.isfinite(detector.score(told).value).all()
    assert detector.parts(told)[0, 0] == 0.0
    detector.learn(told, np.ones(3))
    assert detector.centre[0, 1] == before["centre"][0, 1]


def test_what_one_neighbour_said_once_moves_no_gain_far():
    steps = stream(6)
    detector = learned(steps[:140])
    calm = detector.gains.copy()
    wild = steps[140].beside.copy()
    wild[:, 0] = 1e9
    detector.learn(Step(steps[140].rows, steps[140].time, steps[140].value, None, wild), np.ones(3))
    assert np.abs(detector.gains - calm).max() < 0.1


def test_a_callee_that_is_new_is_no_fault_of_its_caller():
    steps = stream(7)
    detector = learned(steps)
    new = steps[-1].beside.copy()
    new[:, 5] = 2.0
    step = Step(steps[-1].rows, steps[-1].time + STEP_NS, steps[-1].value + 2.0, None, new)
    assert (detector.score(step).value <= 3.0).all()
    detector.learn(step, np.ones(3))
    later = Step(step.rows, step.time + STEP_NS, step.value, None, new)
    assert (detector.score(later).value <= 4.0).all()


def test_a_memory_shorter_than_the_prior_is_refused():
    with pytest.raises(ValueError, match="memory"):
        Graph(memory=5)
