"""Periods that are not the clock's: found in a series, proven, used; and none where there is none."""

import numpy as np
import pytest

from detection_stream import MONDAY, SECOND, Path
from tocsin.calibrate.calibrator import Calibrator
from tocsin.calibrate.hysteresis import Hysteresis
from tocsin.detect.baseline import Baseline
from tocsin.detect.seasonal_cycle import PERIOD
from tocsin.detect.seasonal_learning import CYCLES
from tocsin.model.detection import Step

HOUR_S = 3600
DAY_S = 24 * HOUR_S


class Life:
    """A baseline that is shown a life, and which rows came to trust a period of their own."""

    def __init__(self, life, step_s):
        self.rows = np.arange(life.shape[1], dtype="i4")
        self.detector, self.step_s, self.at = Baseline(), step_s, 0
        self.found, self.trusted = set(), set()
        self.run(life)

    def step(self, values):
        return Step(self.rows, np.full(len(self.rows), MONDAY + self.at * self.step_s * SECOND), values)

    def run(self, life):
        for values in life:
            self.detector.learn(self.step(values), np.ones(len(self.rows)))
            self.at += 1
            if self.at % 20 == 0:
                size = len(self.rows)
                self.found |= set(np.flatnonzero(self.detector.rhythm[:size, PERIOD] > 0).tolist())
                self.trusted |= set(np.flatnonzero(self.detector.earned[:size] & CYCLES).tolist())

    def score(self, values):
        return self.detector.score(self.step(values)).value


def times(days, step_s):
    return np.arange(int(days * DAY_S / step_s))[:, None] * step_s


def noise(shape, seed):
    return np.random.default_rng(seed).normal(size=shape)


def bursts(at, period_s, lasts_s, size=10.0):
    return size * (at % period_s < lasts_s)


def wave(at, period_s, size=4.0):
    return size * np.sin(2 * np.pi * at / period_s)


PLANTED = {
    "scrape": (900, 1.0, 30, lambda at: bursts(at, 900, 120)),
    "cron": (5400, 1.5, 60, lambda at: bursts(at, 5400, 420)),
    "cron on a day": (5400, 1.5, 60, lambda at: bursts(at, 5400, 420) + wave(at, DAY_S, 8.0)),
    "odd wave": (5820, 1.5, 60, lambda at: wave(at, 5820)),
    "counts": (6000, 1.5, 60, lambda at: np.random.default_rng(8).poisson(20 + 25 * (at % 6000 < 900), (len(at), 8))),
    "batch": (6 * HOUR_S, 12, 300, lambda at: bursts(at, 6 * HOUR_S, 1500)),
    "shifts": (8 * HOUR_S, 12, 300, lambda at: bursts(at, 8 * HOUR_S, 4 * HOUR_S)),
}


@pytest.mark.parametrize("name", PLANTED)
def test_a_strong_period_is_found_trusted_and_told(name):
    period_s, days, step_s, shape = PLANTED[name]
    at = times(days, step_s)
    life = Life(100 + shape(at) + noise((len(at), 8), 1), step_s)
    told = [life.detector.explain(row).get("season_cycle_s", np.nan) for row in range(8)]
    assert np.sum(np.abs(np.array(told) / period_s - 1) < 0.01) >= 7, told
    assert life.detector.renewed().size >= 7


def walks(at, rho, seed):
    out = noise((len(at), 60), seed)
    for k in range(1, len(at)):
        out[k] = rho * out[k - 1] + np.sqrt(1 - rho * rho) * out[k]
    return out


NOTHING = {
    "white": lambda at: noise((len(at), 60), 11),
    "autoregression": lambda at: walks(at, 0.95, 12),
    "slow autoregression": lambda at: walks(at, 0.999, 13),
    "random walk": lambda at: noise((len(at), 60), 14).cumsum(0),
    "trend": lambda at: at / 3600.0 + noise((len(at), 60), 15),
    "heavy tails": lambda at: np.random.default_rng(16).standard_t(3, (len(at), 60)),
    "one spike": lambda at: 1e4 * (at == 2 * DAY_S) + noise((len(at), 60), 17),
    "a step": lambda at: 30.0 * (at > DAY_S) + noise((len(at), 60), 18),
    "on at random": lambda at: 100.0 * (np.random.default_rng(19).random((len(at), 60)) < 0.02),
    "two states": lambda at: (np.random.default_rng(20).random((len(at), 60)) < 0.03).cumsum(0) % 2.0,
    "rare counts": lambda at: np.random.default_rng(21).poisson(0.05, (len(at), 60)).astype(float),
    "the day": lambda at: wave(at, DAY_S, 20.0) + noise((len(at), 60), 22),
    "the hour": lambda at: bursts(at, HOUR_S, 600) + noise((len(at), 60), 23),
}


@pytest.mark.parametrize("name", NOTHING)
def test_where_there_is_none_none_is_trusted(name):
    at = times(9, 300)
    life = Life(100 + NOTHING[name](at), 300)
    assert not life.trusted
    assert "season_cycle_s" not in life.detector.explain(0)


def test_what_comes_at_the_wrong_phase_or_not_at_all_is_out_of_line_only_for_who_knows_the_period():
    at = times(2, 60)
    shape = bursts(at, 6000, 600, 20.0)
    life = 100 + shape + noise((len(at), 8), 31)
    knowing, hourly = Life(life, 60), Life(life[:0], 60)
    hourly.detector = Baseline(season="hour")
    hourly.run(life)
    # two minutes into a burst that does not come
    while (knowing.at * 60) % 6000 != 180:
        more = 100 + bursts(np.array([[knowing.at * 60]]), 6000, 600, 20.0) + noise((1, 8), knowing.at)
        knowing.run(more)
        hourly.run(more)
    missing = np.full(8, 100.0)
    assert np.median(knowing.score(missing)) > 8
    assert np.median(hourly.score(missing)) < 3
    # one that comes half a period early is as large as all the others
    while (knowing.at * 60) % 6000 != 3180:
        more = 100 + bursts(np.array([[knowing.at * 60]]), 6000, 600, 20.0) + noise((1, 8), knowing.at)
        knowing.run(more)
    assert np.median(knowing.score(np.full(8, 120.0))) > 8
    band = knowing.detector.expect(knowing.step(np.full(8, 120.0)))
    assert np.all(band.upper < 110)


def test_a_burst_that_stays_away_is_found_and_its_like_page_nobody():
    at = times(4, 60)
    life = 100 + bursts(at, 5400, 600, 20.0) + noise((len(at), 10), 41)
    missing = len(at) - 90 * 3  # a whole number of periods before the end
    missing -= missing % 90
    life[missing : missing + 20] = 100 + noise((20, 10), 42)
    path = Path(10, 60, of_series=200).run(life)
    assert [k for k, _ in path.opened if 1440 <= k < missing] == []
    assert len({row for k, row in path.opened if missing <= k < missing + 12}) >= 8


def test_what_recurred_is_no_excuse_once_it_is_expected():
    calibrator, row = Calibrator(), np.zeros(1, "i4")
    for k in range(4000):
        calibrator.learn(row, np.array([40.0 if k % 100 == 0 else 1.0 + 0.01 * (k % 7)]))
    excused = calibrator.log10_p(row, np.array([40.0]))[0][0]

    class Entrained(Baseline):
        def renewed(self):
            return row

        def entrained(self):
            return row

    calibrator.follow(Entrained())
    for k in range(40):
        calibrator.learn(row, np.array([1.0 + 0.01 * (k % 7)]))
    assert calibrator.log10_p(row, np.array([40.0]))[0][0] < excused - 2


def test_a_period_that_ends_is_let_go():
    at = times(2, 60)
    life = Life(100 + bursts(at, 5400, 600) + noise((len(at), 8), 51), 60)
    assert len(life.trusted) >= 7
    life.run(100 + noise((6 * 1440, 8), 52))
    assert not any("season_cycle_s" in life.detector.explain(row) for row in range(8))


def test_without_a_period_of_its_own_a_series_is_judged_as_if_none_was_looked_for():
    at = times(4, 120)
    life = 100 + wave(at, DAY_S) + noise((len(at), 8), 71)
    looking, plain = Life(life[:0], 120), Life(life[:0], 120)
    plain.detector = Baseline(season="clock")
    for values in life:
        assert looking.score(values).tobytes() == plain.score(values).tobytes()
        looking.run(values[None])
        plain.run(values[None])


def test_a_snapshot_in_the_middle_of_the_search_and_of_the_trial_changes_nothing():
    at = times(1.2, 60)
    values = 100 + bursts(at, 5400, 600) + noise((len(at), 3), 61)
    whole = Life(values, 60)
    parts = Life(values[:0], 60)
    for part in np.split(values, [300, 800, 1000]):
        fresh = Baseline()
        fresh.restore(parts.detector.snapshot())
        parts.detector = fresh
        parts.run(part)
    for name, kept in whole.detector.snapshot().items():
        assert parts.detector.snapshot()[name].tobytes() == kept.tobytes(), name


def test_a_series_takes_two_kilobytes_with_calibration_and_seasons():
    assert Baseline().row_bytes() + Calibrator().row_bytes() + Hysteresis().row_bytes() <= 2048
