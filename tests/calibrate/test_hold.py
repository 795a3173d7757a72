"""Bars of open findings."""

import numpy as np

from tocsin.calibrate.hold import STAYS, Hold
from tocsin.calibrate.hysteresis import Move, Transitions

ROWS = np.arange(3, dtype="i4")
NONE = np.zeros(3)


def follow(hold, moves, needed, asked=NONE):
    """`moves` by row."""
    at = np.array(sorted(moves), "i8")
    move = np.array([moves[row] for row in sorted(moves)], "u1")
    hold.follow(ROWS, Transitions(at, move, at, at, np.zeros(len(at))), np.array(needed), asked)


def test_a_bar_is_set_when_a_finding_opens_and_gone_when_it_is_over():
    hold = Hold()
    follow(hold, {0: Move.OPENED, 1: Move.OPENED, 2: Move.OPENED}, [8.0, 6.0, 4.0])
    follow(hold, {0: Move.UPDATED, 1: Move.CLOSED, 2: Move.ABSORBED}, [50.0, 60.0, 70.0])
    assert hold.eased(ROWS, np.full(3, 10.0), NONE).tolist() == [8.0, 10.0, 10.0]
    assert hold.eased(ROWS, np.full(3, 5.0), NONE).tolist() == [5.0, 5.0, 5.0]
    assert hold.stays(ROWS, np.full(3, STAYS * 8.0), NONE).tolist() == [True, False, False]
    assert hold.any
    follow(hold, {0: Move.CLOSED}, [8.0, 8.0, 8.0])
    assert not hold.any


def test_nothing_moves_and_nothing_is_held():
    hold = Hold()
    follow(hold, {}, [8.0, 6.0, 4.0])
    assert (hold.any, hold.size) == (False, 0)


def test_labels_that_ask_for_more_than_when_it_opened_take_the_bar_away():
    hold = Hold()
    follow(hold, dict.fromkeys(range(3), Move.OPENED), [8.0] * 3, np.array([0.0, -9.0, -9.0]))
    asked = np.array([-9.0, -9.0, 0.0])
    assert hold.stays(ROWS, np.full(3, 9.0), asked).tolist() == [False, True, True]


def test_a_restart_keeps_bars():
    hold, again = Hold(), Hold()
    follow(hold, {1: Move.OPENED}, [8.0, 6.0, 4.0])
    again.restore(hold.snapshot())
    assert again.any
    assert again.stays(ROWS, np.full(3, 3.0), NONE).tolist() == [False, True, False]


def test_the_bar_of_a_row_that_another_model_scores_is_gone():
    hold = Hold()
    follow(hold, {0: Move.OPENED, 1: Move.OPENED}, [8.0, 6.0, 4.0])
    hold.release(np.array([1, 7], "i4"))
    assert hold.stays(ROWS, np.full(3, 9.0), NONE).tolist() == [True, False, False]
    hold.release(ROWS)
    assert not hold.any
