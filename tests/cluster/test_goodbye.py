"""An edge that stops in good order says so in the log: the others' time goes on at once."""

import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import yaml

from brokers import free_port
from cluster.fleet import Fleet, spec_of_world
from engine.worlds import T0, S
from tocsin.app.cluster.engines import WorkerEngine
from tocsin.app.cluster.links import Links
from tocsin.app.cluster.shelves import shelves_of
from tocsin.journal.kafka.envelope import routed_of
from tocsin.journal.kafka.reader import PlacesReader
from tocsin.model.log import Control, Tick
from tocsin.model.routed import GOODBYE
from tocsin.model.series import Catalog

pytestmark = pytest.mark.system
TOCSIN = Path(sys.executable).with_name("tocsin")


@pytest.fixture
def fleet(tmp_path):
    fleet = Fleet(tmp_path / "fleet", partitions=2)
    yield fleet
    fleet.close()


def test_the_time_of_the_others_goes_on_at_once(fleet):
    stop = threading.Event()
    going, staying = (Links(fleet.spec, Catalog(), stop) for _ in range(2))
    engine = threading.Thread(target=WorkerEngine(staying, shelves_of(fleet.spec).of).run)
    engine.start()
    staying.log.append([spec_of_world().control()]).result(60)
    for edge in (going, staying):
        edge.log.append([Tick(T0 + S)]).result(60)
    going.leave()
    going.close()
    staying.log.append([Tick(T0 + 2 * S)]).result(60)
    fleet.heard(T0 + 2 * S)  # else time stood at the first second until the edge is 10 s behind
    stop.set()
    engine.join()
    staying.close()


def test_a_process_that_is_asked_to_end_says_goodbye_last(fleet, tmp_path):
    file = tmp_path / "tocsin.yaml"
    file.write_text(yaml.safe_dump({"cluster": fleet.spec_fields}))
    off = ["--otlp-http-port", "0", "--otlp-grpc-port", "0", "--no-host-metrics"]
    command = [
        TOCSIN,
        "worker",
        "--no-engine",
        "--config",
        file,
        "--data",
        tmp_path / "data",
        "--port",
        str(free_port()),
    ]
    with (tmp_path / "log").open("wb") as log:
        worker = subprocess.Popen([*command, *off], stdout=subprocess.PIPE, stderr=log)
    assert worker.stdout.readline().startswith(b"ready: "), (tmp_path / "log").read_text()
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(60) == 0
    worker.stdout.close()
    reader = PlacesReader(fleet.topics.settings, {(fleet.topics.log, number): 0 for number in range(2)})
    said, quiet = {0: [], 1: []}, 0
    while quiet < 10:
        messages = reader.read(500, 0.1)
        quiet = 0 if messages else quiet + 1
        for each in messages:
            said[each.partition()].append(routed_of(each.offset(), each.value(), each.headers(), Catalog()))
    reader.close()
    for entries in said.values():
        assert len({each.edge for each in entries}) == 1
        assert any(isinstance(each.entry, Tick) for each in entries)
        goodbyes = [isinstance(each.entry, Control) and each.entry.kind == GOODBYE for each in entries]
        assert goodbyes == [False] * (len(entries) - 1) + [True]
