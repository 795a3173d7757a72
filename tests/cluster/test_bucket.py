"""Workers that keep snapshots in a bucket: killed, relieved, and cut off from the store, they find what one machine finds."""

import time

import pytest

from cluster.fleet import Faults, Fleet, World
from objectstore import ObjectStore
from tocsin.app.doctor import examine_stores
from tocsin.spec.config import Config

pytestmark = pytest.mark.system
SECONDS = 240


@pytest.fixture(scope="module")
def world():
    return World(SECONDS)


@pytest.fixture(scope="module")
def alone(world):
    return world.alone()


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    store = ObjectStore(tmp_path_factory.mktemp("s3"))
    store.client().create_dir("snapshots")
    yield store
    store.close()


@pytest.fixture
def fleet(tmp_path, store):
    reached = {"endpoint": store.endpoint, "credentials_file": str(store.credentials)}
    place = f"s3://snapshots/{tmp_path.name}"
    fleet = Fleet(tmp_path / "fleet", snapshots=place, s3=reached, shared=str(tmp_path / "shared"))
    yield fleet
    fleet.close()


@pytest.mark.soak  # as from the topic: test_snapshot_topic.py
def test_a_worker_that_takes_over_goes_on_from_the_bucket(fleet, world, alone):
    fleet.start(2)
    faults = Faults(fleet, 1)
    fleet.send(world, per_second=12, at=[(120, faults.draw("kill")), (180, faults.draw("leave"))])
    found, _ = fleet.heard(world.seconds[-1][1].received)
    assert found == alone
    assert any(kind == "findings" for kind, *_ in found)
    places = fleet.begun()
    assert sorted(places) == list(range(fleet.topics.partitions))
    assert all(len(offsets) > 1 and offsets[0] == 0 < min(offsets[1:]) for offsets in places.values()), places


@pytest.mark.soak
def test_a_store_that_is_away_costs_snapshots_and_time_and_nothing_else(fleet, world, alone, store):
    first, _ = fleet.start(2)
    fleet.send(world, per_second=12, at=[(50, store.stop), (130, first.kill)])
    end = time.monotonic() + 60
    while "brokers or snapshots are away" not in (said := fleet.said(None)):
        assert time.monotonic() < end, said
        time.sleep(0.2)
    assert "a snapshot could not be written" in said
    store.start()
    found, _ = fleet.heard(world.seconds[-1][1].received)
    assert found == alone


def test_the_doctor_says_whether_the_bucket_answers(tmp_path, store):
    reached = {"endpoint": store.endpoint, "credentials_file": str(store.credentials)}
    cluster = {"snapshots": "s3://snapshots/doctor", "shared": str(tmp_path), "s3": reached}
    (check,) = examine_stores(Config(cluster=cluster), {}, tmp_path)
    assert (check.name, check.state, check.text) == ("snapshots", "ok", "s3://snapshots/doctor answers")
    (check,) = examine_stores(Config(cluster=cluster | {"snapshots": "s3://elsewhere"}), {}, tmp_path)
    assert check.state == "error"
    assert "there is no bucket elsewhere" in check.text
