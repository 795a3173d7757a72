"""Models of shingles, each against its textbook in plain numpy."""

import numpy as np
import pytest

from one_series import assert_band_is_where_it_is_calm, raw, scores, taught
from tocsin.detect.registry import build
from tocsin.model.errors import BadConfig


def autoregressive(seed, steps=400, rho=0.9):
    noise = np.random.default_rng(seed).normal(size=steps)
    values = np.zeros(steps)
    for k in range(1, steps):
        values[k] = rho * values[k - 1] + noise[k]
    return values


def spectral_residual(window):
    """Saliency of each value as in the paper, with numpy's transform; `window` is filled up to 64 at its start."""
    padded = np.concatenate([np.full(64 - len(window), window[0]), window])
    padded = (padded - padded.min()) / (padded.max() - padded.min())
    spectrum = np.fft.fft(padded)
    logs = np.log(np.abs(spectrum))
    average = np.array([logs[max(0, k - 2) : k + 1].mean() for k in range(64)])
    return np.abs(np.fft.ifft(np.exp(logs - average + 1j * np.angle(spectrum))))


def test_saliency_is_that_of_the_paper():
    values = autoregressive(1, 150) + np.sin(np.arange(150))
    got = raw(build("spectral_residual", {}), values)
    assert np.isnan(got[:31]).all()
    for t in (31, 40, 58, 100, 149):
        window = values[max(0, t - 58) : t + 1]
        before = window[-2]
        slope = sum((before - window[-2 - k]) / k for k in range(1, 6))
        saliency = spectral_residual(np.append(window, [window[-6] + slope] * 5))
        expected = max(saliency[58] / saliency[37:58].mean() - 1, 0)
        assert got[t] == pytest.approx(expected, rel=1e-6, abs=1e-9), t


def test_components_are_those_of_the_covariance():
    values = autoregressive(2, 6000, 0.8) + 3
    detector = taught("pca", values, window=6, components=2)
    shingles = np.lib.stride_tricks.sliding_window_view(values, 6)
    _, vectors = np.linalg.eigh(np.cov(shingles.T))
    learned = detector.parts[0] / np.linalg.norm(detector.parts[0], axis=1, keepdims=True)
    assert abs(learned[0] @ vectors[:, -1]) > 0.95
    assert abs(learned[1] @ vectors[:, -2]) > 0.9


def test_what_is_left_is_the_residual_of_the_projection():
    values = autoregressive(3) + 3
    detector = taught("pca", values, window=6, components=2)
    shingle = np.append(values[-5:], 4.5) - detector.mean[0]
    basis = np.linalg.qr(detector.parts[0].T)[0]
    left = shingle - basis @ (basis.T @ shingle)
    got = float(detector._raw(np.zeros(1, "i4"), np.array([4.5]))[0])
    assert got == pytest.approx(np.sqrt(np.mean(left**2)), rel=1e-6)


def test_centres_move_as_macqueen_says():
    values = autoregressive(4, 200)
    got = raw(build("kmeans", {"window": 4, "centres": 3, "warmup": 12}), values)
    centres, counts, expected = [], [], []
    for t in range(len(values)):
        shingle = values[t - 3 : t + 1]
        if len(shingle) < 4 or t < 3:
            expected.append(np.nan)
            continue
        far = [np.sqrt(np.mean((shingle - c) ** 2)) for c in centres]
        expected.append(min(far, default=np.nan))
        if len(centres) < 3 and (t - 3) % 2 == 0:
            centres.append(shingle.copy())
            counts.append(1)
        else:
            near = int(np.argmin(far))
            counts[near] += 1
            centres[near] += (shingle - centres[near]) / counts[near]
    np.testing.assert_allclose(got, expected, rtol=1e-9)


@pytest.mark.parametrize("name", ["spectral_residual", "pca", "kmeans", "art"])
def test_a_band_is_where_the_score_is_low(name):
    detector = taught(name, autoregressive(5))
    assert_band_is_where_it_is_calm(detector, 400, exactly=name != "spectral_residual")


@pytest.mark.parametrize("name", ["pca", "kmeans"])
def test_a_broken_rhythm_of_ordinary_values_is_found(name):
    values = 10 * np.sin(np.arange(600) * 2 * np.pi / 20) + 0.3 * np.random.default_rng(6).normal(size=600)
    values[500:510] = values[490:500]
    got = scores(build(name, {}), values)
    assert got[500:512].max() > 2 * got[300:500].max()


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("pca", {"window": 3, "components": 3}),
        ("kmeans", {"centres": 0}),
        ("kmeans", {"centres": 40}),
        ("spectral_residual", {"warmup": 20}),
        ("art", {"vigilance": 1.0}),
    ],
)
def test_parameters_that_cannot_work_are_refused(name, params):
    with pytest.raises(BadConfig, match=name):
        build(name, params)


def boxes_of(values, window, many, widest):
    """Distances to the nearest category, by ART with boxes: `widest` is the sum of sides at each step."""
    boxes, expected = [], []
    for t in range(len(values)):
        shingle = values[max(0, t - window + 1) : t + 1]
        far = [np.maximum(np.maximum(lo - shingle, shingle - hi), 0).sum() for lo, hi, _ in boxes]
        expected.append(min(far, default=np.nan))
        if t < 8:
            continue
        boxes = [(lo, hi, use * (1 - 1e-3)) for lo, hi, use in boxes]
        fits = [c for c, (lo, hi, _) in enumerate(boxes) if far[c] + (hi - lo).sum() <= widest[t]]
        if fits:
            best = min(fits, key=lambda c: far[c])
            lo, hi, use = boxes[best]
            boxes[best] = (np.minimum(lo, shingle), np.maximum(hi, shingle), use + 1)
            continue
        if len(boxes) == many:
            boxes[int(np.argmin([use for *_, use in boxes]))] = (shingle, shingle, 1.0)
        else:
            boxes.append((shingle, shingle, 1.0))
    return np.array(expected)


def test_resonance_is_that_of_boxes():
    values = autoregressive(7, 300)
    detector = build("art", {"window": 3, "categories": 6, "vigilance": 0.8})
    got, widest = [], []
    for value in values:
        sd = np.sqrt(detector.var[0]) if detector.size else 0.0
        widest.append(detector.widest * sd)
        got += raw(detector, [value]).tolist()
    np.testing.assert_allclose(got, boxes_of(values, 3, 6, widest), rtol=1e-9, atol=1e-12)


def test_a_pattern_never_seen_resonates_with_nothing():
    values = np.tile([1.0, 5.0, 9.0, 5.0], 100) + 0.1 * np.random.default_rng(8).normal(size=400)
    values[300:304] = [1.0, 9.0, 1.0, 9.0]
    got = scores(build("art", {}), values)
    assert got[300:304].max() > 3 * np.nanmax(got[100:300])
