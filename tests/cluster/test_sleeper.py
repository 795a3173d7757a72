"""A worker that slept longer than its session, between folding and writing: its lease is refused, and it writes nothing."""

import signal
import time
from pathlib import Path

import pytest

from cluster.fleet import Fleet, World

pytestmark = pytest.mark.system
PROGRAM = Path(__file__).with_name("sleeper_program.py")


@pytest.fixture
def fleet(tmp_path):
    fleet = Fleet(tmp_path / "fleet")
    yield fleet
    fleet.close()


def test_who_wakes_after_others_took_over_is_refused_and_writes_nothing(fleet):
    world = World(120)
    end = world.seconds[-1][1].received
    (sleeper,) = fleet.start(program=PROGRAM, arguments=[str(world.seconds[60][1].received)])
    fleet.send(world)
    _until(lambda: _state(sleeper) == "T")
    fleet.start()
    fleet.heard(end)  # the other one has all partitions, and has said all there is to say
    assert _state(sleeper) == "T"
    sleeper.send_signal(signal.SIGCONT)
    _until(lambda: "partitions went to another worker meanwhile" in fleet.said(last=0))
    found, twice = fleet.heard(end)
    assert twice == 0  # what it had folded before it slept was for every one of its partitions
    assert found == world.alone()


def _state(worker):
    return Path(f"/proc/{worker.pid}/stat").read_text().rsplit(")", 1)[1].split()[0]


def _until(true, limit_s=60):
    end = time.monotonic() + limit_s
    while not true():
        assert time.monotonic() < end
        time.sleep(0.1)
