"""What a change of configuration would have come to over stored history."""

from acceptance.past import BUMP_AT, CONFIG, MINUTE, MINUTES, OUTAGE_AT, START
from tocsin.app.backtest.judging import judge
from tocsin.app.backtest.plan import prepare
from tocsin.model.times import time_from_json
from tocsin.spec.load import parse_config
from tocsin.spec.packs import load_packs
from tocsin.store.history_rows import HistoryRows, Stretch

END = START + (MINUTES + 1) * MINUTE


def plan(past, tmp_path, text):
    telemetry, state = past
    before, after = (parse_config(each, "t.yaml", {}).config for each in (CONFIG, text))
    recorded = state.incidents("main", limit=100)
    planned = prepare(
        HistoryRows(telemetry.db), Stretch("main", START, END), before, after, load_packs(), recorded, tmp_path
    )
    return planned.to_json(judge(tmp_path) if planned.work is not None else None)


def test_the_same_configuration_changes_nothing(past, tmp_path):
    found = plan(past, tmp_path, CONFIG)
    assert not found["changed"]
    assert found["difference"] is None


def test_the_past_holds_the_outage_and_the_bump(past):
    opened = sorted(each.opened_at for each in past[1].incidents("main", limit=100))
    assert len(opened) == 2
    assert OUTAGE_AT < opened[0] < OUTAGE_AT + 3 * MINUTE
    assert BUMP_AT < opened[1] < BUMP_AT + 3 * MINUTE


def test_a_limit_instead_of_the_baseline_loses_the_bump_and_keeps_the_outage(past, tmp_path):
    text = CONFIG.replace("step: 60s}", "step: 60s}, detect: {threshold: {above: 200ms}}, for: 2m")
    found = plan(past, tmp_path, text)
    assert found["changed"]
    assert [(each["monitor"], each["change"], each["judged_by"]) for each in found["monitors"]] == [
        ("latency", "changed", "panes")
    ]
    difference = found["difference"]
    (lost,) = difference["incidents"]["lost"]
    assert BUMP_AT < time_from_json(lost["opened_at"]) < BUMP_AT + 5 * MINUTE
    assert difference["incidents"]["added"] == []
    assert difference["incidents"]["kept"] == 1
    assert difference["delay_s"]["median"] >= 60
    assert difference["pages_per_week"]["added"] < 0


def test_a_new_monitor_is_judged_by_points(past, tmp_path):
    text = CONFIG.replace(
        "monitors: [", "monitors: [{name: limit, signal: app.latency, detect: {threshold: {above: 115ms}}, for: 5m}, "
    )
    found = plan(past, tmp_path, text)
    by = {each["monitor"]: (each["change"], each["judged_by"]) for each in found["monitors"]}
    assert by["limit"] == ("added", "points")
    assert found["difference"]["findings"]["after"]["limit"] == 2
    assert "limit" not in found["difference"]["findings"]["before"]


def test_other_routes_change_pages_alone(past, tmp_path):
    text = CONFIG.replace("{match: {}, to: [hook]}", "{match: {severity: [critical]}, to: [hook]}")
    found = plan(past, tmp_path, text)
    assert found["parts"] == ["routes"]
    assert found["monitors"] == []
    assert found["difference"]["incidents"]["kept"] == 2
    assert found["difference"]["pages_per_week"]["added"] < 0


def test_what_cannot_be_told_is_said(past, tmp_path):
    text = CONFIG.replace("monitors: [", "monitors: [{name: new, signal: gen_ai.none}, ")
    found = plan(past, tmp_path, text)
    assert [(each["monitor"], each["judged_by"]) for each in found["monitors"]] == [("new", "nothing")]
