"""NVIDIA's management library (NVML), read safely: what each GPU says of itself, and what goes wrong meanwhile.

The library is loaded when it is first needed; a machine without it is an ordinary one. A reading that a GPU doesn't
give is asked for once; a GPU that is lost is told as lost; anything that says that the driver itself is gone ends
the session, and the next one begins anew.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, Final, TypeAlias

import psutil

from tocsin.model.series import Kind, Labels, Signal
from tocsin.model.text import one_line

Reading: TypeAlias = tuple[Signal, Labels, float]
LINKS: Final = 18
PROCESSES: Final = 16


class NoDriver(Exception):
    """There is no driver, or it is gone; `state` says which in a word, the text in a sentence."""

    def __init__(self, state: str, text: str) -> None:
        super().__init__(text)
        self.state = state


def _gauge(name: str, unit: str) -> Signal:
    return Signal(name, unit)


def _total(name: str, unit: str) -> Signal:
    return Signal(name, unit, Kind.SUM, monotonic=True, cumulative=True)


USAGE: Final = _gauge("hw.gpu.memory.usage", "By")
LIMIT: Final = _gauge("hw.gpu.memory.limit", "By")
RATIO: Final = _gauge("hw.gpu.memory.utilization", "1")
BUSY: Final = _gauge("hw.gpu.utilization", "1")
BANDWIDTH: Final = _gauge("hw.gpu.memory.bandwidth.utilization", "1")
HEAT: Final = _gauge("hw.temperature", "Cel")
POWER: Final = _gauge("hw.power", "W")
POWER_LIMIT: Final = _gauge("hw.power.limit", "W")
ENERGY: Final = _total("hw.energy", "J")
CLOCK: Final = _gauge("hw.gpu.clock", "MHz")
THROTTLE: Final = _gauge("hw.gpu.throttle", "1")
ERRORS: Final = _total("hw.errors", "{error}")
XID: Final = _gauge("hw.gpu.xid.last", "1")
XIDS: Final = _total("hw.gpu.xid.count", "{error}")
IO: Final = _gauge("hw.gpu.io.rate", "By/s")
LINK: Final = _gauge("hw.gpu.link.up", "1")
PROCESS: Final = _gauge("hw.gpu.process.memory.usage", "By")
STATUS: Final = _gauge("hw.status", "1")
_REASONS: Final = (
    ("sw_power_cap", 0x04),
    ("hw_slowdown", 0x08),
    ("sw_thermal", 0x20),
    ("hw_thermal", 0x40),
    ("hw_power_brake", 0x80),
)


def load_library() -> ModuleType:
    """The bindings; they look for the driver's own library when a session begins."""
    return importlib.import_module("pynvml")


@dataclass(slots=True)
class Gpu:
    """One GPU of a session: its handle, what it lacks, and the errors it reported."""

    handle: Any
    uuid: str
    name: str
    lost: bool = False
    lacks: set[str] = field(default_factory=set)
    last_xid: int = 0
    xids: dict[int, int] = field(default_factory=dict)

    @property
    def labels(self) -> tuple[tuple[str, str], ...]:
        """What all its series carry."""
        return ("hw.id", self.uuid), ("hw.name", self.name), ("hw.type", "gpu")


class Session:
    """From the library's `init` to its `shutdown`; opened and closed as often as one likes.

    Raises
    ------
    NoDriver
        At `open` or `read`: there is no library, no driver, or it has gone away.
    """

    def __init__(self, library: Callable[[], Any] = load_library) -> None:
        self._load = library
        self._n: Any = None
        self._open = False
        self._events: Any = None
        self.gpus: list[Gpu] = []

    def open(self) -> None:
        """Begin, unless it is open."""
        if self._open:
            return
        try:
            self._n = self._load()
            self._n.nvmlInit()
        except ImportError as error:
            raise NoDriver("no_library", f"the package nvidia-ml-py is not installed ({error})") from error
        except self._n.NVMLError as error:
            raise self._gone(error) from error
        self._open = True
        try:
            self._find()
        except self._n.NVMLError as error:
            self.close()
            raise self._gone(error) from error

    def close(self) -> None:
        """End; never raises what the library has to say about it."""
        if not self._open:
            return
        self._open = False
        if self._events is not None:
            with suppress(self._n.NVMLError):
                self._n.nvmlEventSetFree(self._events)
            self._events = None
        with suppress(self._n.NVMLError):
            self._n.nvmlShutdown()

    def read(self) -> list[Reading]:
        """All readings of all GPUs at this moment."""
        try:
            if self._n.nvmlDeviceGetCount() != sum(not gpu.lost for gpu in self.gpus):
                self._find()
            self._xids()
            return [reading for gpu in self.gpus for reading in self._gpu(gpu)]
        except self._n.NVMLError as error:
            self.close()
            raise self._gone(error) from error

    def _gone(self, error: Any) -> NoDriver:
        n = self._n
        code = getattr(error, "value", None)
        states = {
            n.NVML_ERROR_LIBRARY_NOT_FOUND: ("no_library", "there is no NVIDIA driver library on this machine"),
            n.NVML_ERROR_DRIVER_NOT_LOADED: ("no_driver", "the NVIDIA driver is not loaded"),
            n.NVML_ERROR_LIB_RM_VERSION_MISMATCH: (
                "mismatch",
                "the NVIDIA driver was updated while it ran; restart the machine or reload the driver",
            ),
            n.NVML_ERROR_NO_PERMISSION: ("no_permission", "reading the GPUs is not allowed to this user"),
        }
        state, text = states.get(code, ("failed", f"the NVIDIA driver no longer answers: {error}"))
        return NoDriver(state, text)

    # -- what there is -------------------------------------------------------------------------------------------------

    def _find(self) -> None:
        """See which GPUs there are; those known stay known, lost ones too."""
        n = self._n
        known = {gpu.uuid: gpu for gpu in self.gpus}
        here: set[str] = set()
        for index in range(n.nvmlDeviceGetCount()):
            try:
                handle = n.nvmlDeviceGetHandleByIndex(index)
                uuid = one_line(n.nvmlDeviceGetUUID(handle), 100)
                gpu = known.setdefault(uuid, Gpu(handle, uuid, ""))
                gpu.handle, gpu.name, gpu.lost = handle, one_line(n.nvmlDeviceGetName(handle), 100), False
                here.add(uuid)
            except n.NVMLError as error:
                if not self._is_lost(error):
                    raise
        for uuid, gpu in known.items():
            gpu.lost = uuid not in here
        self.gpus = [known[uuid] for uuid in sorted(known)]
        self._listen()

    def _listen(self) -> None:
        """Ask for errors (XID) as they come; virtual machines often don't give them."""
        n = self._n
        if self._events is not None:
            with suppress(n.NVMLError):
                n.nvmlEventSetFree(self._events)
        self._events = None
        with suppress(n.NVMLError):
            self._events = n.nvmlEventSetCreate()
            for gpu in self.gpus:
                with suppress(n.NVMLError):
                    if not gpu.lost:
                        n.nvmlDeviceRegisterEvents(gpu.handle, n.nvmlEventTypeXidCriticalError, self._events)

    def _xids(self) -> None:
        n = self._n
        for _ in range(64 if self._events is not None else 0):
            try:
                event = n.nvmlEventSetWait_v2(self._events, 0)
                uuid = one_line(n.nvmlDeviceGetUUID(event.device), 100)
            except n.NVMLError as error:
                if error.value in {n.NVML_ERROR_TIMEOUT, n.NVML_ERROR_NOT_SUPPORTED} or self._is_lost(error):
                    return
                raise
            for gpu in self.gpus:
                if gpu.uuid == uuid:
                    gpu.last_xid = int(event.eventData)
                    gpu.xids[gpu.last_xid] = gpu.xids.get(gpu.last_xid, 0) + 1

    def _is_lost(self, error: Any) -> bool:
        n = self._n
        return error.value in {
            n.NVML_ERROR_GPU_IS_LOST,
            n.NVML_ERROR_RESET_REQUIRED,
            n.NVML_ERROR_GPU_NOT_FOUND,
            n.NVML_ERROR_NOT_FOUND,
            n.NVML_ERROR_INVALID_ARGUMENT,
            n.NVML_ERROR_UNKNOWN,
        }

    # -- one GPU -------------------------------------------------------------------------------------------------------

    def _gpu(self, gpu: Gpu) -> Iterator[Reading]:
        found: list[Reading] = []
        for name, group in self._groups():
            if gpu.lost or name in gpu.lacks:
                continue
            try:
                found += [(signal, (*gpu.labels, *more), value) for signal, more, value in group(gpu)]
            except self._n.NVMLError as error:
                if self._is_lost(error):
                    gpu.lost = True
                elif error.value in {
                    self._n.NVML_ERROR_NOT_SUPPORTED,
                    self._n.NVML_ERROR_FUNCTION_NOT_FOUND,
                    self._n.NVML_ERROR_NO_PERMISSION,
                }:
                    gpu.lacks.add(name)
                elif error.value in {self._n.NVML_ERROR_UNINITIALIZED, self._n.NVML_ERROR_DRIVER_NOT_LOADED}:
                    raise
        if gpu.lost:
            found = []
        yield from found
        yield STATUS, (*gpu.labels, ("hw.state", "failed")), float(gpu.lost)
        yield STATUS, (*gpu.labels, ("hw.state", "ok")), float(not gpu.lost)

    def _groups(self) -> tuple[tuple[str, Callable[[Gpu], Iterator[Reading]]], ...]:
        return (
            ("memory", self._memory),
            ("utilization", self._utilization),
            ("temperature", self._temperature),
            ("power", self._power),
            ("power_limit", self._power_limit),
            ("energy", self._energy),
            ("clocks", self._clocks),
            ("throttle", self._throttle),
            ("ecc", self._ecc),
            ("rows", self._rows),
            ("replays", self._replays),
            ("pcie", self._pcie),
            ("links", self._links),
            ("processes", self._processes),
            ("xid", self._errors),
        )

    def _memory(self, gpu: Gpu) -> Iterator[Reading]:
        try:  # the second version leaves out what the driver keeps for itself
            memory = self._n.nvmlDeviceGetMemoryInfo(gpu.handle, version=self._n.nvmlMemory_v2)
        except self._n.NVMLError as error:
            if error.value != self._n.NVML_ERROR_FUNCTION_NOT_FOUND:
                raise
            memory = self._n.nvmlDeviceGetMemoryInfo(gpu.handle)
        yield USAGE, (), float(memory.used)
        yield LIMIT, (), float(memory.total)
        if memory.total:
            yield RATIO, (), memory.used / memory.total

    def _utilization(self, gpu: Gpu) -> Iterator[Reading]:
        rates = self._n.nvmlDeviceGetUtilizationRates(gpu.handle)
        yield BUSY, (("hw.gpu.task", "general"),), rates.gpu / 100
        yield BANDWIDTH, (), rates.memory / 100

    def _temperature(self, gpu: Gpu) -> Iterator[Reading]:
        try:
            heat = self._n.nvmlDeviceGetTemperatureV(gpu.handle, self._n.NVML_TEMPERATURE_GPU)
        except self._n.NVMLError as error:
            if error.value != self._n.NVML_ERROR_FUNCTION_NOT_FOUND:
                raise
            heat = self._n.nvmlDeviceGetTemperature(gpu.handle, self._n.NVML_TEMPERATURE_GPU)
        yield HEAT, (), float(heat)

    def _power(self, gpu: Gpu) -> Iterator[Reading]:
        yield POWER, (), self._n.nvmlDeviceGetPowerUsage(gpu.handle) / 1000

    def _power_limit(self, gpu: Gpu) -> Iterator[Reading]:
        yield POWER_LIMIT, (), self._n.nvmlDeviceGetEnforcedPowerLimit(gpu.handle) / 1000

    def _energy(self, gpu: Gpu) -> Iterator[Reading]:
        yield ENERGY, (), self._n.nvmlDeviceGetTotalEnergyConsumption(gpu.handle) / 1000

    def _clocks(self, gpu: Gpu) -> Iterator[Reading]:
        for domain, number in (("sm", self._n.NVML_CLOCK_SM), ("memory", self._n.NVML_CLOCK_MEM)):
            megahertz = self._n.nvmlDeviceGetClockInfo(gpu.handle, number)
            yield CLOCK, (("hw.gpu.clock.domain", domain),), float(megahertz)

    def _throttle(self, gpu: Gpu) -> Iterator[Reading]:
        try:
            reasons = self._n.nvmlDeviceGetCurrentClocksEventReasons(gpu.handle)
        except self._n.NVMLError as error:
            if error.value != self._n.NVML_ERROR_FUNCTION_NOT_FOUND:
                raise
            reasons = self._n.nvmlDeviceGetCurrentClocksThrottleReasons(gpu.handle)
        for reason, bit in _REASONS:
            yield THROTTLE, (("hw.gpu.throttle.reason", reason),), float(bool(reasons & bit))

    def _ecc(self, gpu: Gpu) -> Iterator[Reading]:
        n = self._n
        kinds = (
            ("corrected", n.NVML_MEMORY_ERROR_TYPE_CORRECTED),
            ("uncorrected", n.NVML_MEMORY_ERROR_TYPE_UNCORRECTED),
        )
        for kind, number in kinds:
            count = n.nvmlDeviceGetTotalEccErrors(gpu.handle, number, n.NVML_VOLATILE_ECC)
            yield ERRORS, (("error.type", kind),), float(count)

    def _rows(self, gpu: Gpu) -> Iterator[Reading]:
        _, _, _, failed = self._n.nvmlDeviceGetRemappedRows(gpu.handle)
        yield ERRORS, (("error.type", "row_remap_failure"),), float(failed)

    def _replays(self, gpu: Gpu) -> Iterator[Reading]:
        count = self._n.nvmlDeviceGetPcieReplayCounter(gpu.handle)
        yield ERRORS, (("error.type", "pcie_replay"),), float(count)

    def _pcie(self, gpu: Gpu) -> Iterator[Reading]:
        n = self._n
        for direction, number in (("receive", n.NVML_PCIE_UTIL_RX_BYTES), ("transmit", n.NVML_PCIE_UTIL_TX_BYTES)):
            kilobytes = n.nvmlDeviceGetPcieThroughput(gpu.handle, number)
            yield IO, (("network.io.direction", direction),), kilobytes * 1000.0

    def _links(self, gpu: Gpu) -> Iterator[Reading]:
        n = self._n
        for link in range(LINKS):
            try:
                up = n.nvmlDeviceGetNvLinkState(gpu.handle, link)
            except n.NVMLError as error:
                if link and error.value in {n.NVML_ERROR_INVALID_ARGUMENT, n.NVML_ERROR_NOT_SUPPORTED}:
                    return  # there are no more
                if error.value == n.NVML_ERROR_INVALID_ARGUMENT:
                    gpu.lacks.add("links")
                    return
                raise
            yield LINK, (("hw.gpu.link", str(link)),), float(up)

    def _processes(self, gpu: Gpu) -> Iterator[Reading]:
        held: dict[str, float] = {}
        for process in self._n.nvmlDeviceGetComputeRunningProcesses(gpu.handle):
            if process.usedGpuMemory is not None:
                name = _name_of(int(process.pid))
                held[name] = held.get(name, 0.0) + process.usedGpuMemory
        most = sorted(held.items(), key=lambda item: (-item[1], item[0]))[:PROCESSES]
        for name, size in most:
            yield PROCESS, (("process.executable.name", name),), float(size)

    def _errors(self, gpu: Gpu) -> Iterator[Reading]:
        if self._events is None:
            return
        yield XID, (), float(gpu.last_xid)
        for code, count in sorted(gpu.xids.items()):
            yield XIDS, (("hw.gpu.xid", str(code)),), float(count)


def _name_of(pid: int) -> str:
    """Name of a process, of another container often unknown."""
    try:
        return one_line(psutil.Process(pid).name(), 100) or "unknown"
    except (psutil.Error, OSError):
        return "unknown"
