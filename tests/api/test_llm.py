"""Calls of models by the API: groups, steps, the time before, feedback as numbers."""

from __future__ import annotations

import calendar

import pytest
from fastapi.testclient import TestClient

from api.fake import deps
from api.world import NOW, NS
from tocsin.api.app import control_app


def test_calls_are_told_by_group_and_over_time_beside_the_time_before(client: TestClient):
    body = client.get("/api/llm?last_s=21600").json()
    assert (body["totals"]["calls"], body["before"]["calls"]) == (4200, 4200)
    assert body["totals"]["p95_s"] == pytest.approx(2.4 * body["before"]["p95_s"])
    assert body["totals"]["error_ratio"] == pytest.approx(0.025)
    assert [row["name"] for row in body["groups"]][:2] == ["llama-3.1-70b", "gpt-5-mini"]
    third = body["groups"][2]
    assert (third["cost_usd"], third["ttft_p50_s"]) == (None, None)
    assert body["step_s"] == 300
    assert [line["others"] for line in body["lines"]] == [False] * 5 + [True]
    second = body["lines"][1]
    assert len(second["time"]) == 72
    # a step without a call counts nothing, and nobody knows how long it would have taken
    assert (second["calls"][22], second["p95_s"][22]) == (0, None)


def test_calls_are_chosen_by_the_address(client: TestClient):
    body = client.get("/api/llm?by=prompt_version&prompt_version=answer-v7&last_s=600").json()
    assert [row["name"] for row in body["groups"]] == ["answer-v7"]
    assert body["step_s"] == 10
    assert client.get("/api/llm?by=colour").status_code == 422
    zoomed = client.get(f"/api/llm?from={(NOW - 60 * NS) // NS}&to={NOW // NS}").json()
    assert zoomed["to"] - zoomed["from"] == 60


def test_feedback_is_read_as_numbers_beside_the_time_before_and_texts_are_counted(client: TestClient):
    found = client.get("/api/llm?by=prompt_version").json()["feedback"]
    v7 = {"name": "answer-v7"}
    assert found == [
        {"name": "", "of": "(text)", "answers": 3, "mean": None, "before": None, "negative": None},
        {**v7, "of": "faithfulness", "answers": 16, "mean": 0.625, "before": 0.875, "negative": None},
        {**v7, "of": "hallucination", "answers": 16, "mean": 0.25, "before": None, "negative": 4},
        {**v7, "of": "thumb", "answers": 100, "mean": 0.6, "before": 0.8, "negative": 40},
    ]


def test_retrievals_are_told_beside_the_time_before(client: TestClient):
    (found,) = client.get("/api/llm").json()["retrieval"]
    assert (found["similarity"], found["before"]["similarity"]) == (0.55, 0.82)


def test_without_calls_nothing_is_made_up():
    body = TestClient(control_app(deps(full=False)), base_url="http://localhost").get("/api/llm").json()
    assert (body["totals"]["calls"], body["totals"]["p95_s"], body["before"]) == (0, None, None)
    assert body["groups"] == body["lines"] == body["feedback"] == []


def test_spending_is_told_by_hour_day_and_week_with_a_forecast_and_budgets(client: TestClient):
    body = client.get("/api/llm/spend").json()
    assert [len(body[name]["usd"]) for name in ("hours", "days", "weeks")] == [48, 35, 8]
    whole_day = 12 * 1.4 + 12 * 0.3
    assert body["days"]["usd"][-8:-1] == pytest.approx([whole_day] * 7)
    assert body["weeks"]["usd"][-2] == pytest.approx(7 * whole_day)
    assert body["days"]["usd"][-1] == pytest.approx(body["today_usd"])
    assert body["usual_day_usd"] == pytest.approx(whole_day)
    month = body["month"]
    days = calendar.monthrange(*map(int, month["ends"].split("-")[:2]))[1]
    assert month["spent_usd"] < month["forecast_usd"] == pytest.approx(days * whole_day, rel=0.05)
    acme, whole = body["budgets"]
    assert (acme["name"], acme["state"]) == ("acme", "over" if acme["spent_usd"] > 150 else "will pass")
    assert acme["forecast_usd"] == pytest.approx(month["forecast_usd"] / 3)
    assert whole["state"] == "within"
    assert body["unpriced"] * 30 == body["calls"]


def test_spending_of_nothing_is_not_foretold():
    body = TestClient(control_app(deps(full=False)), base_url="http://localhost").get("/api/llm/spend").json()
    assert (body["month"], body["usual_day_usd"], body["budgets"]) == (None, None, [])
    assert set(body["days"]["usd"]) == {0.0}


def test_spending_is_chosen_like_calls(client: TestClient):
    assert client.get("/api/llm/spend?model=nothing-like-it").json()["month"] is None
