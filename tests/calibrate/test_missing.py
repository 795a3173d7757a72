"""What should have come and did not: the peak of the day, and the end of a state that has lasted far too long."""

import numpy as np
import pytest

from detection_stream import DAY_S, Path

STEP_S = 300
A_DAY = DAY_S // STEP_S
SERIES = 10
DAYS = 16


def peaks(noise, *, slow, seed=1):
    """A peak of four hours in the afternoon, so smooth that a level which follows is never far off."""
    rng = np.random.default_rng(seed)
    hour = np.arange(DAYS * A_DAY) * STEP_S % DAY_S / 3600
    bump = np.exp(-0.5 * ((hour - 14) / 1.5) ** 2)[:, None]
    life = noise * rng.normal(size=(len(hour), SERIES))
    if slow:
        rho = np.exp(-STEP_S / 5400.0)
        for k in range(1, len(life)):
            life[k] = rho * life[k - 1] + np.sqrt(1 - rho * rho) * life[k]
    return 100 + 60 * bump + life, 60 * bump


@pytest.mark.parametrize(("noise", "slow"), [(1.0, False), (3.0, False), (1.0, True)])
def test_a_daily_peak_that_does_not_come_is_found_on_its_day(noise, slow):
    values, peak = peaks(noise, slow=slow)
    missing = (DAYS - 1) * A_DAY
    values[missing:] -= peak[missing:]
    path = Path(SERIES, STEP_S, of_series=200).run(values)
    assert [k for k, _ in path.opened if 10 * A_DAY <= k < missing] == []
    found = {row for k, row in path.opened if missing + 11 * 12 <= k < missing + 16 * 12}
    assert len(found) >= 8


def batches(days, *, period, lasts, jitter, seed=2, step_s=60):
    """Work that comes every so many steps for some steps, a little late or early; nothing in between."""
    rng = np.random.default_rng(seed)
    steps = days * DAY_S // step_s
    values = np.zeros((steps, SERIES))
    for row in range(SERIES):
        at = row
        while at < steps:
            values[at : at + lasts, row] = 500 + 10 * rng.normal()
            at += period + int(rng.integers(-jitter, jitter + 1))
    return values


@pytest.mark.parametrize("stuck", [0.0, 500.0])
@pytest.mark.parametrize(("period", "lasts", "jitter"), [(20, 3, 1), (47, 10, 4)])
def test_a_series_that_stays_off_or_on_far_too_long_is_found(period, lasts, jitter, stuck):
    values = batches(4, period=period, lasts=lasts, jitter=jitter)
    usual = lasts if stuck else period - lasts
    values[-6 * usual :] = stuck
    path = Path(SERIES, 60, of_series=200).run(values)
    late = len(values) - 6 * usual
    assert [k for k, _ in path.opened if 1440 <= k < late - usual] == []
    assert len({row for k, row in path.opened if k >= late - usual}) >= 9


def test_runs_of_pure_chance_are_no_news_however_their_lengths_vary():
    rng = np.random.default_rng(5)
    values = np.where(rng.random((7 * 1440, 40)) < 0.02, 100.0, 0.0) + rng.normal(size=(7 * 1440, 40))
    path = Path(40, 60, of_series=200).run(values)
    assert len([k for k, _ in path.opened if k >= 1440]) <= 2


def test_nights_and_weekends_off_are_no_run_that_lasts_too_long():
    steps = np.arange(5 * 7 * 288)
    weekday, minute = steps // 288 % 7, steps % 288 * 5
    on = (weekday < 5) & (minute >= 480) & (minute < 1080)
    noise = np.random.default_rng(6).normal(size=(len(steps), SERIES))
    path = Path(SERIES, 300, of_series=200).run(np.where(on, 200.0, 0.0)[:, None] + noise)
    assert [k for k, _ in path.opened if k >= 8 * 288 and weekday[k] >= 5] == []
