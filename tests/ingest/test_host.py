"""Host metrics: names, rates, and what happens where a machine gives nothing."""

from __future__ import annotations

import asyncio
import itertools
import subprocess
import sys
import time
from types import SimpleNamespace
from typing import NamedTuple

import psutil
import pytest

from prometheus_wire import Bench
from tocsin.ingest.host import Host
from tocsin.ingest.processes import TopProcesses
from tocsin.model.clock import SECOND
from tocsin.model.frame import NO_VALUE
from tocsin.model.series import Kind

NOW = 10**18


class Times(NamedTuple):
    """Processor times in seconds, as psutil gives them."""

    user: float
    idle: float


def rows_of(bench: Bench, host: Host, now: int) -> list[dict[str, object]]:
    bench.log.append([host.collect(now)])
    return [row for row in bench.rows() if row["time"] == now]


def test_names_of_opentelemetry_and_the_host_on_all() -> None:
    bench = Bench()
    host = Host(bench.edge, bench.clock, host_name="box", resource={"region": "eu"})
    rows_of(bench, host, NOW)
    before = psutil.cpu_times()
    while sum(psutil.cpu_times()) - sum(before) < 0.05:  # a share of no time at all would be none
        pass
    rows = rows_of(bench, host, NOW + SECOND)
    assert all(row["labels"]["host.name"] == "box" and row["labels"]["region"] == "eu" for row in rows)  # type: ignore[index]
    names = {row["name"] for row in rows}
    assert {
        "system.cpu.utilization",
        "system.memory.utilization",
        "system.memory.usage",
        "system.filesystem.utilization",
        "system.cpu.load_average.1m",
        "system.processes.count",
        "process.cpu.utilization",
        "process.memory.usage",
    } <= names
    for row in rows:
        if row["signal"].unit == "1":  # type: ignore[attr-defined]
            assert 0 <= row["value"] <= 1, row  # type: ignore[operator]
        if row["name"] in {"system.network.io", "system.disk.io"}:
            assert (row["signal"].kind, row["signal"].cumulative) == (Kind.SUM, True)  # type: ignore[attr-defined]
    assert not any("pid" in key for row in rows for key in row["labels"])  # type: ignore[attr-defined]
    assert len({row["series"] for row in rows}) == len(rows)


def test_a_burning_program_is_named() -> None:
    top = TopProcesses()
    # a name of its own, so that other Python processes are not meant
    burner = (
        "import ctypes; ctypes.CDLL(None).prctl(15, b'tocsin-burner', 0, 0, 0)\nprint(flush=True)\nwhile True: pass"
    )
    with subprocess.Popen([sys.executable, "-c", burner], stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            process.stdout.readline()
            began = time.monotonic()
            top.read(NOW)
            spent = psutil.Process(process.pid).cpu_times().user
            while psutil.Process(process.pid).cpu_times().user < spent + 0.3:
                time.sleep(0.02)  # only the scheduler of the machine can give it processor time
            elapsed_ns = round((time.monotonic() - began) * SECOND)
            found = top.read(NOW + elapsed_ns)
        finally:
            process.kill()
    share = 0.3 / (elapsed_ns / SECOND) / (psutil.cpu_count() or 1)
    assert found.cpu_utilization["tocsin-burner"] >= 0.5 * share
    assert len(found.cpu_utilization) <= 5


def test_what_a_container_lacks_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(*_args: object, **_named: object) -> None:
        raise FileNotFoundError("/proc/diskstats")

    for name in (
        "disk_io_counters",
        "swap_memory",
        "net_io_counters",
        "disk_partitions",
        "getloadavg",
        "virtual_memory",
    ):
        monkeypatch.setattr(psutil, name, absent)
    monkeypatch.setattr(psutil, "process_iter", lambda: (_ for _ in ()).throw(psutil.AccessDenied()))
    bench = Bench()
    host = Host(bench.edge, bench.clock)
    rows_of(bench, host, NOW)
    names = {row["name"] for row in rows_of(bench, host, NOW + SECOND)}
    assert names <= {"system.cpu.utilization", "system.cpu.logical.count"}


def test_a_device_that_is_unplugged_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench()
    host = Host(bench.edge, bench.clock)
    counters = SimpleNamespace(bytes_sent=1, bytes_recv=2, errin=0, errout=0, dropin=0, dropout=0)
    monkeypatch.setattr(psutil, "net_io_counters", lambda pernic: {"usb0": counters})
    first = [row for row in rows_of(bench, host, NOW) if row["name"] == "system.network.io"]
    assert sorted(row["value"] for row in first) == [1.0, 2.0]  # type: ignore[type-var]
    monkeypatch.setattr(psutil, "net_io_counters", lambda pernic: {})
    ended = [row for row in rows_of(bench, host, NOW + SECOND) if row["name"] == "system.network.io"]
    assert [row["flags"] for row in ended] == [NO_VALUE] * 2
    assert not [row for row in rows_of(bench, host, NOW + 2 * SECOND) if row["name"] == "system.network.io"]


def test_beat_without_sleeping(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench()
    busy = (Times(10.0 * n, 30.0 * n) for n in itertools.count(1))
    monkeypatch.setattr(psutil, "cpu_times", lambda: next(busy))
    sleeps: list[float] = []

    async def sleep(seconds: float) -> None:
        sleeps.append(seconds)
        if len(sleeps) > 3:
            raise asyncio.CancelledError
        bench.clock.advance(round(seconds * SECOND))

    async def run() -> None:
        task = asyncio.ensure_future(Host(bench.edge, bench.clock, 10 * SECOND, sleep=sleep).run())
        await asyncio.wait([task])

    asyncio.run(run())
    assert sleeps[1:] == [10.0] * 3
    assert len(bench.frames()) == 3
    # rates are there from the first reading on
    found = [row["value"] for row in bench.rows() if row["name"] == "system.cpu.utilization"]
    assert found == [0.25, 0.25, 0.75] * 3
