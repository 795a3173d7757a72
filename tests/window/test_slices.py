"""What a window of a quantile stands on, slice by slice."""

import numpy as np
import pytest

from tocsin.model.samples import Samples
from tocsin.window.lane import Lane

S = 10**9
T = 1_700_000_000 * S


def slices(samples, end=50):
    lane = Lane(size=50 * S, step=10 * S, aggregate="p95", min_samples=1, dense=False)
    lane.push(samples)
    (*_, last) = lane.close(T + end * S)
    assert last.end == T + end * S
    (found,) = last.slices
    return found


def plain(*rows):
    group, second, value = zip(*rows, strict=True)
    return Samples.plain(np.array(group, "i4"), T + np.array(second, "i8") * S, np.array(value, "f8"))


def test_only_slices_that_began_after_the_breach_are_counted_and_only_of_the_group():
    found = slices(
        plain((3, 5, 9.0), (3, 25, 9.0), (3, 31, 9.0), (3, 32, 1.0), (7, 33, 9.0), (3, 45, 1.0), (7, 46, 9.0))
    )
    beyond, total = found.since(3, T + 30 * S, 5.0, above=True)
    assert (beyond.tolist(), total.tolist()) == ([1, 0], [2, 1])
    below, _ = found.since(3, T + 30 * S, 5.0, above=False)
    assert below.tolist() == [1, 1]


@pytest.mark.parametrize(("since", "slices_seen"), [(50, 0), (45, 0), (40, 1), (0, 5), (-500, 5)])
def test_no_slice_that_began_before_is_seen(since, slices_seen):
    found = slices(plain(*((0, second, 1.0) for second in range(2, 50, 4))))
    assert len(found.since(0, T + since * S, 5.0, above=True)[0]) == slices_seen


def test_of_a_bucket_a_part_is_beyond_and_a_group_that_is_not_there_has_nothing():
    low, high, weight = np.array([0.0, 4.0, 8.0]), np.array([4.0, 8.0, 16.0]), np.array([90.0, 8.0, 2.0])
    row, time = np.zeros(3, "i4"), np.full(3, T + 45 * S)
    found = slices(Samples(row, time, (low + high) / 2, weight, low, high, np.arange(3, dtype="i8")))
    beyond, total = found.since(0, T + 40 * S, 6.0, above=True)
    assert (beyond.tolist(), total.tolist()) == ([6.0], [100.0])
    assert found.since(0, T + 40 * S, 6.0, above=False)[0].tolist() == [94.0]
    assert found.since(1, T + 40 * S, 6.0, above=True)[1].tolist() == [0.0]
