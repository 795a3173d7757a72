"""Machines as their page shows them: readings by every pack's names, what is missing, what is gone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from tocsin.app.machines import Machines
from tocsin.model.clock import ManualClock
from tocsin.model.series import Kind, Series, Signal
from tocsin.spec.joint import InventorySpec
from tocsin.spec.packs import load_packs
from tocsin.store.latest_rows import Latest

NS = 10**9
NOW = 1_795_275_000 * NS
PACKS = load_packs()


class Held:
    """Newest values that a test gives."""

    def __init__(self, rows: Sequence[Latest]) -> None:
        self.rows = rows

    def signals(self, tenant: str) -> Sequence[str]:
        return sorted({row.series.signal.name for row in self.rows} | {"http.server.request.duration"})

    def newest(self, tenant: str, signals: Sequence[str], fresh: int, seen: int) -> Sequence[Latest]:
        assert "http.server.request.duration" not in signals
        return [row for row in self.rows if row.series.signal.name in signals and row.time >= seen]


def row(name: str, value: float | None, ago_s: float = 5, **labels: str) -> Latest:
    told = {key.replace("__", "."): text for key, text in labels.items()}
    return Latest(Series.of("main", Signal(name, "1", Kind.GAUGE), told), NOW - int(ago_s * NS), value)


def hosts(*rows: Latest, inventory: Sequence[InventorySpec] = ()) -> dict[str, dict[str, Any]]:
    found = Machines(Held(rows), PACKS, lambda: inventory, ManualClock(NOW)).hosts("main")
    return {each["host"]: each for each in found}


def dcgm(number: int, ago_s: float = 5) -> list[Latest]:
    labels = {"UUID": f"GPU-{number}", "gpu": str(number), "Hostname": "n1", "modelName": "NVIDIA H200"}
    values = {"DCGM_FI_DEV_FB_USED": 1024.0, "DCGM_FI_DEV_FB_FREE": 3072.0, "DCGM_FI_DEV_GPU_UTIL": 50.0}
    values |= {"DCGM_FI_DEV_GPU_TEMP": 61.0, "DCGM_FI_DEV_XID_ERRORS": 79.0, "DCGM_FI_DEV_CLOCK_THROTTLE_REASONS": 0x44}
    fresh = ago_s <= 300
    return [row(name, value if fresh else None, ago_s, **labels) for name, value in values.items()]


def own(**more: str) -> dict[str, str]:
    return {"hw__id": "GPU-a", "hw__name": "NVIDIA L4", "hw__type": "gpu", "host__name": "n2", **more}


def test_a_gpu_is_read_by_the_names_of_dcgm_exporter():
    [gpu] = hosts(*dcgm(0))["n1"]["devices"]
    expected = {
        "id": "GPU-0", "model": "NVIDIA H200", "number": "0", "live": True, "memory_used": 2**30, "memory_total": 4 * 2**30,
        "memory_ratio": 0.25, "utilization": 0.5, "temperature": 61.0, "error_code": 79.0,
        "throttle": ["hw_thermal", "sw_power_cap"], "power": None,
    }  # fmt: skip
    assert {name: gpu[name] for name in expected} == expected


def test_a_gpu_is_read_by_the_names_of_the_own_collector():
    [gpu] = hosts(
        row("hw.gpu.memory.usage", 5e9, **own()),
        row("hw.gpu.memory.utilization", 0.2, **own()),
        row("hw.power", 71.0, **own()),
        row("hw.power.limit", 72.0, **own()),
        row("hw.gpu.throttle", 1.0, **own(hw__gpu__throttle__reason="sw_power_cap")),
        row("hw.gpu.throttle", 0.0, **own(hw__gpu__throttle__reason="hw_thermal")),
    )["n2"]["devices"]
    assert (gpu["model"], gpu["memory_ratio"], gpu["power"], gpu["power_limit"]) == ("NVIDIA L4", 0.2, 71.0, 72.0)
    assert gpu["throttle"] == ["sw_power_cap"]


def test_a_gpu_that_was_seen_and_is_not_is_missing():
    found = hosts(*dcgm(0), *dcgm(1, ago_s=3600))["n1"]
    assert (found["expected"], found["expected_by"], found["present"], found["missing"]) == (2, "seen in 7 days", 1, 1)
    gone = found["devices"][1]
    assert (gone["live"], gone["memory_used"]) == (False, None)


def test_an_inventory_says_how_many_there_must_be():
    found = hosts(*dcgm(0), inventory=[InventorySpec(host="n*", devices=8)])["n1"]
    assert (found["expected"], found["expected_by"], found["missing"]) == (8, "inventory", 7)
    assert hosts(*dcgm(0), inventory=[InventorySpec(host="other", devices=8)])["n1"]["missing"] == 0


def test_a_host_is_read_by_either_exporter_and_may_be_gone():
    found = hosts(
        row("system.cpu.utilization", 0.4, host__name="a"),
        row("system.memory.utilization", 0.6, host__name="a", system__memory__state="used"),
        row("system.memory.utilization", 0.1, host__name="a", system__memory__state="free"),
        row("system.filesystem.utilization", 0.2, host__name="a", system__filesystem__mountpoint="/"),
        row("system.filesystem.utilization", 0.9, host__name="a", system__filesystem__mountpoint="/data"),
        row("node_memory_MemAvailable_bytes", 1e9, instance="b:9100"),
        row("node_memory_MemTotal_bytes", 4e9, instance="b:9100"),
        row("node_load1", None, 7200, instance="c:9100"),
    )
    a, b, c = found["a"], found["b"], found["c"]
    assert (a["cpu_ratio"], a["memory_ratio"], a["disk"]) == (0.4, 0.6, {"ratio": 0.9, "part": "/data"})
    assert b["memory_ratio"] == pytest.approx(0.75)
    assert (c["live"], c["load"], a["live"]) == (False, None, True)
    assert hosts() == {}
