"""Replicas beside control: what they show is what control shows, people's answers are seen everywhere, control may die."""

from __future__ import annotations

import json
import threading
import time
from contextlib import suppress

import httpx2
import psycopg
import pytest

from system.server import until

pytestmark = [pytest.mark.system, pytest.mark.timeout(900)]
SAME = (
    "/api/incidents", "/api/actions", "/api/signals", "/api/states", "/api/series?signal=api.latency", "/api/events",
    "/api/silences", "/api/maintenance", "/api/rollout", "/api/oncall", "/api/config/history", "/api/labels",
    "/api/audit", "/api/audit/verify", "/api/health", "/api/models", "/api/machines", "/api/traces", "/api/llm",
    "/api/service_graph", "/api/logs", "/api/log_templates", "/api/destinations", "/openapi.json", "/", "/incidents",
)  # fmt: skip
"""Addresses whose answers are the same here and there while nothing happens."""


@pytest.fixture
def incident(house):
    """One that nobody has acted on, told and stored; `service` is whose it is."""
    found = house.incident()
    assert until(lambda: house.told(found["service"], "trigger"))
    assert until(lambda: house.control.http.get("/api/signals").json()["signals"]), house.control.log()
    return found


def test_processes_that_start_together_make_the_tables_once(house):
    with psycopg.connect(house.address) as connection:
        assert connection.execute("SELECT count(*), max(version_num) FROM alembic_version").fetchone() == (1, "0003")
    logs = "".join(each.log.read_text() for each in house.replicas) + house.control.log()
    assert "Traceback" not in logs


def test_a_replica_shows_what_control_shows(house, incident):
    name = incident["id"]
    own = (f"/api/incidents/{name}", f"/api/incidents/{name}/summary", f"/api/incidents/{name}/signals")

    def differing():
        found = []
        for path in (*SAME, *own):
            answers = [each.get(path) for each in (house.control.http, *(one.http for one in house.replicas))]
            assert {answer.status_code for answer in answers} == {200}, (path, [a.text[:300] for a in answers])
            if len({_still(answer) for answer in answers}) > 1:
                found.append((path, [_still(answer)[:600] for answer in answers]))
        return found

    # a destination's last delivery is told every few seconds
    assert until(lambda: not differing(), 60), differing()
    shown = house.replicas[0].http.get(own[0]).json()
    assert shown["escalation"]["to"] == ["hook"]
    assert (shown["team"], shown["route"]) == ("ml", "to hook")


def _still(answer):
    if "json" not in answer.headers["content-type"]:
        return answer.text
    document = answer.json()
    for moving in ("now", "from", "to"):
        document.pop(moving, None) if isinstance(document, dict) else None
    return json.dumps(document, sort_keys=True)


def heard(replica):
    """The status that a replica shows as soon as it has heard of control."""
    status = until(lambda: not (found := replica.http.get("/api/status").json())["not_ready"] and found, 60)
    assert status, replica.http.get("/api/status").text
    return status


def test_own_health_is_control_s_and_the_replica_s(house, incident):
    status = heard(house.replicas[0])
    assert {each["process"] for each in status["own"]["processes"]} == {"hot", "cold", "replica"}
    assert status["not_ready"] == []
    received = {each["name"] for each in status["own"]["received"]}
    assert "tocsin_ingest_http_requests_total" in received, "what control took in is seen"
    metrics = house.replicas[0].http.get("/metrics").text
    assert "tocsin_process_check_up" in metrics
    assert until(lambda: house.replicas[0].http.get("/healthz").text.startswith("ok\n"), 60)
    assert house.replicas[0].http.get("/readyz").json() == {"ready": True, "waiting_for": []}


def test_what_a_person_did_by_one_replica_is_seen_everywhere_at_once(house, incident):
    one, two = (each.http for each in house.replicas)
    everywhere = (one, two, house.control.http)
    answer = one.post(f"/api/incidents/{incident['id']}/ack", json={"note": "on it"})
    assert answer.status_code == 200, answer.text
    assert {each.get(f"/api/incidents/{incident['id']}").json()["state"] for each in everywhere} == {"acknowledged"}
    assert until(lambda: house.told(incident["service"], "acknowledge")), "control's policy heard of it"
    assert two.post(f"/api/incidents/{incident['id']}/feedback", json={"verdict": "real_problem"}).status_code == 200
    said = [each.get(f"/api/incidents/{incident['id']}").json()["feedback"] for each in everywhere]
    assert [row["verdict"] for row in said[0]] == ["real_problem"]
    assert said[0] == said[1] == said[2]
    silence = one.post("/api/silences", json={"matchers": {"service.name": "x"}, "for": "5m"}).json()
    assert silence["id"] in two.get("/api/silences").text
    assert two.delete(f"/api/silences/{silence['id']}").status_code == 200
    assert house.control.http.get("/api/audit/verify").json()["sound"] is True


def test_a_change_of_configuration_by_a_replica_wants_a_key_as_at_control(house):
    answer = house.replicas[0].http.post("/api/config", json={"text": "{}"})
    assert answer.status_code == 401
    assert "key alone" in answer.json()["detail"]


def test_while_a_store_is_away_that_is_said_and_it_comes_back(house, incident):
    http = house.replicas[0].http
    house.database.stop()
    answer = http.get("/api/incidents")
    assert (answer.status_code, answer.json()["code"]) == (503, "unreachable")
    assert "password" not in answer.text
    for path in ("/", "/healthz", "/readyz"):
        assert http.get(path).status_code == 200, path
    assert until(lambda: "state failing" in http.get("/healthz").text, 60)
    house.database.start()
    assert until(lambda: http.get("/api/incidents").status_code == 200, 60)

    house.clickhouse.kill()
    assert http.get("/api/signals").status_code == 503
    assert http.get(f"/api/incidents/{incident['id']}").status_code == 200, "that is in the other store"
    house.clickhouse.start()
    for each in (http, house.control.http):
        assert until(lambda each=each: each.get("/api/signals").status_code == 200, 60)
        assert until(lambda each=each: each.get("/api/incidents").status_code == 200, 60)


class Follower:
    """Somebody who has a page of a replica open: its events, as they come."""

    def __init__(self, replica):
        self.events = []
        self._thread = threading.Thread(target=self._follow, args=(replica,), daemon=True)
        self._thread.start()

    def _follow(self, replica):
        with suppress(httpx2.HTTPError), httpx2.stream("GET", f"{replica.url}/api/stream", timeout=120) as answer:
            kind = ""
            for line in answer.iter_lines():
                if line.startswith("event: "):
                    kind = line.removeprefix("event: ")
                elif line.startswith("data: "):
                    self.events.append((kind, json.loads(line.removeprefix("data: "))))


class Reader:
    """Reads on and on, whatever happens, and keeps what went wrong."""

    PATHS = (
        "/", "/api/incidents", "/api/overview", "/api/status", "/api/signals", "/api/destinations", "/api/review",
        "/api/actions", "/api/session", "/api/export/incidents", "/healthz", "/readyz",
    )  # fmt: skip

    def __init__(self, replica):
        self.wrong, self.read = [], 0
        self._stop = threading.Event()
        self._replica = replica
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self):
        while not self._stop.is_set():
            for path in self.PATHS:
                self._stop.wait(0.25)  # a person's pace: what is tested is not how fast it reads
                answer = self._replica.http.get(path)
                self.read += 1
                if answer.status_code != 200:
                    self.wrong.append((path, answer.status_code, answer.text[:300]))

    def close(self):
        self._stop.set()
        self._thread.join(120)


def test_control_that_is_killed_stops_no_reading_and_loses_no_answer(house):
    incident = house.incident()
    service = incident["service"]
    assert until(lambda: house.told(service, "trigger"))
    for each in house.replicas:
        heard(each)
    ack = f"/api/incidents/{incident['id']}/ack"
    readers = [Reader(each) for each in house.replicas]
    follower = Follower(house.replicas[1])
    assert until(lambda: [kind for kind, _ in follower.events if kind == "overview"])

    house.kill_control()
    answer = house.replicas[0].http.post(ack, json={"note": "in the gap"})
    assert (answer.status_code, answer.json()["code"]) == (503, "control_away")
    assert int(answer.headers["retry-after"]) > 0
    blind = until(lambda: house.replicas[0].http.get("/api/overview").json()["blind"], 60)
    assert [each for each in blind if "control has not been heard of" in each["what"]], blind
    assert "control failing" in until(
        lambda: (text := house.replicas[0].http.get("/healthz").text).startswith("degraded") and text, 60
    )
    assert house.replicas[0].http.get("/readyz").status_code == 200, "it still serves"
    assert house.replicas[0].http.get(f"/api/incidents/{incident['id']}").json()["state"] == "open"

    house.control.start()
    answer = until(lambda: (done := house.replicas[0].http.post(ack, json={})).status_code == 200 and done, 60)
    assert answer.json()["state"] == "acknowledged"
    assert until(lambda: [row for kind, row in follower.events if kind == "incident" and row["kind"] == "acknowledged"])
    assert until(lambda: house.told(service, "acknowledge"), 60), house.control.log()
    heard(house.replicas[1])
    later = house.incident()["service"]
    assert until(lambda: house.told(later, "trigger"))
    time.sleep(1.0)  # whatever would come twice
    for each in readers:
        each.close()
        assert each.wrong == []
        assert each.read > 50
    assert [len(house.told(each, "trigger")) for each in (service, later)] == [1, 1], "nothing is sent twice"
    assert len(house.told(service, "acknowledge")) == 1
    assert "Traceback" not in "".join(each.log.read_text() for each in house.replicas)
