"""The review of alerts: what fired, verdicts, and each team's promise beside what came."""

from __future__ import annotations

from dataclasses import replace

import pytest
from fastapi.testclient import TestClient
from typer.testing import CliRunner

from api.fake import deps
from api.world import NS, story
from tocsin.api.app import control_app
from tocsin.api.review import REST, owner
from tocsin.cli import review as command
from tocsin.cli.main import app
from tocsin.spec.team import TeamSpec

BOTS = TeamSpec(name="bots", owns={"service.name": "support-bot"}, false_pages_per_week=0.5)
METRICS = """# TYPE tocsin_engine_budget_realised_pages gauge
tocsin_engine_budget_realised_pages{team="bots",over="1w"} 4.0
tocsin_engine_budget_realised_pages{team="bots",over="20w"} 1.5
"""


@pytest.fixture
def world():
    return replace(deps(), teams=lambda: [BOTS], expositions=lambda: {"hot": METRICS})


@pytest.fixture
def api(world):
    return TestClient(control_app(world), base_url="http://localhost")


def teams_of(answer):
    return {team["team"]: team for team in answer["teams"]}


def test_what_fired_is_listed_newest_first_with_whose_it_was(api):
    body = api.get("/api/review").json()
    opened = [each["opened_at"] for each in body["incidents"]]
    assert opened == sorted(opened, reverse=True)
    mine = {each["id"]: each for each in body["incidents"]}[story().id]
    assert (mine["team"], mine["said"], mine["sent"]) == ("bots", None, 1)
    assert body["days"] == 7
    found = teams_of(body)
    assert sum(team["incidents"] for team in found.values()) == len(body["incidents"])
    assert (found["bots"]["findings_per_week"], found["bots"]["findings_per_week_of_20"]) == (4.0, 1.5)
    assert found["rest"]["promised_per_week"] == 3.0


def test_verdicts_are_reckoned_against_the_promise_and_the_last_word_counts(api):
    def bots():
        return teams_of(api.get("/api/review").json())["bots"]

    before = bots()
    assert before["unsaid"] >= 1
    assert before["kept"] == "unsaid"
    path = f"/api/incidents/{story().id}/feedback"
    assert api.post(path, json={"verdict": "false_alarm"}).status_code == 200
    assert (bots()["false_alarms"], bots()["kept"], bots()["false_per_week"]) == (1, "no", 1.0)
    assert api.post(path, json={"verdict": "real_problem"}).status_code == 200
    after = bots()
    assert (after["false_alarms"], after["real"]) == (0, 1)
    assert after["unsaid"] == before["unsaid"] - 1


def test_what_opened_before_is_not_under_review(world, api):
    world.clock.advance(3 * 86_400 * NS)
    assert api.get("/api/review?days=1").json()["incidents"] == []
    assert len(api.get("/api/review?days=140").json()["incidents"]) > 0
    assert api.get("/api/review?days=0").status_code == 422


def test_an_incident_belongs_to_the_team_of_the_finding_that_founded_it():
    assert owner([BOTS], story()) is BOTS
    assert owner([], story()) is REST
    assert owner([BOTS], replace(story(), findings=())) is REST
    by_monitor = TeamSpec(name="all", owns={"monitor": "*"})
    assert owner([by_monitor, BOTS], story()) is by_monitor


def test_the_command_lists_them_and_says_how_each_team_stands(api, monkeypatch):
    class Server:
        def __init__(self, *_):
            pass

        def get(self, path, params):
            return api.get(path, params=params).json()

    monkeypatch.setattr(command, "Server", Server)
    api.post(f"/api/incidents/{story().id}/feedback", json={"verdict": "false_alarm"})
    done = CliRunner().invoke(app, ["review", "--days", "7"])
    assert done.exit_code == 0, done.output
    (row,) = [line for line in done.stdout.splitlines() if line.startswith(story().id)]
    assert row.split("\t")[3:5] == ["bots", "false alarm"]
    assert "bots: " in done.stderr
    assert "over budget" in done.stderr
    rest = CliRunner().invoke(app, ["review", "--unsaid"])
    assert story().id not in rest.stdout


def test_only_who_may_read_sees_it():
    locked = TestClient(control_app(deps(open_to_all=False)), base_url="http://localhost")
    assert locked.get("/api/review").status_code == 401
