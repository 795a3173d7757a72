"""Distances to neighbours against the textbook: all pairs, sorted."""

import numpy as np
import pytest

from one_series import assert_band_is_where_it_is_calm, raw, scores, taught
from tocsin.detect.neighbours import overlap
from tocsin.detect.registry import build
from tocsin.model.errors import BadConfig


def textbook(values, t, window, neighbours, kept):
    """Distance of the shingle that ends at t to the k-th nearest of those that end before it began."""
    own = values[t - window + 1 : t + 1]
    first = max(0, t - kept)
    others = [values[i : i + window] for i in range(first, t - 2 * window + 2)]
    found = sorted(np.sqrt(np.mean((other - own) ** 2)) for other in others)
    return found[neighbours - 1] if len(found) >= neighbours else np.nan


@pytest.mark.parametrize(("window", "neighbours", "kept"), [(5, 5, 256), (1, 3, 60), (3, 1, 40), (24, 1, 1024)])
def test_distances_are_those_of_the_textbook(window, neighbours, kept):
    noise = np.random.default_rng(1)
    values = 50 + np.cumsum(noise.normal(size=300)) / 5 + noise.normal(size=300)
    name = "left_matrix_profile" if neighbours == 1 and window == 24 else "knn"
    params = {"window": window, "kept": kept, "warmup": 60}
    if name == "knn":
        params["neighbours"] = neighbours
    got = raw(build(name, params), values)
    expected = [textbook(values, t, window, neighbours, kept) for t in range(len(values))]
    np.testing.assert_allclose(got, expected, rtol=1e-9)


def test_a_band_is_where_the_score_is_low():
    noise = np.random.default_rng(2)
    for name in ("knn", "left_matrix_profile"):
        detector = taught(name, 10 + noise.normal(size=400))
        assert_band_is_where_it_is_calm(detector, 400)


def test_a_beat_left_out_is_found_though_every_value_was_seen():
    beat = np.tile(np.sin(np.arange(12) * np.pi / 6) * 10, 30) + np.random.default_rng(3).normal(size=360) * 0.3
    beat[300:312] = beat[300]
    for name, params in (("knn", {}), ("left_matrix_profile", {"window": 12})):
        got = scores(build(name, params), beat)
        assert 301 <= np.nanargmax(got[150:320]) + 150 <= 318, name
        assert np.nanmax(got[300:320]) > 2 * np.nanmax(got[150:300]), name


def test_a_pattern_that_returns_is_no_news():
    noise = np.random.default_rng(4)
    values = noise.normal(size=500)
    values[200:205] += 12
    values[400:405] += 12
    got = scores(build("knn", {"neighbours": 1, "kept": 512}), values)
    assert got[402] > 5 or got[200:205].max() > 5
    assert got[400:405].max() < 0.6 * got[200:205].max()


def test_points_in_several_intervals():
    assert overlap(np.array([0.0, 1.0, 5.0]), np.array([2.0, 3.0, 6.0]), 1) == (0.0, 6.0)
    assert overlap(np.array([0.0, 1.0, 5.0]), np.array([2.0, 3.0, 6.0]), 2) == (1.0, 2.0)
    assert np.isnan(overlap(np.array([0.0, 1.0, 5.0]), np.array([2.0, 3.0, 6.0]), 3)).all()


@pytest.mark.parametrize("params", [{"window": 0}, {"neighbours": 0}, {"kept": 12}, {"warmup": 10}])
def test_parameters_that_cannot_work_are_refused(params):
    with pytest.raises(BadConfig, match="knn"):
        build("knn", params)
