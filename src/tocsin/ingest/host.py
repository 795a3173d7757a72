"""Metrics of the machine this runs on, by psutil, under the names of OpenTelemetry."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import suppress
from types import MappingProxyType
from typing import Any

import numpy as np
import psutil

from tocsin.ingest.edge import Edge
from tocsin.ingest.processes import TopProcesses
from tocsin.ingest.scrape import next_beat
from tocsin.model.clock import SECOND, Clock
from tocsin.model.errors import Overloaded
from tocsin.model.frame import NO_VALUE, Frame, points_frame
from tocsin.model.series import MAIN_TENANT, Kind, Labels, Signal, canonical
from tocsin.selfmon.metrics import counter

SOURCE = "host"
Reading = tuple[Signal, Labels, float]
Sleep = Callable[[float], Awaitable[None]]
_MISSING = counter("tocsin_ingest_host_missing_total", "Groups of host metrics this machine doesn't give", ["group"])
# what psutil raises where a counter is absent, as in containers
_ABSENT = (OSError, psutil.Error, AttributeError, NotImplementedError, RuntimeError, ValueError)
_DEVICES_MAX = 64


def _gauge(name: str, unit: str) -> Signal:
    return Signal(name, unit)


def _total(name: str, unit: str) -> Signal:
    return Signal(name, unit, Kind.SUM, monotonic=True, cumulative=True)


_CPU = _gauge("system.cpu.utilization", "1")
_CPU_COUNT = _gauge("system.cpu.logical.count", "{cpu}")
_MEMORY_USAGE = _gauge("system.memory.usage", "By")
_MEMORY_UTILIZATION = _gauge("system.memory.utilization", "1")
_MEMORY_LIMIT = _gauge("system.memory.limit", "By")
_PAGING = _gauge("system.paging.utilization", "1")
_DISK_IO = _total("system.disk.io", "By")
_DISK_OPERATIONS = _total("system.disk.operations", "{operation}")
_NETWORK_IO = _total("system.network.io", "By")
_NETWORK_ERRORS = _total("system.network.errors", "{error}")
_NETWORK_DROPPED = _total("system.network.packet.dropped", "{packet}")
_FILESYSTEM = _gauge("system.filesystem.utilization", "1")
_FILESYSTEM_USAGE = _gauge("system.filesystem.usage", "By")
_LOADS = tuple(_gauge(f"system.cpu.load_average.{span}", "{thread}") for span in ("1m", "5m", "15m"))
_PROCESSES = _gauge("system.processes.count", "{process}")
_PROCESS_CPU = _gauge("process.cpu.utilization", "1")
_PROCESS_MEMORY = _gauge("process.memory.usage", "By")


def _bytes_by_state() -> Iterator[Reading]:
    memory = psutil.virtual_memory()
    # what can be had back at once counts as free: a full page cache is no shortage
    used = memory.total - memory.available
    yield _MEMORY_LIMIT, (), float(memory.total)
    for state, size in (("used", used), ("free", memory.free), ("cached", getattr(memory, "cached", None))):
        if size is not None and memory.total:
            labels = (("system.memory.state", state),)
            yield _MEMORY_USAGE, labels, float(size)
            yield _MEMORY_UTILIZATION, labels, size / memory.total


def _paging() -> Iterator[Reading]:
    swap = psutil.swap_memory()
    if swap.total:
        yield _PAGING, (("system.paging.state", "used"),), swap.used / swap.total


def _disks() -> Iterator[Reading]:
    found = psutil.disk_io_counters(perdisk=True) or {}
    named = [name for name in sorted(found) if not name.startswith(("loop", "ram", "zram"))]
    for name in named[:_DEVICES_MAX]:
        one = found[name]
        rows = (
            (_DISK_IO, "read", one.read_bytes),
            (_DISK_IO, "write", one.write_bytes),
            (_DISK_OPERATIONS, "read", one.read_count),
            (_DISK_OPERATIONS, "write", one.write_count),
        )
        for signal, direction, total in rows:
            yield signal, (("disk.io.direction", direction), ("system.device", name)), float(total)


def _networks() -> Iterator[Reading]:
    found = psutil.net_io_counters(pernic=True) or {}
    # the pairs of containers come and go, and their traffic is also that of the bridge
    named = [name for name in sorted(found) if not name.startswith("veth")]
    for name in named[:_DEVICES_MAX]:
        one = found[name]
        rows = (
            (_NETWORK_IO, "receive", one.bytes_recv),
            (_NETWORK_IO, "transmit", one.bytes_sent),
            (_NETWORK_ERRORS, "receive", one.errin),
            (_NETWORK_ERRORS, "transmit", one.errout),
            (_NETWORK_DROPPED, "receive", one.dropin),
            (_NETWORK_DROPPED, "transmit", one.dropout),
        )
        for signal, direction, total in rows:
            yield signal, (("network.interface.name", name), ("network.io.direction", direction)), float(total)


def _filesystems() -> Iterator[Reading]:
    mounts = {"/": ""}
    for partition in psutil.disk_partitions(all=False):
        # one file bound into a container is not a file system of its own
        if len(mounts) < _DEVICES_MAX and not partition.mountpoint.startswith("/snap/"):
            mounts[partition.mountpoint] = partition.device
    for mountpoint, device in sorted(mounts.items()):
        with suppress(*_ABSENT):
            if not os.path.isdir(mountpoint):  # noqa: PTH112 - a Path adds nothing to one question
                continue
            usage = psutil.disk_usage(mountpoint)
            labels = (("system.device", device), ("system.filesystem.mountpoint", mountpoint))
            kept = tuple(pair for pair in labels if pair[1])
            if usage.total:
                yield _FILESYSTEM, kept, usage.used / usage.total
                yield _FILESYSTEM_USAGE, (*kept, ("system.filesystem.state", "used")), float(usage.used)


def _loads() -> Iterator[Reading]:
    for signal, load in zip(_LOADS, psutil.getloadavg(), strict=True):
        yield signal, (), load


class Host:
    """Reads the machine on a fixed beat until cancelled; what a machine doesn't give is left out and counted."""

    def __init__(
        self,
        edge: Edge,
        clock: Clock,
        interval_ns: int = 10 * SECOND,
        *,
        host_name: str | None = None,
        resource: Mapping[str, str] = MappingProxyType({}),
        tenant: str = MAIN_TENANT,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._edge = edge
        self._clock = clock
        self._interval_ns = interval_ns
        self._resource = canonical({"host.name": host_name or socket.gethostname(), **resource})
        self._tenant = tenant
        self._sleep = sleep
        self._cpu: Any = None
        self._processes = TopProcesses()
        self._present: set[tuple[Signal, Labels]] = set()

    async def run(self) -> None:
        """Read and hand in until cancelled."""
        await asyncio.to_thread(self.begin, self._clock.now())
        while True:
            now = self._clock.now()
            beat = next_beat(now, self._interval_ns, 0)
            await self._sleep((beat - now) / SECOND)
            # reading all processes takes tens of milliseconds: not on the loop that serves requests
            frame = await asyncio.to_thread(self.collect, beat)
            try:
                await self._edge.accept([frame])
            except Overloaded:
                self._edge.refuse(self._tenant, SOURCE, "overloaded", len(frame))

    def begin(self, now: int) -> None:
        """Take the counters as they are, so that the first readings already have rates."""
        for _ in self._readings(now):
            pass

    def collect(self, now: int) -> Frame:
        """All readings of this moment (ns); rates are against the reading before."""
        readings = list(self._readings(now))
        present = {(signal, labels) for signal, labels, _ in readings}
        gone = sorted(self._present - present, key=lambda one: (one[0].name, one[1]))
        self._present = present
        series = [(signal, labels) for signal, labels, _ in readings] + gone
        refs = [
            self._edge.identifier.ref(self._tenant, SOURCE, signal, self._resource, labels) for signal, labels in series
        ]
        values = np.array([value for _, _, value in readings] + [np.nan] * len(gone), np.float64)
        flags = np.array([0] * len(readings) + [NO_VALUE] * len(gone), np.uint8)
        times = np.full(len(refs), now, np.int64)
        return points_frame(self._tenant, SOURCE, np.array(refs, np.int32), times, values, None, flags)

    def _readings(self, now: int) -> Iterator[Reading]:
        groups: tuple[tuple[str, Callable[[], Iterator[Reading]]], ...] = (
            ("cpu", self._cpus),
            ("memory", _bytes_by_state),
            ("paging", _paging),
            ("disk", _disks),
            ("network", _networks),
            ("filesystem", _filesystems),
            ("load", _loads),
            ("processes", lambda: self._top(now)),
        )
        for name, group in groups:
            try:
                yield from list(group())
            except _ABSENT:
                _MISSING.labels(name).inc()

    def _cpus(self) -> Iterator[Reading]:
        before, self._cpu = self._cpu, psutil.cpu_times()
        yield _CPU_COUNT, (), float(psutil.cpu_count() or 1)
        if before is None:
            return
        # guest time is already in user time
        modes = [mode for mode in self._cpu._fields if not mode.startswith("guest")]
        spent = {mode: max(getattr(self._cpu, mode) - getattr(before, mode), 0.0) for mode in modes}
        whole = sum(spent.values())
        if whole <= 0:
            return
        idle = spent.get("idle", 0.0) + spent.get("iowait", 0.0)
        yield _CPU, (), 1 - idle / whole
        for mode, seconds in spent.items():
            yield _CPU, (("cpu.mode", mode),), seconds / whole

    def _top(self, now: int) -> Iterator[Reading]:
        found = self._processes.read(now)
        yield _PROCESSES, (), float(found.count)
        for name, utilization in sorted(found.cpu_utilization.items()):
            yield _PROCESS_CPU, (("process.executable.name", name),), utilization
        for name, size in sorted(found.memory_bytes.items()):
            yield _PROCESS_MEMORY, (("process.executable.name", name),), float(size)
