"""From one machine to a cluster: what was learned goes along, and so does what is stored."""

import threading

import pytest

import postgres
from cluster.fleet import KINDS, Fleet, World
from engine.worlds import said
from tocsin.app.cluster.engines import WorkerEngine
from tocsin.app.cluster.links import Links
from tocsin.app.cluster.moving import move_engine, move_stores
from tocsin.app.cluster.shelves import shelves_of
from tocsin.app.engines import LocalEngine
from tocsin.app.logs import open_logs
from tocsin.app.stores import StatePlace
from tocsin.ingest.shards import shard_of
from tocsin.model.errors import BadConfig
from tocsin.model.series import Catalog
from tocsin.selfmon.clock import SystemClock
from tocsin.spec.config import Config
from tocsin.store.state import StateStore

pytestmark = pytest.mark.system
HALF = 150


@pytest.fixture
def fleet(request, tmp_path):
    """Topics; the parameter says where snapshots lie, if not in a directory."""
    in_topic = getattr(request, "param", "directory") == "topic"
    fleet = Fleet(
        tmp_path / "fleet", **({"snapshots": "topic", "shared": str(tmp_path / "shared")} if in_topic else {})
    )
    yield fleet
    fleet.close()


def on_one_machine(path, world, seconds):
    """Fold seconds of a world on one machine that is then stopped; what it said."""
    stop = threading.Event()
    logs = open_logs(path, world.catalog, SystemClock(), Config().limits, lambda error: None)
    for entries in [[world.control], *([*frames, tick] for frames, tick in seconds)]:
        logs[0].append(entries).result()
    engine = LocalEngine(path, *logs, world.catalog, stop)
    engine.catch_up()
    stop.set()
    engine.run()
    outputs = [record.entry for record in logs[1].read(0, 10_000)]
    for log in logs:
        log.close()
    return said(outputs, world.catalog, KINDS)


def moved_and_on(fleet, data, world, seconds):
    move_engine(data, Config(), fleet.spec, SystemClock())
    world.seconds = seconds
    stop = threading.Event()
    links = Links(fleet.spec, Catalog(), stop)
    engine = threading.Thread(target=WorkerEngine(links, shelves_of(fleet.spec).of).run)
    engine.start()
    fleet.send(world, per_second=1000)
    rows, _ = fleet.heard(seconds[-1][1].received)
    stop.set()
    engine.join()
    links.close()
    return rows


@pytest.mark.parametrize("fleet", ["directory", pytest.param("topic", marks=pytest.mark.soak)], indirect=True)
def test_what_one_machine_learned_is_known_to_the_cluster(fleet, tmp_path):
    world = World(tenants=("main",))
    alone, before, after = world.alone(), world.seconds[:HALF], world.seconds[HALF:]
    first = on_one_machine(tmp_path / "data", world, before)
    assert sorted([*first, *moved_and_on(fleet, tmp_path / "data", world, after)]) == alone


def test_a_cluster_in_use_takes_nobody_in(fleet, tmp_path):
    world = World(seconds=70, tenants=("main",))
    on_one_machine(tmp_path / "data", world, world.seconds[:5])
    fleet.poison()
    with pytest.raises(BadConfig, match="holds entries already"):
        move_engine(tmp_path / "data", Config(), fleet.spec, SystemClock())


def test_what_several_tenants_taught_is_not_torn_apart(fleet, tmp_path):
    world = World(seconds=70)
    on_one_machine(tmp_path / "data", world, world.seconds[:5])
    with pytest.raises(BadConfig, match="4 tenants"):
        move_engine(tmp_path / "data", Config(), fleet.spec, SystemClock())


def test_state_goes_to_postgresql_once(tmp_path):
    server = postgres.Server(postgres.programs())
    try:
        here = StateStore(f"sqlite:///{tmp_path / 'state.db'}")
        here.add_spec("main", "config", b"a: 1", "0" * 64, by="ann", at=5)
        here.audit("main", "ann", "silence", "x", {}, 7)
        here.close()
        place = StatePlace(server.empty())
        assert move_stores(tmp_path, place, None)[0] > 1
        there = place.open()
        assert there.specs("main", "config")[0].by == "ann"
        there.audit("main", "bob", "silence", "y", {}, 8)  # numbers go on behind those that came along
        assert {each.actor for each in there.audit_trail("main")} == {"ann", "bob"}
        there.close()
        with pytest.raises(BadConfig, match="holds rows already"):
            move_stores(tmp_path, place, None)
    finally:
        server.close()


def test_the_shard_of_a_tenant_is_the_same_on_every_machine():
    assert [shard_of(tenant, "", 64) for tenant in ("main", "a", "b")] == [41, 1, 18]
