"""How far single observations lie apart: what the slices give is what all samples of a window give."""

import numpy as np
import pytest

from tocsin.model.samples import Samples
from tocsin.window.lane import Lane

S = 10**9
T = 1_700_000_000 * S


def lane(**changes):
    said = {"size": 60 * S, "step": 10 * S, "aggregate": "mean", "min_samples": 1, "dense": False, "events": True}
    return Lane(**{**said, **changes})


def samples(seed, n=400, groups=3, until=600):
    rng = np.random.default_rng(seed)
    time = T + np.sort(rng.integers(1, until * S, n))
    value = 1e6 + rng.normal(0, 3, n)
    return Samples.plain(rng.integers(0, groups, n).astype("i4"), time, value, np.arange(n, dtype="i8"))


def test_each_window_has_the_variance_and_range_of_its_samples():
    given, one = samples(1), lane()
    one.push(given)
    windows = list(one.close(T + 600 * S))
    assert len(windows) > 50
    for closed in windows:
        for k, group in enumerate(closed.groups.tolist()):
            mine = given.value[(given.row == group) & (given.time > closed.end - 60 * S) & (given.time <= closed.end)]
            spread = closed.spread
            assert spread.count[k] == len(mine)
            assert spread.variance[k] == pytest.approx(mine.var(), abs=1e-6)
            assert (spread.low[k], spread.high[k]) == (mine.min(), mine.max())


def test_a_bucket_counts_for_all_that_is_in_it():
    low, high, weight = np.array([0.0, 4.0]), np.array([4.0, 8.0]), np.array([30.0, 10.0])
    given = Samples(
        np.zeros(2, "i4"), np.full(2, T + 5 * S), (low + high) / 2, weight, low, high, np.arange(2, dtype="i8")
    )
    one = lane()
    one.push(given)
    (closed,) = one.close(T + 10 * S)
    spread = closed.spread
    assert (spread.count[0], spread.variance[0], spread.low[0], spread.high[0]) == (40, 3.0, 0.0, 8.0)


def test_after_a_silence_nothing_from_before_it_is_there():
    one = lane()
    one.push(Samples.plain(np.zeros(4, "i4"), T + np.array([5, 15, 25, 500]) * S, np.array([1.0, 9.0, 5.0, 3.0])))
    *_, last = one.close(T + 500 * S)
    assert (last.spread.count[0], last.spread.variance[0], last.spread.high[0]) == (1, 0.0, 3.0)


def test_a_lane_that_is_restored_goes_on_the_same():
    given, whole, first = samples(2), lane(), lane()
    early = given.time <= T + 300 * S
    whole.push(given)
    expected = [closed for closed in whole.close(T + 600 * S) if closed.end > T + 300 * S]
    first.push(given.take(early))
    assert list(first.close(T + 300 * S))
    second = lane()
    second.restore(first.snapshot())
    second.push(given.take(~early))
    found = list(second.close(T + 600 * S))
    for one, other in zip(expected, found, strict=True):
        for name in ("count", "variance", "low", "high"):
            assert getattr(one.spread, name).tobytes() == getattr(other.spread, name).tobytes()


def test_a_snapshot_of_before_they_were_kept_knows_of_nothing_until_the_window_is_new():
    given, first = samples(3), lane()
    first.push(given.take(given.time <= T + 300 * S))
    assert list(first.close(T + 300 * S))
    state = {name: kept for name, kept in first.snapshot().items() if name != "spread"}
    second = lane()
    second.restore(state)
    second.push(given.take(given.time > T + 300 * S))
    found = list(second.close(T + 600 * S))
    assert found[0].spread.count.max() < found[0].samples.max()
    assert found[-1].spread.count.tolist() == found[-1].samples.tolist()


@pytest.mark.parametrize("changes", [{"events": False}, {"aggregate": "max"}, {"aggregate": "p95"}])
def test_only_of_means_of_events_is_it_known(changes):
    one = lane(**changes)
    one.push(samples(4))
    assert all(closed.spread is None for closed in one.close(T + 600 * S))
