"""Figures of a cluster that did not come about are no figures."""

import signal

import pytest

from cluster import figures

pytestmark = pytest.mark.system


def test_a_recovery_that_does_not_come_in_time_is_a_failure_in_words(tmp_path):
    # the session alone, after which the group gives partitions to another, takes six seconds
    with pytest.raises(figures.Failed, match=r"not told again 2 s after signal 9: partitions \(told, sent\) \{\d"):
        figures.recovery(tmp_path, 80, signal.SIGKILL, limit_s=2)


@pytest.mark.soak
def test_overload_is_seen_at_metrics_and_goes_by(tmp_path):
    _, behind, highest, took, mib = figures.overload(tmp_path, 800, 8)
    assert highest > behind / 2 > 0
    assert took > 0
    assert mib < figures.MOST_MIB


@pytest.mark.parametrize("told", [(1000, 10, 5, 5000, 300), (1000, 900, 800, 5000, 300), (1000, 900, 5, 5000, 2000)])
def test_lag_that_is_not_seen_does_not_fall_or_fills_memory_is_no_figure(told):
    with pytest.raises(figures.Failed):
        figures._seen(*told)
