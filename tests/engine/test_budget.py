"""The alert budget in the fold: levels from the log alone, and the promise beside what came."""

import json

import numpy as np
import pytest

from engine.worlds import T0, S, any_series, fold_all, records, spiking
from tocsin.calibrate.budget import FAMILIES
from tocsin.engine.budget import DAY_NS, LEVEL, NAMES, PROMISED, REALISED, AlertBudget
from tocsin.engine.pipeline import Pipeline
from tocsin.engine.snapshot import pack, unpack
from tocsin.model.frame import FrameKind
from tocsin.model.log import Control, Tick
from tocsin.model.series import Catalog
from tocsin.spec.team import TeamSpec

SPEC = any_series()


def readings(outputs, catalog):
    found = []
    for out in outputs:
        for frame in out.frames:
            if frame.kind is FrameKind.POINTS:
                rows = {}
                for row in frame.rows():
                    series = catalog[row["series"]]
                    rows[series.signal.name, series.label("family")] = row["value"]
                found.append((out.cause, rows))
    return found


def test_levels_are_told_once_a_day_beside_promise_and_outcome():
    catalog = Catalog()
    entries = [SPEC.control(), *spiking(catalog), Tick(T0 + DAY_NS), Tick(T0 + DAY_NS + S)]
    told = readings(fold_all(Pipeline(catalog), records(entries)), catalog)
    # with the first tick, and with the first of the next day
    assert [cause for cause, _ in told] == [2, len(entries) - 2]
    (_, first), (_, second) = told
    assert first["tocsin.budget.promised", ""] == 3.0
    assert first["tocsin.budget.realised_1w", ""] == 0.0
    assert second["tocsin.budget.realised_1w", ""] == 3.0  # three series jumped
    assert {family for signal, family in second if signal == "tocsin.budget.level"} == set(NAMES)
    assert second["tocsin.calibration.refits", ""] == 0.0
    assert PROMISED.labels("rest")._value.get() == 3.0
    assert REALISED.labels("rest", "1w")._value.get() == 3.0
    assert LEVEL.labels("rest", "settled-light")._value.get() >= 4.0


def test_a_level_record_pins_a_family_until_the_next_one():
    pipeline = Pipeline(Catalog())
    fold_all(pipeline, records([SPEC.control(), Tick(T0)]))
    counted = pipeline.budget.levels.copy()
    pins = {"settled-heavy": -11.5, "nobody": -3}
    fold_all(pipeline, records([Control.of("level", json.dumps(pins).encode())]))
    at = NAMES.index("settled-heavy")
    assert pipeline.budget.levels[at] == -11.5
    assert np.delete(pipeline.budget.levels, at).tolist() == np.delete(counted, at).tolist()
    fold_all(pipeline, records([Control.of("level", b"{}")]))
    assert pipeline.budget.levels.tolist() == counted.tolist()


def test_a_harder_budget_asks_for_more_and_is_adopted_with_the_spec():
    pipeline = Pipeline(Catalog())
    catalog = pipeline.rows.catalog
    fold_all(pipeline, records([SPEC.control(), *spiking(catalog, seconds=60)]))
    easy = pipeline.budget.levels.copy()
    harder = SPEC.model_copy(update={"false_pages_per_week": 0.01})
    fold_all(pipeline, records([harder.control()]))
    assert (pipeline.budget.levels < easy).all()


def test_a_restart_keeps_what_was_counted():
    catalog = Catalog()
    pipeline, again = Pipeline(catalog), Pipeline(catalog)
    fold_all(pipeline, records([SPEC.control(), *spiking(catalog), Tick(T0 + DAY_NS)]))
    again.restore(unpack(pack(pipeline.snapshot())))
    assert again.budget.levels.tolist() == pipeline.budget.levels.tolist()
    rest = records([Tick(T0 + 2 * DAY_NS), Tick(T0 + 9 * DAY_NS)])
    one, two = fold_all(pipeline, rest), fold_all(again, rest)
    assert readings(one, catalog) == readings(two, catalog)


def test_what_came_fades_out_of_the_short_view_and_stays_in_the_long_one():
    budget = AlertBudget(3.0)
    assert budget.turn(T0)
    budget._opened[-1] += 7
    assert not budget.turn(T0 + S)
    for day in range(1, 15):
        assert budget.turn(T0 + day * DAY_NS)
    assert budget.realised(1) == 0.0
    assert budget.realised(20) == pytest.approx(7 * 7 / 15)


TEAMS = [
    TeamSpec(name="strict", owns={"host": "h0"}, false_pages_per_week=0.01),
    TeamSpec(name="easy", owns={"host": "h1"}, false_pages_per_week=50.0),
]


def by_team(outputs, catalog):
    """What was told of each team last."""
    found = {}
    for out in outputs:
        for frame in out.frames:
            for row in frame.rows() if frame.kind is FrameKind.POINTS else ():
                series = catalog[row["series"]]
                found[series.label("team"), series.signal.name, series.label("family")] = row["value"]
    return found


def test_each_team_has_levels_of_its_own_and_is_told_what_came_of_its_budget():
    catalog = Catalog()
    pipeline = Pipeline(catalog)
    spec = SPEC.model_copy(update={"teams": TEAMS})
    outputs = fold_all(pipeline, records([spec.control(), *spiking(catalog), Tick(T0 + DAY_NS), Tick(T0 + DAY_NS + S)]))
    told = by_team(outputs, catalog)
    assert {team for team, *_ in told} == {"rest", "strict", "easy", ""}
    assert [told[team, "tocsin.budget.promised", ""] for team in ("rest", "strict", "easy")] == [3.0, 0.01, 50.0]
    # three hosts jumped, one of each team
    assert [told[team, "tocsin.budget.realised_1w", ""] for team in ("rest", "strict", "easy")] == [1.0, 1.0, 1.0]
    levels = [told[team, "tocsin.budget.level", "settled-middling"] for team in ("strict", "rest", "easy")]
    assert levels[0] < levels[1] - 0.5 < levels[2]
    findings = [row for out in outputs for f in out.frames if f.kind is FrameKind.FINDINGS for row in f.rows()]
    needed = {catalog[row["series"]].label("host"): row["level"] for row in findings if row["phase"] == "open"}
    assert needed["h0"] < needed["h2"] - 0.5 < needed["h1"]


def test_what_one_team_counts_hardens_no_other_teams_levels():
    catalog = Catalog()
    pipeline = Pipeline(catalog)
    spec = SPEC.model_copy(update={"teams": [TeamSpec(name="noisy", owns={"host": "h0"}, false_pages_per_week=3.0)]})
    fold_all(pipeline, records([spec.control(), *spiking(catalog, seconds=120)]))
    noisy, rest = pipeline.budget.of("noisy"), pipeline.budget.of("rest")
    before = rest.levels.copy()
    counts, exposure = np.zeros((FAMILIES, 108)), np.full(FAMILIES, 1e5)
    counts[:, 30] = 500.0
    noisy.count(counts, exposure)
    fold_all(pipeline, records([Tick(T0 + DAY_NS), Tick(T0 + DAY_NS + S)]))
    assert (noisy.levels < -9.0).all()
    assert np.abs(rest.levels - before).max() < 1.0


def test_teams_that_come_and_go_keep_what_others_counted_and_a_restart_keeps_all():
    catalog = Catalog()
    pipeline, again = Pipeline(catalog), Pipeline(catalog)
    one = SPEC.model_copy(update={"teams": TEAMS[:1]})
    both = SPEC.model_copy(update={"teams": TEAMS})
    fold_all(pipeline, records([one.control(), *spiking(catalog), Tick(T0 + DAY_NS)]))
    pinned = Control.of("level", json.dumps({"fresh-light": -11.0}).encode())
    fold_all(pipeline, records([pinned, both.control()]))
    assert pipeline.budget.of("strict").realised(1) == 1.0
    assert pipeline.budget.of("easy").realised(1) == 0.0
    assert pipeline.budget.of("easy").levels[0] == -11.0  # pins hold for all, new ones too
    again.restore(unpack(pack(pipeline.snapshot())))
    rest = records([Tick(T0 + 2 * DAY_NS), SPEC.control(), Tick(T0 + 9 * DAY_NS)])
    one_way, other_way = fold_all(pipeline, rest), fold_all(again, rest)
    assert readings(one_way, catalog) == readings(other_way, catalog)
    assert again.budget.levels.shape == (FAMILIES,)
