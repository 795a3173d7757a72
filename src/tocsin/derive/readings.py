"""Readings: what products tell of serving engines, devices and demand, under one name each, and where these are."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Final, Literal, NamedTuple, TypeAlias

import numpy as np

from tocsin.model.arrays import F8, I4, I8
from tocsin.model.rows import Rows
from tocsin.model.series import Labels, Series, canonical
from tocsin.spec.entity_key import read_key
from tocsin.spec.joint import ReadingSpec
from tocsin.spec.pack import PackSpec
from tocsin.stats.columns import Columns, column

SECOND: Final = 1_000_000_000
FRESH_NS: Final = 45 * SECOND
"""A value is taken as still true for this long, or for a few times its own cadence."""
CADENCES: Final = 3.5
STALEST_NS: Final = 1800 * SECOND
THINGS: Final = 20_000
"""Engines, devices, hosts and sources of demand that are followed; what comes beyond is counted."""
Sort: TypeAlias = Literal["engine", "device", "demand", "host"]
ThingKey: TypeAlias = tuple[str, str, tuple[str, ...]]
"""Tenant, sort, and what tells it apart."""
_COUNTED: Final = frozenset({
    "engine.input_tokens", "engine.output_tokens", "engine.steps", "engine.finished", "engine.preempted",
    "engine.cache_hits", "engine.cache_queries", "engine.queue_seconds", "engine.request_seconds", "demand.arrived",
})  # fmt: skip
_ADDED: Final = _COUNTED | {"engine.running", "engine.waiting", "demand.active", "device.power", "device.engine_memory"}
_TOLD_APART: Final[dict[Sort, tuple[str, ...]]] = {
    "engine": ("instance", "pod", "model", "rank"),
    "device": ("device",),
    "demand": ("model", "instance", "pod"),
    "host": ("instance", "host"),
}


class Named(NamedTuple):
    """What a series tells: the reading and the factor that brings it to the reading's unit."""

    reading: str
    factor: float


class ReadingNames:
    """All `readings` and `places` of the packs, by name of signal."""

    def __init__(self, packs: Iterable[PackSpec]) -> None:
        named = sorted(packs, key=lambda pack: pack.name)
        self._specs = [spec for pack in named for spec in pack.readings]
        self._places = [(spec.place, spec.keys) for pack in named for spec in pack.places]
        self._candidates: dict[str, list[ReadingSpec]] = {}

    def of(self, series: Series) -> Named | None:
        """What a series tells, None if no pack knows."""
        name = series.signal.name
        found = self._candidates.get(name)
        if found is None:
            found = [spec for spec in self._specs if any(fnmatchcase(name, glob) for glob in spec.names)]
            self._candidates[name] = found
        if not found:
            return None
        labels = dict(series.labels)
        for spec in found:
            kept_out = any(key in labels and fnmatchcase(labels[key], glob) for key, glob in spec.unless.items())
            if not kept_out and all(fnmatchcase(labels.get(key, ""), glob) for key, glob in spec.where.items()):
                return Named(spec.reading, spec.factor)
        return None

    def places(self, labels: Mapping[str, str]) -> dict[str, dict[str, str]]:
        """By place: the values that its labels give, by key, those of the first key first."""
        found: dict[str, dict[str, str]] = {}
        for place, keys in self._places:
            for key in keys:
                value = read_key(labels, key)
                if value:
                    found.setdefault(place, {})[key] = value
        return found


class Told(Columns):
    """The newest of each series that tells a reading, one array row per series."""

    kind = "told"
    time: I8 = column(0, "i8")
    value: F8 = column(np.nan)  # of what is counted: its rate per second
    raw: F8 = column(np.nan)
    gap: F8 = column(0.0)  # ns between the last two
    moved: I8 = column(0, "i8")  # when it last counted anything
    still: I4 = column(0, "i4")  # readings since then
    total: F8 = column(0.0)

    def take(self, row: int, time: int, value: float, grown: float, reading: str) -> None:
        """Take one value in; `grown` is by how much it grew, NaN where a level is told (maybe a total, untyped)."""
        self.touch(np.array([row], "i4"))
        before, since = float(self.raw[row]), time - int(self.time[row])
        self.raw[row] = value
        if since > 0 < self.time[row]:
            self.gap[row] = since
        self.time[row] = max(time, self.time[row])
        if reading in _COUNTED and np.isnan(grown):
            grown = value - before if value >= before else 0.0
            value = math.nan
        if reading in _COUNTED and math.isnan(value):
            value = grown / since * SECOND if since > 0 else 0.0
        self.value[row] = value
        if reading not in _COUNTED:
            return
        self.total[row] += grown
        if grown > 0:
            self.moved[row], self.still[row] = time, 0
        else:
            self.still[row] += 1

    def fresh(self, rows: Sequence[int], now: int) -> list[int]:
        """Those of the rows whose value still holds."""
        found = []
        for row in rows:
            if row < self.size:
                patience = min(max(FRESH_NS, CADENCES * float(self.gap[row])), STALEST_NS)
                if self.time[row] > 0 and now - self.time[row] <= patience and not np.isnan(self.value[row]):
                    found.append(row)
        return found


@dataclass(slots=True)
class Thing:
    """An engine, a device, a host or a source of demand, with the series that tell of it."""

    key: ThingKey
    labels: Labels
    home: str = ""  # the host it is on, as its first label calls it
    places: dict[str, set[str]] = field(default_factory=dict)
    rows: dict[str, list[int]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """What people call it."""
        return "/".join(part for part in self.key[2] if part)


class Things:
    """All things that series tell of, found again from the series alone."""

    def __init__(self, packs: Sequence[PackSpec], rows: Rows) -> None:
        self._names = ReadingNames(packs)
        self._rows = rows
        self.known: dict[ThingKey, Thing] = {}
        self.of_row: dict[int, tuple[Named, Thing]] = {}
        self.left_out = 0
        self.version = 0  # grows with all that is learned of where things are
        self._assigned = 0

    def assign(self) -> None:
        """Find out what series that are new tell of."""
        for row in range(self._assigned, len(self._rows)):
            series = self._rows.series(row)
            named = self._names.of(series)
            if named is not None:
                self._place(row, named, series)
        self._assigned = len(self._rows)

    def _place(self, row: int, named: Named, series: Series) -> None:
        places = self._names.places(dict(series.labels))
        sort: Sort = named.reading.split(".")[0]  # type: ignore[assignment]  # readings begin with their sort
        apart = tuple(next(iter(places.get(place, {}).values()), "") for place in _TOLD_APART[sort])
        if not any(apart):
            return
        key: ThingKey = (series.tenant, sort, apart)
        thing = self.known.get(key)
        if thing is None:
            if len(self.known) >= THINGS:
                self.left_out += 1
                return
            home = next(iter(places.get("host", {}).values()), "")
            thing = self.known[key] = Thing(key, _labels(sort, places), home)
            self.version += 1
        for place, values in places.items():
            held = thing.places.setdefault(place, set())
            if not held.issuperset(values.values()):
                held.update(values.values())
                self.version += 1
        thing.rows.setdefault(named.reading, []).append(row)
        self.of_row[row] = named, thing


def _labels(sort: Sort, places: Mapping[str, Mapping[str, str]]) -> Labels:
    """Labels of joint signals: the plain ones that tell the thing apart, and of its host."""
    found = {
        key: value
        for place in (*_TOLD_APART[sort], "host")
        for key, value in places.get(place, {}).items()
        if "+" not in key and "~" not in key
    }
    return canonical(found)


def read(told: Told, thing: Thing, reading: str, now: int) -> float:
    """The value of a reading, of several series their sum or the most of them; NaN if none is fresh."""
    if reading == "device.memory_ratio":
        return _memory_ratio(told, thing, now)
    values = [float(told.value[row]) for row in told.fresh(thing.rows.get(reading, ()), now)]
    if not values and reading == "device.memory_free":
        return read(told, thing, "device.memory_total", now) - read(told, thing, "device.memory_used", now)
    if not values:
        return math.nan
    return sum(values) if reading in _ADDED else max(values)


def _memory_ratio(told: Told, thing: Thing, now: int) -> float:
    direct = told.fresh(thing.rows.get("device.memory_ratio", ()), now)
    if direct:
        return max(float(told.value[row]) for row in direct)
    used, total = (read(told, thing, reading, now) for reading in ("device.memory_used", "device.memory_total"))
    if math.isnan(total):
        total = used + read(told, thing, "device.memory_free", now)
    return used / total if total > 0 else math.nan
