"""What an operator lives with: false pages on ordinary life, and what is found all the same."""

import numpy as np
import pytest

from detection_stream import DAY_S, Path, families, sliding

AGGREGATES = {
    "mean": lambda window: window.mean(0),
    "p95": lambda window: np.percentile(window, 95, axis=0),
}


def false_episodes(weeks, seed, series_each=10):
    lives = families(weeks * 7 * 1440, series_each, 60, seed)
    path = Path(series_each * len(lives), 60).run(np.concatenate(list(lives.values()), axis=1))
    names = list(lives)
    by_name = {}
    for _, row in path.opened:
        by_name[names[row // series_each]] = by_name.get(names[row // series_each], 0) + 1
    return path.opened, by_name


def held_for_two_weeks(each):
    opened, by_name = false_episodes(weeks=2, seed=11, series_each=each)
    # a job that multiplies its load fivefold each hour is news in its first hours, and life from then on
    assert len([at for at, _ in opened if at >= 240]) <= 6, by_name
    assert len(opened) <= 20, by_name


def test_two_weeks_of_ordinary_life_of_100_series_page_within_3_a_week_once_the_first_hours_are_over():
    held_for_two_weeks(5)


@pytest.mark.soak
def test_two_weeks_of_ordinary_life_of_200_series_page_within_3_a_week_once_the_first_hours_are_over():
    held_for_two_weeks(10)


@pytest.mark.soak
def test_twenty_weeks_of_ordinary_life_page_within_the_budget_on_average_once_the_first_hours_are_over():
    totals = [false_episodes(weeks=2, seed=seed) for seed in range(100, 110)]
    learning = sum(at < 240 for opened, _ in totals for at, _ in opened) / 10
    mean = sum(at >= 240 for opened, _ in totals for at, _ in opened) / 20
    print("a week:", mean, "first four hours of a start:", learning, [by_name for _, by_name in totals])
    assert mean <= 3.0
    assert learning <= 20.0  # ten series whose load jumps fivefold each hour, new to them twice


FOUND = ("normal", "daily_sum", "daily_counts", "utilisation", "daily")


@pytest.mark.parametrize("name", FOUND)
def test_spikes_of_8_robust_sigmas_lasting_three_points_are_found(name):
    series = 40
    life = families(4 * 1440, series, 60, seed=21)[name]
    path = Path(series, 60, of_series=200).run(life[:-3])
    # robust sd about the level of the time, on the scale where the noise of this family is the same all day
    recent = life[-363:-3]
    reach = 60 if "daily" in name else 360
    smooth = np.array([np.median(recent[max(0, k - reach) : k + reach + 1], axis=0) for k in range(len(recent))])
    unit = {"daily": smooth, "daily_counts": np.sqrt(smooth)}.get(name, np.ones_like(smooth))
    sd = 1.4826 * np.median(np.abs((recent - smooth) / unit), axis=0) * unit[-1]
    early = len(path.opened)
    for values in life[-3:]:
        path.push(values * np.exp(8 * sd / smooth[-1]) if name == "daily" else values + 8 * sd)
    found = len({row for _, row in path.opened[early:]})
    assert found >= 0.95 * series, f"{found} of {series}"


@pytest.mark.parametrize("aggregate", AGGREGATES)
@pytest.mark.parametrize("cv", [0.05, 0.1, 0.2])
def test_ten_calm_minutes_then_three_hundred_percent_more(cv, aggregate):
    seeds = 200
    points = 100 * (1 + cv * np.random.default_rng(5).normal(size=(660, seeds)))
    points[600:] *= 4
    steps = sliding(points, 60, 10, AGGREGATES[aggregate])
    calm = len(steps) - 6
    path = Path(seeds, 10, of_series=20, size_s=60).run(steps[: calm + 2])
    assert [at for at, _ in path.opened if at < calm] == []
    found = len({row for _, row in path.opened}) / seeds
    # within two steps of ten seconds; where ten minutes gave a past that looks heavy-tailed it takes one more
    assert found >= (0.98 if cv < 0.2 else 0.95)


@pytest.mark.parametrize("value", [1.0, 42.0, 0.25])
def test_a_value_that_never_moved_and_then_quadruples_is_found(value):
    points = np.full((660, 1), value)
    points[600:] *= 4
    steps = sliding(points, 60, 10, AGGREGATES["mean"])
    path = Path(1, 10, size_s=60).run(steps[:-6])
    assert path.opened == []
    assert path.run(steps[-6:]).opened, "a constant that quadruples is news"


def test_three_days_with_a_daily_season_then_a_changed_rate():
    series = 20
    life = families(3 * 1440 + 60, series, 60, seed=31)["daily"]
    path = Path(series, 60).run(life[:-60])
    assert path.opened == []
    for values in life[-60:]:
        path.push(values * 2.2)
    assert len({row for _, row in path.opened}) == series
    assert max(at for at, _ in path.opened[:series]) < 3 * 1440 + 5


def test_weekends_page_nobody_after_they_were_seen_twice():
    series = 10
    steps = 5 * 7 * 288
    at = np.arange(steps) * 300
    weekend = (at // DAY_S) % 7 >= 5
    work = ((at % DAY_S) >= 8 * 3600) & ((at % DAY_S) < 18 * 3600) & ~weekend
    noise = np.random.default_rng(51).normal(size=(steps, series))
    path = Path(series, 300).run(np.where(work, 300.0, 100.0)[:, None] * np.exp(0.1 * noise))
    late = [at for at, _ in path.opened if at >= 2 * 7 * 288]
    assert late == []
