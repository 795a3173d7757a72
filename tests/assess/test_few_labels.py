"""Coverage of the quality rate: by simulation, at few labels, rare failures, good, useless and biased proxies."""

import numpy as np
import pytest

from tocsin.assess.few_labels import by_segment, mean_loss, quality_rate
from tocsin.model.errors import BadInput

REPEATS = 400


def _world(rng, rows, labels, rate, kind):
    good = rng.random(rows) < rate
    noise = rng.normal(0, 1, rows)
    proxy = {
        "good": good + 0.25 * noise,
        "binary": np.where(rng.random(rows) < 0.9, good, ~good).astype(float),
        "useless": noise,
        "biased": np.where(good, 0.9, 0.6) + 0.05 * noise,
        "turned": -1.0 * good + 0.5 * noise,
        "none": None,
    }[kind]
    label = np.full(rows, np.nan)
    chosen = rng.choice(rows, labels, replace=False)
    label[chosen] = good[chosen]
    return label, proxy


@pytest.mark.parametrize("kind", ["good", "binary", "useless", "biased", "turned", "none"])
@pytest.mark.parametrize(("labels", "rate"), [(10, 0.8), (30, 0.9), (60, 0.5), (100, 0.98), (100, 0.85), (300, 0.93)])
def test_the_interval_holds_the_rate(kind, labels, rate):
    rng = np.random.default_rng(labels)
    inside = 0
    for _ in range(REPEATS):
        found = quality_rate(*_world(rng, 3000, labels, rate, kind)).rate
        inside += found.low <= rate <= found.high
    # three standard errors of the simulation below 95 %; Wilson itself dips to .93 at some rates
    assert inside / REPEATS >= 0.92, inside / REPEATS


def test_a_good_proxy_narrows_and_a_useless_one_costs_little():
    rng = np.random.default_rng(1)
    width = {}
    for kind in ("good", "useless", "none"):
        found = [quality_rate(*_world(rng, 20_000, 300, 0.8, kind)).rate for _ in range(100)]
        width[kind] = np.mean([each.high - each.low for each in found])
    assert width["good"] < 0.65 * width["none"]
    assert width["useless"] < 1.02 * width["none"]


def test_a_biased_proxy_biases_nothing():
    rng = np.random.default_rng(2)
    found = [quality_rate(*_world(rng, 5000, 100, 0.85, "biased")).rate.value for _ in range(300)]
    assert np.mean(found) == pytest.approx(0.85, abs=0.003)


def test_segments_have_their_own_rates():
    rng = np.random.default_rng(3)
    label, proxy = _world(rng, 4000, 2000, 0.9, "good")
    other, more = _world(rng, 4000, 2000, 0.6, "good")
    names = np.array(["a"] * 4000 + ["b"] * 4000)
    found = by_segment(names, np.concatenate([label, other]), np.concatenate([proxy, more]))
    assert found["a"].rate.value == pytest.approx(0.9, abs=0.02)
    assert found["b"].rate.value == pytest.approx(0.6, abs=0.03)
    assert found["a"].worth > 2000
    assert found["a"].to_json()["labels"] == 2000


def test_odd_labels():
    nothing = quality_rate(np.full(5, np.nan), np.ones(5))
    assert nothing.rate.note == "no row has a label"
    assert quality_rate(np.array([]), None).rate.to_json()["value"] is None
    one = quality_rate(np.array([1.0, np.nan]), np.array([0.3, 0.4]))
    assert (one.rate.value, one.rate.high) == (1.0, 1.0)
    assert one.rate.low < 0.3
    every = quality_rate(np.array([1.0, 0.0]))
    assert every.rate.note == "every row has a label"
    constant = quality_rate(np.array([1.0, 0.0] * 20), np.ones(40))
    assert constant.worth == 40
    holes = quality_rate(np.array([1.0, 0.0] * 20), np.array([np.nan] + [1.0, 0.5] * 19 + [1.0]))
    assert holes.worth == 40, "a proxy that is missing somewhere is not used"
    with pytest.raises(BadInput, match="a label of quality is 1"):
        quality_rate(np.array([2.0]))
    with pytest.raises(BadInput, match="different rows"):
        quality_rate(np.array([1.0]), np.array([1.0, 2.0]))


@pytest.mark.parametrize("labels", [20, 40, 200])
@pytest.mark.parametrize("noise", [0.1, 1.0, 100.0])
def test_the_interval_of_a_mean_loss_holds_it(labels, noise):
    """Errors like those of a normal model; the proxy is good, fair, or useless."""
    rng = np.random.default_rng(labels)
    inside = 0
    for _ in range(REPEATS):
        spread = rng.uniform(0.5, 2.0, 2000)
        loss = np.abs(rng.normal(0, 1, 2000)) * spread
        few = np.full(2000, np.nan)
        chosen = rng.choice(2000, labels, replace=False)
        few[chosen] = loss[chosen]
        found = mean_loss(few, loss + noise * rng.normal(0, 1, 2000)).rate
        inside += found.low <= np.sqrt(2 / np.pi) * 1.25 <= found.high
    assert inside / REPEATS >= 0.91, inside / REPEATS


def test_a_good_proxy_of_a_loss_is_worth_labels_and_odd_ones_have_a_result():
    rng = np.random.default_rng(5)
    loss = rng.exponential(1.0, 5000)
    few = np.where(np.arange(5000) % 50 == 0, loss, np.nan)
    assert mean_loss(few, loss + 0.1 * rng.normal(size=5000)).worth > 500
    assert mean_loss(few, np.ones(5000)).worth == 100
    assert mean_loss(np.array([np.nan]), np.array([1.0])).rate.note == "no row has a label"
    assert mean_loss(np.array([2.0, np.nan]), np.ones(2)).rate.value == 2.0
    with pytest.raises(BadInput, match="different rows"):
        mean_loss(np.ones(2), np.ones(3))
