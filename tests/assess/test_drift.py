"""The decision on drift, feature by feature and over many."""

import math

import numpy as np
import pytest

from tocsin.assess.drift import DriftPolicy, compare, compare_all, compare_chunks
from tocsin.assess.reference import FeatureReference, learn_table
from tocsin.model.errors import BadInput

RNG = np.random.default_rng(11)


def learned(n=10_000):
    return FeatureReference.learn("x", np.random.default_rng(0).normal(size=n))


def test_a_shift_of_half_a_sd_is_found_in_two_hundred_rows_and_said_in_words():
    reference = learned()
    row = compare(reference, reference.sketch(np.random.default_rng(1).normal(0.5, 1, 200)))
    assert row.alarm
    assert row.p_value < 1e-4
    assert "in the reference" in row.reason
    assert row.band == "moderate"


def test_the_same_distribution_is_no_alarm():
    reference = learned()
    row = compare(reference, reference.sketch(np.random.default_rng(1).normal(size=200)))
    assert not row.alarm
    assert row.p_value > 0.5


def test_all_mass_outside_the_range_is_caught_and_no_distance_is_nan():
    reference = learned()
    row = compare(reference, reference.sketch(np.full(50, 1e6)))
    assert row.alarm
    assert "beyond the reference" in row.reason
    assert all(math.isfinite(getattr(row, name)) for name in ("psi", "kl", "js", "wasserstein", "ks", "chi2", "tv"))


def test_a_trivial_shift_on_very_many_rows_is_no_alarm_however_sure():
    reference = learned(1_000_000)
    sketch = reference.sketch(np.random.default_rng(1).normal(0.05, 1, 1_000_000))
    for _ in range(10):
        sketch = sketch + sketch
    assert sketch.rows > 10**9
    row = compare(reference, sketch)
    assert row.p_value < 1e-6
    assert not row.alarm
    assert row.reason.startswith("changed for sure, but by less than PSI 0.1")


def test_features_are_decided_together():
    rng = np.random.default_rng(3)
    references = learn_table({f"x{i}": rng.normal(size=2_000) for i in range(5)})
    sketches = {name: each.sketch(rng.normal(name == "x3", 1, 300)) for name, each in references.items()}
    assert [row.name for row in compare_all(references, sketches) if row.alarm] == ["x3"]
    chunks = compare_chunks(references, [sketches, sketches])
    assert [[row.name for row in chunk if row.alarm] for chunk in chunks] == [["x3"], ["x3"]]


def test_a_column_that_is_gone_is_an_error():
    with pytest.raises(BadInput, match="no current data of x; the column is gone or renamed"):
        compare_all({"x": learned(100)}, {})


def test_a_policy_that_makes_no_sense_is_refused():
    with pytest.raises(BadInput, match="0 < level < 1"):
        DriftPolicy(level=0.0)
