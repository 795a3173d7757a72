"""The simulation of a group: what must hold by arithmetic, and what real groups did."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from measured_group import SCENARIOS, measured
from tocsin.app.scale.scenario import Fault, Scaling, Scenario
from tocsin.app.scale.simulation import outcomes, simulate

MEASURED = json.loads((Path(__file__).parents[3] / "docs" / "scale.measured.json").read_text())
USUAL = Scenario(
    8, 4, 200.0, 100.0, session_s=10.0, heartbeat_s=2.0, join_s=1.0, snapshot_every_s=10.0, batch=50, until_s=120.0
)


def test_without_a_fault_nothing_moves_and_nothing_waits():
    outcome = simulate(USUAL)
    assert (outcome.moved, outcome.resumed_s, outcome.folded_twice, outcome.workers) == (0, 0.0, 0.0, 4)
    assert outcome.peak_delay_s < 1.0
    assert outcome.peak_lag <= USUAL.arrival_per_s


def test_a_killed_worker_is_noticed_when_its_session_is_over():
    for outcome in outcomes(replace(USUAL, fault=Fault.KILL)):
        assert outcome.moved == 2
        assert outcome.workers == 3
        assert USUAL.session_s - USUAL.heartbeat_s < outcome.resumed_s < USUAL.session_s + USUAL.heartbeat_s + 4.0
        assert outcome.caught_up_s > outcome.resumed_s
        assert 0 < outcome.folded_twice <= 2 * 25.0 * USUAL.snapshot_every_s + 1


def test_a_worker_that_leaves_costs_no_session_and_no_replay():
    killed = min(each.caught_up_s for each in outcomes(replace(USUAL, fault=Fault.KILL)))
    for outcome in outcomes(replace(USUAL, fault=Fault.LEAVE)):
        assert outcome.folded_twice == 0.0
        assert outcome.caught_up_s < killed


def test_a_worker_that_comes_takes_its_share_and_no_more():
    outcome = simulate(replace(USUAL, fault=Fault.JOIN))
    assert (outcome.moved, outcome.workers, outcome.folded_twice) == (1, 5, 0.0)


def test_lag_of_an_overload_is_what_came_less_what_was_folded():
    over = replace(USUAL, surge=3.0, surge_for_s=60.0)
    outcome = simulate(over)
    assert outcome.peak_lag == pytest.approx((600.0 - 400.0) * 60.0, rel=0.05)
    calm = simulate(replace(over, surge_for_s=20.0, until_s=200.0))
    assert calm.caught_up_s == pytest.approx(20.0 + 200.0 * 20.0 / 200.0, rel=0.1)


def test_workers_that_come_by_lag_shorten_an_overload_and_are_no_more_than_said():
    over = replace(USUAL, partitions=32, surge=3.0, surge_for_s=300.0, until_s=900.0)
    alone, helped = simulate(over), simulate(replace(over, scaling=Scaling(500.0, 12, start_s=20.0)))
    assert helped.workers == 12
    assert helped.caught_up_s < alone.caught_up_s
    assert helped.peak_lag < alone.peak_lag / 2


def test_the_same_scenario_gives_the_same():
    scenario = replace(USUAL, fault=Fault.KILL)
    assert simulate(scenario, 0.3) == simulate(scenario, 0.3)


@pytest.mark.parametrize("row", MEASURED, ids=lambda row: row["name"])
def test_it_gives_what_was_measured_on_a_real_broker(row):
    paper = outcomes(Scenario(**{**row["scenario"], "fault": Fault(row["scenario"]["fault"])}))
    for run in row["measured"]:
        for key in ("resumed_s", "caught_up_s"):
            if key not in run:
                continue
            low, high = min(getattr(each, key) for each in paper), max(getattr(each, key) for each in paper)
            assert 0.7 * low <= run[key] <= 1.35 * high, (key, run[key], low, high)


@pytest.mark.soak
def test_a_real_group_does_it_again(tmp_path):
    scenario = SCENARIOS["two members, one killed"]
    seen, paper = measured(scenario, tmp_path), outcomes(scenario)
    assert seen["moved"] == paper[0].moved
    assert 0.5 * min(each.resumed_s for each in paper) < seen["resumed_s"] < 2 * max(each.resumed_s for each in paper)
