"""Changes of level and of distribution, each against its textbook."""

import math

import numpy as np
import pytest

from one_series import assert_band_is_where_it_is_calm, at, band, raw, scores, taught
from tocsin.detect.change_point import ALPHA, KAPPA, RUNS, SURPRISE
from tocsin.detect.registry import build
from tocsin.detect.relative_entropy import EDGES, LEAST_SHARES
from tocsin.model.errors import BadConfig
from tocsin.stats.scale import honest_sd


def shifted(by, seed, steps=300, at=200):
    values = 50 + 2 * np.random.default_rng(seed).normal(size=steps)
    values[at:] += by
    return values


@pytest.mark.parametrize("name", ["page_hinkley", "change_point"])
def test_a_small_shift_that_lasts_is_found_and_one_freak_value_less_so(name):
    # one and a half sds: no single value is strange
    shift = scores(build(name, {}), shifted(3.0, 5))
    assert shift[210:250].max() > 3 * np.nanmax(shift[100:200])
    freak = np.array(shifted(0.0, 5))
    freak[200] += 100.0
    after = scores(build(name, {}), freak)[202:250]
    assert after.max() < shift[210:250].max()


@pytest.mark.parametrize("name", ["page_hinkley", "change_point", "relative_entropy"])
def test_a_band_is_where_the_score_is_low(name):
    detector = taught(name, shifted(0.0, 6))
    assert_band_is_where_it_is_calm(detector, 300, exactly=name != "relative_entropy")


def test_sums_are_those_of_page_and_hinkley():
    values = shifted(1.5, 7)
    detector = build("page_hinkley", {"alpha": 1.0, "reset": 1e9})
    total, least = 0.0, 0.0
    for k, value in enumerate(values):
        mean, sd = (float(detector.mean[0]), math.sqrt(float(detector.var[0]))) if k else (0.0, 0.0)
        got = scores_next(detector, k, value)
        if k >= 15:
            total += (value - mean) / sd - 0.2
            least = min(least, total)
            lower = band(detector, k, 3.0)
            assert np.isfinite(lower).all()
            assert float(detector.up[0]) == pytest.approx(total - least, abs=1e-9)
            assert got >= total - least - 1e-9
    assert float(detector.mean[0]) == pytest.approx(values.mean(), abs=0.2)


def scores_next(detector, k, value):
    score = float(detector.score(at(k, value)).value[0])
    detector.learn(at(k, value), np.ones(1))
    return score


def test_a_sum_that_says_change_starts_anew():
    detector = taught("page_hinkley", shifted(8.0, 8), reset=30)
    assert detector.explain(0)["since"] < 101
    assert detector.explain(0)["mean"] == pytest.approx(58, abs=1)


def student(value, centre, kappa, alpha, beta):
    """Log density of Student's t, written out."""
    scale = math.sqrt(beta * (kappa + 1) / (alpha * kappa))
    nu = 2 * alpha
    z = (value - centre) / scale
    head = math.lgamma((nu + 1) / 2) - math.lgamma(nu / 2) - 0.5 * math.log(nu * math.pi) - math.log(scale)
    return head - (nu + 1) / 2 * math.log(1 + z * z / nu)


def test_odds_are_those_of_adams_and_mackay_with_every_run_kept_apart():
    """Runs as lists of their values, the prior of each as it was at its birth; fewer steps than runs are told apart."""
    noise = np.random.default_rng(9)
    values = np.concatenate([noise.normal(size=40), 1.5 + noise.normal(size=15)])
    hazard, recent = 0.01, 8
    detector = build("change_point", {"hazard": hazard, "recent": recent, "warmup": 20})
    runs = []  # (weight, statistics) by age, the youngest first
    for k, value in enumerate(values):
        mean, var = (float(detector.mean[0]), float(detector.var[0])) if k else (value, 0.0)
        got = scores_next(detector, k, value)
        var = honest_sd(math.sqrt(var), mean, value - mean) ** 2
        prior = (mean, KAPPA, ALPHA, ALPHA * var)
        first = hazard * math.exp(student(value, *prior)) if runs else 1.0
        grown = [(w * (1 - hazard) * math.exp(student(value, *s)), s) for w, s in runs]
        if k >= 20:
            young = first + sum(w for w, _ in grown[: recent - 1])
            old = sum(w for w, _ in grown[recent - 1 :])
            usual = 1 - (1 - hazard) ** recent
            assert got == pytest.approx(max(0.0, math.log10(young / old * (1 - usual) / usual)), abs=1e-6)
        logs = np.array([student(value, *s) for s in (prior, *(s for _, s in runs))])
        most = max(logs.max(), logs[0])
        floor = np.exp(np.maximum(logs - most, -SURPRISE))  # one value speaks against a run so much at most
        before = [(hazard if runs else 1.0, prior), *((w * (1 - hazard), s) for w, s in runs)]
        weights = np.array([w for w, _ in before]) * floor
        runs = [(w, learned(value, s)) for w, (_, s) in zip(weights / weights.sum(), before, strict=True)]
        assert len(runs) < RUNS


def learned(value, statistics):
    centre, kappa, alpha, beta = statistics
    gap = value - centre
    return (
        (kappa * centre + value) / (kappa + 1),
        kappa + 1,
        alpha + 0.5,
        beta + kappa * gap * gap / (2 * (kappa + 1)),
    )


def test_relative_entropy_is_that_of_the_textbook():
    values = 20 + 3 * np.random.default_rng(10).normal(size=200)
    detector = build("relative_entropy", {"window": 30, "warmup": 30})
    raw(detector, values)
    known = detector.shares[0][detector.windows[0] > 0]
    z = (np.append(values[-29:], 21.0) - detector.mean[0]) / math.sqrt(detector.var[0])
    share = np.bincount(np.searchsorted(EDGES, z), minlength=len(LEAST_SHARES)) / 30
    there = share > 0
    entropies = [
        2 * 30 * np.sum(share[there] * np.log(share[there] / np.maximum(one, LEAST_SHARES)[there])) for one in known
    ]
    got = float(detector._raw(np.zeros(1, "i4"), np.array([21.0]))[0])
    assert got == pytest.approx(max(min(entropies), 0.0), rel=1e-9)


def test_relative_entropy_tells_another_distribution_with_the_same_values():
    noise = np.random.default_rng(11)
    values = np.where(noise.random(600) < 0.5, 1.0, 3.0) + 0.1 * noise.normal(size=600)
    values[500:] = 3.0 + 0.1 * noise.normal(size=100)
    got = scores(build("relative_entropy", {}), values)
    assert got[510:552].max() > 1.5 * np.nanmax(got[200:500])
    # and it is known from then on
    assert got[590:].max() < 0.5 * got[510:552].max()


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("relative_entropy", {"window": 4}),
        ("relative_entropy", {"window": 90, "warmup": 60}),
        ("page_hinkley", {"alpha": 0.0}),
        ("page_hinkley", {"reset": 1}),
        ("change_point", {"hazard": 1}),
        ("change_point", {"recent": 64}),
    ],
)
def test_parameters_that_cannot_work_are_refused(name, params):
    with pytest.raises(BadConfig, match=name):
        build(name, params)
