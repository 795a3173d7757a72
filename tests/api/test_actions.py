"""Actions by API: what is seen, who may say what, and the switch."""

import pytest
from fastapi.testclient import TestClient

from api.action_world import FakeActions
from api.world import story


def ids(client, **params):
    return {each["state"]: each["id"] for each in client.get("/api/actions", params=params).json()["actions"]}


def test_all_that_is_done_is_listed_with_its_conditions_and_without_secrets(client: TestClient):
    answer = client.get("/api/actions")
    found = answer.json()
    assert {each["state"] for each in found["actions"]} == {
        "waiting",
        "verifying",
        "held",
        "succeeded",
        "rolled_back",
        "failed",
    }
    first = found["actions"][0]
    assert [each["ok"] for each in first["checks"]] == [True, False]
    assert first["log"][0]["by"] == "tocsin"
    assert found["switch"]["stopped"] is False
    assert "s3cret" not in answer.text
    assert set(ids(client, state="held,failed")) == {"held", "failed"}
    assert ids(client, incident="inc-none") == {}
    assert client.get("/api/actions", params={"state": "hold"}).status_code == 400


def test_what_waits_is_approved_what_was_done_is_taken_back_and_the_rest_says_why_not(client: TestClient):
    of = ids(client)
    assert client.post(f"/api/actions/{of['waiting']}/approve").json()["state"] == "approved"
    assert client.post(f"/api/actions/{of['held']}/reject", json={"note": "no"}).json()["state"] == "rejected"
    undone = client.post(f"/api/actions/{of['succeeded']}/undo", json={"note": "back"}).json()
    assert (undone["state"], undone["log"][-1]["what"]) == ("undoing", "is taken back: back")
    late = client.post(f"/api/actions/{of['failed']}/approve")
    assert (late.status_code, "only what waits can be approved" in late.json()["detail"]) == (400, True)
    assert client.post("/api/actions/act-none/approve").status_code == 404
    made = client.post("/api/actions", json={"incident": story().id, "playbook": "shift-traffic"})
    assert (made.status_code, made.json()["proposer"]) == (201, "someone on this machine")
    assert client.post("/api/actions", json={"incident": "inc-none", "playbook": "shift-traffic"}).status_code == 404


def test_stopping_takes_less_than_letting_go_on(locked: TestClient):
    def as_(key, path):
        return locked.post(path, headers={"authorization": f"Bearer {key}"})

    assert locked.get("/api/actions").status_code == 401
    assert as_("reader", "/api/actions/stop").status_code == 403
    assert as_("operator", "/api/actions/stop").json()["switch"]["stopped"] is True
    assert as_("operator", "/api/actions/resume").status_code == 403
    assert as_("boss", "/api/actions/resume").json()["switch"]["stopped"] is False
    waiting = next(
        each["id"]
        for each in locked.get("/api/actions", headers={"authorization": "Bearer reader"}).json()["actions"]
        if each["state"] == "waiting"
    )
    assert as_("reader", f"/api/actions/{waiting}/approve").status_code == 403


@pytest.mark.parametrize("full", [True, False])
def test_the_fake_is_as_the_port(full):
    assert len(FakeActions(None, full=full).playbooks("main")) == (2 if full else 0)
