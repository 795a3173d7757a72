"""Results of data checks as signals: as Evidently 0.7 and Great Expectations 1.24 wrote them, and older forms."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ingest_world import NOW, World, call, open_to_all
from tocsin.ingest.http import ingest_app
from tocsin.model.frame import FrameKind
from tocsin.spec.packs import load_packs

RECORDED = Path(__file__).with_name("checks")
JSON = {"content-type": "application/json"}


@pytest.fixture
def world():
    return World(body_bytes=256 * 1024)


@pytest.fixture
def sent(world):
    app = ingest_app(world.edge, open_to_all)

    def send(body):
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        return call(app, path="/v1/checks", body=raw, headers=JSON)

    return send


def values(world, signal):
    """Value by check, column and part."""
    found = {}
    for series, row in world.named():
        labels = dict(series.labels)
        if series.signal.name == signal:
            key = tuple(labels.get(name, "") for name in ("check", "column", "part"))
            found[tuple(text for text in key if text)] = row["value"]
    return found


def test_a_recorded_report_with_tests(world, sent):
    reply = sent((RECORDED / "evidently.json").read_bytes())
    assert (reply.status, json.loads(reply.body)["rejected"]) == (200, 0)
    assert values(world, "data.check.failed") == {
        ("DriftedColumnsCount.lt",): 1.0,
        ("ValueDrift.drift", "age"): 1.0,
        ("ValueDrift.drift", "plan"): 0.0,
        ("MissingValueCount.eq", "plan"): 1.0,
    }
    seen = values(world, "data.check.value")
    assert seen["DriftedColumnsCount", "share"] == 0.5
    assert seen["MissingValueCount", "plan", "count"] == 10.0
    assert seen["ValueDrift", "plan"] == pytest.approx(0.517, abs=1e-3)
    assert {row["time"] for row in world.rows()} == {NOW}


@pytest.mark.parametrize("name", ["validation.json", "checkpoint.json"])
def test_recorded_expectations(world, sent, name):
    assert sent((RECORDED / name).read_bytes()).status == 200
    assert values(world, "data.check.failed") == {
        ("expect_column_max_to_be_between", "gone"): 1.0,
        ("expect_column_values_to_not_be_null", "plan"): 1.0,
        ("expect_column_values_to_be_between", "age"): 0.0,
        ("expect_column_mean_to_be_between", "age"): 1.0,
        ("expect_table_row_count_to_be_between",): 0.0,
        ("expect_column_to_exist", "nope"): 1.0,
    }
    assert values(world, "data.check.unexpected_ratio")["expect_column_values_to_not_be_null", "plan"] == (
        pytest.approx(10 / 300)
    )
    assert values(world, "data.check.value")["expect_table_row_count_to_be_between",] == 300.0
    suites = {dict(series.labels).get("suite") for series, _ in world.named()}
    assert suites == ({"inputs"} if name == "validation.json" else {"report"})


def test_recorded_reports_of_the_older_generation(world, sent):
    assert sent((RECORDED / "evidently_legacy.json").read_bytes()).status == 200
    assert values(world, "data.check.failed") == {
        ("DatasetDriftMetric",): 1.0,
        ("DataDriftTable",): 1.0,
        ("DataDriftTable", "age"): 1.0,
        ("DataDriftTable", "plan"): 0.0,
        ("ColumnDriftMetric", "age"): 1.0,
    }
    assert values(world, "data.check.value")["DatasetDriftMetric", "share_of_drifted_columns"] == 0.5
    assert sent((RECORDED / "evidently_legacy_tests.json").read_bytes()).status == 200
    found = values(world, "data.check.failed")
    assert found["The Number of Missing Values",] == found["Drift per Column", "age"] == 1.0


def test_older_forms(world, sent):
    drift = {"column_name": "age", "stattest_name": "K-S p_value", "drift_score": 0.01, "drift_detected": True}
    report = {
        "version": "0.4.33",
        "metrics": [
            {"metric": "DatasetDriftMetric", "result": {"dataset_drift": False, "share_of_drifted_columns": 0.5}},
            {"metric": "DataDriftTable", "result": {"number_of_columns": 2, "drift_by_columns": {"age": drift}}},
            {"metric": "DatasetMissingValuesMetric", "result": {"current": {"number_of_missing_values": 7}}},
        ],
        "tests": [
            {"name": "Drift per Column", "status": "FAIL", "parameters": {"column_name": "age"}},
            {"name": "Nobody looked", "status": "SKIPPED", "parameters": {}},
        ],
    }
    assert sent(report).status == 200
    older = {
        "run_results": {
            "id": {"validation_result": {"results": [{"success": True, "expectation_config": {
                "expectation_type": "expect_column_pair_values_to_be_equal",
                "kwargs": {"column_A": "a", "column_B": "b"}}}]}}
        }
    }  # fmt: skip
    assert sent(older).status == 200
    assert values(world, "data.check.failed") == {
        ("DatasetDriftMetric",): 0.0,
        ("DataDriftTable", "age"): 1.0,
        ("Drift per Column", "age"): 1.0,
        ("expect_column_pair_values_to_be_equal", "a,b"): 0.0,
    }
    seen = values(world, "data.check.value")
    assert seen["DataDriftTable", "age", "drift_score"] == 0.01
    assert seen["DatasetMissingValuesMetric", "number_of_missing_values"] == 7.0


def test_a_result_may_say_what_it_is_about(world, sent):
    result = {"results": [{"success": False, "expectation_config": {"type": "x", "kwargs": {}}}]}
    assert sent({"labels": {"model": "churn"}, "result": result}).status == 200
    ((series, row),) = world.named()
    assert (dict(series.labels), row["value"]) == ({"check": "x", "model": "churn", "suite": "report"}, 1.0)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"{", "not JSON"),
        (b"[]", "a JSON object"),
        (b"{}", "no result of checks"),
        (b'{"result": 5}', "no result of checks"),
        (b'{"metrics": []}', "no check, metric or expectation"),
        (b'{"tests": [{"status": "SKIPPED"}], "metrics": "x"}', "no check, metric or expectation"),
        (b'{"metrics": [{"value": NaN}, {"value": true}, {"value": 1e999}, {"value": [1]}]}', "no check, metric"),
        (b'{"labels": {"a": 1}, "tests": [{"status": "FAIL"}]}', "`labels` must be an object of texts"),
    ],
)
def test_what_is_no_result_is_refused_in_words(world, sent, body, said):
    reply = sent(body)
    assert reply.status == 400
    assert said in reply.body.decode()
    assert not world.log.entries


def test_hostile_results_stay_within_bounds(world, sent):
    deep: dict[str, object] = {"tests": [{"status": "FAIL", "name": "t"}]}
    for level in range(200):
        inner = {"metrics": [{"metric": "m", "result": {"drift_by_columns": {"a": deep}}}]}
        deep = inner if level % 2 else {"validation_results": [deep]}
    assert sent(deep).status in (200, 400)
    long = {"tests": [{"status": "FAIL", "name": "x" * 100_000}, {"status": "FAIL", "name": "fine"}]}
    reply = json.loads(sent(long).body)
    assert (reply["accepted"], reply["rejected"]) == (1, 1)
    for odd in ({"name": 5}, {"name": "", "parameters": 3}, {"metric_config": 7, "parameters": {"column": {}}}):
        assert sent({"tests": [{"status": "FAIL", **odd}]}).status == 200


def test_the_address_explains_itself(world):
    answer = call(ingest_app(world.edge, open_to_all), "GET", "/v1/checks")
    assert "POST only" in answer.body.decode()
    assert "application/json" in answer.body.decode()


def test_a_failed_check_is_watched_without_configuration(world):
    monitors = {monitor.name: monitor for pack in load_packs() for monitor in pack.monitors}
    assert monitors["data-check-failed"].per_point
    assert world.frames(FrameKind.POINTS) == []
