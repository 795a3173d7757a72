"""The laws of the bets: what they pay on average, on whatever law the reference has, and over many hypotheses."""

import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tocsin.assess.cells import NumericCells
from tocsin.assess.drift_test import e_benjamini_hochberg, shape_bet, share_bet
from tocsin.assess.evidence import FeatureTest
from tocsin.assess.reference import FeatureReference


def rows_in_cells(n, cells):
    return [counts for counts in product(range(n + 1), repeat=cells) if sum(counts) == n]


def probability(counts, prior):
    """Of counts in any order, under a Dirichlet law: by its definition, with the library's lgamma."""
    n, total = sum(counts), float(sum(prior))
    log_p = math.lgamma(n + 1) + math.lgamma(total) - math.lgamma(total + n)
    for count, weight in zip(counts, prior, strict=True):
        log_p += math.lgamma(weight + count) - math.lgamma(weight) - math.lgamma(count + 1)
    return math.exp(log_p)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(0.5, 500.0), min_size=3, max_size=3), st.integers(1, 7), st.booleans(), st.booleans())
def test_a_bet_pays_its_stake_on_average_where_nothing_moved(prior, n, ordered, share):
    prior = np.array(prior[:2] if share else prior)
    bet = share_bet(prior, both=ordered) if share else shape_bet(prior, ordered=ordered)
    paid = sum(probability(c, prior) * math.exp(bet.log_e(np.array(c))) for c in rows_in_cells(n, len(prior)))
    assert paid == pytest.approx(1.0, rel=1e-6)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(0, 30), min_size=3, max_size=3), st.integers(1, 5))
def test_a_bet_that_begins_later_pays_its_stake_on_average_given_all_before(before, n):
    prior, before = np.array([20.0, 5.0, 8.0]), np.array(before)
    bet = shape_bet(prior, ordered=True)
    paid = sum(probability(c, prior + before) * math.exp(bet.log_e(np.array(c), before)) for c in rows_in_cells(n, 3))
    assert paid == pytest.approx(1.0, rel=1e-6)


def test_many_sketches_are_judged_as_each_alone():
    rng = np.random.default_rng(0)
    reference = FeatureReference.learn("x", rng.normal(size=500))
    sketches = [reference.sketch(rng.normal(k / 3, 1, 60)) for k in range(4)]
    test = FeatureTest(reference)
    together = test.evidence(sketches)
    for i, sketch in enumerate(sketches):
        for name, log_e in test.evidence([sketch]).items():
            assert float(log_e[0]) == pytest.approx(float(together[name][i]), abs=1e-9)


@pytest.mark.parametrize("law", ["normal", "exponential", "standard_cauchy"])
def test_the_share_of_a_cell_is_that_of_order_statistics_whatever_the_law(law):
    """A cell between order statistics that are k ranks apart holds k / (m + 1) of all later values on average."""
    rng = np.random.default_rng(1)
    shares = []
    for _ in range(150):
        cells = NumericCells.learn(getattr(rng, law)(size=49))
        counts, _ = cells.count(getattr(rng, law)(size=4_000))
        shares.append([counts[0] / 4_000, np.bincount(cells.bucket, counts)[1] / 4_000, counts[-1] / 4_000])
    below, second, above = np.mean(shares, axis=0)
    ranks = np.diff([-(-j * 49 // 9) for j in (1, 2)])[0]
    assert below == pytest.approx(1 / 50, abs=0.006)
    assert above == pytest.approx(1 / 50, abs=0.006)
    assert second == pytest.approx(ranks / 50, abs=0.015)


def test_sure_of_a_shift_however_small_with_enough_rows():
    prior = np.full(10, 100_000.0)
    counts = np.full(10, 100_000)
    counts[0] += 8_000
    counts[9] -= 8_000
    assert float(shape_bet(prior, ordered=True).log_e(counts)) > 100


def test_e_values_over_hypotheses():
    assert e_benjamini_hochberg(np.empty(0), 0.1).tolist() == []
    assert not e_benjamini_hochberg(np.array([-math.inf, 0.0, math.log(29)]), 0.1).any()
    assert e_benjamini_hochberg(np.array([-math.inf, 0.0, math.log(31)]), 0.1).tolist() == [False, False, True]
    assert e_benjamini_hochberg(np.full(4, math.log(10.1)), 0.1).all()
