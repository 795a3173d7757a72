"""ADWIN, DDM and Page-Hinkley on streams of errors."""

import math

import numpy as np
import pytest

from tocsin.assess.error_stream import Adwin, Ddm, PageHinkley, State
from tocsin.model.errors import BadInput


def errors(before, after, n=2_000, seed=0):
    rng = np.random.default_rng(seed)
    return np.concatenate([rng.random(n) < before, rng.random(n) < after]).astype(float).tolist()


def first_change(stream, values):
    return next((i for i, value in enumerate(values) if stream.update(value) is State.CHANGED), None)


@pytest.mark.parametrize("made", [Adwin, Ddm, lambda: PageHinkley(delta=0.05, threshold=20.0)])
def test_a_rise_of_the_error_rate_is_found_soon_after_it_began(made):
    at = first_change(made(), errors(0.1, 0.4))
    assert 2_000 <= at < 2_200


def test_adwin_is_quiet_where_nothing_changes_and_finds_falls_too():
    calm = sum(first_change(Adwin(), errors(0.2, 0.2, n=1_000, seed=seed)) is not None for seed in range(20))
    assert calm <= 1
    assert first_change(Adwin(), errors(0.5, 0.1)) < 2_200


def test_adwin_keeps_its_mean_and_logarithmic_memory():
    adwin = Adwin()
    values = np.random.default_rng(1).normal(size=5_000)
    for value in values:
        adwin.update(value)
    assert adwin.rows == 5_000
    assert adwin.mean == pytest.approx(values.mean())
    assert len(adwin.buckets) < 70
    whole = sum(bucket.total for bucket in adwin.buckets)
    assert whole == pytest.approx(values.sum())


def test_after_a_change_adwin_holds_the_new_only():
    adwin = Adwin()
    for value in errors(0.0, 1.0, n=500):
        adwin.update(value)
    assert adwin.mean == pytest.approx(1.0, abs=0.05)


def test_ddm_warns_before_it_tells():
    stream = Ddm()
    states = [stream.update(value) for value in errors(0.1, 0.3)]
    changed = states.index(State.CHANGED)
    assert State.WARNING in states[2_000:changed]
    assert states[0] is State.LEARNING


def test_what_is_no_number_says_nothing():
    for stream in (Adwin(), Ddm(), PageHinkley()):
        for value in errors(0.1, 0.1, n=50):
            stream.update(value)
        before = stream.rows
        assert stream.update(math.nan) in (State.STABLE, State.LEARNING)
        assert stream.rows == before


def test_wrong_parameters_and_values_are_refused():
    with pytest.raises(BadInput, match="delta in"):
        Adwin(delta=2.0)
    with pytest.raises(BadInput, match="0 < warning < change"):
        Ddm(warning=4.0)
    with pytest.raises(BadInput, match="threshold > 0"):
        PageHinkley(threshold=0.0)
    with pytest.raises(BadInput, match="use adwin or page_hinkley for numbers"):
        Ddm().update(0.5)
