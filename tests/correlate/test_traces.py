"""Own time of spans, whose excess it is, and who leads."""

import numpy as np
import pytest

from tocsin.correlate.blame import Excess, blamed
from tocsin.correlate.lead_lag import lag
from tocsin.correlate.log_shift import Lines, log_shift
from tocsin.correlate.metric_shift import Readings, shift, without_common
from tocsin.correlate.traces import Spans, own_time


def spans(*rows):
    """Spans of one trace from (parent row, entity, start, end, failed)."""
    parent, entity, start, end, failed = (np.array(column) for column in zip(*rows, strict=True))
    n, zero = len(rows), np.zeros(len(rows), "i8")
    names = tuple(f"e{code}" for code in range(int(entity.max()) + 1))
    start = start.astype("f8")
    assert n
    return Spans(
        zero, parent.astype("i8"), entity.astype("i8"), zero, start, end - start, failed.astype("?"), names, ("op",)
    )


def test_own_time_is_what_is_left_without_the_children():
    one = spans((-1, 0, 0, 10, 0), (0, 1, 2, 5, 0), (1, 2, 3, 4, 0), (0, 1, 6, 9, 0))
    assert own_time(one).tolist() == [4, 2, 1, 3]


def test_of_children_at_once_the_latest_begun_owns_the_moment():
    one = spans((-1, 0, 0, 10, 0), (0, 1, 1, 9, 0), (0, 2, 2, 4, 0))
    assert own_time(one).tolist() == [2, 6, 2]
    assert own_time(one).sum() == 10


def test_a_call_that_hangs_beside_the_span_that_waits_for_it_is_not_counted_twice():
    one = spans((-1, 0, 0, 10, 0), (0, 0, 0.5, 9.5, 0), (0, 1, 1, 9, 0))
    assert own_time(one).tolist() == [1.0, 1.0, 8.0]


def test_parents_in_a_circle_end():
    one = spans((1, 0, 0, 2, 0), (0, 0, 0, 2, 0))
    assert own_time(one).sum() == pytest.approx(2)


def test_a_failure_that_is_passed_on_is_of_who_failed_first():
    one = spans((-1, 0, 0, 9, 1), (0, 1, 1, 8, 1), (1, 2, 2, 7, 1), (1, 2, 7, 8, 0))
    assert one.origin_of_failure().tolist() == [False, False, True, False]


def excess(*rows):
    """Kinds of work from (size, entity, callee, calls, ratio)."""
    columns = [np.array(column) for column in zip(*rows, strict=True)]
    size, entity, callee, calls, ratio = columns
    prior = np.full(len(rows), 0.6)
    return Excess(size.astype("f8"), entity, callee, calls.astype("f8"), ratio.astype("f8"), prior)


def test_a_callee_that_is_slow_for_all_its_callers_is_blamed():
    got = blamed(excess((5, 0, 2, 10, 9), (5, 1, 2, 10, 9), (0, 0, 3, 10, 1), (0, 1, 3, 10, 1)), 4)
    assert got[2] > 0.95 * got.sum()


def test_a_caller_whose_every_call_is_slow_is_blamed():
    got = blamed(excess((5, 0, 1, 10, 9), (5, 0, 2, 10, 9), (5, 0, 3, 10, 9)), 4)
    assert got[0] > 0.95 * got.sum()


def test_who_follows_is_told_from_who_leads():
    time = np.arange(80.0) * 10
    leads = np.where(time > 400, 5.0, 0.0)
    follows = np.where(time > 460, 5.0, 0.0)
    found = lag(time, leads, time, follows)
    assert found.agreed
    assert found.seconds == 60
    back = lag(time, follows, time, leads)
    assert (back.seconds, back.agreed) == (-60, True)
    assert lag(time[:4], leads[:4], time, follows) is None


def readings(entity, *, jump=0.0, seed=0):
    rng = np.random.default_rng(seed)
    time = np.arange(120.0) * 10
    return Readings(entity, "cpu", time, rng.normal(50, 2, 120) + jump * (time >= 1000))


def test_what_moved_on_every_entity_says_little_of_any():
    everywhere = without_common([shift(readings(f"e{k}", jump=40, seed=k), 1000, 300) for k in range(5)])
    assert max(each.weight for each in everywhere) < 0.05
    alone = without_common([shift(readings(f"e{k}", jump=40 * (k == 3), seed=k), 1000, 300) for k in range(5)])
    assert [each.entity for each in alone if each.weight > 0.5] == ["e3"]
    assert alone[3].onset == 1000


def test_a_total_is_looked_at_as_its_growth():
    time = np.arange(120.0) * 10
    total = np.cumsum(np.where(time >= 1000, 90.0, 10.0) + (np.arange(120) % 3))
    found = shift(Readings("e", "faults", time, total), 1000, 300)
    assert found.before == pytest.approx(1.1)
    assert found.after == pytest.approx(9.1, rel=0.05)
    assert found.strength > 0.8


def test_a_new_error_outweighs_more_of_the_usual_lines():
    time = np.arange(0.0, 400, 0.5)
    entity = (np.arange(800) % 2).astype("i8")
    template = entity.copy()
    template[(time >= 300) & (entity == 1) & (np.arange(800) % 8 == 1)] = 2
    lines = Lines(time, entity, template, template == 2, ("served", "stored", "disk is gone"))
    found = log_shift(lines, time < 300, time >= 300, 2)
    assert found.share[1] > 0.9
    assert found.sayings[0].text == "disk is gone"
    assert (found.sayings[0].before, found.sayings[0].severe) == (0, True)
