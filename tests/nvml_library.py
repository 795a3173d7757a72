"""An NVML that is not there: the C functions that the real bindings call, with the real one's rules and errors.

`pynvml` is the real package; only the shared library behind it is this. A call before `init`, or after the last
`shutdown`, is refused; buffers that are too small are refused; what a GPU lacks is not supported; functions that a
driver does not have are not found; a lost GPU answers nothing but that it is lost.
"""

from __future__ import annotations

import ctypes
import threading
from dataclasses import dataclass, field
from types import SimpleNamespace

import pynvml

OK, UNINITIALIZED, INVALID, NOT_SUPPORTED, NOT_FOUND = 0, 1, 2, 3, 6
TOO_SMALL, NOT_LOADED, TIMEOUT, LOST = 7, 9, 10, 15
MESSAGES = {UNINITIALIZED: b"Uninitialized", NOT_LOADED: b"Driver Not Loaded", LOST: b"GPU is lost"}


@dataclass
class FakeGpu:
    """What one GPU says; `lacks` are functions that it does not support."""

    uuid: str
    name: str = "NVIDIA H100 80GB HBM3"
    total: int = 85_520_809_984
    used: int = 70_000_000_000
    reserved: int = 600_000_000
    busy: int = 40
    heat: int = 55
    milliwatt: int = 310_000
    clocks: tuple[int, int] = (1980, 2619)
    reasons: int = 0
    ecc: dict[int, int] = field(default_factory=lambda: {0: 0, 1: 0})
    processes: list[tuple[int, int]] = field(default_factory=list)
    links: int = 2
    lost: bool = False
    lacks: set[str] = field(default_factory=set)


class FakeLibrary:
    """Functions by the names of the shared library; unknown ones raise AttributeError, as ctypes does."""

    def __init__(self, gpus, *, absent=()):
        self.gpus = gpus
        self.absent = set(absent)
        self.loaded = True
        self.inits = 0
        self.calls = []
        self.events = []
        self.sets = 0
        self.gate = threading.Event()
        self.gate.set()

    def __getattr__(self, name):
        if not name.startswith("nvml") or name in self.absent:
            raise AttributeError(name)
        try:
            call = getattr(type(self), f"do_{name}")
        except AttributeError:
            raise AttributeError(name) from None

        def function(*args):
            self.gate.wait(30)
            self.calls.append(name)
            if not self.loaded:
                return NOT_LOADED
            if not self.inits and not name.startswith("nvmlInit"):
                return UNINITIALIZED
            if name.startswith("nvmlDevice") and name not in {"nvmlDeviceGetCount_v2", "nvmlDeviceGetHandleByIndex_v2"}:
                gpu = self.of(args[0])
                if gpu is None:
                    return INVALID
                if gpu.lost:
                    return LOST
                if name in gpu.lacks:
                    return NOT_SUPPORTED
                return call(self, gpu, *args[1:])
            return call(self, *args)

        return function

    def of(self, handle):
        address = ctypes.cast(handle, ctypes.c_void_p).value
        return self.gpus[address - 1] if address and address <= len(self.gpus) else None

    # -- the library itself --------------------------------------------------------------------------------------------

    def do_nvmlInitWithFlags(self, _flags):
        self.inits += 1
        return OK

    def do_nvmlShutdown(self):
        self.inits -= 1
        return OK

    def nvmlErrorString(self, code):
        return MESSAGES.get(code, b"Unknown Error")

    def do_nvmlDeviceGetCount_v2(self, count):
        count._obj.value = len(self.gpus)
        return OK

    def do_nvmlDeviceGetHandleByIndex_v2(self, index, handle):
        number = index.value if hasattr(index, "value") else index
        if number >= len(self.gpus):
            return INVALID
        if self.gpus[number].lost:
            return LOST
        ctypes.cast(handle, ctypes.POINTER(ctypes.c_void_p))[0] = number + 1
        return OK

    # -- one GPU -------------------------------------------------------------------------------------------------------

    def do_nvmlDeviceGetUUID(self, gpu, buffer, size):
        return fill(buffer, size, gpu.uuid)

    def do_nvmlDeviceGetName(self, gpu, buffer, size):
        return fill(buffer, size, gpu.name)

    def do_nvmlDeviceGetMemoryInfo(self, gpu, memory):
        info = memory._obj
        info.total, info.used, info.free = gpu.total, gpu.used + gpu.reserved, gpu.total - gpu.used - gpu.reserved
        return OK

    def do_nvmlDeviceGetMemoryInfo_v2(self, gpu, memory):
        info = memory._obj
        if info.version != pynvml.nvmlMemory_v2:
            return pynvml.NVML_ERROR_ARGUMENT_VERSION_MISMATCH
        info.total, info.used, info.reserved = gpu.total, gpu.used, gpu.reserved
        info.free = gpu.total - gpu.used - gpu.reserved
        return OK

    def do_nvmlDeviceGetUtilizationRates(self, gpu, rates):
        rates._obj.gpu, rates._obj.memory = gpu.busy, gpu.busy // 2
        return OK

    def do_nvmlDeviceGetTemperatureV(self, gpu, heat):
        if heat._obj.version != pynvml.nvmlTemperature_v1:
            return pynvml.NVML_ERROR_ARGUMENT_VERSION_MISMATCH
        heat._obj.temperature = gpu.heat
        return OK

    def do_nvmlDeviceGetTemperature(self, gpu, _sensor, heat):
        return put(heat, gpu.heat)

    def do_nvmlDeviceGetPowerUsage(self, gpu, power):
        return put(power, gpu.milliwatt)

    def do_nvmlDeviceGetEnforcedPowerLimit(self, _gpu, power):
        return put(power, 700_000)

    def do_nvmlDeviceGetTotalEnergyConsumption(self, _gpu, energy):
        return put(energy, 123_456_000)

    def do_nvmlDeviceGetClockInfo(self, gpu, kind, clock):
        return put(clock, gpu.clocks[0 if kind.value == pynvml.NVML_CLOCK_SM else 1])

    def do_nvmlDeviceGetCurrentClocksEventReasons(self, gpu, reasons):
        return put(reasons, gpu.reasons)

    def do_nvmlDeviceGetCurrentClocksThrottleReasons(self, gpu, reasons):
        return put(reasons, gpu.reasons)

    def do_nvmlDeviceGetTotalEccErrors(self, gpu, kind, _counter, count):
        return put(count, gpu.ecc[kind.value])

    def do_nvmlDeviceGetRemappedRows(self, _gpu, *four):
        return max(put(one, 0) for one in four)

    def do_nvmlDeviceGetPcieReplayCounter(self, _gpu, count):
        return put(count, 3)

    def do_nvmlDeviceGetPcieThroughput(self, _gpu, _direction, rate):
        return put(rate, 2_000)

    def do_nvmlDeviceGetNvLinkState(self, gpu, link, up):
        return put(up, 1) if link < gpu.links else INVALID

    def do_nvmlDeviceGetComputeRunningProcesses_v3(self, gpu, count, array):
        room, count._obj.value = count._obj.value, len(gpu.processes)
        if len(gpu.processes) > room:
            return TOO_SMALL
        for place, (pid, size) in enumerate(gpu.processes):
            array[place].pid, array[place].usedGpuMemory = pid, size
        return OK

    # -- events --------------------------------------------------------------------------------------------------------

    def do_nvmlEventSetCreate(self, events):
        self.sets += 1
        ctypes.cast(events, ctypes.POINTER(ctypes.c_void_p))[0] = 99
        return OK

    def do_nvmlDeviceRegisterEvents(self, _gpu, kinds, _events):
        return OK if kinds.value & pynvml.nvmlEventTypeXidCriticalError else INVALID

    def do_nvmlEventSetWait_v2(self, _events, found, _milliseconds):
        if not self.events:
            return TIMEOUT
        number, code = self.events.pop(0)
        found._obj.device = ctypes.cast(number + 1, type(found._obj.device))
        found._obj.eventType, found._obj.eventData = pynvml.nvmlEventTypeXidCriticalError, code
        return OK

    def do_nvmlEventSetFree(self, _events):
        self.sets -= 1
        return OK


def fill(buffer, size, text):
    if len(text) + 1 > size.value:
        return TOO_SMALL
    buffer.value = text.encode()
    return OK


def put(place, value):
    place._obj.value = value
    return OK


def bindings(library: FakeLibrary | None, monkeypatch) -> SimpleNamespace:
    """The real bindings over this library; None: the machine has no such library."""
    monkeypatch.setattr(pynvml, "nvmlLib", library)
    monkeypatch.setattr(pynvml, "_nvmlGetFunctionPointer_cache", {})
    return pynvml
