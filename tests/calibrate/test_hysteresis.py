"""The state machine of findings."""

import numpy as np

from tocsin.calibrate.hysteresis import FLAP_HOLD, Hysteresis, Move, Verdict

S = 10**9
ROW = np.zeros(1, "i4")


def play(moments, machine=None, **kwargs):
    """(second, breach, score) -> [(second, move, start)]."""
    machine = machine or Hysteresis()
    kwargs = {"clear_ns": 60 * S, **kwargs}
    out = []
    for at, breach, score in moments:
        got = machine.step(ROW, np.array([at * S]), np.array([breach]), np.array([score]), **kwargs)
        out += [(at, Move(m).name, int(s) // S) for m, s in zip(got.move, got.start, strict=True)]
    return out


def test_without_for_the_first_breach_opens():
    assert play([(0, True, 5.0)]) == [(0, "OPENED", 0)]


def test_for_must_be_unbroken():
    calm = [(40, False, 1.0)]
    breaches = [(at, True, 5.0) for at in range(0, 40, 10)]
    later = [(at, True, 5.0) for at in range(50, 120, 10)]
    assert play(breaches + calm + later, for_ns=60 * S) == [(110, "OPENED", 50)]


def test_a_pending_row_is_said_to_be_pending():
    machine = Hysteresis()
    play([(0, True, 5.0)], machine, for_ns=60 * S)
    assert machine.verdicts(ROW)[0] == Verdict.PENDING


def test_it_clears_after_the_clear_time_of_calm_and_a_breach_starts_that_anew():
    moments = [(0, True, 5.0), (30, False, 1.0), (50, True, 4.0), (100, False, 1.0), (110, False, 1.0)]
    assert play(moments) == [(0, "OPENED", 0), (110, "CLOSED", 0)]


def test_absence_neither_resolves_nor_breaks_a_for():
    silent = [(at, False, np.nan) for at in range(10, 1000, 10)]
    assert play([(0, True, 5.0), *silent]) == [(0, "OPENED", 0)]
    assert play([(0, True, 5.0), (30, False, np.nan), (60, True, 5.0)], for_ns=60 * S) == [(60, "OPENED", 0)]


def test_news_when_it_grows_or_time_goes_by():
    moments = [(0, True, 5.0), (10, True, 5.2), (20, True, 9.0), (30, True, 9.1), (90, True, 5.0)]
    assert play(moments, update_ns=60 * S) == [(0, "OPENED", 0), (20, "UPDATED", 0), (90, "UPDATED", 0)]


def test_a_flapping_row_is_held():
    moments = [(at, at % 100 < 10, 5.0) for at in range(0, 1000, 10)]
    moves = play(moments)
    assert [name for _, name, _ in moves].count("OPENED") == 3
    quiet = [(at, False, 1.0) for at in range(1000, 1600, 10)]
    closed = [at for at, name, _ in play(moments + quiet) if name == "CLOSED"]
    assert closed[-1] >= 900 + 60 * FLAP_HOLD


def test_what_nobody_resolves_is_absorbed():
    moves = play([(at, True, 5.0) for at in range(0, 200, 10)], absorb_ns=100 * S, update_ns=10**18)
    assert moves[:2] == [(0, "OPENED", 0), (100, "ABSORBED", 0)]


def test_restart_and_split_change_nothing():
    noise = np.random.default_rng(3)
    rows = np.arange(5, dtype="i4")
    whole, parts = Hysteresis(), Hysteresis()
    for k in range(300):
        time, hot, score = np.full(5, k * 10 * S), noise.random(5) < 0.3, noise.random(5)
        a = whole.step(rows, time, hot, score, for_ns=20 * S)
        moves = []
        for part in (slice(0, 2), slice(2, 5)):
            b = parts.step(rows[part], time[part], hot[part], score[part], for_ns=20 * S)
            moves += list(zip(rows[part][b.at], b.move, b.start, b.end, b.score, strict=True))
        assert list(zip(rows[a.at], a.move, a.start, a.end, a.score, strict=True)) == moves
        again = Hysteresis()
        again.restore(parts.snapshot())
        parts = again
