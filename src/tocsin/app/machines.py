"""Hosts and their devices as the page of machines shows them: newest readings, and what should be there and is not."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cache
from importlib.resources import files
from typing import Any, Final, Protocol

import yaml

from tocsin.derive.readings import ReadingNames
from tocsin.model.clock import SECOND, Clock
from tocsin.model.series import Series
from tocsin.spec.joint import InventorySpec
from tocsin.spec.pack import PackSpec
from tocsin.store.latest_rows import Latest

LIVE_NS: Final = 5 * 60 * SECOND
SEEN_NS: Final = 7 * 86_400 * SECOND
"""What was heard of in this time should be there, unless an inventory says otherwise."""
MOST_HOSTS: Final = 500
_DEVICE: Final = "device."


class Store(Protocol):
    """Newest values of series."""

    def signals(self, tenant: str) -> Sequence[str]:
        """Names of all signals."""

    def newest(self, tenant: str, signals: Sequence[str], fresh: int, seen: int) -> Sequence[Latest]:
        """Series of these signals heard of since `seen`, with values since `fresh`."""


@dataclass(slots=True)
class _Thing:
    """A host or a device: `values` by field with their time, `parts` by field and part."""

    last: int = 0
    host: str = ""
    labels: dict[str, str] = field(default_factory=dict)
    values: dict[str, tuple[int, float]] = field(default_factory=dict)
    parts: dict[str, dict[str, tuple[int, float]]] = field(default_factory=dict)

    def take(self, name: str, part: str, time: int, value: float) -> None:
        """Keep a value if it is the newest."""
        held = self.parts.setdefault(name, {}) if part else self.values
        key = part or name
        if key not in held or held[key][0] < time:
            held[key] = (time, value)

    def get(self, name: str) -> float | None:
        """The newest value of a field."""
        found = self.values.get(name)
        return None if found is None else found[1]


class Machines:
    """Hosts and devices of a tenant, from the newest points and the names that packs have for them."""

    def __init__(
        self,
        store: Store,
        packs: Iterable[PackSpec],
        inventory: Callable[[], Sequence[InventorySpec]],
        clock: Clock,
    ) -> None:
        packs = list(packs)
        self._store = store
        self._names = ReadingNames(packs)
        self._device_globs = {
            name for pack in packs for spec in pack.readings if spec.reading.startswith(_DEVICE) for name in spec.names
        }
        self._inventory = inventory
        self._clock = clock

    def hosts(self, tenant: str) -> list[dict[str, Any]]:
        """Hosts by name, those with something missing first; each with its devices."""
        now = self._clock.now()
        rules = _tiles()
        globs = {*self._device_globs, *(rule["signal"] for rule in (*rules["host"], *rules["device"]))}
        wanted = [name for name in self._store.signals(tenant) if any(fnmatchcase(name, glob) for glob in globs)]
        hosts: dict[str, _Thing] = {}
        devices: dict[str, _Thing] = {}
        for each in self._store.newest(tenant, wanted, now - LIVE_NS, now - SEEN_NS):
            self._read(each, hosts, devices)
        for thing in devices.values():
            home = hosts.setdefault(thing.host, _Thing(host=thing.host))
            home.last = max(home.last, thing.last)
        found = [self._host(name, thing, devices, now) for name, thing in sorted(hosts.items())]
        return sorted(found, key=lambda host: (-host["missing"], host["live"], host["host"]))[:MOST_HOSTS]

    def _read(self, each: Latest, hosts: dict[str, _Thing], devices: dict[str, _Thing]) -> None:
        labels = dict(each.series.labels)
        places = self._names.places(labels)
        host = next(iter(places.get("host", {}).values()), "")
        device = next(iter(places.get("device", {}).values()), "")
        reading, told = self._told(each.series, labels, each.value, device=bool(device))
        if not reading:
            return
        thing = devices.setdefault(device, _Thing(host=host)) if device else hosts.setdefault(host, _Thing(host=host))
        thing.last = max(thing.last, each.time)
        thing.labels.update(labels)
        thing.host = thing.host or host
        for part, value in told.items():
            thing.take(reading, part, each.time, value)

    def _told(
        self, series: Series, labels: Mapping[str, str], value: float | None, *, device: bool
    ) -> tuple[str, dict[str, float]]:
        """Field that a series tells and its values by part; an empty field: nothing for this page."""
        named = self._names.of(series) if device else None
        if named is not None and named.reading.startswith(_DEVICE):
            return named.reading.removeprefix(_DEVICE), {} if value is None else {"": value * named.factor}
        for rule in _tiles()["device" if device else "host"]:
            if fnmatchcase(series.signal.name, rule["signal"]) and _fits(rule, labels):
                if value is None:
                    return rule["field"], {}
                if "bits" in rule:
                    return rule["field"], {name: float(bool(int(value) & bit)) for bit, name in rule["bits"].items()}
                part = next((labels[key] for key in rule.get("each", ()) if labels.get(key)), "")
                return rule["field"], {part: value * rule.get("factor", 1)}
        return "", {}

    def _host(self, name: str, thing: _Thing, devices: Mapping[str, _Thing], now: int) -> dict[str, Any]:
        mine = {key: each for key, each in devices.items() if each.host == name}
        shown = sorted((_device(key, each, now) for key, each in mine.items()), key=_by_number)
        expected, how = self._expected(name, len(mine))
        live = sum(each["live"] for each in shown)
        free, total = thing.get("memory_free"), thing.get("memory_total")
        ratio = thing.get("memory_ratio")
        if ratio is None and free is not None and total:
            ratio = 1 - free / total
        disks = [(value, part) for part, (_, value) in thing.parts.get("disk_ratio", {}).items()]
        fullest = max(disks, default=None)
        return {
            "host": name,
            "last_time": thing.last,
            "live": now - thing.last <= LIVE_NS,
            "cpu_ratio": thing.get("cpu_ratio"),
            "load": thing.get("load"),
            "memory_ratio": ratio,
            "disk": None if fullest is None else {"ratio": fullest[0], "part": fullest[1]},
            "expected": expected,
            "expected_by": how,
            "present": live,
            "missing": max(0, expected - live),
            "devices": shown,
        }

    def _expected(self, host: str, seen: int) -> tuple[int, str]:
        for spec in self._inventory():
            if fnmatchcase(host, spec.host):
                return spec.devices, "inventory"
        return seen, "seen in 7 days"


def _fits(rule: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    if any(key in labels and fnmatchcase(labels[key], glob) for key, glob in rule.get("unless", {}).items()):
        return False
    return all(fnmatchcase(labels.get(key, ""), glob) for key, glob in rule.get("where", {}).items())


def _device(key: str, thing: _Thing, now: int) -> dict[str, Any]:
    rules = _tiles()
    used, free, total = (thing.get(f"memory_{name}") for name in ("used", "free", "total"))
    if total is None and used is not None and free is not None:
        total = used + free
    ratio = thing.get("memory_ratio")
    if ratio is None and used is not None and total:
        ratio = used / total
    throttled = sorted(part for part, (_, on) in thing.parts.get("throttle", {}).items() if on)
    return {
        "id": key,
        "host": thing.host,
        "model": next((thing.labels[name] for name in rules["model"] if thing.labels.get(name)), ""),
        "number": next((thing.labels[name] for name in rules["number"] if thing.labels.get(name)), ""),
        "last_time": thing.last,
        "live": now - thing.last <= LIVE_NS and not thing.get("failed"),
        "failed": bool(thing.get("failed")),
        "memory_used": used,
        "memory_total": total,
        "memory_ratio": ratio,
        **{name: thing.get(name) for name in ("utilization", "temperature", "power", "power_limit", "clock")},
        "error_code": thing.get("error_code"),
        "throttle": throttled if "throttle" in thing.parts else None,
    }


def _by_number(device: Mapping[str, Any]) -> tuple[int, str, str]:
    number = str(device["number"])
    return int(number) if number.isdecimal() and len(number) < 6 else 1 << 20, number, str(device["id"])


@cache
def _tiles() -> dict[str, Any]:
    text = files("tocsin.packs").joinpath("tiles.yaml").read_text(encoding="utf-8")
    found: dict[str, Any] = yaml.safe_load(text)
    return found
