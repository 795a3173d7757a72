"""The A31 story, field by field: what a cluster says of the demo's log is what the machine said that wrote it.

The log of a real `tocsin demo` is sent to a broker, tick by tick; two workers fold it, which both die in the middle once;
control's mirror and its reducer make incidents of it, in PostgreSQL. Nothing may differ, and nothing is left out but what is
counted of requests in the store of telemetry (`impact`, `severity`): both sides count nothing here.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

import postgres
from cluster.fleet import Fleet
from cluster.told_twice import alone, clustered, differences

pytestmark = [pytest.mark.soak, pytest.mark.system, pytest.mark.timeout(1800)]
SEED = 7


@pytest.fixture(scope="module")
def story(tmp_path_factory):
    """The data directory of a machine that saw the story, and the incident that it printed."""
    data = tmp_path_factory.mktemp("story")
    tocsin = Path(sys.executable).with_name("tocsin")
    program = [tocsin, "demo", "--headless", "--json", "--seed", str(SEED), "--history-days", "0.5", "--data", data]
    found = subprocess.run(list(map(str, program)), capture_output=True, text=True, timeout=900, check=False)
    assert found.returncode == 0, found.stderr[-3000:]
    (incident,) = json.loads(found.stdout)["incidents"]
    return data, incident


@pytest.fixture
def database():
    server = postgres.Server(postgres.programs())
    yield server.empty()
    server.close()


@pytest.mark.parametrize("killed", [False, True])
def test_the_incident_of_a_cluster_is_that_of_one_machine_in_every_field(story, database, tmp_path, killed):
    data, printed = story
    one = alone(data, tmp_path)
    assert one[printed["id"]]["incident"]["causes"][0]["kind"] == printed["causes"][0]["kind"] == "prompt"
    fleet = Fleet(tmp_path / "fleet")
    ticks = []

    def kill(received):
        ticks.append(received)
        if killed and len(ticks) == 20:
            for worker in fleet.workers:
                worker.kill()
            fleet.start(2)

    try:
        other = clustered(data, tmp_path, fleet, database, then=kill)
    finally:
        fleet.close()
    assert len(ticks) > 20
    assert list(differences(one, other)) == []
