"""GPUs by NVIDIA's library: what is read, what one that lacks something gives, and what happens when the driver dies."""

from __future__ import annotations

import asyncio
import os
import re
from pathlib import Path

import pynvml
import pytest

from nvml_library import FakeGpu, FakeLibrary, bindings
from prometheus_wire import Bench
from tocsin.ingest.gpu import Gpus
from tocsin.ingest.gpu_library import NoDriver, Session
from tocsin.model.clock import SECOND
from tocsin.model.frame import NO_VALUE

NOW = 10**18


@pytest.fixture
def library(monkeypatch):
    found = FakeLibrary([FakeGpu("GPU-a"), FakeGpu("GPU-b", busy=0, milliwatt=71_000)])
    bindings(found, monkeypatch)
    return found


class Machine:
    """A machine with that library, read beat by beat."""

    def __init__(self, **more):
        self.bench = Bench()
        self.now = NOW
        self.gpus = Gpus(self.bench.edge, self.bench.clock, host_name="box", **more)

    def rows(self):
        self.now += 10 * SECOND
        frame = asyncio.run(self.gpus.collect(self.now))
        if frame is None:
            return []
        self.bench.log.append([frame])
        return [row for row in self.bench.rows() if row["time"] == self.now]

    def values(self, name, **labels):
        return {
            row["labels"].get("hw.id", ""): row["value"]
            for row in self.rows()
            if row["name"] == name and labels.items() <= row["labels"].items() and not row["flags"] & NO_VALUE
        }


def by(rows, name):
    return [row for row in rows if row["name"] == name]


def test_every_reading_of_every_gpu(library):
    library.gpus[0].processes = [(os.getpid(), 4 << 30), (2**22 + 5, 1 << 30)]
    rows = Machine().rows()
    assert {row["name"] for row in rows} >= {
        "hw.gpu.memory.usage", "hw.gpu.memory.limit", "hw.gpu.memory.utilization", "hw.gpu.utilization", "hw.temperature",
        "hw.power", "hw.power.limit", "hw.energy", "hw.gpu.clock", "hw.gpu.throttle", "hw.errors", "hw.gpu.xid.last",
        "hw.gpu.io.rate", "hw.gpu.link.up", "hw.gpu.process.memory.usage", "hw.status", "hw.gpu.driver.up", "hw.gpu.count",
    }  # fmt: skip
    assert all(row["labels"]["host.name"] == "box" for row in rows)
    assert [row["value"] for row in by(rows, "hw.power")] == [310.0, 71.0]
    assert by(rows, "hw.gpu.memory.utilization")[0]["value"] == pytest.approx(70e9 / 85_520_809_984)
    assert {row["labels"]["hw.type"] for row in rows if "hw.id" in row["labels"]} == {"gpu"}
    names = {row["labels"]["process.executable.name"] for row in by(rows, "hw.gpu.process.memory.usage")}
    assert "unknown" in names
    assert len(names) == 2
    assert len(by(rows, "hw.gpu.link.up")) == 4
    assert not any("pid" in key for row in rows for key in row["labels"])


def test_what_a_gpu_lacks_is_left_out_and_asked_for_once(library):
    library.gpus[0].lacks = {"nvmlDeviceGetTotalEccErrors", "nvmlDeviceGetPowerUsage", "nvmlDeviceGetNvLinkState"}
    machine = Machine()
    first = machine.rows()
    assert {row["labels"]["hw.id"] for row in by(first, "hw.power")} == {"GPU-b"}
    assert {row["labels"]["hw.id"] for row in by(first, "hw.temperature")} == {"GPU-a", "GPU-b"}
    asked = library.calls.count("nvmlDeviceGetPowerUsage")
    machine.rows()
    assert library.calls.count("nvmlDeviceGetPowerUsage") == asked + 1


def test_an_older_driver_without_the_newer_functions(library):
    library.absent = {
        "nvmlDeviceGetMemoryInfo_v2",
        "nvmlDeviceGetTemperatureV",
        "nvmlDeviceGetCurrentClocksEventReasons",
    }
    library.gpus[0].reasons = 0x40
    rows = Machine().rows()
    assert by(rows, "hw.temperature")[0]["value"] == 55
    on = [row["labels"]["hw.gpu.throttle.reason"] for row in by(rows, "hw.gpu.throttle") if row["value"]]
    assert on == ["hw_thermal"]


def test_no_library_is_a_state_and_nothing_is_sent(monkeypatch):
    def load(*_args):
        raise OSError("libnvidia-ml.so.1: cannot open shared object file")

    monkeypatch.setattr(pynvml, "CDLL", load)
    bindings(None, monkeypatch)
    machine = Machine()
    assert (machine.rows(), machine.gpus.state) == ([], "no_library")
    wanted = Machine(wanted=True)
    assert [(row["name"], row["value"]) for row in wanted.rows()] == [("hw.gpu.driver.up", 0.0)]


def test_a_driver_that_is_not_loaded(library):
    library.loaded = False
    machine = Machine()
    assert (machine.rows(), machine.gpus.state) == ([], "no_driver")
    library.loaded = True
    assert machine.values("hw.gpu.driver.up") == {"": 1.0}


def test_a_driver_that_dies_half_way_is_told_and_found_again(library):
    machine = Machine()
    machine.rows()
    library.loaded = False
    rows = machine.rows()
    assert machine.gpus.state == "no_driver"
    assert [row["value"] for row in by(rows, "hw.gpu.driver.up")] == [0.0]
    assert all(row["flags"] & NO_VALUE for row in rows if row["name"] != "hw.gpu.driver.up")
    assert machine.values("hw.gpu.driver.up") == {"": 0.0}
    library.loaded, library.inits = True, 0
    assert set(machine.values("hw.power")) == {"GPU-a", "GPU-b"}
    assert machine.gpus.state == "running"


def test_a_lost_gpu_is_told_and_the_others_are_read(library):
    machine = Machine()
    machine.rows()
    library.gpus[0].lost = True
    rows = machine.rows()
    failed = {
        row["labels"]["hw.id"]: row["value"] for row in by(rows, "hw.status") if row["labels"]["hw.state"] == "failed"
    }
    assert failed == {"GPU-a": 1.0, "GPU-b": 0.0}
    power = {row["labels"]["hw.id"]: bool(row["flags"] & NO_VALUE) for row in by(rows, "hw.power")}
    assert power == {"GPU-a": True, "GPU-b": False}
    assert machine.values("hw.gpu.count") == {"": 1.0}
    library.gpus[0].lost = False
    assert set(machine.values("hw.power")) == {"GPU-a", "GPU-b"}


def test_errors_are_told_as_the_last_code_and_counted(library):
    machine = Machine()
    machine.rows()
    library.events = [(1, 79), (1, 79), (0, 31)]
    rows = machine.rows()
    assert {row["labels"]["hw.id"]: row["value"] for row in by(rows, "hw.gpu.xid.last")} == {"GPU-a": 31, "GPU-b": 79}
    counts = {
        (row["labels"]["hw.id"], row["labels"]["hw.gpu.xid"]): row["value"] for row in by(rows, "hw.gpu.xid.count")
    }
    assert counts == {("GPU-b", "79"): 2, ("GPU-a", "31"): 1}


def test_a_driver_that_hangs_holds_nothing_up(library):
    machine = Machine(answer_s=0.2)
    machine.rows()
    library.gate.clear()

    async def hanging():
        frames = [await machine.gpus.collect(machine.now + k * 10 * SECOND) for k in (1, 2)]
        state = machine.gpus.state
        library.gate.set()
        for _ in range(200):
            await machine.gpus.collect(machine.now + 40 * SECOND)
            if machine.gpus.state == "running":
                break
        return frames, state

    frames, state = asyncio.run(hanging())
    assert state == "hangs"
    assert all(frame is not None for frame in frames)
    assert machine.gpus.state == "running"


def test_a_session_is_opened_and_closed_as_often_as_one_likes(library):
    session = Session()
    for _ in range(3):
        session.open()
        session.open()
        assert session.read()
        session.close()
        session.close()
        assert (library.inits, library.sets) == (0, 0)
    library.loaded = False
    with pytest.raises(NoDriver, match="not loaded"):
        session.open()
    assert library.inits == 0


def test_the_loop_ends_the_session_when_it_is_cancelled(library):
    async def story():
        beats, second = [], asyncio.Event()

        async def sleep(seconds):
            beats.append(seconds)
            if len(beats) > 1:
                second.set()
                await asyncio.Event().wait()

        machine = Machine(sleep=sleep)
        running = asyncio.create_task(machine.gpus.run())
        await asyncio.wait_for(second.wait(), 30)
        assert library.inits == 1
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    asyncio.run(story())
    assert (library.inits, library.sets) == (0, 0)


def test_the_emulated_library_has_only_functions_that_the_bindings_call():
    known = set(re.findall(r'_nvmlGetFunctionPointer\("(\w+)"\)', Path(pynvml.__file__).read_text()))
    mine = {name.removeprefix("do_") for name in vars(FakeLibrary) if name.startswith("do_")}
    assert mine <= known
