"""Status pages in the form of Statuspage: what changed between two readings, and what can't be read."""

from __future__ import annotations

import copy
import json

import pytest

from ingest_world import NOW
from tocsin.ingest.senders import shipped_packs
from tocsin.ingest.status_page import StatusPage
from tocsin.model.errors import BadInput

# the form of https://<page>/api/v2/summary.json, as its documentation shows it
SUMMARY = {
    "page": {"id": "01JMDK9XYNY2B1VGJDNWF38BAC", "name": "Example AI", "url": "https://status.example.com"},
    "status": {"indicator": "none", "description": "All Systems Operational"},
    "components": [
        {"id": "c1", "name": "API", "status": "operational", "updated_at": "2026-09-21T13:00:00.000Z", "group": False},
        {"id": "c2", "name": "Chat", "status": "degraded_performance", "updated_at": "2026-09-21T13:10:00.000Z"},
    ],
    "incidents": [],
    "scheduled_maintenances": [],
}
INCIDENT = {
    "id": "i1",
    "name": "Elevated errors",
    "status": "investigating",
    "impact": "major",
    "created_at": "2026-09-21T14:00:00Z",
    "updated_at": "2026-09-21T14:00:00Z",
    "shortlink": "https://stspg.io/x",
}


@pytest.fixture
def page():
    specs = [page for pack in shipped_packs() for page in pack.status_pages]
    status = StatusPage("provider", "api.example.com", specs)
    return lambda tree: status.read(json.dumps(tree).encode(), NOW, 600 * 10**9)


def test_only_what_changed_is_told(page):
    (first,) = page(SUMMARY)
    assert (first["kind"], first["entity"], first["what"]) == (
        "dependency",
        "api.example.com",
        "Example AI: Chat is degraded_performance",
    )
    assert (first["source"], dict(first["attributes"])["link"]) == ("provider", "https://status.example.com")
    assert page(SUMMARY) == []
    worse = copy.deepcopy(SUMMARY)
    worse["components"][0] |= {"status": "major_outage", "updated_at": "2026-09-21T13:58:00Z"}
    worse["incidents"] = [INCIDENT]
    outage, incident = page(worse)
    assert outage["what"] == "Example AI: API is major_outage"
    assert dict(outage["attributes"])["old"] == "operational"
    assert incident["what"] == "Example AI: Elevated errors (major), investigating"
    assert incident["time"] == 1_789_999_200 * 10**9
    well = copy.deepcopy(SUMMARY)
    well["components"][1]["status"] = "operational"
    assert [row["what"] for row in page(well)] == [
        "Example AI: API is operational",
        "Example AI: Chat is operational",
        "Example AI: Elevated errors (major), resolved",
    ]


@pytest.mark.parametrize("body", [b"<html>", b"[" * 50_000, b"{}", b'{"components": 7}', b"[]"])
def test_what_is_no_such_page_is_told(body):
    specs = [page for pack in shipped_packs() for page in pack.status_pages]
    with pytest.raises(BadInput, match=r"not JSON|summary\.json"):
        StatusPage("provider", "", specs).read(body, NOW, 0)


def test_items_of_any_form_do_no_harm(page):
    rows = page({"components": [1, None, {}, {"id": "a"}, {"id": "b", "status": ["x"]}, {"id": "c", "status": 7}]})
    assert [row["what"] for row in rows] == [": is 7"]
