"""Each of the five states is named rightly, and a series that always was like that is in order."""

import numpy as np
import pytest

from tocsin.model.samples import Samples
from tocsin.window.presence import Presence, Presences

S = 10**9
T = 1_700_000_000 * S


def feed(states, values, *, start=0, every=10, received=None, source=0):
    for i, value in enumerate(values):
        now = T + (start + i * every) * S
        sample = Samples.plain(np.zeros(1, "i4"), np.array([now]), np.array([float(value)]))
        states.observe(sample, source, now if received is None else received(now))
    return start + len(values) * every


def state_at(states, second, *, received=None):
    watermark = T + second * S
    states.decide(received if received is not None else watermark, np.array([watermark]))
    return Presence(int(states.state[0]))


def lively(n):
    return (100 + np.arange(n) * 7 % 13).tolist()


def test_a_regular_series_is_live():
    states = Presences()
    end = feed(states, lively(40))
    assert state_at(states, end) is Presence.LIVE


def test_silence_is_absent_after_a_few_of_its_own_beats():
    states = Presences()
    end = feed(states, lively(40))
    assert state_at(states, end + 25) is Presence.LIVE
    assert state_at(states, end + 60) is Presence.ABSENT
    assert states.since[0] == T + (end - 10) * S


def test_a_value_that_stands_still_is_stale_and_one_that_always_did_is_not():
    states, constant = Presences(), Presences()
    end = feed(states, lively(60))
    end = feed(states, [42.0] * 60, start=end)
    assert state_at(states, end) is Presence.STALE
    assert state_at(constant, feed(constant, [42.0] * 300)) is Presence.LIVE


def test_a_feed_that_drops_to_zero_is_zero_and_one_that_is_often_zero_is_not():
    states, sparse = Presences(), Presences()
    end = feed(states, lively(60))
    end = feed(states, [0.0] * 30, start=end)
    assert state_at(states, end) is Presence.ZERO
    pattern = ([0.0] * 40 + [5.0]) * 5 + [0.0] * 30
    assert state_at(sparse, feed(sparse, pattern)) is Presence.LIVE


def test_old_stamps_from_a_sender_that_was_prompt_are_late():
    states = Presences()
    end = feed(states, lively(40))
    feed(states, lively(3), start=end, received=lambda now: now + 600 * S)
    assert state_at(states, end + 30, received=T + (end + 630) * S) is Presence.LATE


def test_a_sender_that_was_always_behind_is_not_late():
    states = Presences()
    end = feed(states, lively(40), received=lambda now: now + 600 * S)
    assert state_at(states, end, received=T + (end + 600) * S) is Presence.LIVE


def test_a_restarted_counter_is_reset_for_a_while():
    states = Presences()
    end = feed(states, lively(40))
    states.restarted(np.zeros(1, "i4"), T + end * S)
    assert state_at(states, end) is Presence.RESET
    end = feed(states, lively(10), start=end)
    assert state_at(states, end) is Presence.LIVE


def test_a_marker_of_no_value_is_stale():
    states = Presences()
    end = feed(states, [*lively(40), np.nan])
    assert state_at(states, end) is Presence.STALE


@pytest.mark.parametrize("cut", [1, 20, 39])
def test_a_restart_changes_no_state(cut):
    whole, first = Presences(), Presences()
    feed(whole, lively(40))
    feed(first, lively(40)[:cut])
    second = Presences()
    second.restore(first.snapshot())
    feed(second, lively(40)[cut:], start=cut * 10)
    for name, column in whole.snapshot().items():
        np.testing.assert_array_equal(second.snapshot()[name], column, err_msg=name)


def test_a_series_that_falls_silent_and_then_delivers_old_stamps_is_late_not_absent():
    states = Presences()
    end = feed(states, lively(40))
    assert state_at(states, end + 90) is Presence.ABSENT
    states.arrived_late(np.zeros(1, "i4"), T + (end + 95) * S)
    assert state_at(states, end + 100) is Presence.LATE
    assert state_at(states, end + 200) is Presence.ABSENT
