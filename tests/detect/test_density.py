"""Densities of shingles against the textbook: every distance, every cut, every node written out."""

import numpy as np
import pytest

from one_series import assert_band_is_where_it_is_calm, band, raw, taught
from tocsin.detect.half_space_trees import FEW, SPAN, grow
from tocsin.detect.lof import ALIKE
from tocsin.detect.random_cut_forest import draw
from tocsin.detect.registry import build
from tocsin.model.errors import BadConfig

NEWEST = 1.5


def series(seed, steps=150):
    noise = np.random.default_rng(seed)
    return np.where(noise.random(steps) < 0.5, 0.0, 6.0) + noise.normal(size=steps)


def shingles_of(values, window, kept):
    """Those of the last values without a value of the newest, and the newest."""
    past = values[-kept:]
    others = np.lib.stride_tricks.sliding_window_view(past, window)[: len(past) - 2 * window + 2]
    return others, np.append(past[len(past) - window + 1 :], NEWEST)


def held(detector):
    return float(detector._raw(np.zeros(1, "i4"), np.array([NEWEST]))[0])


def test_the_factor_is_that_of_breunig():
    values, k = series(1), 7
    detector = taught("lof", values, window=2, neighbours=k, kept=50)
    others, own = shingles_of(values, 2, 50)
    floor = ALIKE * np.std(values[-50:])
    far = np.sqrt(np.mean((others[:, None] - others[None]) ** 2, axis=2))
    np.fill_diagonal(far, np.inf)
    radii = np.sort(far, axis=1)[:, k - 1]

    def thin(distances):
        near = distances <= np.sort(distances)[k - 1]
        return np.mean(np.maximum(np.maximum(distances, radii), floor)[near])

    mine = np.sqrt(np.mean((others - own) ** 2, axis=1))
    near = mine <= np.sort(mine)[k - 1]
    expected = thin(mine) * np.mean([1 / thin(far[o]) for o in np.flatnonzero(near)])
    assert held(detector) == pytest.approx(expected, rel=1e-9)


def test_noise_is_what_dbscan_calls_noise():
    values, k = series(2), 4
    detector = taught("dbscan", values, window=2, neighbours=k, kept=60, reach=1)
    others, _ = shingles_of(values, 2, 60)
    eps = float(detector.kth[0])
    far = np.sqrt(np.mean((others[:, None] - others[None]) ** 2, axis=2))
    core = others[(far <= eps).sum(axis=1) - 1 >= k]
    assert 0 < len(core) < len(others)
    for newest in np.linspace(-8, 14, 45):
        own = np.append(values[-1:], newest)
        noise = np.sqrt(np.mean((core - own) ** 2, axis=1)).min() > eps
        step_score = detector._raw(np.zeros(1, "i4"), np.array([newest])) / (eps / 3)
        assert (step_score[0] > 3) == noise


def displaced(points, own, chance):
    """Collusive displacement of `own` along its path in a tree of random cuts over it and the points."""
    most, depth = 0.0, 0
    while len(points):
        both = np.vstack([points, own])
        sides = both.max(axis=0) - both.min(axis=0)
        if not sides.sum():
            break
        at = chance(depth) * sides.sum()
        side = int(np.searchsorted(np.cumsum(sides), at, side="right"))
        place = both[:, side].min() + at - np.concatenate([[0], np.cumsum(sides)])[side]
        stay = points[(points[:, side] <= place) == (own[side] <= place)]
        most = max(most, (len(points) - len(stay)) / (len(stay) + 1))
        points, depth = stay, depth + 1
    return most


def test_displacement_is_that_of_random_cuts():
    values = series(3)
    detector = taught("random_cut_forest", values, window=3, kept=60, trees=50)
    points = np.lib.stride_tricks.sliding_window_view(values[-60:], 3)
    own = np.append(values[-2:], NEWEST)
    drawn = [displaced(points, own, lambda depth, tree=tree: draw(tree, 150, depth)) for tree in range(50)]
    assert held(detector) == pytest.approx(np.mean(drawn), rel=1e-9)
    # and chance proper says the same on average
    noise = np.random.default_rng(4)
    fair = np.array([displaced(points, own, lambda _: noise.random()) for _ in range(600)])
    assert abs(fair.mean() - np.mean(drawn)) < 4 * fair.std() * np.sqrt(1 / 50 + 1 / 600)


def test_draws_are_even():
    drawn = np.array([draw(tree, step, depth) for tree in range(20) for step in range(50) for depth in range(10)])
    assert abs(drawn.mean() - 0.5) < 0.015
    assert np.histogram(drawn, 10, (0, 1))[0].min() > 850


def test_mass_is_counted_as_by_tan():
    values = series(5, 400)
    detector = build("half_space_trees", {"window": 2, "trees": 5, "depth": 4, "past": 100})
    sides, places = grow(2, 5, 4)
    coming, mass, taken = [], [], 0
    for t, value in enumerate(values):
        mean, sd = (float(detector.mean[0]), np.sqrt(detector.var[0])) if t else (0.0, 0.0)
        raw(detector, [value])
        if t < 9:
            continue
        at = 0.5 + (np.array([values[t - 1], value]) - mean) / sd / SPAN
        coming.append([path(at, sides[k], places[k]) for k in range(5)])
        if len(coming) == (100 if taken else 30):
            mass, taken, coming = coming, len(coming), []
    at = 0.5 + (np.array([values[-1], NEWEST]) - detector.mean[0]) / np.sqrt(detector.var[0]) / SPAN
    found = 0.0
    for k in range(5):
        for depth, node in enumerate(path(at, sides[k], places[k])):
            here = sum(node in paths[k] for paths in mass)
            if here <= FEW * taken or depth == 4:
                found += here * 2**depth
                break
    assert held(detector) == pytest.approx(5 * 2**4 * taken / (found + 5), rel=1e-9)


def path(at, sides, places):
    nodes = [0]
    while nodes[-1] < len(sides):
        node = nodes[-1]
        nodes.append(2 * node + (1 if at[sides[node]] < places[node] else 2))
    return nodes


@pytest.mark.parametrize("name", ["lof", "dbscan", "random_cut_forest", "half_space_trees"])
def test_a_band_is_where_the_score_is_low(name):
    values = np.random.default_rng(6).normal(size=300)
    if name == "random_cut_forest":
        # the score isn't monotonic by a hair: the band stands where it passes the limit
        lower, upper = band_of(name, values)
        assert -20 < lower < -1 < 1 < upper < 20
        return
    assert_band_is_where_it_is_calm(taught(name, values), 300, exactly=name == "dbscan")


def band_of(name, values):
    lower, _, upper = band(taught(name, values), len(values), 4.0)
    return lower, upper


@pytest.mark.parametrize("name", ["lof", "dbscan", "random_cut_forest", "half_space_trees"])
def test_parameters_that_cannot_work_are_refused(name):
    for params in ({"window": 0}, {"warmup": 5}):
        with pytest.raises(BadConfig, match=name):
            build(name, params)
