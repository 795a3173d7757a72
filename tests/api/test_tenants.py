"""What a key of one tenant may not reach: other tenants, and what belongs to the whole server."""

from __future__ import annotations

from dataclasses import replace

import pytest
from fastapi.testclient import TestClient

from api.fake import deps
from tocsin.api.app import control_app
from tocsin.model.access import Access, Scope

ADMINS = {
    "Bearer main": Access("main", frozenset({Scope.ADMIN}), "k1"),
    "Bearer other": Access("other", frozenset({Scope.ADMIN}), "k2"),
}


@pytest.fixture
def client() -> TestClient:
    """A client of a server that knows two admins."""
    held = replace(deps(), authorise=lambda header: ADMINS.get(header or ""))
    return TestClient(control_app(held), base_url="http://localhost")


@pytest.mark.parametrize(("method", "path"), [("POST", "/api/backup"), ("GET", f"/api/config/history/{'ab' * 32}")])
def test_what_concerns_all_tenants_is_only_for_the_servers_own(client: TestClient, method: str, path: str):
    refused = client.request(method, path, headers={"authorization": "Bearer other"})
    assert refused.status_code == 403
    assert refused.json()["detail"] == "this concerns all tenants, and the key is of the tenant other"
    assert "--scope admin" in refused.json()["next"]
    assert client.request(method, path, headers={"authorization": "Bearer main"}).status_code == 200


def test_destinations_are_shared_but_where_they_lead_is_the_servers_own(client: TestClient):
    theirs = client.get("/api/destinations", headers={"authorization": "Bearer other"}).json()["destinations"]
    assert [(each["name"], each["target"], each["last_error"]) for each in theirs] == [
        ("pagerduty", "", ""),
        ("slack", "", ""),
    ]
    ours = client.get("/api/destinations", headers={"authorization": "Bearer main"}).json()["destinations"]
    assert ours[0]["target"] == "events.pagerduty.com"
    assert ours[1]["last_error"]
    path = "/api/destinations/pagerduty/test"
    assert client.post(path, headers={"authorization": "Bearer other"}).status_code == 403
    assert client.post(path, headers={"authorization": "Bearer main"}).status_code == 200
