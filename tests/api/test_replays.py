"""Bundles, labels, plans, drills and shadow mode over the API: who may, and what is written down."""

from __future__ import annotations

from dataclasses import replace

import pytest
from fastapi.testclient import TestClient

from api.fake import deps
from api.replay_world import FakeReplays
from api.world import story
from tocsin.api.app import control_app
from tocsin.model.access import Access, Scope

PATH = f"/api/incidents/{story().id}"


def client(world):
    return TestClient(control_app(world), base_url="http://localhost")


@pytest.fixture
def world():
    return replace(deps(), replays=FakeReplays())


def keyed(world, scope, tenant="main"):
    return replace(world, authorise=lambda _: Access(tenant=tenant, scopes=frozenset({scope}), key_id="key-1"))


def test_a_bundle_is_streamed_and_that_is_written_down(world):
    answer = client(world).get(f"{PATH}/export")
    assert answer.content == f"bundle of {story().id}".encode()
    assert answer.headers["content-type"] == "application/x-tar"
    assert "export_incident" in {each["action"] for each in world.state.audit_trail("main", 10)}
    assert client(world).get("/api/incidents/none/export").status_code == 404


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", f"{PATH}/export", None),
        ("POST", f"{PATH}/label", {"verdict": "false_alarm"}),
        ("POST", "/api/plan", {"text": ""}),
        ("POST", "/api/drill", {}),
        ("POST", "/api/config", {"text": ""}),
        ("POST", "/api/config/rollback", None),
    ],
)
def test_readers_and_other_tenants_may_not(world, method, path, body):
    for who in (keyed(world, Scope.READ), keyed(world, Scope.ADMIN, "other")):
        assert client(who).request(method, path, json=body).status_code == 403


def test_a_label_is_put_into_force_kept_beside_the_verdicts_and_taken_back(world):
    api = client(world)
    assert api.post(f"{PATH}/label/preview", json={"verdict": "false_alarm"}).json()["days"] == 14
    assert world.replays.held == []
    assert api.post(f"{PATH}/label", json={"verdict": "false_alarm"}).status_code == 200
    assert [each["incident"] for each in api.get("/api/labels").json()["labels"]] == [story().id]
    assert api.get(PATH).json()["feedback"][-1]["verdict"] == "false_alarm"
    assert api.delete(f"{PATH}/label").json()["taken_back"]
    assert api.delete(f"{PATH}/label").status_code == 404


def test_a_configuration_is_changed_with_a_key_alone(world):
    assert client(world).post("/api/config", json={"text": "dry_run: true"}).status_code == 401
    assert world.replays.applied == []
    api = client(keyed(world, Scope.ADMIN))
    assert api.post("/api/config/rollback").status_code == 400
    assert api.post("/api/config", json={"text": "dry_run: true"}).json()["applied"]
    assert api.post("/api/config/rollback").json()["applied"]
    assert world.replays.applied == ["dry_run: true"] * 2
    assert {"apply_config", "rollback_config"} <= {each["action"] for each in world.state.audit_trail("main", 10)}


def test_plans_and_drills_take_what_was_asked(world):
    api = client(world)
    assert api.post("/api/plan", json={"text": "x: 1", "days": 3}).json()["changed"]
    api.post("/api/drill", json={"size": 4})
    assert world.replays.asked[0] == ("plan", "main", "x: 1", 3)
    assert world.replays.asked[1][3]["size"] == 4


def test_shadow_mode_is_compared_with_what_was_taken_in(world):
    api = client(world)
    assert not api.get("/api/shadow").json()["gate"]["passed"]
    alert = {"labels": {"alertname": "Slow"}, "startsAt": api.get(PATH).json()["opened_at"]}
    assert api.put("/api/shadow/alerts", json={"alerts": [alert]}).json()["alerts"] == 1
    found = api.get("/api/shadow", params={"least": 1, "precision": 0, "days": 30}).json()
    assert found["recall"] == 1
    assert found["gate"]["passed"]
    assert found["dry_run"]
    assert api.put("/api/shadow/alerts", json={"alerts": [{"startsAt": "never"}]}).status_code == 400
