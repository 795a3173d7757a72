"""Telemetry on a ClickHouse cluster: the whole way through the network client, and what goes wrong on it."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from store import clickhouse_front
from store.front_process import drop
from store.world import SECOND, T0, World, spans_frame
from tocsin.model.errors import Corrupt, TocsinError, Unreachable
from tocsin.store.cluster import Cluster, Tier
from tocsin.store.looking import look_at_cluster
from tocsin.store.telemetry import TelemetryStore

pytestmark = pytest.mark.soak  # a server of its own takes seconds at every start
TIERS = (Tier(2 * 86_400, "cold"), Tier(300 * 86_400, "cold", ("events",)))


@pytest.fixture
def front(clickhouse):
    yield clickhouse
    clickhouse.fault()


@pytest.fixture
def cluster(clickhouse):
    return Cluster(clickhouse.url, "one", timeout_s=120)


@pytest.fixture
def world(cluster, tmp_path):
    drop(cluster)
    made = World(tmp_path / "store", cluster=cluster)
    yield made
    made.close()


def test_a_batch_is_stored_once_though_its_answer_is_lost(world, front):
    world.input.append([world.points([world.ref()], [T0], [1.0]), spans_frame([{}])])
    front.fault(lose_answers=2)
    for _ in range(2):
        with pytest.raises(Unreachable, match="ClickHouse can't do it now"):
            world.writer.step()
    front.fault()
    world.input.append([world.points([world.ref()], [T0 + SECOND], [2.0])])  # the cut must stay as it was
    world.writer.drain()
    assert sorted(row["value"] for row in world.rows("points")) == [1.0, 2.0]
    assert len(world.rows("spans")) == 1
    assert world.store.counts()["log:input"] == {"next": 3, "dead_rows": 0}


def test_a_writer_on_another_machine_ends_the_batch_of_the_one_that_died(world, front, tmp_path):
    world.input.append([world.points([world.ref()], [T0], [1.0]), spans_frame([{}])])
    front.fault(lose_answers=2)  # of the note, and of the first rows
    for _ in range(2):
        with pytest.raises(Unreachable):
            world.writer.step()
    front.kill()
    front.start()
    world.input.append([world.points([world.ref()], [T0 + SECOND], [2.0])])
    other = TelemetryStore(tmp_path / "elsewhere", cluster=Cluster(front.url, "one", timeout_s=120))
    world.store.close()
    world.store = other
    world.writer = world.new_writer()
    world.writer.drain()
    assert sorted(row["value"] for row in world.rows("points")) == [1.0, 2.0]
    assert len(world.rows("spans")) == 1


def test_what_the_cluster_refuses_twice_is_kept_apart_and_what_it_can_t_take_now_is_not(world, front):
    world.input.append([world.points([world.ref()], [T0], [1.0]), spans_frame([{}])])
    front.fault(no_keeper=1)
    with pytest.raises(Unreachable, match="KEEPER_EXCEPTION"):
        world.writer.step()
    assert not (world.path / "dead").exists()
    front.fault(refuse="spans")
    world.writer.drain()
    assert [file.name.split("-")[0] for file in (world.path / "dead").iterdir()] == ["spans"]
    assert world.store.counts()["log:input"] == {"next": 2, "dead_rows": 1}
    assert [row["value"] for row in world.rows("points")] == [1.0]


def test_a_server_that_is_away_or_does_not_answer_is_said_and_comes_back(front, tmp_path):
    drop(Cluster(front.url, "one", timeout_s=120))
    store = TelemetryStore(tmp_path / "store", cluster=Cluster(front.url, "one", timeout_s=10))
    front.fault(hang_s=15)
    with pytest.raises(Unreachable, match="ClickHouse can't do it now"):
        store.applied("input")
    front.kill()
    with pytest.raises(Unreachable, match=f"clickhouse://127.0.0.1:{front.port}") as away:
        store.db.query("SELECT 1")
    assert clickhouse_front.PASSWORD not in str(away.value)
    front.start()
    assert store.applied("input") == (0, 0, 0)
    assert store.db.query("SELECT 1 AS one").to_pylist() == [{"one": 1}]
    store.close()
    wrong = front.url.replace(clickhouse_front.PASSWORD, "guessed")
    with pytest.raises(Unreachable, match="AUTHENTICATION_FAILED") as refused:
        TelemetryStore(tmp_path / "store", cluster=Cluster(wrong, "one", timeout_s=120))
    assert "guessed" not in str(refused.value)


def test_retention_and_tiers_are_changed_where_the_rows_are(front, tmp_path):
    drop(Cluster(front.url, "one", timeout_s=120))
    plain = Cluster(front.url, "one", storage_policy="tiered", timeout_s=120)
    TelemetryStore(tmp_path / "s", cluster=plain).close()
    tiered = Cluster(front.url, "one", storage_policy="tiered", tiers=TIERS, timeout_s=120)
    store = TelemetryStore(tmp_path / "s", cluster=tiered, retention={"spans": 3 * 86_400 * SECOND})
    sql = "SELECT name, create_table_query AS made FROM system.tables WHERE database = 'tocsin'"
    made = {row["name"]: row["made"].partition(" TTL ")[2] for row in store.db.query(sql).to_pylist()}
    assert (
        "toIntervalSecond(172800) TO VOLUME 'cold', toDateTime(stored) + toIntervalSecond(259200)"
        in made["spans_local"]
    )
    assert made["events_local"].count("TO VOLUME 'cold'") == 2
    assert not made["ledger_local"]
    assert not made["spans"]
    commands: list[str] = []
    store.db.command = commands.append
    store._apply_retention()
    assert commands == []  # what is right is left alone
    store.close()


def test_tables_of_an_older_program_grow_and_those_of_a_newer_one_are_refused(front, tmp_path):
    cluster = Cluster(front.url, "one", timeout_s=120)
    drop(cluster)
    store = TelemetryStore(tmp_path / "s", cluster=cluster)
    for name in ("spans", "spans_local"):
        store.db.command(f"ALTER TABLE tocsin.{name} ON CLUSTER `one` DROP COLUMN `customer`")
    store.close()
    store = TelemetryStore(tmp_path / "s", cluster=cluster)
    sql = "SELECT table FROM system.columns WHERE database = 'tocsin' AND name = 'customer' ORDER BY table"
    assert store.db.query(sql).column("table").to_pylist() == ["spans", "spans_local"]
    store.record("layout", 99, 0, 0, 99)
    store.close()
    with pytest.raises(Corrupt, match="newer"):
        TelemetryStore(tmp_path / "s", cluster=cluster)


def test_readers_beside_the_writer_change_nothing_and_see_what_is_stored(world, cluster, tmp_path):
    reader = TelemetryStore(tmp_path / "reader", cluster=cluster, read_only=True)
    world.input.append([world.points([world.ref()] * 3, T0 + np.arange(3) * SECOND, [1.0, 2.0, 3.0])])
    world.writer.drain()
    assert [row["name"] for row in reader.signals("main", "", 10)] == ["cpu"]
    assert not (tmp_path / "reader").exists()
    reader.close()


def test_the_doctor_says_what_answers(front):
    assert "cluster one of 1 shard(s)" in look_at_cluster(Cluster(front.url, "one", timeout_s=120))
    with pytest.raises(TocsinError, match="no cluster is called 'none'; there are one, two"):
        look_at_cluster(Cluster(front.url, "none"))


def test_chdb_is_not_loaded_where_a_cluster_keeps_telemetry(front, tmp_path):
    program = f"""
import sys
from pathlib import Path
from tocsin.app.stores import open_telemetry
from tocsin.spec.config import Config
from tocsin.spec.stores import TelemetrySpec
store = open_telemetry(Config(telemetry=TelemetrySpec(url={front.url!r}, cluster="one")), {{}}, Path({str(tmp_path)!r}))
store.counts()
store.close()
assert not [name for name in sys.modules if name.startswith("chdb")]
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=120)
