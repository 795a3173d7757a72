"""Counters become rates, histograms become weighted values; resets are seen, nothing is counted twice."""

import itertools
import math

import numpy as np
import pytest

from tocsin.derive.buckets import Distribution, Growth, exponential_edges, spread
from tocsin.derive.counters import Rates, delta_rates
from tocsin.model.samples import Samples

S = 10**9


def readings(*rows):
    row, second, value = zip(*rows, strict=True)
    return Samples.plain(np.array(row, "i4"), np.array(second, "i8") * S, np.array(value, "f8"))


def test_a_rate_is_the_increase_per_second_since_the_last_reading():
    rates = Rates()
    first, resets = rates.fold(readings((0, 10, 100.0), (1, 10, 5.0)))
    assert len(first) == 0
    assert not len(resets)
    found, _ = rates.fold(readings((0, 20, 150.0), (0, 40, 150.0), (1, 30, 25.0)))
    assert found.value.tolist() == [5.0, 0.0, 1.0]
    assert found.weight.tolist() == [10.0, 20.0, 20.0]


def test_a_reset_counts_from_zero_and_is_reported():
    rates = Rates()
    rates.fold(readings((3, 10, 100.0)))
    found, resets = rates.fold(readings((3, 20, 30.0)))
    assert found.value.tolist() == [3.0]
    assert resets.tolist() == [3]


def test_readings_one_by_one_or_together_give_the_same_rates():
    rows = [(0, second, float(second**1.5)) for second in range(1, 30)]
    whole, single = Rates(), Rates()
    together, _ = whole.fold(readings(*rows))
    apart = [value for row in rows for value in single.fold(readings(row))[0].value.tolist()]
    assert together.value.tolist() == apart


def test_a_delta_without_a_start_has_no_rate():
    points = readings((0, 20, 40.0), (0, 30, 40.0))
    assert delta_rates(points, np.array([10 * S, 0])).value.tolist() == [4.0]


def reading(second, counts, total=math.nan):
    return Distribution(0, second * S, (0.0, 1.0, 2.0, math.inf), tuple(counts), total, math.nan, math.nan)


def test_a_cumulative_histogram_gives_what_it_gained():
    growth = Growth()
    assert growth.fold(reading(10, [1, 1, 1], 5.0)) is None
    gain = growth.fold(reading(20, [1, 4, 1], 9.5))
    assert gain.counts == (0, 3, 0)
    assert gain.total == pytest.approx(4.5)
    assert growth.fold(reading(20, [9, 9, 9])) is None  # not newer
    assert growth.fold(reading(30, [1, 0, 0])).counts == (1, 0, 0)  # restarted


def test_buckets_become_values_whose_sum_is_the_histograms_own():
    found = spread([reading(10, [2, 2, 0], 4.4)])
    assert found.weight.tolist() == [2, 2]
    assert float((found.value * found.weight).sum()) == pytest.approx(4.4)
    assert list(zip(found.low.tolist(), found.high.tolist(), strict=True)) == [(0.0, 1.0), (1.0, 2.0)]


def test_exponential_edges_grow_by_their_base():
    edges = exponential_edges(1, -2, 4)
    assert edges[2] == 1.0
    assert [b / a for a, b in itertools.pairwise(edges)] == pytest.approx([math.sqrt(2)] * 4)
