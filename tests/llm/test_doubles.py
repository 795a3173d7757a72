"""One call that two spans tell of is counted once, however the spans come."""

from __future__ import annotations

import numpy as np

from tocsin.llm.doubles import Doubles, Marked

NAN = float("nan")


def marks(*calls):
    """(trace, span, parent, response, input, output) of each call."""
    columns = [np.array(column, dtype=float if k > 3 else "i8") for k, column in enumerate(zip(*calls, strict=True))]
    trace, span, parent, response, *tokens = columns
    return Marked.of(np.stack([trace, trace * 7 + 1], axis=1), span, parent, response, tokens)


def first(*calls, doubles=None):
    return (doubles or Doubles()).first("main", marks(*calls)).tolist()


def test_one_response_in_a_trace_is_one_call():
    assert first((1, 10, 5, 99, 7, 8), (1, 11, 5, 99, 7, 9)) == [True, False]
    assert first((1, 10, 5, 99, 7, 8), (2, 11, 5, 99, 7, 9)) == [True, True]


def test_parent_and_child_with_the_same_tokens_are_one_call_in_either_order():
    assert first((1, 11, 10, 0, 7, 8), (1, 10, 5, 0, 7, 8)) == [True, False]
    assert first((1, 10, 5, 0, 7, 8), (1, 11, 10, 0, 7, 8)) == [True, False]
    assert first((1, 11, 10, 0, NAN, NAN), (1, 10, 5, 0, NAN, NAN)) == [True, False]


def test_three_spans_in_a_row_are_one_call():
    assert first((1, 12, 11, 0, 7, 8), (1, 11, 10, 0, 7, 8), (1, 10, 5, 0, 7, 8)) == [True, False, False]


def test_calls_side_by_side_are_two_although_they_take_the_same():
    assert first((1, 10, 5, 0, 7, 8), (1, 11, 5, 0, 7, 8)) == [True, True]
    assert first((1, 10, 0, 0, 7, 8), (1, 11, 0, 0, 7, 8)) == [True, True]


def test_a_call_within_another_with_other_tokens_is_a_call():
    assert first((1, 11, 10, 0, 7, 8), (1, 10, 5, 0, 70, 80)) == [True, True]


def test_a_span_sent_again_stays_what_it_was():
    doubles = Doubles()
    assert first((1, 10, 5, 99, 7, 8), doubles=doubles) == [True]
    assert first((1, 10, 5, 99, 7, 8), doubles=doubles) == [True]


def test_what_is_remembered_survives_a_snapshot_and_is_bounded():
    doubles = Doubles()
    assert first(*((k, k, 0, 0, 1, 1) for k in range(1, 40_000)), doubles=doubles) == [True] * 39_999
    again = Doubles()
    again.restore(doubles.snapshot())
    assert sum(map(len, doubles.snapshot()["main"])) < 40_000
    for one in (doubles, again):
        assert first((39_999, 50_000, 39_999, 0, 1, 1), doubles=one) == [False]
        assert first((3, 50_000, 3, 0, 1, 1), doubles=one) == [True]  # long forgotten
    assert doubles.snapshot()["main"][0].tolist() == again.snapshot()["main"][0].tolist()
