"""The alert budget: what is counted, and that levels read from it hold."""

import numpy as np
import pytest

from tocsin.app.bench.calibration import BUDGETS, simulate
from tocsin.calibrate.budget import BASE, BINS, FAMILIES, PER_DECADE, Counted, Episodes, family_of, log10_level

S = 10**9
ROW, FIRST = np.zeros(1, "i4"), np.zeros(1, "i4")


def fold(episodes, tops, gap_s=120, step_s=60, start=0):
    for k, top in enumerate(tops):
        episodes.fold(ROW, np.array([(start + k) * step_s * S]), np.array([-top]), FIRST, gap_ns=gap_s * S)


def bins(episodes):
    return [BASE + place / PER_DECADE for place in np.flatnonzero(episodes.counts[0]).tolist()]


def test_a_run_counts_once_by_its_smallest_p():
    e = Episodes()
    fold(e, [1, 4, 6.1, 2, 5, 0, 0, 0, 0])
    assert bins(e) == [6.0]
    assert e.exposure[0] == 9


def test_nan_is_neither_exposure_nor_calm():
    e = Episodes()
    fold(e, [5, float("nan"), float("nan")])
    assert e.exposure[0] == 1
    assert not e.counts.any()


def test_counts_of_shards_add_up_and_are_drained_once():
    e, fleet = Episodes(), Counted()
    fold(e, [5, 0, 0, 0, 0])
    fleet.add(*e.drain())
    fleet.add(*e.drain())
    assert fleet.counts.sum() == 1
    fleet.fade(10.0)
    assert fleet.counts.sum() == pytest.approx(0.5)


def test_levels_of_right_p_values_are_the_p_values():
    wanted, exposure = 1e-7, 1e8
    edges = BASE + np.arange(BINS) / PER_DECADE
    counts = exposure * (10.0**-edges - 10.0 ** -(edges + 1 / PER_DECADE))
    assert log10_level(counts, exposure, wanted, 20e-6, 0.5) == pytest.approx(-7.0, abs=0.4)


def test_a_family_whose_p_values_are_too_small_needs_a_harder_level():
    wanted, exposure = 1e-7, 1e8
    edges = BASE + np.arange(BINS) / PER_DECADE
    counts = exposure * (10.0 ** -(edges / 2) - 10.0 ** -((edges + 1 / PER_DECADE) / 2))
    assert log10_level(counts, exposure, wanted, 20e-6, 0.5) == pytest.approx(-14.0, abs=0.8)


def test_one_disaster_moves_a_level_little():
    calm = np.zeros(BINS)
    calm[4:12] = 50 * 10.0 ** (-np.arange(8) / PER_DECADE)
    disaster = calm.copy()
    disaster[-1] += 1
    before = log10_level(calm, 1e7, 1e-6, 20e-6, 0.5)
    assert before - log10_level(disaster, 1e7, 1e-6, 20e-6, 0.5) < 0.5


def test_a_larger_budget_and_fewer_rows_are_easier():
    levels = Counted().levels(1e-8), Counted().levels(1e-6)
    assert (levels[0] < levels[1]).all()


def test_every_row_has_a_family():
    found = {family_of(n, shape) for n in (10.0, 500.0, 5000.0) for shape in (0.0, 0.1, 0.3)}
    assert found == set(range(FAMILIES))


def held(got, weeks):
    for b, budget in enumerate(BUDGETS):
        mean = got.a_week(b, first=False)
        # even a system that is right on average exceeds its mean in single weeks: three sds of a Poisson count
        assert mean <= budget + 3 * np.sqrt(budget / (weeks - 1)), (budget, got.opened[:, b].tolist())
        good = np.array(got.well_behaved)
        assert got.found[b, good].mean() >= 0.95, (budget, dict(zip(got.names, got.found[b], strict=True)))


@pytest.mark.parametrize("series", [350, pytest.param(2_000, marks=pytest.mark.soak)])
@pytest.mark.timeout(1200)
def test_budgets_hold_on_stationary_series_and_spikes_are_found(series):
    held(simulate(series, 2), 2)


@pytest.mark.soak
def test_budgets_hold_on_average_over_twenty_weeks():
    got = simulate(2_000, 20)
    held(got, 20)
    for b, budget in enumerate(BUDGETS):
        assert got.a_week(b, first=False) <= budget, got.opened[:, b].tolist()
