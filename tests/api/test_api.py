"""The control API: answers, scopes, refusals, headers, exports."""

from __future__ import annotations

import gzip
import json
import re
from dataclasses import replace

import pytest
from fastapi.testclient import TestClient

from api.fake import deps
from api.world import HOSTILE, NOW, NS, series_of, story
from tocsin.api.app import control_app
from tocsin.api.assets import STATIC
from tocsin.api.health import health
from tocsin.api.origin import CONTENT_SECURITY_POLICY
from tocsin.api.own import own_health
from tocsin.api.ports import Learning, Line
from tocsin.api.present import line_document
from tocsin.model.incident import IncidentState
from tocsin.model.times import time_to_json

LATENCY = "gen_ai.client.operation.duration"


def test_overview_says_how_things_are_with_the_worst_first(client: TestClient):
    body = client.get("/api/overview").json()
    assert body["health"]["state"] == "critical"
    assert body["health"]["sentence"].startswith(
        "3 incidents open, 2 not acknowledged; the worst is critical: support-bot"
    )
    assert [each["severity"] for each in body["incidents"]] == ["critical", "warning", "error"]
    assert {each["state"] for each in body["resolved"]} == {"resolved"}
    assert [len(row["worst"]) for row in body["strip"]["rows"]] == [120] * 5
    assert body["learning"] == {"warm": 38, "learning": 4, "first_at": time_to_json(NOW - 86400 * NS)}
    whats = [each["what"] for each in body["blind"]]
    assert "3 series stopped without a word" in whats
    assert "1,204 items dropped since start" in whats
    (dropped,) = (each["why"] for each in body["blind"] if "dropped" in each["what"])
    assert dropped == "ingest points dropped (reason=series_cap) 1,204"


def test_of_incidents_as_severe_the_one_with_most_findings_is_the_worst():
    many = story()
    one = replace(many, id="inc-one", title="only a disk", findings=many.findings[:1], updated_at=many.updated_at + 1)
    assert len(many.findings) > 1
    assert many.title in health([one, many], {}, Learning()).sentence
    acknowledged = replace(many, state=IncidentState.ACKNOWLEDGED)
    assert one.title in health([one, acknowledged], {}, Learning()).sentence


def test_overview_of_an_empty_store_says_so():
    body = TestClient(control_app(deps(full=False)), base_url="http://localhost").get("/api/overview").json()
    assert body["health"] == {"state": "empty", "sentence": "No telemetry has arrived yet."}
    assert body["incidents"] == body["changes"] == body["strip"]["rows"] == []


def test_status_sorts_own_numbers_by_what_they_mean(client: TestClient):
    own = client.get("/api/status").json()["own"]
    assert [(row["labels"], row["value"]) for row in own["drops"]] == [("reason=series_cap", 1204.0)]
    assert [row["labels"] for row in own["refusals"]] == ["protocol=otlp_http, reason=too_large"]
    assert [row["name"] for row in own["lags"]] == ["tocsin_store_lag_entries"]


def test_incidents_are_filtered_by_state_severity_and_text(client: TestClient):
    def titles(**params: str) -> list[str]:
        return [each["title"] for each in client.get("/api/incidents", params=params).json()["incidents"]]

    assert len(titles()) == 5
    assert len(titles(state="open,acknowledged")) == 3
    assert titles(state="open", severity="error") == [story().title]
    assert titles(search="SUPPORT-bot") == [story().title]
    assert client.get("/api/incidents", params={"state": "shut"}).status_code == 400


def test_incident_has_findings_causes_pages_and_a_timeline_in_order(client: TestClient):
    body = client.get(f"/api/incidents/{story().id}").json()
    assert body["causes"][0]["kind"] == "prompt"
    assert body["causes"][1]["refuted_by"] == ["no edge leads from web to support-bot", "signals of web did not move"]
    assert body["findings"][1]["series_id"] == series_of(LATENCY).id.hex()
    assert body["findings"][3]["expected"] == [None, 0.9]
    assert [each["destination"] for each in body["pages"]] == ["pagerduty", "slack"]
    times = [each["time"] for each in body["timeline"]]
    assert times == sorted(times)
    assert {each["type"] for each in body["timeline"]} == {"change", "finding", "life"}


def test_incident_signals_cover_each_finding_with_its_band(client: TestClient):
    body = client.get(f"/api/incidents/{story().id}/signals").json()
    assert [line["signal"] for line in body["signals"]] == [each.series.signal.name for each in story().findings]
    line = body["signals"][1]
    assert len(line["time"]) == len(line["value"]) == len(line["upper"]) == 300
    assert line["value"][40] is None
    first = min(each.start for each in story().findings)
    assert body["from"] == first / NS - 45 * 60
    assert line["findings"] == [[story().findings[1].start / NS, story().findings[1].end / NS]]


def test_ack_then_resolve_are_events_and_repeating_changes_nothing(client: TestClient):
    path = f"/api/incidents/{story().id}"
    assert client.post(f"{path}/ack", json={"note": "on it"}).json()["state"] == "acknowledged"
    assert client.post(f"{path}/ack").json()["state"] == "acknowledged"
    body = client.post(f"{path}/resolve").json()
    assert body["state"] == "resolved"
    assert body["resolved_at"] == time_to_json(NOW)
    life = [(each["kind"], each["what"]) for each in body["timeline"] if each["type"] == "life"]
    assert life == [("opened", ""), ("acknowledged", "on it"), ("resolved", "")]
    assert client.post(f"{path}/ack").json()["state"] == "resolved"


def test_incidents_are_merged_and_split_by_hand_and_what_makes_no_sense_is_refused(client: TestClient):
    mine = story().id
    path = f"/api/incidents/{mine}"
    listed = client.get("/api/incidents").json()["incidents"]
    other = next(each["id"] for each in listed if each["state"] == "resolved")
    active = next(each["id"] for each in listed if each["state"] != "resolved" and each["id"] != mine)
    found = [each["id"] for each in client.get(path).json()["findings"]]
    assert client.post(f"{path}/split", json={"findings": found[:1]}).status_code == 200
    moments = client.post(f"{path}/merge", json={"into": active}).json()["timeline"]
    assert {"split", "merged"} <= {each["kind"] for each in moments}
    refused = [
        client.post(f"{path}/split", json={"findings": found}),
        client.post(f"{path}/split", json={"findings": ["0" * 32]}),
        client.post(f"{path}/merge", json={"into": mine}),
        client.post(f"{path}/merge", json={"into": other}),
        client.post(f"{path}/merge", json={"into": "inc-none"}),
    ]
    assert [each.status_code for each in refused] == [400, 400, 400, 409, 404]
    said = [each.json()["detail"] for each in refused]
    assert "leave one at least" in said[0]
    assert "is no finding of this incident" in said[1]
    assert "is over" in said[3]


def test_signals_series_points_and_panes(client: TestClient):
    names = [row["name"] for row in client.get("/api/signals", params={"search": "VLLM"}).json()["signals"]]
    assert names == ["vllm:kv_cache_usage_perc", "vllm:num_requests_waiting"]
    rows = client.get("/api/series", params={"signal": LATENCY, "where": "region=eu-1"}).json()["series"]
    assert [(row["state"], row["cadence_s"]) for row in rows] == [("live", 10.0)]
    points = client.get("/api/points", params={"signal": LATENCY, "last_s": 600}).json()
    assert points["to"] - points["from"] == 600
    assert points["lines"][0]["upper"] == []
    panes = client.get("/api/panes", params={"series": series_of(LATENCY).id.hex()}).json()
    assert len(panes["lines"][0]["upper"]) == 300
    absent = client.get("/api/states", params={"state": "absent"}).json()["series"]
    assert [row["signal"] for row in absent] == ["network.io"]


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("/api/points?signal=x&from=yesterday", "is not a time"),
        ("/api/points?signal=x&from=20&to=10", "`from` must be before `to`"),
        ("/api/points?signal=x&where=region", "KEY=VALUE"),
        ("/api/panes", "name a `monitor`"),
        ("/api/incidents?since=99999999999999999999", "is not a time"),
        ("/api/incidents?severity=bad", "info, warning, error, critical"),
        ("/api/export/records?format=parquet", "records have no parquet here"),
    ],
)
def test_bad_input_is_a_problem_that_names_the_cause(client: TestClient, path: str, says: str):
    answer = client.get(path)
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert says in answer.json()["detail"]


def test_what_is_missing_is_404_and_what_is_malformed_422(client: TestClient):
    for path in ("/api/incidents/inc-none", "/api/nothing", "/assets/none.js", "/api/incidents/inc-none/signals"):
        answer = client.get(path)
        assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")
        assert answer.json()["next"]
    answer = client.get("/api/points?signal=x&max_points=abc")
    assert answer.status_code == 422
    assert "max_points" in answer.json()["detail"]
    assert client.get("/api/export/passwords").status_code == 422


def test_destination_test_says_what_came_back_or_why_not(client: TestClient):
    assert (
        client.post("/api/destinations/pagerduty/test").json()["result"] == "events.pagerduty.com answered 202 Accepted"
    )
    failed = client.post("/api/destinations/slack/test")
    assert failed.status_code == 502
    assert "503" in failed.json()["detail"]
    assert client.post("/api/destinations/nobody/test").json()["next"] == "there are: pagerduty, slack"


def test_export_streams_rows(client: TestClient):
    lines = client.get("/api/export/points").text.splitlines()
    assert len(lines) == 8
    assert json.loads(lines[0])["signal"] == LATENCY
    answer = client.get("/api/export/points?format=csv")
    assert answer.text.splitlines()[0] == "time,signal,value"
    assert answer.headers["content-disposition"] == 'attachment; filename="tocsin-points.csv"'


def test_scopes_are_enforced(locked: TestClient):
    def status(method: str, path: str, key: str | None) -> int:
        headers = {"authorization": f"Bearer {key}"} if key else {}
        return locked.request(method, path, headers=headers).status_code

    ack = f"/api/incidents/{story().id}/ack"
    for method, path, expected in (
        ("GET", "/api/overview", (401, 401, 200, 200, 200)),
        ("GET", "/api/export/points", (401, 401, 200, 200, 200)),
        ("GET", "/api/stream", (401, 401, None, None, None)),
        ("POST", ack, (401, 401, 403, 200, 200)),
        ("POST", "/api/destinations/pagerduty/test", (401, 401, 403, 200, 200)),
        ("POST", "/api/backup", (401, 401, 403, 403, 200)),
    ):
        for key, code in zip((None, "wrong", "reader", "operator", "boss"), expected, strict=True):
            if code is not None:
                assert status(method, path, key) == code, (path, key)
    for path in ("/", "/signin", "/healthz", "/readyz", "/openapi.json", "/api/session"):
        assert status("GET", path, None) == 200


def test_a_key_becomes_a_session_that_scripts_cannot_read(locked: TestClient):
    assert locked.post("/api/session", json={"key": "wrong"}).status_code == 401
    answer = locked.post("/api/session", json={"key": "operator"})
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert "operator" not in cookie
    assert locked.get("/api/overview").status_code == 200
    assert locked.get("/api/session").json()["scopes"] == ["operate"]
    assert locked.post("/api/backup").status_code == 403
    assert locked.delete("/api/session").status_code == 200
    assert locked.get("/api/overview").status_code == 401


def test_a_session_ends_after_its_time_and_with_its_key():
    found = deps(open_to_all=False)
    keys = {"Bearer operator"}
    app = control_app(found.__class__(**{**_fields(found), "authorise": lambda text: _granted(found, text, keys)}))
    client = TestClient(app, base_url="http://localhost")
    client.post("/api/session", json={"key": "operator"})
    assert client.get("/api/overview").status_code == 200
    keys.clear()
    assert client.get("/api/overview").status_code == 401
    keys.add("Bearer operator")
    found.clock.advance(13 * 3600 * NS)  # type: ignore[attr-defined]
    assert client.get("/api/overview").status_code == 401


@pytest.mark.parametrize(
    ("host", "headers", "secure"),
    [
        ("tocsin.example", {}, True),
        ("localhost", {}, False),
        ("localhost", {"x-forwarded-proto": "https"}, True),
    ],
)
def test_the_cookie_of_a_session_by_tls_is_sent_by_tls_only(host, headers, secure):
    found = deps(open_to_all=False)
    app = control_app(
        found.__class__(**{**_fields(found), "base_url": "https://tocsin.example", "allowed_hosts": None})
    )
    client = TestClient(app, base_url=f"http://{host}")
    answer = client.post("/api/session", json={"key": "operator"}, headers=headers)
    assert ("secure" in answer.headers["set-cookie"].lower()) is secure


def _granted(found, text, keys):
    return found.authorise(text) if text in keys else None


def _fields(found):
    return {name: getattr(found, name) for name in found.__dataclass_fields__}


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({}, 200),
        ({"origin": "http://127.0.0.1:8642"}, 200),
        ({"sec-fetch-site": "same-origin", "origin": "http://127.0.0.1:8642"}, 200),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "http://127.0.0.1:9000"}, 403),
        ({"origin": "null"}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
    ],
)
def test_other_sites_cannot_change_anything(client: TestClient, headers: dict[str, str], code: int):
    assert client.post(f"/api/incidents/{story().id}/ack", headers=headers).status_code == code


@pytest.mark.parametrize(
    ("host", "code"),
    [
        ("127.0.0.1:1", 200),
        ("localhost", 200),
        ("[::1]:80", 200),
        ("evil.example", 421),
        ("127.0.0.1.evil.example", 421),
        ("", 421),
    ],
)
def test_only_loopback_names_are_answered_on_loopback(client: TestClient, host: str, code: int):
    assert client.get("/api/overview", headers={"host": host}).status_code == code


def test_every_answer_carries_the_strict_headers(client: TestClient):
    for path in ("/", "/api/overview", "/api/nothing", "/healthz"):
        headers = client.get(path).headers
        assert headers["content-security-policy"] == CONTENT_SECURITY_POLICY
        assert "'unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
    assert client.get("/api/overview").headers["cache-control"] == "no-store"


def test_assets_are_kept_for_good_and_the_page_is_asked_again(client: TestClient):
    page = client.get("/")
    assert page.headers["cache-control"] == "no-cache"
    assert "preload" in page.headers["link"]
    assert client.get("/", headers={"if-none-match": page.headers["etag"]}).status_code == 304
    script = page.text.split('src="')[1].split('"')[0]
    found = client.get(script)
    assert found.headers["content-type"] == "text/javascript; charset=utf-8"
    assert "immutable" in found.headers["cache-control"]


def test_hostile_text_stays_data(client: TestClient):
    answer = client.get("/api/incidents")
    assert answer.headers["content-type"] == "application/json"
    assert any(HOSTILE in each["title"] for each in answer.json()["incidents"])


def test_readiness_names_what_is_missing():
    found = deps()
    app = control_app(found.__class__(**{**_fields(found), "ready": lambda: ["the store is 90 s behind"]}))
    answer = TestClient(app, base_url="http://localhost").get("/readyz")
    assert (answer.status_code, answer.json()["missing"]) == (503, ["the store is 90 s behind"])


def test_the_built_page_is_whole_small_and_free_of_addresses():
    index = (STATIC / "index.html").read_text()
    named = set(re.findall(r"/assets/([^\"]+)", index))
    found = {path.name: path.read_bytes() for path in (STATIC / "assets").iterdir()}
    later = set(found) - named
    assert named < set(found)
    assert all(any(name.encode() in body for body in found.values()) for name in later), "nothing loads it"
    assert sum(len(gzip.compress(found[name])) for name in named) < 60_000
    assert all(len(gzip.compress(found[name])) < 30_000 for name in later)
    assert "<script>" not in index
    assert "style=" not in index
    lock = json.loads((STATIC.parents[3] / "web" / "package-lock.json").read_text())
    assert [name for name, entry in lock["packages"].items() if "resolved" in entry] == []
    assert all("integrity" in entry for name, entry in lock["packages"].items() if name)


def test_maintenance_is_planned_listed_and_ended(client: TestClient, locked: TestClient):
    body = {"name": "racks", "match": {"service.name": ["web"]}, "starts": "2026-11-25T22:00", "lasts": "2h"}
    answer = client.post("/api/maintenance", json=body | {"time_zone": "Europe/Berlin", "note": "new racks"})
    assert answer.status_code == 201, answer.text
    made = answer.json()
    assert (made["by"], made["note"], made["planned"]) == ("someone on this machine", "new racks", True)
    rows = client.get("/api/maintenance").json()["windows"]
    assert [each["name"] for each in rows] == ["racks", "move", "nightly"]
    assert rows[1]["ends_at"] == time_to_json(NOW + 3600 * NS)
    assert rows[2]["planned"] is False
    assert client.post("/api/maintenance", json=body | {"starts": "tonight"}).status_code == 400
    assert client.post("/api/maintenance", json=body | {"ical": "/etc/passwd"}).status_code == 422
    assert client.delete(f"/api/maintenance/{made['id']}").status_code == 200
    assert client.delete(f"/api/maintenance/{made['id']}").status_code == 404
    reader = {"authorization": "Bearer reader"}
    assert locked.post("/api/maintenance", json=body, headers=reader).status_code == 403
    assert locked.get("/api/maintenance", headers=reader).status_code == 200


def test_who_is_told_next_is_part_of_an_incident_that_is_open(client: TestClient):
    found = client.get(f"/api/incidents/{story().id}").json()["escalation"]
    assert found == {"level": 2, "of": 3, "to": ["primary", "lead-phone"], "at": time_to_json(NOW + 600 * NS)}


def test_a_silence_is_made_listed_seen_and_ended(client: TestClient):
    body = {"matchers": {"service.name": "support-bot"}, "for": "2h", "note": "load test"}
    answer = client.post("/api/silences", json=body)
    assert answer.status_code == 201
    made = answer.json()
    assert (made["incidents"], made["by"], made["over"]) == (1, "someone on this machine", False)
    assert made["ends_at"] == time_to_json(NOW + 7200 * NS)
    assert [each["id"] for each in client.get("/api/silences").json()["silences"]] == [made["id"]]
    found = client.get("/api/overview").json()
    assert [each["matchers"] for each in found["silences"]] == [{"service.name": "support-bot"}]
    silenced = {each["id"]: each["silenced"] for each in found["incidents"]}
    assert silenced[story().id]["id"] == made["id"]
    assert [each for key, each in silenced.items() if key != story().id] == [None, None]
    assert client.get(f"/api/incidents/{story().id}").json()["silenced"]["note"] == "load test"
    assert client.delete(f"/api/silences/{made['id']}").json()["over"] is True
    assert client.get("/api/silences").json()["silences"] == []
    assert [each["id"] for each in client.get("/api/silences", params={"past": True}).json()["silences"]] == [
        made["id"]
    ]
    assert client.get(f"/api/incidents/{story().id}").json()["silenced"] is None
    assert client.delete("/api/silences/sil-none").status_code == 404
    actions = [each["action"] for each in client.get("/api/audit").json()["entries"]]
    assert actions == ["end_silence", "silence"]


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        ({"matchers": {}, "for": "2h"}, 422, "at least 1"),
        ({"matchers": {"severity": "eror"}, "for": "2h"}, 400, "did you mean `error`"),
        ({"matchers": {"service.name": ""}, "for": "2h"}, 400, "matches nothing"),
        ({"matchers": {"entity": "web"}, "for": "soon"}, 400, "write it like 30s"),
        ({"matchers": {"entity": "web"}, "for": "0s"}, 400, "more than nothing"),
        ({"matchers": {"entity": "web"}, "for": "9999d"}, 400, "at most 366d"),
        ({"matchers": {"entity": "web"}, "for": "1e400d"}, 400, ""),
        ({"matchers": {"entity": "web"}}, 422, "for"),
        ({"matchers": {"entity": "web"}, "for": "1h", "until": 3}, 422, "until"),
    ],
)
def test_a_silence_that_makes_no_sense_is_refused(client: TestClient, body: object, status: int, says: str):
    answer = client.post("/api/silences", json=body)
    assert answer.status_code == status, answer.text
    assert says in answer.json()["detail"]
    assert client.get("/api/silences").json()["silences"] == []


def test_a_verdict_is_kept_beside_the_incident(client: TestClient):
    path = f"/api/incidents/{story().id}"
    body = client.post(f"{path}/feedback", json={"verdict": "false_alarm", "note": "a load test"}).json()
    assert [(each["verdict"], each["note"]) for each in body["feedback"]] == [("false_alarm", "a load test")]
    assert body["state"] == "open"
    assert "false_alarm" in [each["kind"] for each in body["timeline"]]
    assert client.post(f"{path}/feedback", json={"verdict": "meh"}).status_code == 422
    assert client.post("/api/incidents/inc-none/feedback", json={"verdict": "false_alarm"}).status_code == 404


def test_each_finding_has_a_severity_of_its_own(client: TestClient):
    body = client.get(f"/api/incidents/{story().id}").json()
    # 31.2, 18.6, 12.0, 9.9 and 8.8 decades where 7.4 were needed: 4.2, 2.5, 1.6, 1.3 and 1.2 times
    assert [each["severity"] for each in body["findings"]] == ["critical", "critical", "warning", "info", "info"]


def test_the_trail_names_who_took_data_out_and_is_checked(client: TestClient):
    client.get("/api/export/points", params={"format": "csv"})
    client.post("/api/backup")
    client.post("/api/destinations/pagerduty/test")
    entries = client.get("/api/audit").json()["entries"]
    assert [(each["action"], each["subject"]) for each in entries] == [
        ("test_destination", "pagerduty"),
        ("backup", "everything"),
        ("export", "points"),
    ]
    assert entries[0]["time"] == time_to_json(NOW)
    assert client.get("/api/audit/verify").json() == {"sound": True, "entries": 3, "reason": ""}


def test_the_trail_is_turned_page_by_page_and_asked_for_in_part(client: TestClient):
    for signal in ("points", "logs", "spans"):
        client.get(f"/api/export/{signal}", params={"format": "csv"})
    client.post("/api/backup")

    def asked(**params: str | int) -> tuple[list[str], int | None]:
        body = client.get("/api/audit", params=params).json()
        assert body["actions"] == ["backup", "export"]
        return [each["subject"] for each in body["entries"]], body["next"]

    assert asked(limit=2) == (["everything", "spans"], 3)
    assert asked(limit=2, before=3) == (["logs", "points"], None)
    assert asked(action="export", subject="o") == (["logs", "points"], None)
    assert asked(actor="nobody") == ([], None)
    assert asked(**{"from": time_to_json(NOW), "to": time_to_json(NOW + NS)})[0] == [
        "everything",
        "spans",
        "logs",
        "points",
    ]
    assert asked(**{"from": time_to_json(NOW + NS)}) == ([], None)
    assert client.get("/api/audit", params={"from": "yesterday"}).status_code == 400


def test_configurations_that_were_in_force_are_listed_and_read(client: TestClient):
    [head] = client.get("/api/config/history").json()["configurations"]
    assert (head["by"], head["size_bytes"]) == ("tocsin.yaml", 15)
    assert client.get(f"/api/config/history/{head['sha256']}").json()["text"] == "dry_run: false\n"
    assert client.get("/api/config/history/none").status_code == 404


def test_caps_that_were_reached_are_said_where_people_look():
    held = replace(deps(), notices=lambda tenant: [f"{tenant}: label 'user' has 100000 values"])
    client = TestClient(control_app(held), base_url="http://localhost")
    [spot] = [each for each in client.get("/api/overview").json()["blind"] if "told apart" in each["what"]]
    assert spot["why"] == "main: label 'user' has 100000 values"
    assert client.get("/api/status").json()["notices"] == [spot["why"]]


def test_numbers_of_other_tenants_are_not_shown():
    text = (
        "# TYPE tocsin_x_dropped_total counter\n"
        'tocsin_x_dropped_total{tenant="main"} 1.0\ntocsin_x_dropped_total{tenant="other"} 2.0\n'
        "# TYPE tocsin_y_dropped_total counter\ntocsin_y_dropped_total 4.0\n"
    )
    assert [each.value for each in own_health({"hot": text}, "main").drops] == [1.0, 4.0]
    assert [each.value for each in own_health({"hot": text}, "other").drops] == [2.0, 4.0]


def test_requests_refused_whole_are_refusals():
    lines = ["# TYPE tocsin_ingest_http_requests_total counter"]
    lines += [f'tocsin_ingest_http_requests_total{{path="/v1/logs",status="{s}"}} 1.0' for s in (200, 400, 503)]
    lines += ["# TYPE tocsin_ingest_grpc_requests_total counter"]
    lines += [f'tocsin_ingest_grpc_requests_total{{signal="logs",status="{s}"}} 1.0' for s in ("OK", "UNAVAILABLE")]
    own = own_health({"hot": "\n".join([*lines, ""])})
    assert [row.labels.partition("status=")[2] for row in own.refusals] == ["400", "503", "UNAVAILABLE"]


def test_what_cannot_be_negative_is_not_expected_to_be():
    line = Line("00" * 16, "queue.time", "s", {}, [NOW, NOW], [0.1, 0.2], [-0.4, None], [0.6, 0.7])
    assert line_document(line)["lower"] == [0.0, None]
    assert line_document(replace(line, signal="temperature", unit="Cel"))["lower"] == [-0.4, None]


def test_an_incident_is_said_in_sentences_with_evidence(client):
    found = client.get(f"/api/incidents/{story().id}/summary").json()
    assert found["id"] == story().id
    assert {each["part"] for each in found["sentences"]} == {"what", "why", "next"}
    assert all(each["sources"] for each in found["sentences"])
    assert (found["rephrased"], found["rephrased_at"], found["model"]) == ([], None, "")
    assert client.get("/api/incidents/inc-none/summary").status_code == 404


def test_status_says_what_telemetry_can_not_show(client):
    assert client.get("/api/status").json()["unseen"][0] == "Stolen credentials."
