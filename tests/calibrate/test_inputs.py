"""What a detector is given, beside what it was given first: distances as in books, daily and weekly life is no drift."""

import numpy as np
import pytest

from tocsin.assess.distances import kolmogorov_smirnov_binned, psi
from tocsin.calibrate.inputs import CELLS, DAY_NS, DAYS, Inputs

SERIES = 40
ROWS = np.arange(SERIES, dtype="i4")
HOUR_NS = 3600 * 10**9
MONDAY = 20_381 * DAY_NS + 4 * DAY_NS


def fed(watch, life, start=0):
    moved = []
    for k, values in enumerate(life, start):
        moved += [(k, row) for row in watch.fold(ROWS, np.full(SERIES, MONDAY + k * HOUR_NS), values).tolist()]
    return moved


def office(hours, seed):
    """Days with a swing, weekends without, noise: as far from the mean as most of life."""
    at = np.arange(hours)[:, None]
    work = (at // 24 % 7 < 5) & (at % 24 >= 8) & (at % 24 < 18)
    return 100.0 + 80.0 * work + 10.0 * np.random.default_rng(seed).normal(size=(hours, SERIES))


@pytest.mark.parametrize("test", ["psi", "ks"])
def test_a_life_of_days_and_weeks_is_no_drift_and_another_level_is_one_that_ends(test):
    watch = Inputs(test=test)
    assert fed(watch, office(24 * 35, 1)) == []
    begun = 24 * 35
    moved = fed(watch, office(24 * 14, 2) * 1.5, begun)
    assert {row for _, row in moved} == set(range(SERIES))
    assert max(k for k, _ in moved) <= begun + 4 * 24
    assert watch.drifted(ROWS).all()
    back = fed(watch, office(24 * 14, 3), begun + 24 * 14)
    assert {row for _, row in back} == set(range(SERIES))
    assert not watch.drifted(ROWS).any()
    assert watch.explain(0)["input_drifts"] == 1.0


def test_distances_are_those_of_the_textbook_on_its_cells():
    watch = Inputs()
    first, later = office(24 * 7, 4), office(24 * 7 + 1, 5) + 15.0
    fed(watch, first)
    fed(watch, later, 24 * 7)
    for row in range(3):
        edges = watch.edges[row]
        counts = np.bincount((first[:, row, None].astype("f4") > edges).sum(1), minlength=CELLS)
        present = np.bincount((later[:-1, row, None] > edges).sum(1), minlength=CELLS)
        told = watch.explain(row)
        assert told["input_psi"] == pytest.approx(psi(counts, present), rel=1e-4)
        assert told["input_ks"] == pytest.approx(kolmogorov_smirnov_binned(counts, present), rel=1e-4)
        assert counts.max() - counts.min() <= 2, "cells have equal shares of the first week"


def test_nothing_is_said_of_few_values_or_none():
    watch = Inputs()
    for day in range(20):
        watch.fold(ROWS, np.full(SERIES, MONDAY + day * DAY_NS), np.full(SERIES, float(day)))
    watch.fold(ROWS, np.full(SERIES, MONDAY + 30 * DAY_NS), np.full(SERIES, np.nan))
    assert np.isnan(watch.explain(0)["input_psi"])
    assert not watch.drifted(ROWS).any()


def test_a_long_silence_is_no_drift_by_itself():
    watch = Inputs()
    fed(watch, office(24 * 14, 6))
    assert fed(watch, office(24 * 7, 7), 24 * 7 * 12) == []


def test_a_reference_that_was_settled_is_calm():
    watch = Inputs()
    fed(watch, office(24 * 14, 8))
    fed(watch, office(24 * 8, 9) * 2.0, 24 * 14)
    assert watch.drifted(ROWS).all()
    watch.settle(ROWS)
    assert fed(watch, office(24 * 10, 10) * 2.0, 24 * 22) == []
    assert not watch.drifted(ROWS).any()


def test_a_snapshot_goes_on_where_it_was():
    life = office(24 * 20, 11)
    life[24 * 16 :] += 60.0
    whole, parts = Inputs(), Inputs()
    fed(whole, life)
    fed(parts, life[:300])
    second = Inputs()
    second.restore(parts.snapshot())
    fed(second, life[300:], 300)
    for name, kept in whole.snapshot().items():
        assert second.snapshot()[name].tobytes() == kept.tobytes(), name


def test_bounded_memory():
    assert Inputs().row_bytes() <= 1536
    assert Inputs().days.shape[1:] == (DAYS, CELLS)


def test_a_threshold_of_nothing_is_refused():
    with pytest.raises(ValueError, match="threshold must be above 0"):
        Inputs(threshold=0.0)
