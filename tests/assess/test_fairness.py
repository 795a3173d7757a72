"""Fairness: textbook values, intervals that hold at any size, verdicts, gaps over time."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tocsin.assess.fairness import CRITERIA, Count, assess, difference, ratio, tally
from tocsin.assess.gap_drift import feedback_loops, gap_drift
from tocsin.assess.intervals import Measure
from tocsin.assess.tails import beta_cdf, clopper_pearson, kendall_tail, student_tail

scipy_stats = pytest.importorskip("scipy.stats")


def rows_of(*cells):
    """Rows of (group, selected, truth, how many)."""
    group = np.concatenate([np.full(n, g, "i4") for g, _, _, n in cells])
    selected = np.concatenate([np.full(n, bool(s)) for _, s, _, n in cells])
    truth = np.concatenate([np.full(n, float(t)) for _, _, t, n in cells])
    return group, selected, truth


# A lender: of group a 1000 rows, 600 truly good; of group b 500 rows, 200 truly good.
LENDER = rows_of(
    (0, 1, 1, 480), (0, 0, 1, 120), (0, 1, 0, 80), (0, 0, 0, 320),
    (1, 1, 1, 100), (1, 0, 1, 100), (1, 1, 0, 30), (1, 0, 0, 270),
)  # fmt: skip


def gaps(report):
    return {gap.criterion: gap for gap in report.gaps}


def test_textbook_values():
    group, selected, truth = LENDER
    report = assess(["a", "b"], tally(group, 2, selected, truth))
    a, b = report.groups
    assert (a.selection_rate.value, b.selection_rate.value) == (0.56, 0.26)
    assert (a.true_positive_rate.value, b.true_positive_rate.value) == (0.8, 0.5)
    assert (a.false_positive_rate.value, b.false_positive_rate.value) == (0.2, 0.1)
    assert (a.base_rate.value, b.base_rate.value) == (0.6, 0.4)
    found = gaps(report)
    assert found["demographic_parity"].measure.value == pytest.approx(0.30)
    assert found["disparate_impact"].measure.value == pytest.approx(0.26 / 0.56)
    assert found["equal_opportunity"].measure.value == pytest.approx(0.3)
    assert found["equalised_odds"].measure.value == pytest.approx(0.3)
    assert {name for name, gap in found.items() if gap.judgement == "violated"} == set(CRITERIA) - {"calibration"}
    assert (found["disparate_impact"].lower_group, found["disparate_impact"].higher_group) == ("b", "a")
    assert found["calibration"].judgement == "undefined"


def test_equalised_odds_is_the_wider_of_both_gaps():
    group, selected, truth = rows_of(
        (0, 1, 1, 400), (0, 0, 1, 100), (0, 1, 0, 100), (0, 0, 0, 400),
        (1, 1, 1, 395), (1, 0, 1, 105), (1, 1, 0, 250), (1, 0, 0, 250),
    )  # fmt: skip
    found = gaps(assess(["a", "b"], tally(group, 2, selected, truth)))
    assert found["equal_opportunity"].measure.value == pytest.approx(0.01)
    assert found["equalised_odds"].measure.value == pytest.approx(0.3)


def test_calibration_of_groups():
    rng = np.random.default_rng(1)
    score = rng.uniform(0.2, 0.8, 20_000)
    group = np.arange(20_000, dtype="i4") % 2
    truth = (rng.random(20_000) < score + np.where(group == 1, 0.15, 0.0)).astype("f8")
    report = assess(["a", "b"], tally(group, 2, score > 0.5, truth, score))
    assert report.groups[0].calibration.low < 0 < report.groups[0].calibration.high
    assert report.groups[1].calibration.low < 0.15 < report.groups[1].calibration.high
    assert gaps(report)["calibration"].judgement == "violated"


def test_a_fair_model_is_held_to_be_so_when_there_are_rows_enough_and_not_before():
    rng = np.random.default_rng(2)
    for n, judgement in ((200, "unclear"), (40_000, "held")):
        group = np.arange(n, dtype="i4") % 2
        report = assess(["a", "b"], tally(group, 2, rng.random(n) < 0.5, (rng.random(n) < 0.5).astype("f8")))
        assert {g.judgement for g in report.gaps if g.criterion != "calibration"} == {judgement}


def test_fair_groups_are_called_unfair_within_the_level():
    """Six groups, five criteria, nothing wrong: at most 5 % of reports may have any violation."""
    rng = np.random.default_rng(3)
    wrong = 0
    for _ in range(60):
        group = np.minimum(rng.geometric(0.4, 1500) - 1, 5).astype("i4")
        score = rng.beta(2, 2, 1500)
        truth = (rng.random(1500) < score).astype("f8")
        zero = {"demographic_parity": 0.0, "equal_opportunity": 0.0, "equalised_odds": 0.0, "calibration": 0.0,
                "disparate_impact": 1.0}  # fmt: skip
        report = assess(list("abcdef"), tally(group, 6, score > 0.5, truth, score), zero, least=1)
        wrong += any(gap.judgement == "violated" for gap in report.gaps)
    assert wrong <= 3


def test_a_group_of_one_has_an_interval_and_no_verdict():
    group = np.concatenate([np.zeros(1000, "i4"), np.ones(1, "i4")])
    selected = np.arange(1001) % 2 == 0
    counts = tally(group, 2, selected, selected.astype("f8"), np.full(1001, 0.5))
    report = assess(["a", "b"], counts)
    single = report.groups[1]
    assert (single.n, single.selection_rate.value) == (1, 1.0)
    assert single.selection_rate.low < 0.01
    assert single.selection_rate.high == 1.0
    assert (single.calibration.low, single.calibration.high) == (-1.0, 1.0)
    assert math.isnan(single.false_positive_rate.value)
    assert (single.false_positive_rate.low, single.false_positive_rate.high) == (0.0, 1.0)
    assert report.too_small == ("b",)
    assert {gap.judgement for gap in report.gaps} == {"undefined"}
    forced = assess(["a", "b"], counts, least=1)
    assert {gap.judgement for gap in forced.gaps} == {"unclear"}


def test_odd_input():
    nothing = assess([], np.empty((0, 9)))
    assert nothing.groups == ()
    assert {gap.judgement for gap in nothing.gaps} == {"undefined"}
    none_chosen = assess(["a", "b"], tally(np.arange(200, dtype="i4") % 2, 2, np.zeros(200, bool)))
    assert gaps(none_chosen)["disparate_impact"].judgement == "undefined"
    assert gaps(none_chosen)["demographic_parity"].measure.value == 0.0
    unknown = tally(np.array([-1, 0], "i4"), 1, np.array([True, True]), np.array([1.0, np.nan]), np.array([0.5, 7.0]))
    assert unknown[0].tolist() == [1, 1, 0, 0, 0, 0, 0, 0, 0]


def test_tallies_add():
    group, selected, truth = LENDER
    parts = [tally(group[cut], 2, selected[cut], truth[cut]) for cut in np.array_split(np.arange(group.size), 5)]
    assert np.array_equal(sum(parts), tally(group, 2, selected, truth))


def test_pairs_of_measures():
    a, b = Measure(0.0, 0.0, 0.1, 10), Measure(0.5, 0.3, 0.7, 10)
    assert (ratio(a, b).value, ratio(a, b).low) == (0.0, 0.0)
    assert ratio(a, b).high == pytest.approx(0.1 / 0.3)
    assert math.isnan(ratio(b, a).value)
    assert ratio(b, a).high == math.inf
    assert difference(b, a).value == 0.5
    assert math.isnan(difference(Measure(math.nan, 0, 1), a).value)


def test_gaps_of_shares_are_covered():
    rng = np.random.default_rng(4)
    missed = 0
    for _ in range(400):
        ends = [(k, n) for n, p in ((40, 0.1), (80, 0.3)) for k in (int(rng.binomial(n, p)),)]
        low, high = (Measure(k / n, *clopper_pearson(k, n, 0.05), n=n) for k, n in ends)
        gap, share = difference(high, low), ratio(low, high)
        missed += not (gap.low <= 0.2 <= gap.high and (math.isnan(share.value) or share.low <= 1 / 3 <= share.high))
    assert missed <= 26  # 5 % and three standard deviations


def periods_of(rng, rates, sizes):
    """Tallies of periods: rates (periods, groups), sizes (periods, groups)."""
    counts = np.zeros((*np.shape(rates), 9))
    counts[..., Count.ROWS] = sizes
    counts[..., Count.SELECTED] = rng.binomial(np.asarray(sizes, int), rates)
    return counts


def test_a_gap_that_widens_is_seen_and_when():
    rng = np.random.default_rng(5)
    rates = [[0.5, 0.45]] * 6 + [[0.5, 0.25]] * 4
    a, b = gap_drift(["a", "b"], periods_of(rng, rates, np.full((10, 2), 2000)))
    assert (a.since, b.since) == (6, 6)
    assert b.change.value == pytest.approx(-0.2, abs=0.06)
    assert "first certain in period 7" in b.reason


def test_gaps_that_stay_are_left_alone_at_every_look():
    rng = np.random.default_rng(6)
    moved = 0
    for _ in range(25):
        counts = periods_of(rng, np.tile([0.5, 0.3, 0.4], (12, 1)), np.tile([300, 100, 30], (12, 1)))
        moved += any(drift.since is not None for drift in gap_drift(["a", "b", "c"], counts, least_change=0.0))
    assert moved <= 1


def test_small_changes_and_few_periods():
    rng = np.random.default_rng(7)
    small = periods_of(rng, [[0.5, 0.5]] * 3 + [[0.5, 0.47]], np.full((4, 2), 200_000))
    assert "which counts as none" in gap_drift(["a", "b"], small)[1].reason
    few = gap_drift(["a", "b"], small[:2])
    assert (few[0].since, few[0].reason) == (None, "there are too few rows or periods to compare")


def test_a_feedback_loop_is_suspected_where_selection_and_share_fall_together():
    rng = np.random.default_rng(8)
    steps = np.arange(10)
    rates = np.stack([np.full(10, 0.5), 0.45 - 0.03 * steps], axis=1)
    falling = np.stack([np.full(10, 20_000), 20_000 - 1000 * steps], axis=1)
    loops = feedback_loops(["a", "b"], periods_of(rng, rates, falling))
    assert [loop.suspected for loop in loops] == [False, True]
    steady = feedback_loops(["a", "b"], periods_of(rng, rates, np.full((10, 2), 20_000)))
    assert not any(loop.suspected for loop in steady)
    assert "a trend needs 5" in feedback_loops(["a", "b"], periods_of(rng, rates[:3], falling[:3]))[0].reason


def test_tails_are_those_of_scipy():
    rng = np.random.default_rng(9)
    for _ in range(200):
        a, b, x = rng.uniform(0.5, 300), rng.uniform(0.5, 300), rng.random()
        assert beta_cdf(x, a, b) == pytest.approx(scipy_stats.beta.cdf(x, a, b), abs=1e-10)
        t, freedom = rng.normal(0, 3), rng.uniform(1, 100)
        assert student_tail(t, freedom) == pytest.approx(scipy_stats.t.sf(t, freedom), abs=1e-10)
        n = int(rng.integers(1, 500))
        k = int(rng.integers(0, n + 1))
        exact = scipy_stats.binomtest(k, n).proportion_ci(0.99, "exact")
        assert clopper_pearson(k, n, 0.01) == pytest.approx((exact.low, exact.high), abs=1e-9)
    values = tuple(rng.normal(size=12).tolist())
    exact = scipy_stats.kendalltau(range(12), values, alternative="greater", method="exact").pvalue
    assert kendall_tail(values) == pytest.approx(exact)
    assert kendall_tail((1.0, 1.0)) == 1.0
    assert kendall_tail(()) == 1.0
    assert kendall_tail((1.0, 2.0, 2.0, 3.0, 4.0, 5.0, 6.0)) < 0.01
