"""Health of days, live experiments and groups over time, as the API gives them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from fastapi.testclient import TestClient

from api.fake import deps
from api.world import HOSTILE, NOW
from tocsin.api.app import control_app
from tocsin.model.errors import BadInput, Overloaded
from tocsin.model.times import time_to_json


def entity(name, score, kind="model"):
    return {"entity": {"kind": kind, "name": name}, "score": score, "terms": [], "unmeasured": []}


DAYS = [
    {"day": "2026-11-19", "judged_at": NOW, "entities": [entity("churn", 90.0)]},
    {"day": "2026-11-20", "judged_at": NOW, "entities": [entity(HOSTILE, 20.0), entity("churn", None)]},
]


class Live:
    """Remembers what it was asked, and says it."""

    def __init__(self):
        self.asked = []

    def look(self, tenant, asked):
        self.asked.append((tenant, asked))
        if asked.model == "nobody":
            return None
        if asked.metric == "busy":
            raise Overloaded("others are computed")
        if asked.metric == "none":
            raise BadInput("no metric 'none'")
        return {"model": asked.model, "p": float("nan")}


@pytest.fixture
def live():
    return Live()


@pytest.fixture
def api(live):
    found = replace(
        deps(),
        days=lambda tenant: DAYS if tenant == "main" else [],
        experiments=live,
        groups=lambda tenant, model, tag: {"model": model, "tag": tag},
    )
    return TestClient(control_app(found), base_url="http://localhost")


def test_the_last_day_and_one_that_is_named(api):
    body = api.get("/api/health").json()
    assert (body["day"], body["days"]) == ("2026-11-20", ["2026-11-19", "2026-11-20"])
    assert [each["entity"]["name"] for each in body["entities"]] == [HOSTILE, "churn"]
    assert body["judged_at"] == time_to_json(NOW)
    assert api.get("/api/health", params={"day": "2026-11-19"}).json()["entities"][0]["score"] == 90.0


def test_one_model_on_all_days(api):
    body = api.get("/api/health/model/churn").json()
    assert [(each["day"], each["score"]) for each in body["days"]] == [("2026-11-19", 90.0), ("2026-11-20", None)]
    missing = api.get("/api/health/model/chrn")
    assert missing.status_code == 404
    assert "did you mean `churn`" in missing.text
    assert api.get("/api/health/service/churn").status_code == 404


def test_days_that_were_not_judged(api):
    answer = api.get("/api/health", params={"day": "2026-01-01"})
    assert answer.status_code == 404
    assert "there are 2026-11-19 to 2026-11-20" in answer.text
    none = TestClient(control_app(deps()), base_url="http://localhost").get("/api/health").json()
    assert none == {"day": None, "judged_at": None, "entities": [], "days": []}


def test_an_experiment_is_asked_as_it_was_said(api, live):
    path = "/api/ab/org/bot?arm=prompt&metric=feedback.resolved&only=a&only=b&only=c&control=b&ratio=8:1:1&bounds=1:5"
    assert api.get(path + "&level=0.01&lower_is_better=true&from=10").json() == {"model": "org/bot", "p": None}
    ((tenant, asked),) = live.asked
    assert (tenant, asked.model, asked.arm, asked.arms) == ("main", "org/bot", "prompt", ("a", "b", "c"))
    assert (asked.control, asked.shares, asked.bounds, asked.level) == ("b", (8, 1, 1), (1.0, 5.0), 0.01)
    assert (asked.lower_is_better, asked.start, asked.end) == (True, 10 * 10**9, None)


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("metric=none", 400),
        ("metric=busy", 503),
        ("ratio=9", 200),
        ("ratio=9:0", 400),
        ("ratio=a:b", 400),
        ("bounds=5:1", 400),
        ("bounds=1:inf", 400),
        ("bounds=x", 400),
    ],
)
def test_what_an_experiment_can_not_be(api, query, status):
    assert api.get(f"/api/ab/bot?{query}").status_code == status


def test_a_model_that_nobody_knows(api):
    assert api.get("/api/ab/nobody").status_code == 404
    assert api.get("/api/fairness/nobody").status_code == 404


def test_groups_of_a_model_by_a_tag(api):
    name = api.get("/api/models").json()["models"][0]["model"]
    assert api.get(f"/api/fairness/{name}", params={"group": "plan"}).json() == {"model": name, "tag": "plan"}
