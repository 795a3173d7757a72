"""A replica beside `tocsin control` of a cluster, whose log is on a broker: found by a worker, read at the replica."""

from __future__ import annotations

import json

import pytest

import postgres
from brokers import KafkaBroker
from replica.house import House, incident_of
from system.server import until

pytestmark = [pytest.mark.soak, pytest.mark.system, pytest.mark.timeout(900)]


@pytest.fixture
def house(tmp_path):
    if postgres.programs() is None:
        pytest.skip("postgresql is not installed")
    broker = KafkaBroker(tmp_path)
    made = House(tmp_path)
    cluster = {"brokers": [broker.address], "partitions": 2, "session": "6s", "snapshots": str(tmp_path / "shared")}
    made.config.write_text(json.dumps({**made.said, "cluster": {**cluster, "control": made.control.url}}))
    made.control.command[1] = "control"
    made.control.start()
    yield made
    made.close()
    broker.close()


def test_what_a_worker_finds_is_read_and_answered_at_a_replica(house, make_worker):
    worker = make_worker(house)
    replica = house.replica(control="").ready()  # the configuration says where control is
    house.breach("bot", at=worker)
    incident = incident_of(replica.http, "bot")
    assert until(lambda: house.told("bot", "trigger"), 120), house.control.log()
    assert replica.http.post(f"/api/incidents/{incident['id']}/ack").json()["state"] == "acknowledged"
    assert until(lambda: house.told("bot", "acknowledge"), 120), house.control.log()
    status = until(lambda: (found := replica.http.get("/api/status").json())["own"]["processes"] and found)
    assert {each["process"] for each in status["own"]["processes"]} == {"hot", "cold", "replica"}
    assert replica.http.get("/api/verdict/run-1").json()["verdict"] == "unknown"


@pytest.fixture
def make_worker(tmp_path):
    made = []

    def make(house):
        path = tmp_path / "worker"
        path.mkdir()
        worker = type(house.control)(path, house.control.environment["NUMBA_CACHE_DIR"], house.config.read_text())
        worker.command[1] = "worker"
        made.append(worker)
        return worker.start()

    yield make
    for each in made:
        each.close()
