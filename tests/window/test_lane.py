"""Windows: what closes when, with which value, whatever the batching."""

import numpy as np
import pytest

from tocsin.model.samples import Samples
from tocsin.window.lane import Lane
from tocsin.window.quantile import weighted_quantile

S = 10**9
T = 1_700_000_000 * S


def samples(*rows):
    group, second, value = zip(*rows, strict=True)
    uid = np.arange(len(rows), dtype="i8")
    return Samples.plain(np.array(group, "i4"), T + np.array(second, "i8") * S, np.array(value, "f8"), uid)


def lane(aggregate="mean", *, size=60, step=10, min_samples=1, dense=False):
    return Lane(size=size * S, step=step * S, aggregate=aggregate, min_samples=min_samples, dense=dense)


def closed(found):
    return [((c.end - T) // S, c.groups.tolist(), c.value.tolist(), c.samples.tolist()) for c in found]


@pytest.mark.parametrize(
    ("aggregate", "value"),
    [("mean", 3.0), ("std", (8 / 3) ** 0.5), ("min", 1.0), ("max", 5.0), ("last", 5.0), ("p50", 3.0), ("p99", 5.0)],
)
def test_a_window_holds_what_lies_in_its_span(aggregate, value):
    one = lane(aggregate)
    one.push(samples((0, 1, 9.0), (0, 12, 1.0), (0, 40, 3.0), (0, 65, 5.0)))
    found = closed(one.close(T + 70 * S))
    assert found[-1] == (70, [0], [value], [3])  # (10 s, 70 s]: the first sample has left


def test_nothing_closes_before_the_watermark_and_what_comes_later_is_late():
    one = lane()
    one.push(samples((0, 5, 1.0)))
    assert closed(one.close(T + 9 * S)) == []
    assert closed(one.close(T + 10 * S)) == [(10, [0], [1.0], [1])]
    one.push(samples((0, 10, 7.0), (0, 11, 2.0)))
    assert one.late == 1
    assert closed(one.close(T + 20 * S)) == [(20, [0], [1.5], [2])]


def test_a_group_without_news_in_the_last_step_is_not_judged_again():
    one = lane()
    one.push(samples((0, 5, 1.0), (1, 25, 2.0)))
    assert [row[:2] for row in closed(one.close(T + 60 * S))] == [(10, [0]), (30, [1])]


@pytest.mark.parametrize("aggregate", ["mean", "last", "p50"])
@pytest.mark.parametrize("silence", [60, 120, 3600, 86_400])
def test_after_a_silence_a_window_holds_nothing_from_before_it(aggregate, silence):
    one = lane(aggregate)
    one.push(samples(*((0, second, 1.0) for second in range(5, 60, 10))))
    for second in range(10, 60 + silence, 10):  # ticks pass while nothing comes
        list(one.close(T + second * S))
    again = lane(aggregate)
    again.restore(one.snapshot())
    for each in (one, again):
        each.push(samples((0, 60 + silence - 5, 9.0)))
        assert closed(each.close(T + (60 + silence) * S)) == [(60 + silence, [0], [9.0], [1])]


def test_min_samples_holds_a_thin_window_back():
    one = lane(min_samples=3)
    one.push(samples((0, 1, 1.0), (0, 2, 1.0), (0, 12, 1.0)))
    assert [row[0] for row in closed(one.close(T + 20 * S))] == [20]


def test_counts_of_events_are_zero_where_nothing_happened_once_a_group_is_known():
    one = lane("count", size=20, step=10, dense=True)
    one.push(samples((0, 5, 1.0), (0, 15, 1.0), (0, 16, 1.0)))
    found = closed(one.close(T + 60 * S))
    assert [(end, value) for end, _, value, _ in found] == [
        (20, [3.0]),
        (30, [2.0]),
        (40, [0.0]),
        (50, [0.0]),
        (60, [0.0]),
    ]


def test_of_weeks_without_events_only_the_day_is_gone_through_in_which_none_is_zero(monkeypatch):
    visited, advance = [], Lane._advance
    monkeypatch.setattr(Lane, "_advance", lambda self, end, some: (visited.append(end), advance(self, end, some))[1])
    one, later = lane("count", size=20, step=10, dense=True), 60 * 86_400
    one.push(samples((0, 5, 1.0), (0, 15, 1.0), (0, later, 1.0)))
    found = closed(one.close(T + (later + 40) * S))
    assert [end for end, *_ in found] == [*range(20, 86_415, 10), *range(later, later + 50, 10)]
    assert [value for _, _, (value,), _ in found if value] == [2.0, 1.0, 1.0, 1.0]
    more = closed(one.close(T + 2 * later * S))
    assert [end for end, *_ in more] == list(range(later + 50, later + 86_400, 10))
    assert len(visited) < len(found) + len(more) + 10


def test_rate_is_events_per_second_of_the_whole_window():
    one = lane("rate", size=10, step=10, dense=True)
    one.push(samples(*((0, second, 1.0) for second in range(1, 11))))
    assert closed(one.close(T + 10 * S))[0][2] == [1.0]


def test_one_sample_has_no_spread():
    one = lane("std")
    one.push(samples((0, 5, 1.0), (0, 25, 5.0)))
    assert closed(one.close(T + 60 * S)) == [(30, [0], [2.0], [2])]


@pytest.mark.parametrize("aggregate", ["mean", "std", "sum", "p95", "last"])
def test_any_batching_and_a_restart_give_the_same_bits(aggregate):
    rng = np.random.default_rng(3)
    rows = [(int(rng.integers(5)), float(second), float(rng.normal())) for second in range(1, 200)]
    whole, parts = lane(aggregate), lane(aggregate)
    whole.push(samples(*rows))
    expected = closed(whole.close(T + 200 * S))
    got = []
    for start in range(0, len(rows), 7):
        batch = rows[start : start + 7]
        order = rng.permutation(len(batch))
        found = samples(*(batch[i] for i in order))
        uid = np.array([start + i for i in order], "i8")
        parts.push(Samples(found.row, found.time, found.value, found.weight, found.low, found.high, uid))
        got += closed(parts.close(T + int(batch[-1][1]) * S))
        again = lane(aggregate)
        again.restore(parts.snapshot())
        parts = again
    got += closed(parts.close(T + 200 * S))
    assert got == expected


def test_quantiles_of_buckets_are_interpolated_and_equal_buckets_are_one():
    row = np.zeros(4, "i4")
    low, high = np.array([0.0, 1.0, 0.0, 1.0]), np.array([1.0, 2.0, 1.0, 2.0])
    buckets = Samples(row, np.zeros(4, "i8"), (low + high) / 2, np.ones(4), low, high, np.arange(4))
    assert weighted_quantile(buckets, 1, 0.75)[0] == pytest.approx(1.5)
