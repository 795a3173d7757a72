"""The bench of the ensemble: made series are made as said, and what it says is counted right."""

import numpy as np
import pytest

from tocsin.app.bench import ensemble
from tocsin.app.bench.ensemble import BLOCK, recall
from tocsin.app.bench.figure import Setting
from tocsin.app.bench.made_series import CALM_STEPS, FAULTS, KINDS, ORDERLESS, STEPS, Made, made
from tocsin.app.bench.sizes import SMALL


def test_made_series_are_the_same_each_time_and_hold_one_fault_each():
    one, two = made(5, 7), made(5, 7)
    assert len(one) == 5 * len(KINDS)
    for a, b in zip(one, two, strict=True):
        np.testing.assert_array_equal(a.value, b.value)
        assert a.value.shape == (STEPS,)
        assert np.isfinite(a.value).all()
        assert CALM_STEPS <= a.first < a.last < STEPS
    for kind in KINDS:
        faults = {each.fault for each in one if each.kind == kind}
        assert faults == set(FAULTS[:4] if kind in ORDERLESS else FAULTS)


def test_only_the_fault_differs_from_life():
    stuck = next(one for one in made(5, 7) if one.kind == "noise" and one.fault == "stuck")
    assert np.ptp(stuck.value[stuck.first : stuck.last]) == 0.0
    assert (np.diff(stuck.value[: stuck.first]) != 0.0).all()


def test_faults_are_counted_against_calm_blocks():
    """Of two faults one stands above all calm blocks, the other below the highest of them."""
    series = [Made("noise", 10.0, np.zeros(STEPS), "spike", 1500, 1503) for _ in range(2)]
    others = [Made(kind, 10.0, np.zeros(STEPS), "spike", 1500, 1503) for kind in KINDS if kind != "noise"]
    score = np.zeros((STEPS, 2 + len(others)))
    score[1501, 0], score[1502, 1] = 9.0, 4.0
    score[700, 0], score[1510, 0] = 5.0, 50.0  # the latter is a trace of the fault
    found = recall(series + others, score)
    blocks = 2 * ((1500 - CALM_STEPS // 2) // BLOCK)
    assert blocks > 50
    assert found["noise"] == pytest.approx(0.5)
    assert found["seasonal"] == 0.0


def test_the_bench_compares_the_ensemble_with_its_members():
    figures = {figure.name: figure for figure in ensemble.measure(Setting(SMALL)).figures}
    (share,) = [figure for name, figure in figures.items() if "of the best member" in name]
    assert share.aim == 95.0
    assert share.value > 80  # three series of a kind are few
    assert {f"of {kind} series" for kind in KINDS} <= set(figures)
