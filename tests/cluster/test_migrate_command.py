"""`tocsin migrate` as a user calls it, and telemetry that goes to other servers: all of it, once."""

import json
import os
import subprocess
import sys
from contextlib import closing

import pytest

import postgres
from cluster.fleet import Fleet
from cluster.fleet import World as Telemetry
from cluster.test_migrate import on_one_machine
from store.front_process import FrontProcess, drop
from store.world import SECOND, T0, World, spans_frame
from tocsin.app.cluster.shelves import shelves_of
from tocsin.app.datadir import lock_data_dir
from tocsin.app.stores import StatePlace
from tocsin.journal.kafka.topics import asker, bounds
from tocsin.model.errors import BadConfig, Unreachable
from tocsin.store.cluster import Cluster
from tocsin.store.moving import copy_telemetry
from tocsin.store.schema import DATABASE, TABLES
from tocsin.store.state import StateStore
from tocsin.store.telemetry import TelemetryStore

pytestmark = pytest.mark.system
POINTS = 70


@pytest.fixture(scope="module")
def clickhouse(tmp_path_factory):
    made = FrontProcess(tmp_path_factory.mktemp("front"))
    yield made
    made.kill()


@pytest.fixture
def there(clickhouse):
    """An empty cluster that takes telemetry."""
    cluster = Cluster(clickhouse.url, "one", timeout_s=120)
    drop(cluster)
    yield cluster
    clickhouse.fault()


@pytest.fixture(scope="module")
def server():
    made = postgres.Server(postgres.programs())
    yield made
    made.close()


@pytest.fixture
def fleet(tmp_path):
    made = Fleet(tmp_path / "fleet")
    yield made
    made.close()


def stored(path):
    """Points of three days and a span in the store of one machine; how they are exported."""
    world = World(path)
    times = [T0 + n * 3600 * SECOND for n in range(POINTS)]
    world.input.append([world.points([world.ref(host="a")] * POINTS, times, range(POINTS)), spans_frame([{}])])
    world.writer.drain()
    told = exported(world.store)
    world.close()
    return told


def exported(store):
    """Rows of points and spans as they are exported, and how many every table has."""
    told = {kind: sorted(b"".join(store.export(kind, "main")).splitlines()) for kind in ("points", "spans")}
    rows = {each.name: store.db.write_query(f"SELECT count() AS n FROM {DATABASE}.{each.name}") for each in TABLES}
    return told | {name: found.column("n").to_pylist()[0] for name, found in rows.items() if name not in told}


def copied(path, cluster):
    """Copy as the command does; rows that went, and what the cluster then has."""
    with (
        closing(TelemetryStore(path, read_only=True)) as here,
        closing(TelemetryStore(path.parent / "there", cluster=cluster)) as target,
    ):
        return copy_telemetry(here, target), exported(target), target.applied("input")


def test_telemetry_is_copied_whole_and_a_store_in_use_takes_nothing_more(there, tmp_path):
    before = stored(tmp_path / "here")
    rows, after, applied = copied(tmp_path / "here", there)
    assert (len(before["points"]), len(before["spans"])) == (POINTS, 1)
    assert after == before | {"ledger": after["ledger"]}
    assert rows == POINTS + 1 + sum(count for count in before.values() if isinstance(count, int))
    assert applied[0] == 2  # the writer goes on with the log where it was
    with pytest.raises(BadConfig, match="in use already"):
        copied(tmp_path / "here", there)


@pytest.mark.parametrize("lost", [1, 4])
def test_a_copy_that_broke_off_is_run_again_and_doubles_nothing(there, clickhouse, tmp_path, lost):
    before = stored(tmp_path / "here")
    TelemetryStore(tmp_path / "there", cluster=there).close()
    for _ in range(lost):
        clickhouse.fault(lose_answers=1)  # rows are there, and nobody heard of it
        with pytest.raises(Unreachable):
            copied(tmp_path / "here", there)
    clickhouse.fault()
    _, after, _ = copied(tmp_path / "here", there)
    assert after == before | {"ledger": after["ledger"]}


def config_of(fleet, **more):
    """A tocsin.yaml of the cluster."""
    file = fleet.path / "tocsin.yaml"
    file.write_text(json.dumps({"cluster": fleet.spec_fields, **more}))
    return file


def migrate(config, data, *options):
    env = {name: value for name, value in os.environ.items() if not name.startswith("TOCSIN_")}
    command = [sys.executable, "-c", "from tocsin.cli.main import main; main()", "migrate", "--to", str(config)]
    return subprocess.run(
        [*command, "--data", str(data), *options], capture_output=True, text=True, timeout=300, check=False, env=env
    )


def a_machine(path, tenants=("main",)):
    """A stopped machine that has learned a little, with state and telemetry."""
    world = Telemetry(seconds=70, tenants=tenants)
    on_one_machine(path, world, world.seconds[:5])
    stored(path / "store")
    with closing(StateStore(f"sqlite:///{path / 'state.db'}")) as state:
        state.audit("main", "ann", "silence", "x", {}, 7)
    (path / "keys.json").write_text("{}")
    return path


def test_the_command_moves_what_was_learned_state_telemetry_and_keys(fleet, server, there, tmp_path):
    data, place = a_machine(tmp_path / "data"), StatePlace(server.empty())
    telemetry = {"url": there.url, "cluster": "one"}
    said = migrate(config_of(fleet, state={"url": place.url}, telemetry=telemetry).as_uri(), data)
    assert said.returncode == 0, said.stderr
    lines = said.stderr.splitlines()
    assert lines[0].startswith("learned: 2 series, now a snapshot of partition 1")
    assert lines[1].startswith("state: ")
    assert lines[1].endswith(" rows copied")
    assert lines[2].startswith("telemetry: ")
    assert lines[2].endswith(" rows copied")
    assert "tocsin worker --config" in lines[3]
    assert list(shelves_of(fleet.spec).shelf(1).names())
    with closing(place.open()) as state:
        assert [each.actor for each in state.audit_trail("main")] == ["ann"]
    with closing(TelemetryStore(tmp_path / "reader", cluster=there, read_only=True)) as store:
        assert len(exported(store)["points"]) == POINTS
    shared = tmp_path / "fleet" / "shared"
    assert (shared / "keys.json").read_text() == "{}"
    assert (shared / "redaction.key").read_bytes() == (data / "redaction.key").read_bytes()


@pytest.mark.soak  # without the command: test_migrate.py
def test_several_tenants_are_refused_before_anything_is_moved_unless_all_is_learned_anew(fleet, server, tmp_path):
    data, place = a_machine(tmp_path / "data", tenants=("a", "b")), StatePlace(server.empty())
    config = config_of(fleet, state={"url": place.url})
    refused = migrate(config, data)
    assert refused.returncode == 2
    assert "2 tenants" in refused.stderr
    assert "--learn-anew" in refused.stderr
    with closing(place.open()) as state:
        assert not state.audit_trail("main")
    said = migrate(config, data, "--learn-anew")
    assert said.returncode == 0, said.stderr
    assert "learned:" not in said.stderr
    assert said.stderr.splitlines()[1] == f"telemetry: stays in {data}"
    with closing(place.open()) as state:
        assert [each.actor for each in state.audit_trail("main")] == ["ann"]
    assert not any(list(shelves_of(fleet.spec).shelf(n).names()) for n in range(fleet.topics.partitions))
    again = migrate(config, data, "--learn-anew")
    assert again.returncode == 2
    assert "holds rows already" in again.stderr


def test_the_command_refuses_a_machine_that_runs_another_key_and_a_configuration_of_no_cluster(fleet, tmp_path):
    data = tmp_path / "data"
    config = config_of(fleet)
    nowhere = migrate(config, data)
    assert (nowhere.returncode, "there is no data directory" in nowhere.stderr) == (2, True)
    lock = lock_data_dir(data)
    running = migrate(config, data)
    os.close(lock)
    assert (running.returncode, f"pid {os.getpid()}" in running.stderr) == (2, True)
    shared = tmp_path / "fleet" / "shared"
    shared.mkdir(exist_ok=True)
    (shared / "redaction.key").write_bytes(b"another" * 5)
    other = migrate(config, data)
    assert (other.returncode, "is not the key of" in other.stderr) == (2, True)
    away = migrate("kafka://broker:9092/tocsin", data)
    assert (away.returncode, "not a file" in away.stderr) == (2, True)
    config.write_text("{}")
    alone = migrate(config, data)
    assert (alone.returncode, "there is no `cluster:` to move to" in alone.stderr) == (2, True)
    consumer = asker(fleet.topics.settings, "moved")
    assert not any(bounds(consumer, fleet.topics.log, n)[1] for n in range(fleet.topics.partitions))
    consumer.close()
