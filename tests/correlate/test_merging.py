"""Outputs of several partitions in one order: none lost, none twice, a tick when all have come to it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.correlate.merging import SLOWEST_NS, OutputMerge
from tocsin.model.frame import FrameKind, frame_of
from tocsin.model.log import Output

S = 10**9
FAR = [1 << 40] * 3


def event(name):
    columns = {"time": [1], "kind": ["deploy"], "entity": [name], "what": [""], "source": [""], "attributes": [[]]}
    return frame_of(FrameKind.EVENTS, "main", "e", columns)


def names(told):
    return [row["entity"] for frame in told.frames for row in frame.rows()]


def drained(merge, reached=FAR):
    found = []
    while (told := merge.pop(reached)) is not None:
        found.append((told.received // S, told.tick, names(told)))
    return found


def tick(cause, seconds, *said):
    return Output(cause, seconds * S, True, tuple(event(name) for name in said))


def at_once(cause, seconds, *said):
    return Output(cause, seconds * S, False, tuple(event(name) for name in said))


def test_a_tick_waits_for_the_slowest_partition():
    merge = OutputMerge(3)
    merge.push(0, 0, tick(5, 1, "a"))
    merge.push(1, 0, tick(9, 1, "b"))
    assert drained(merge) == []
    merge.push(2, 0, tick(2, 1, "c"))
    assert drained(merge) == [(1, True, ["a", "b", "c"])]


def test_what_is_said_between_ticks_waits_for_nobody():
    merge = OutputMerge(3)
    merge.push(1, 0, at_once(4, 0, "now"))
    assert drained(merge) == [(0, False, ["now"])]


def test_nothing_is_told_before_its_cause_was_taken_over():
    merge = OutputMerge(3)
    for number in range(3):
        merge.push(number, 0, tick(7, 1, "x"))
    assert drained(merge, [8, 7, 8]) == []
    assert drained(merge, [8, 8, 8]) == [(1, True, ["x", "x", "x"])]


def test_a_partition_far_behind_is_not_waited_for_and_told_when_it_comes():
    merge = OutputMerge(3)
    far = SLOWEST_NS // S + 2
    for number in (0, 1):
        merge.push(number, 0, tick(1, far, f"p{number}"))
    assert drained(merge) == [(far, True, ["p0", "p1"])]
    merge.push(2, 0, tick(1, 1, "late"))
    assert drained(merge) == [(far, False, ["late"])]


def test_what_two_workers_both_wrote_is_told_once():
    merge = OutputMerge(1)
    for offset, cause in enumerate([3, 4, 5, 4, 5, 6]):
        merge.push(0, offset, tick(cause, cause, str(cause)))
    assert [said for *_, said in drained(merge, FAR[:1])] == [["3"], ["4"], ["5"], ["6"]]
    assert merge.offsets() == [6]


STREAMS = st.lists(st.lists(st.integers(0, 3), max_size=6), min_size=3, max_size=3)


@given(STREAMS, st.integers(0, 20), st.randoms(use_true_random=False))
def test_each_is_told_once_in_the_order_of_its_partition_whatever_comes_first(streams, cut, rng):
    queues, wanted = [], []
    for number, gaps in enumerate(streams):
        outputs, at = [], 0
        for cause, gap in enumerate(gaps):
            at += gap
            make = tick if gap else at_once
            outputs.append((number, cause, make(cause, at, f"{number}.{cause}")))
        outputs.append((number, len(gaps), tick(len(gaps), 100, f"{number}.end")))
        queues.append(outputs)
        wanted.append([name for *_, output in outputs for name in names(output)])
    merge, found, pushed = OutputMerge(3), [], []
    while any(queues):
        if len(pushed) == cut:
            again = OutputMerge(3)
            again.restore(merge.snapshot())
            for row in pushed:  # read again from the noted offsets
                if row[1] >= again.offsets()[row[0]]:
                    again.push(*row)
            merge = again
        row = rng.choice([queue for queue in queues if queue]).pop(0)
        pushed.append(row)
        merge.push(*row)
        found += [name for *_, said in drained(merge) for name in said]
    for number, names_of in enumerate(wanted):
        assert [name for name in found if name.startswith(f"{number}.")] == names_of


@pytest.mark.parametrize("ends", [[2, 1, 0], [1, 0, 0]])
def test_a_stretch_that_was_noted_is_found_again(ends):
    merge = OutputMerge(3)
    merge.push(0, 0, tick(0, 1, "a"))
    merge.push(0, 1, tick(1, 2, "b"))
    assert (merge.up_to(ends) is None) == bool(ends[1])
    merge.push(1, 0, tick(0, 1, "c"))
    found = merge.up_to(ends)
    assert [row["entity"] for frame in found for row in frame.rows()] == ["a", "b", "c"][: sum(ends)]
