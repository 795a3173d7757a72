"""Series as they come: constant, zero, counts, on and off, huge and tiny; every detector gives sane answers to all."""

import numpy as np
import pytest

from onnx_files import mean_model
from tocsin.detect.registry import build, detectors
from tocsin.model.detection import Step

NOISE = np.random.default_rng(1)
STEPS = 150
SERIES = {
    "constant": np.full(STEPS, 7.5),
    "zero": np.zeros(STEPS),
    "counts": NOISE.poisson(0.3, STEPS).astype(float),
    "on_off": (NOISE.random(STEPS) < 0.05) * 100.0,
    "huge": 1e15 + 1e9 * NOISE.normal(size=STEPS),
    "tiny": 1e-12 * NOISE.normal(size=STEPS),
    "stuck": np.where(np.arange(STEPS) < 75, NOISE.normal(size=STEPS), 3.0),
    "wild": NOISE.standard_cauchy(STEPS),
}
MATRIX = np.array(list(SERIES.values())).T


NEEDED = {
    "threshold": {"above": 18.0},
    "onnx": {"model": mean_model(centre=13.0)},
    "pyod": {"model": "PCA", "every": 40},
}


@pytest.mark.parametrize("name", detectors())
def test_answers_are_sane_whatever_comes(name):
    detector = build(name, NEEDED.get(name, {}))
    rows = np.arange(len(SERIES), dtype="i4")
    for k, values in enumerate(MATRIX):
        step = Step(rows, np.full(len(SERIES), k * 60 * 10**9), values)
        score, band = detector.score(step).value, detector.expect(step)
        warm = detector.warm(rows) == 1.0
        assert np.isfinite(score[warm]).all(), dict(zip(SERIES, score, strict=True))
        assert (score[warm] >= 0.0).all()
        assert (band.lower[warm] <= band.centre[warm]).all()
        assert (band.centre[warm] <= band.upper[warm]).all()
        detector.learn(step, np.ones(len(SERIES)))
    calm = score[:2]
    assert name == "threshold" or (calm < 3.0).all(), "a constant series is not strange"
