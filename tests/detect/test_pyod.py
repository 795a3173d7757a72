"""PyOD's models by name: as PyOD has them, fitted on schedule, the same after a restart, and refused in plain words."""

import subprocess
import sys

import numpy as np
import pytest

from one_series import at, scores, taught
from tocsin.detect import pyod
from tocsin.detect.registry import build
from tocsin.model.errors import BadConfig
from tocsin.spec.monitor import DetectSpec
from tocsin.testing import laws

ZERO = np.zeros(1, "i4")


def life(seed, steps=200):
    noise = np.random.default_rng(seed)
    return np.sin(np.arange(steps) / 3) * 3 + noise.normal(size=steps) * 0.3


@pytest.mark.parametrize("model", ["KNN", "IForest", "ECOD", "OCSVM"])
def test_the_decision_is_pyods(model):
    values = life(1, 40 + 64)
    detector = taught(f"pyod:{model}", values)
    past = np.lib.stride_tricks.sliding_window_view(values[:103], 3)
    cls = pyod._model_class(model)
    theirs = cls(random_state=pyod.SEED) if model == "IForest" else cls()
    theirs.fit(past)
    point = np.array([[*values[-2:], 4.5]])
    middle = np.median(theirs.decision_scores_)
    unit = (np.quantile(theirs.decision_scores_, 0.95) - middle) / 1.645
    expected = max((theirs.decision_function(point)[0] - middle) / unit, 0.0)
    assert float(detector._raw(ZERO, np.array([4.5]))[0]) == pytest.approx(expected, rel=1e-9)


def test_a_model_is_fitted_once_warm_and_every_so_many_steps():
    detector = build("pyod:ECOD", {"warmup": 40, "every": 20})
    fits = []
    for value in life(2, 100):
        before = detector.past[0].copy() if detector.size else None
        scores(detector, [value])
        fits.append(before is not None and not np.array_equal(before, detector.past[0], equal_nan=True))
    assert np.flatnonzero(fits).tolist() == [39, 59, 79, 99]


@pytest.mark.parametrize("model", ["IForest", "LODA"])
def test_chance_is_seeded_and_leaves_that_of_others_alone(model):
    """Also of models that take no seed; a restored detector fits the same model again."""
    if model not in pyod.models():
        pytest.fail(f"PyOD no longer has {model}; choose another one that draws")
    values = life(3, 70)
    one = taught(f"pyod:{model}", values)
    np.random.seed(7)  # noqa: NPY002 - the global one is what is watched here
    other = taught(f"pyod:{model}", values)
    mine = np.random.random()  # noqa: NPY002 - as above
    np.random.seed(7)  # noqa: NPY002 - as above
    assert np.random.random() == mine  # noqa: NPY002 - as above
    restored = build(f"pyod:{model}", {})
    restored.restore(one.snapshot())
    for detector in (other, restored):
        np.testing.assert_array_equal(one.score(at(70, 9.0)).value, detector.score(at(70, 9.0)).value)


def test_a_forgotten_row_gets_a_model_of_its_own():
    detector = taught("pyod:KNN", life(4, 60))
    detector.forget(ZERO)
    again = scores(detector, life(5, 60) + 100.0)
    np.testing.assert_array_equal(again, scores(build("pyod:KNN", {}), life(5, 60) + 100.0))


def test_a_past_that_a_model_refuses_is_counted_and_judged_by_its_level():
    detector = taught("pyod:PCA", [5.0] * 60)
    calm, moved = scores(detector, [5.0, 9.0])
    assert (calm, detector.explain(0)["refused"]) == (0.0, 1.0)
    assert moved > 3


def test_a_band_is_where_the_score_is_low():
    detector = taught("pyod:KNN", np.random.default_rng(6).normal(size=200))
    band = detector.expect(at(200, 0.0), np.array([4.0]))
    lower, upper = float(band.lower[0]), float(band.upper[0])
    inside = [detector.score(at(200, v)).value[0] for v in np.linspace(lower, upper, 30)]
    assert max(inside) <= 4.0 * 1.2
    for outside in (lower - 0.3 * (upper - lower), upper + 0.3 * (upper - lower)):
        assert detector.score(at(200, outside)).value[0] > 4.0


@pytest.mark.parametrize("law", [laws.law_is_deterministic, laws.law_restart_is_no_restart], ids=lambda f: f.__name__)
def test_laws_hold_for_a_model_that_draws(law):
    law(lambda: build("pyod:IForest", {"n_estimators": 3, "every": 40}))


@pytest.mark.parametrize(
    ("name", "params", "told"),
    [
        ("pyod", {}, "no model ''"),
        ("pyod:IFrest", {}, "did you mean 'IForest'"),
        ("pyod:iforest", {}, "did you mean 'IForest'"),
        ("pyod:KNN", {"n_neighbour": 3}, "did you mean 'n_neighbors'"),
        ("pyod:KNN", {"window": 0}, "window"),
        ("pyod:KNN", {"contamination": 0.9}, "contamination"),
        ("pyod:AutoEncoder", {}, "AutoEncoder needs torch"),
    ],
)
def test_what_cannot_be_is_refused_with_the_nearest_that_can(name, params, told):
    with pytest.raises(BadConfig, match=told):
        build(name, params)


def test_without_the_extra_it_says_what_to_install(monkeypatch):
    monkeypatch.setattr(pyod, "find_spec", lambda name: None)
    pyod.models.cache_clear()
    try:
        with pytest.raises(BadConfig, match=r"pip install 'tocsin\[pyod\]'"):
            build("pyod:KNN", {})
    finally:
        pyod.models.cache_clear()


def test_a_monitor_names_it_with_its_model():
    spec = DetectSpec.model_validate({"pyod:KNN": {"n_neighbors": 7}})
    assert (spec.name, spec.pyod) == ("pyod", {"model": "KNN", "n_neighbors": 7})
    assert DetectSpec.model_validate({"pyod:ECOD": None}).pyod == {"model": "ECOD"}
    assert DetectSpec.model_validate({"pyod": {"model": "ECOD"}}).pyod == {"model": "ECOD"}
    assert build(spec.name, spec.pyod)._own["n_neighbors"] == 7


def test_no_deep_library_is_loaded():
    code = (
        "import sys; from tocsin.detect.registry import build; build('pyod:KNN', {}); "
        "print(*sorted({'torch', 'tensorflow', 'matplotlib.pyplot'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.split() == []
