"""Values wait for their verdict."""

import numpy as np

from tocsin.calibrate.hysteresis import Verdict
from tocsin.calibrate.quarantine import KEPT, Quarantine
from tocsin.model.detection import Step


def fold(q, k, *verdicts):
    n = len(verdicts)
    step = Step(np.arange(n, dtype="i4"), np.full(n, k), np.arange(n) * 100.0 + k)
    return [(s.rows.tolist(), s.value.tolist()) for s in q.fold(step, np.array(verdicts, "u1"))]


def test_calm_rows_pass_and_open_ones_are_dropped_with_what_waited():
    q = Quarantine()
    assert fold(q, 1, Verdict.CALM, Verdict.PENDING) == [([0], [1.0])]
    assert fold(q, 2, Verdict.CALM, Verdict.OPEN) == [([0], [2.0])]
    assert fold(q, 3, Verdict.CALM, Verdict.CALM) == [([0, 1], [3.0, 103.0])]


def test_rows_are_released_each_with_its_own_past_in_order():
    q = Quarantine()
    fold(q, 1, Verdict.PENDING, Verdict.CALM)
    fold(q, 2, Verdict.PENDING, Verdict.PENDING)
    assert fold(q, 3, Verdict.CALM, Verdict.CALM) == [([0, 1], [1.0, 102.0]), ([0], [2.0]), ([0, 1], [3.0, 103.0])]


def test_it_is_bounded_and_counts_what_it_dropped():
    q = Quarantine()
    for k in range(KEPT + 5):
        fold(q, k, Verdict.PENDING)
    released = fold(q, 99, Verdict.CALM)
    assert [values[0] for _, values in released] == [float(k) for k in range(5, KEPT + 5)] + [99.0]
    assert q.dropped[0] == 5


def test_a_restart_keeps_what_waits():
    q, again = Quarantine(), Quarantine()
    fold(q, 1, Verdict.PENDING)
    again.restore(q.snapshot())
    assert fold(again, 2, Verdict.CALM) == fold(q, 2, Verdict.CALM) == [([0], [1.0]), ([0], [2.0])]
