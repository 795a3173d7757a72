"""The API of models: what it finds in records, what it says of too few, and what it refuses."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from fastapi.testclient import TestClient

from api.model_world import DAY, FakeRows, answer, price, records, rows_of_world, shown, spread
from api.world import HOSTILE, NOW, NS
from tocsin.api.model_ports import ModelAsked
from tocsin.app.model_health.view import KEPT_NS, ModelHealth
from tocsin.model.clock import ManualClock

LAST = ModelAsked("fraud", NOW - DAY, NOW)


def health(rows, asked=LAST, **options):
    found = ModelHealth(FakeRows({"fraud": rows}), ManualClock(NOW), **options).health("main", asked)
    assert found is not None
    return found


@pytest.fixture(scope="module")
def whole():
    return health(records(), replace(LAST, group="region", metric="feedback.clicked"))


def test_models_are_listed_with_versions_rows_and_truth(client: TestClient):
    first, second, *_ = client.get("/api/models").json()["models"]
    assert (first["model"], first["versions"], first["rows"], first["with_truth"]) == (
        "fraud",
        ["v1", "v2"],
        1800,
        1700,
    )
    assert second["model"] == f"few {HOSTILE}"
    assert first["last_time"].startswith("2026-11-21T15:")


def test_performance_has_truth_coverage_intervals_and_says_what_fell(whole):
    found = whole["performance"]
    assert (found["task"], found["rows"], found["truth"]) == ("binary", 800, 700)
    accuracy = found["realised"]["accuracy"]
    assert accuracy["low"] < accuracy["value"] < accuracy["high"] < 0.82 < found["reference"]["accuracy"]["low"]
    assert any(each.startswith("realised accuracy") for each in found["reasons"])
    last = found["buckets"][-1]
    assert last["coverage"] == 0
    assert last["realised"] == {}
    assert 0.5 < last["estimated"]["accuracy"]["value"] < 0.95
    assert last["corrected"]
    assert sum(each["rows"] for each in found["buckets"]) == 800


def test_drift_is_ranked_decided_in_words_and_drawn(whole):
    found = whole["drift"]
    assert found["rows"][0]["name"] == "amount"
    assert [row["alarm"] for row in found["rows"]] == [True, False, False, False, False]
    assert "values are above" in found["rows"][0]["reason"]
    assert {row["name"] for row in found["rows"] if row["part"] == "output"} == {"prediction", "score"}
    bars = found["overlay"]["bars"]
    assert found["overlay"]["feature"] == "amount"
    for side in ("reference", "current"):
        assert math.isclose(sum(bar[side] for bar in bars), 1.0)


def test_the_worst_segment_and_unequal_groups_are_named(whole):
    assert whole["segments"]["worst"][0]["name"] == "region=eu"
    assert {row["name"] for row in whole["segments"]["rows"]} == {"region=eu", "region=us", "region=asia"}
    broken = {gap["criterion"] for gap in whole["fairness"]["gaps"] if gap["judgement"] == "violated"}
    assert broken == {"equal_opportunity", "equalised_odds"}
    assert len(whole["fairness"]["groups"]) == 3


def test_versions_have_their_metric_and_those_side_by_side_are_the_arms(whole):
    found = whole["versions"]
    assert found["metrics"] == ["accuracy", "feedback.clicked", "positive predictions", "score"]
    assert {row["version"]: round(row["value"]["value"], 1) for row in found["rows"]} == {"v1": 0.2, "v2": 0.5}
    assert found["arms"] == ["v1", "v2"]


def test_of_many_versions_those_that_ran_beside_the_newest_are_the_arms():
    def version(row):
        age = (NOW - row["time"]) / DAY
        return (
            "v1"
            if age > 0.8
            else f"v{2 + row['time'] // (60 * NS) % 2}"
            if age > 0.4
            else f"v{3 + row['time'] // (60 * NS) % 2}"
        )

    found = health([{**row, "version": version(row)} for row in records(newer=1600)])["versions"]
    assert {row["version"] for row in found["rows"]} == {"v1", "v2", "v3", "v4"}
    assert found["arms"] == ["v3", "v4"]


def test_a_sample_is_stated():
    found = health(records(), most_rows=300)
    assert (found["current"]["rows"], found["current"]["of"]) == (300, 800)
    assert (found["reference"]["rows"], found["reference"]["of"]) == (300, 1000)


def test_without_older_records_the_older_half_is_the_reference():
    found = health([row for row in records() if row["time"] >= NOW - DAY])
    assert "older half" in found["reference"]["how"]
    assert (found["reference"]["rows"], found["current"]["rows"]) == (400, 400)


@pytest.mark.parametrize("n", [0, 1, 2, 29])
def test_few_rows_are_answered_and_nothing_is_claimed(n: int):
    rows = records(newer=800)
    found = health([*rows[:n], *rows[len(rows) - n :]] if n else rows[:3])
    assert found["current"]["rows"] == n
    if n:
        assert not any(row["alarm"] for row in found["drift"]["rows"])
        assert found["performance"]["reasons"] == []
        assert found["segments"]["worst"] == []
        assert "No truth" in found["performance"]["say"]


def test_strange_records_are_answered():
    odd = {"features": {"x": [1, 2], "y": {"a": 1}, "z": None}, "tags": {}, "feedback": "good", "score": None}
    rows = [
        {**row, **(odd if k % 3 else {}), "prediction": [row["prediction"], "ja", None, {"a": 1}][k % 4]}
        for k, row in enumerate(records())
    ]
    found = health(rows)
    assert found["current"]["rows"] == 800
    assert found["drift"] is not None


def told(make, older, newer, model="m", **asked):
    rows = FakeRows({model: spread(make, older, newer)})
    found = ModelHealth(rows, ManualClock(NOW)).health("main", ModelAsked(model, NOW - DAY, NOW, **asked))
    assert found is not None
    return found


def test_behaviour_is_compared_with_before():
    found = told(answer, 500, 400)["behaviour"]
    rows = {row["id"]: row["alarm"] for row in found["rows"]}
    assert rows == {"output length": True, "refusal": True, "attention entropy": False, "attention peak": False}
    assert [each["feature"] for each in found["overlays"]] == ["output length"]
    assert found["refusal"]["reference"]["high"] < found["refusal"]["current"]["low"]
    history, question, tone = found["attributions"]
    assert [(each["feature"], each["place"], each["place_before"]) for each in (history, question)] == [
        ("history", 1, 2),
        ("question", 2, 1),
    ]
    assert history["alarm"]
    assert 0.03 < tone["current"]["value"] < 0.05
    assert "output length" in found["say"]


def test_a_model_that_behaves_as_before_is_left_alone():
    def steady(chance, time, number):
        return answer(chance, NOW - 2 * DAY, number) | {"time": time}

    found = told(steady, 500, 400)
    assert found["behaviour"]["say"] == "No change of behaviour is shown."
    assert not any(row["alarm"] for row in found["drift"]["rows"])
    assert found["quality"]["alarms"] == 0


def test_embeddings_are_compared_and_drawn():
    found = told(answer, 500, 400, feature="embedding")["drift"]
    (row,) = [row for row in found["rows"] if row["part"] == "embedding"]
    assert (row["alarm"], row["n"], row["reference_n"]) == (True, 400, 500)
    assert found["overlay"]["said"].startswith("distance")
    assert len(found["overlay"]["edges"]) == len(found["overlay"]["bars"]) - 1


def test_a_ranking_has_clicks_and_ndcg_and_its_fall_is_said():
    found = told(shown, 1500, 1500)["ranking"]
    assert found["measures"] == ["click_through_rate", "ndcg_at_10"]
    assert [each.split(" is ")[0] for each in found["reasons"]] == ["click-through rate", "NDCG of the first 10"]
    assert found["current"]["ndcg_at_10"]["n"] < 300, "lists of five items, some without a click"
    assert sum(each["rows"] for each in found["buckets"]) == 1500


def test_of_a_sample_lists_are_not_ranked():
    rows = FakeRows({"m": spread(shown, 300, 300)})
    found = ModelHealth(rows, ManualClock(NOW), most_rows=200).health("main", ModelAsked("m", NOW - DAY, NOW))
    assert found["ranking"]["measures"] == ["click_through_rate"]
    assert "lists are torn apart" in found["ranking"]["notes"][0]


def test_which_law_moved_is_told(whole):
    def states(found):
        return [(each["law"], each["state"]) for each in found["laws"]]

    assert states(told(price, 500, 400)) == [("P(x)", "moved"), ("P(y)", "moved"), ("P(y|x)", "moved")]
    assert states(told(answer, 500, 400)) == [("P(x)", "moved"), ("P(y)", "unknown"), ("P(y|x)", "unknown")]
    assert states(whole) == [("P(x)", "moved"), ("P(y)", "no move shown"), ("P(y|x)", "moved")]
    steady = [{**row, "time": row["time"] - 2 * DAY} for row in records() if row["time"] < NOW - DAY]
    quiet = health(steady, ModelAsked("fraud", NOW - 4 * DAY, NOW - 3 * DAY))
    assert states(quiet) == [(law, "no move shown") for law in ("P(x)", "P(y)", "P(y|x)")]


def test_promises_of_the_reference_are_checked_and_silence_is_seen():
    found = told(price, 500, 400)["quality"]
    assert (found["rows"][0]["fault"], found["rows"][0]["feature"], found["rows"][0]["alarm"]) == (
        "missing",
        "note",
        True,
    )
    assert found["checked"] == 3
    stopped = health([row for row in records() if row["time"] < NOW - DAY // 2])["quality"]
    (stale,) = [row for row in stopped["rows"] if row["fault"] == "stale"]
    assert stale["alarm"]
    gone = [
        {**row, "features": {"amount": row["features"]["amount"]}} if row["time"] >= NOW - DAY else row
        for row in records()
    ]
    faults = {(row["feature"], row["fault"]) for row in health(gone)["quality"]["rows"]}
    assert ("country", "column_gone") in faults


def test_predictions_that_are_objects_are_read_by_their_class():
    rows = [
        {**row, "prediction": {"label": "yes" if row["prediction"] else "no", "confidence": 0.8}} for row in records()
    ]
    rows = [{**row, "truth": None if row["truth"] is None else "yes" if row["truth"] else "no"} for row in rows]
    found = health(rows)
    assert found["performance"]["task"] == "binary"
    assert found["behaviour"]["rows"][0]["id"] == "confidence"


def test_numbers_of_records_are_known_before_anything_is_computed(client: TestClient):
    found = client.get("/api/models/fraud?brief=true").json()
    assert {row["version"]: row["rows"] for row in found["versions"]} == {"v1": 392, "v2": 408}
    assert (found["incidents"], "performance" in found) == ([], False)
    assert client.get("/api/models/froud?brief=true").status_code == 404


def test_numbers_are_a_model_too():
    rows = [{**row, "prediction": 3 * row["score"] + 1, "truth": 3.2 * row["score"] + 1} for row in records()]
    found = health(rows, replace(LAST, group="region"))
    assert found["performance"]["task"] == "regression"
    assert found["performance"]["realised"]["mae"]["value"] < 0.2
    assert found["versions"]["metric"] == "absolute error"
    assert "yes or no" in found["fairness"]["say"]


def test_one_question_is_computed_once_within_half_a_minute():
    source, clock = rows_of_world(), ManualClock(NOW)
    view = ModelHealth(source, clock)
    first = view.health("main", LAST)
    asked = source.asked
    assert view.health("main", LAST) is first
    assert source.asked == asked
    assert view.health("main", replace(LAST, feature="country")) is not first
    clock.advance(KEPT_NS)
    assert view.health("main", LAST) is not first


def test_another_tenant_sees_nothing():
    view = ModelHealth(rows_of_world(), ManualClock(NOW))
    assert view.seen("other", 0, NOW) == []
    assert view.health("main", LAST) is not None
    assert view.health("other", LAST) is None


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [
        ("froud", 404, "did you mean `fraud`?"),
        ("fraud?version=v3", 400, "has no version 'v3'; known here: v1, v2"),
        ("fraud?segment=regoin:eu", 400, "no record has the tag 'regoin'; did you mean `region`?"),
        ("fraud?segment=region=eur", 400, "did you mean `eu`?"),
        ("fraud?segment=eu", 400, "write it as KEY=VALUE"),
        ("fraud?feature=amuont", 400, "did you mean `amount`?"),
        ("fraud?by=regio", 400, "did you mean `region`?"),
        ("fraud?group=plam", 400, "did you mean `plan`?"),
        ("fraud?metric=acuracy", 400, "did you mean `accuracy`?"),
        ("fraud?from=5&to=4", 400, "must be before"),
        ("fraud?reference_from=yesterday", 400, "is not a time"),
    ],
)
def test_what_is_not_there_is_refused_with_the_nearest_right_thing(
    client: TestClient, path: str, status: int, said: str
):
    answer = client.get(f"/api/models/{path}")
    assert answer.status_code == status, answer.text
    assert said in answer.json()["detail"]


def test_a_name_with_slashes_and_markup_is_asked_for_by_its_escaped_name(client: TestClient):
    answer = client.get("/api/models/few%20" + "".join(f"%{byte:02X}" for byte in HOSTILE.encode()))
    assert answer.status_code == 200
    assert answer.json()["current"]["rows"] == 7


def test_a_key_is_needed(locked: TestClient):
    assert locked.get("/api/models").status_code == 401
    assert locked.get("/api/models/fraud").status_code == 401
    assert locked.get("/api/models", headers={"authorization": "Bearer reader"}).status_code == 200
