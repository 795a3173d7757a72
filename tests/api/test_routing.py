"""The review board, the rollout and who is on call, at the API and from the command line."""

from __future__ import annotations

import pytest
from fastapi.testclient import TestClient
from typer.testing import CliRunner

from api.fake import deps
from api.world import others
from tocsin.api.app import control_app
from tocsin.cli import review as review_command
from tocsin.cli import rollout as rollout_command
from tocsin.cli.main import app

HELD = others()[0].id


@pytest.fixture
def api():
    return TestClient(control_app(deps()), base_url="http://localhost")


@pytest.fixture
def shell(api, monkeypatch):
    class Near:
        def __init__(self, url, key):
            pass

        def get(self, path, params=None):
            return api.get(path, params=params).json()

        def post(self, path, body):
            return api.post(path, json=body).json()

    for each in (review_command, rollout_command):
        monkeypatch.setattr(each, "Server", Near)
    return lambda *words: CliRunner().invoke(app, words)


def test_the_board_tells_what_paged_nobody_why_and_whom_it_would_have_told(api):
    found = api.get("/api/review").json()
    mine = {each["id"]: each for each in found["incidents"]}[HELD]
    assert (mine["paged"], mine["urgency"], mine["impact_level"], mine["confidence_level"]) == (
        False,
        "chat",
        "high",
        "low",
    )
    assert mine["why"] == [
        {"reason": "maintenance nightly", "to": ["pagerduty"]},
        {"reason": "rollout: on-call is told from phase 3 on", "to": ["pagerduty"]},
    ]
    assert found["board"]["squares"] == {"page": 0, "chat": 1, "ticket": 0, "review": 0}
    by_route = {each["route"]: each for each in found["board"]["routes"]}
    assert by_route["service.name=web"]["held"] == 1
    assert sum(each["incidents"] for each in by_route.values()) == len(found["incidents"])


def test_an_incident_says_its_place_whose_it_is_and_what_was_counted(api):
    found = api.get(f"/api/incidents/{HELD}").json()
    assert (found["urgency"], found["route"], found["team"], found["monitor_runbooks"]) == (
        "chat",
        "service.name=web",
        None,
        [],
    )
    assert found["impact"]["requests_hit"] == 700
    assert "700 of 5,200 requests hit" in found["severity_arithmetic"]
    assert "61 of 130 users hit" in found["severity_arithmetic"]


def test_the_rollout_is_shown_and_moved_by_a_person(api):
    assert api.get("/api/rollout").json()["phase"] == 2
    after = api.post("/api/rollout", json={"phase": 3}).json()
    assert (after["phase"], after["configured"]) == (3, True)
    assert after["since"].startswith("2026-11-21T")
    assert api.post("/api/rollout", json={"phase": 4}).status_code == 422
    assert api.get("/api/oncall").json() == {
        "oncall": [{"schedule": "primary", "people": ["ann"], "to": ["pagerduty"]}]
    }


def test_only_operators_move_the_rollout():
    with TestClient(control_app(deps(open_to_all=False)), base_url="http://localhost") as locked:
        answer = locked.post("/api/rollout", json={"phase": 3}, headers={"authorization": "Bearer reader"})
        assert answer.status_code == 403


def test_from_the_command_line(shell):
    quiet = shell("review", "--quiet")
    assert "maintenance nightly" in quiet.output
    assert "route service.name=web: " in quiet.output
    assert "phase 2 of 3" in shell("rollout").output
    assert "phase 3 of 3" in shell("rollout", "3").output
    assert "ann" in shell("oncall").output
