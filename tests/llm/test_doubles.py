"""One call that two spans tell of is counted once, however the spans come."""

from __future__ import annotations

import numpy as np
import pytest

from tocsin.llm.doubles import Doubles, Marked, Named

NAN = float("nan")


def marks(*calls):
    """(trace, span, parent, response, input, output) of each call."""
    columns = [np.array(column, dtype=float if k > 3 else "i8") for k, column in enumerate(zip(*calls, strict=True))]
    trace, span, parent, response, *tokens = columns
    nothing = np.zeros(len(span), "i8")
    named = Named(response, nothing, nothing, nothing.astype("?"), nothing.astype("?"))
    return Marked.of(np.stack([trace, trace * 7 + 1], axis=1), span, parent, named, tokens)


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
    assert sum(map(len, doubles.snapshot()["main"])) < 70_000
    for one in (doubles, again):
        assert first((39_999, 50_000, 39_999, 0, 1, 1), doubles=one) == [False]
        assert first((3, 50_000, 3, 0, 1, 1), doubles=one) == [True]  # long forgotten
    assert doubles.snapshot()["main"][0].tolist() == again.snapshot()["main"][0].tolist()


def known(*calls, doubles):
    """(trace, span, response, request, service, tokens, how) of each call; `how` is span, line or nameless."""
    trace, span, response, request, service, tokens, how = zip(*calls, strict=True)
    line = np.array([each != "span" for each in how])
    nameless = np.array([each == "nameless" for each in how])
    named = Named(*(np.array(each, "i8") for each in (response, request, service)), line, nameless)
    ids = np.stack([np.array(trace, "i8"), np.array(trace, "i8") * 7 + 1], axis=1)
    nothing = np.zeros(len(span), "i8")
    parts = ids, np.array(span, "i8"), nothing, named, [np.array(tokens, "f8"), np.array(tokens, "f8")]
    return doubles.first("main", Marked.of(*parts)).tolist()


@pytest.mark.parametrize(
    ("line", "span"),
    [
        ((2, 20, 99, 0, 5, 7, "line"), (1, 10, 99, 0, 5, 7, "span")),
        ((2, 20, 0, 88, 5, 7, "line"), (1, 10, 99, 88, 5, 7, "span")),
        ((1, 20, 0, 0, 5, 7, "line"), (1, 10, 99, 0, 5, 7, "span")),
    ],
    ids=["one answer", "one request", "one trace"],
)
def test_a_line_and_a_span_that_name_the_same_are_one_call_in_either_order(line, span):
    for calls in ((line, span), (span, line)):
        assert known(*calls, doubles=Doubles()) == [True, False]
        doubles = Doubles()
        assert [known(one, doubles=doubles) for one in calls] == [[True], [False]]


def test_lines_that_name_one_answer_are_one_call_and_other_lines_are_their_own():
    doubles = Doubles()
    assert known((2, 20, 99, 0, 5, 7, "line"), (3, 30, 99, 0, 5, 7, "line"), doubles=doubles) == [True, False]
    assert known((4, 40, 0, 88, 5, 7, "line"), (4, 41, 0, 88, 5, 9, "line"), doubles=doubles) == [True, True]
    assert known((5, 50, 0, 0, 5, NAN, "line"), (5, 51, 0, 0, 5, NAN, "line"), doubles=doubles) == [True, True]
    assert known((2, 20, 99, 0, 5, 7, "line"), doubles=doubles) == [True]  # sent again


def test_lines_that_name_nothing_count_where_no_spans_come():
    doubles = Doubles()
    assert known((2, 20, 0, 0, 5, 7, "nameless"), doubles=doubles) == [True]
    assert known((1, 10, 99, 0, 5, 8, "span"), doubles=doubles) == [True]
    assert known((3, 30, 0, 0, 5, 9, "nameless"), (4, 40, 0, 0, 6, 9, "nameless"), doubles=doubles) == [False, True]
