"""Machines of the small world: a node whose GPU is hot, one that lacks a GPU, one that is gone, one with a hostile name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from api.world import HOSTILE, NOW, NS


def gpu(number: int, host: str, **more) -> dict[str, Any]:
    """A device as the page of machines gets it."""
    base = {
        "id": f"GPU-{host[:8]}-{number}", "host": host, "model": "NVIDIA H200", "number": str(number), "last_time": NOW - 5 * NS,
        "live": True, "failed": False, "memory_used": 61.4 * 2**30, "memory_total": 141.0 * 2**30, "memory_ratio": 0.435,
        "utilization": 0.91, "temperature": 64.0, "power": 512.0, "power_limit": 700.0, "clock": 1755.0, "error_code": 0.0,
        "throttle": [],
    }  # fmt: skip
    return {**base, **more}


def host(name: str, devices: Sequence[dict[str, Any]] = (), **more) -> dict[str, Any]:
    """A host as the page of machines gets it."""
    live = sum(each["live"] for each in devices)
    base = {
        "host": name, "last_time": NOW - 4 * NS, "live": True, "cpu_ratio": 0.34, "load": 3.2, "memory_ratio": 0.61,
        "disk": {"ratio": 0.72, "part": "/var"}, "expected": len(devices), "expected_by": "seen in 7 days", "present": live,
        "missing": len(devices) - live, "devices": list(devices),
    }  # fmt: skip
    return {**base, **more}


def machines(_: str) -> Sequence[Mapping[str, Any]]:
    """All machines of this world."""
    bare = dict.fromkeys(("utilization", "temperature", "power", "power_limit", "clock", "error_code", "throttle"))
    return [
        host(
            "gpu-node-2",
            [
                gpu(0, "gpu-node-2", temperature=86.0, throttle=["hardware thermal", HOSTILE], error_code=63.0),
                gpu(1, "gpu-node-2"),
                gpu(2, "gpu-node-2", live=False, last_time=NOW - 3600 * NS),
            ],
            expected=4,
            expected_by="inventory",
            missing=2,
            cpu_ratio=0.97,
        ),
        host("web-1", live=False, last_time=NOW - 7200 * NS, cpu_ratio=None, load=None, memory_ratio=None, disk=None),
        host(HOSTILE, [gpu(0, HOSTILE, model=HOSTILE, memory_used=None, memory_total=None, memory_ratio=None, **bare)]),
    ]
