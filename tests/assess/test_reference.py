"""References of columns of every kind, and columns as bad as they come: each has a defined, explained result."""

import math
import sys
from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tocsin.assess.cells import HASHED, MOST_CATEGORIES, NumericCells
from tocsin.assess.column import FeatureKind, kind_of, numbers, texts, words
from tocsin.assess.drift import compare
from tocsin.assess.reference import FeatureReference
from tocsin.model.errors import BadInput

CELLS = st.one_of(
    st.none(), st.floats(), st.integers(-(2**60), 2**60), st.text(max_size=8), st.booleans(), st.just(math.inf)
)
COLUMNS = st.lists(CELLS, max_size=80)


def judged(reference_column, column, kind=None):
    reference = FeatureReference.learn("f", reference_column, kind)
    return reference, compare(reference, reference.sketch(column))


def finite(row):
    values = (row.psi, row.kl, row.js, row.wasserstein, row.ks, row.chi2, row.tv, row.p_value, row.log10_e)
    return all(value is None or math.isfinite(value) for value in values) and row.reason


@settings(max_examples=60, deadline=None)
@example([-sys.float_info.max], [-sys.float_info.max, 0.0, sys.float_info.max], "numeric")
@example([-sys.float_info.max, sys.float_info.max], [-sys.float_info.max], "numeric")
@given(COLUMNS, COLUMNS, st.sampled_from(["numeric", "categorical", "text", None]))
def test_any_columns_have_a_result_without_nan_and_with_a_reason(then, now, kind):
    _, row = judged(then, now, kind)
    assert finite(row)
    assert row.n == len(now)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=300), st.lists(st.floats(-1e12, 1e12), max_size=300))
def test_every_value_is_in_exactly_one_cell_and_sketches_add_up(then, now):
    cells = NumericCells.learn(np.array(then))
    counts, _ = cells.count(np.array(then))
    assert counts.sum() == len(then)
    assert counts[0] == counts[-1] == 0  # nothing of the reference is outside it
    assert (np.diff(cells.edges) > 0).all()
    assert (np.diff(cells.bucket) >= 0).all()
    reference = FeatureReference.learn("x", then)
    k = len(now) // 2
    whole, halves = reference.sketch(now), reference.sketch(now[:k]) + reference.sketch(now[k:])
    assert whole.counts.tolist() == halves.counts.tolist()
    assert whole.sums == pytest.approx(halves.sums)


@settings(max_examples=60, deadline=None)
@given(COLUMNS)
def test_texts_looked_at_once_each_are_those_of_a_look_at_every_row(column):
    by_row, found = texts(column).to_pylist(), words(column)
    names = found.names.to_pylist()
    assert [None if code < 0 else names[code] for code in found.code.tolist()] == by_row
    there, counts = found.counted()
    assert dict(zip(there.to_pylist(), counts.tolist(), strict=True)) == Counter(t for t in by_row if t is not None)


def test_sketches_of_different_references_do_not_add_up():
    a, b = (FeatureReference.learn(name, [1.0, 2.0]) for name in "ab")
    with pytest.raises(BadInput, match="different references"):
        a.own + b.own


def test_a_reference_that_grows_by_sketches_is_that_of_all_rows():
    rng = np.random.default_rng(0)
    first, more = rng.normal(size=1_000), rng.normal(size=4_000)
    reference = FeatureReference.learn("x", first)
    grown = reference.grown([reference.sketch(more)])
    assert grown.own.rows == 5_000
    assert grown.own.counts.sum() == 5_000
    assert not compare(grown, grown.sketch(rng.normal(size=500))).alarm
    assert compare(grown, grown.sketch(rng.normal(1, 1, 500))).alarm


def test_a_sketch_costs_the_same_for_any_number_of_rows():
    reference = FeatureReference.learn("x", np.random.default_rng(0).normal(size=5_000))
    assert reference.sketch(np.ones(10)).nbytes == reference.sketch(np.ones(100_000)).nbytes < 4_096


def test_kinds_are_inferred_where_that_is_unambiguous():
    assert kind_of([1, 2, None]) is FeatureKind.NUMERIC
    assert kind_of([True, False]) is FeatureKind.BOOLEAN
    assert kind_of(["1.5", "2", "n/a"]) is FeatureKind.NUMERIC
    assert kind_of(["red", "blue"]) is FeatureKind.CATEGORICAL
    assert kind_of([f"please tell me how to reset the password number {i}" for i in range(9)]) is FeatureKind.TEXT
    assert kind_of(np.zeros((3, 4))) is FeatureKind.EMBEDDING
    assert kind_of(pa.array(["a", "b"]).dictionary_encode()) is FeatureKind.CATEGORICAL
    with pytest.raises(BadInput, match="holds timestamp"):
        kind_of(pa.array([0], pa.timestamp("ns")))


def test_a_code_that_went_through_a_float_is_the_same_category():
    reference = FeatureReference.learn("code", [1, 2, 3] * 30, "categorical")
    assert reference.sketch([1.0, 2.0, None]).counts[:3].sum() == 2


# bad input: text in numbers, all missing, one distinct value, one row, 10^6 categories, vectors of changing length


def test_text_in_numbers_is_counted_as_corrupted_and_alarms_when_it_is_much():
    normal = np.random.default_rng(0).normal(size=1_000)
    _, row = judged(normal, [*normal[:80].astype(str), *["oops"] * 20])
    assert row.alarm
    assert row.reason.startswith("no usable value in 20 % of rows, 0 % in the reference")
    found = numbers(["inf", "1", "oops", None])
    assert found.present.tolist() == [1.0]
    assert int(found.corrupted.sum()) == 2


def test_all_missing_columns():
    normal = np.random.default_rng(0).normal(size=1_000)
    _, row = judged(normal, [None] * 100)
    assert row.alarm
    assert row.reason.startswith("no value in 100 % of rows, 0 % in the reference")
    assert row.notes == ("no distances: no row of the current data holds a value",)
    _, row = judged([None] * 1_000, [None] * 100)
    assert not row.alarm
    _, row = judged([None] * 1_000, ["a"] * 100)
    assert row.alarm
    assert row.reason.startswith("no value in 0 % of rows, 100 % in the reference")


@pytest.mark.parametrize(("one", "other"), [(5.0, 6.0), ("a", "b"), (True, False)])
def test_one_distinct_value_has_a_psi_of_zero_and_what_else_comes_is_drift(one, other):
    reference, row = judged([one] * 500, [one] * 100)
    assert reference.constant
    assert (row.psi, row.alarm) == (0.0, False)
    assert row.notes == ("the reference holds a single value: PSI is 0 by convention",)
    _, row = judged([one] * 500, [other] * 100)
    assert (row.psi, row.alarm) == (0.0, True)


def test_one_row_decides_nothing():
    _, row = judged([1.0], np.arange(100.0))
    assert (row.alarm, row.reason) == (False, "not decided: the reference has 1 row, and 30 are needed")
    _, row = judged(np.arange(100.0), [1e9])
    assert (row.alarm, row.reason) == (False, "not decided: the current data has 1 row, and 30 are needed")
    _, row = judged(np.arange(100.0), [])
    assert (row.alarm, row.reason) == (False, "not decided: the current data has 0 rows, and 30 are needed")


@pytest.mark.parametrize(("pool", "rows"), [(100_000, 1_500), (100_000, 600), (3_000, 1_500), (10**7, 900)])
def test_ids_of_which_most_come_once_are_no_drift(pool, rows):
    for seed in range(8):
        rng = np.random.default_rng(seed)
        then, now = (pa.array(rng.integers(0, pool, rows).astype(str)) for _ in range(2))
        reference = FeatureReference.learn("user", then, "categorical")
        row = compare(reference, reference.sketch(now))
        assert not row.alarm, row.reason
    heavy = pa.array(np.where(np.arange(1_500) < 300, "7", rng.integers(0, 100_000, 1_500).astype(str)))
    reference = FeatureReference.learn("user", pa.array(rng.integers(0, 100_000, 1_500).astype(str)), "categorical")
    assert compare(reference, reference.sketch(heavy)).alarm, "one of them became frequent"


def test_a_million_categories_stay_bounded_and_are_no_drift():
    rng = np.random.default_rng(0)
    then, now = (pa.array(rng.integers(0, 10**6, n).astype(str)) for n in (1_000_000, 20_000))
    reference = FeatureReference.learn("user", then, "categorical")
    assert reference.cells.size == MOST_CATEGORIES + HASHED + 1
    assert not reference.cells.complete
    sketch = reference.sketch(now)
    assert sketch.nbytes < 20_000
    assert not compare(reference, sketch).alarm
    assert compare(reference, reference.sketch(pa.array(["1"] * 500))).alarm


def test_vectors_of_changing_length_are_corrupted_and_said_so():
    rng = np.random.default_rng(0)
    then = rng.normal(size=(2_000, 16))
    reference, row = judged(then, [*rng.normal(size=(400, 16)).tolist(), *rng.normal(size=(100, 12)).tolist()])
    assert row.alarm
    assert row.reason.startswith("no usable value in 20 % of rows")
    assert reference.sketch([[1.0] * 12]).corrupted_examples == ("12 numbers instead of 16",)
    assert not compare(reference, reference.sketch(rng.normal(size=(500, 16)))).alarm
    moved = compare(reference, reference.sketch(rng.normal(0.4, 1, size=(500, 16))))
    assert moved.alarm


def test_infinities_and_nan_are_never_silent():
    normal = np.random.default_rng(0).normal(size=1_000)
    for strange in (math.inf, -math.inf, math.nan):
        _, row = judged(normal, np.full(50, strange))
        assert row.alarm, strange
        assert finite(row)
