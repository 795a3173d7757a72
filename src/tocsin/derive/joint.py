"""`Joint`: signals made of several readings of one engine, device or host, judged whenever these tell something new."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass
from fnmatch import fnmatchcase
from typing import Any, Final

import numpy as np

from tocsin.derive.buckets import Distribution
from tocsin.derive.equal_load import EqualLoad
from tocsin.derive.nearness import Nearness
from tocsin.derive.progress import Progress
from tocsin.derive.readings import SECOND, Thing, ThingKey, Things, Told, read
from tocsin.derive.regression import Regression
from tocsin.model.arrays import F8, I4, I8, Mask
from tocsin.model.rows import Rows
from tocsin.model.samples import Samples
from tocsin.model.series import Kind, Series, Signal
from tocsin.spec.joint import (
    UNITS,
    AllOfSpec,
    CodeSpec,
    GivenSpec,
    InventorySpec,
    JointSpec,
    LeakSpec,
    MissingSpec,
    RatioSpec,
    StalledSpec,
)
from tocsin.spec.pack import PackSpec

BEAT_NS: Final = 10 * SECOND
"""What is told within one beat is judged together."""
SETTLED_NS: Final = 600 * SECOND
"""A device that was there for so long is expected from then on."""
GONE_NS: Final = 60 * SECOND
CADENCES: Final = 4.0
LIVE_ENGINE_NS: Final = 3600 * SECOND
LARGEST: Final = 1e30
"""No machine counts or measures more: what does is no number, and sums, squares and shares of the others stay finite."""
_UNIT: Final = {"stalled": "s", "leak": "1/d", "missing": "{device}", "code": "1", "all_of": "1", "given": "1"}


@dataclass(slots=True)
class Code:
    """The last error code of a device, and when it came up; 0 where it was there from the start."""

    code: float
    since: int


class Joint:
    """Pure: what it gives depends on readings and watermarks alone; the order of sources leaves no trace."""

    def __init__(self, packs: Sequence[PackSpec], inventory: Sequence[InventorySpec], rows: Rows) -> None:
        self._rows = rows
        self._specs: list[JointSpec] = [spec for pack in packs for spec in pack.joint_signals]
        self._inventory = inventory
        self.things = Things(packs if self._specs else (), rows)
        self.near = Nearness(self.things)
        self.told = Told()
        self.progress = Progress(self.told)
        self.loads: dict[tuple[str, ThingKey], EqualLoad] = {}
        self.codes: dict[tuple[str, ThingKey], Code] = {}
        self.usual: dict[tuple[str, ThingKey], Regression] = {}
        self.first: dict[ThingKey, int] = {}
        self._pending: list[tuple[I4, I8, F8, F8]] = []  # growth is NaN where a level came
        self._wanted: Mask = np.zeros(0, bool)
        self._row_of: dict[tuple[str, ThingKey], int] = {}
        self._proof: dict[bytes, dict[str, float | str]] = {}

    # -- in ------------------------------------------------------------------------------------------------------------

    def take(self, levels: Samples, rates: Samples, gains: Sequence[Distribution]) -> None:
        """Take what a watermark has passed: levels, rates of what is counted, and what histograms gained."""
        if not self._specs:
            return
        self.things.assign()
        for samples, counted in ((levels, False), (rates, True)):
            mine = self._mine(samples.row)
            if mine.any():
                row, value = samples.row[mine], samples.value[mine]
                grown = value * samples.weight[mine] if counted else np.full(len(row), np.nan)
                self._pending.append((row, samples.time[mine], _known(value), _known(grown)))
        several = [gain for gain in gains if gain.row in self.things.of_row]
        if several:
            counts = np.array([self._gained(gain) for gain in several])
            row = np.array([gain.row for gain in several], "i4")
            none = np.full(len(row), np.nan)
            self._pending.append((row, np.array([gain.time for gain in several], "i8"), none, _known(counts)))

    def _gained(self, gain: Distribution) -> float:
        """What a histogram adds to its reading: tokens, or how often."""
        named, _ = self.things.of_row[gain.row]
        summed = named.reading.endswith("_tokens") and math.isfinite(gain.total)
        return gain.total if summed else float(sum(gain.counts))

    def _mine(self, row: I4) -> Mask:
        have = len(self._rows)
        if len(self._wanted) < have:
            known = [r in self.things.of_row for r in range(len(self._wanted), have)]
            self._wanted = np.concatenate([self._wanted, np.array(known, bool)])
        return self._wanted[row]

    # -- out -----------------------------------------------------------------------------------------------------------

    def close(self) -> list[tuple[str, Samples]]:
        """Joint signals of all that was taken since the last time, by tenant, in order of time."""
        if not self._pending:
            return []
        row, time, value, grown = (np.concatenate(part) for part in zip(*self._pending, strict=True))
        self._pending = []
        order = np.lexsort((value, row, time))
        made: dict[str, list[tuple[int, int, float]]] = {}
        beat, touched = -1, dict[ThingKey, None]()
        last = 0
        for at in order.tolist():
            now = int(time[at])
            if now // BEAT_NS != beat and touched:
                self._judge(touched, last, made)
                touched = {}
            beat, last = now // BEAT_NS, now
            named, thing = self.things.of_row[int(row[at])]
            touched[thing.key] = None
            self.first.setdefault(thing.key, now)
            self.told.take(int(row[at]), now, float(value[at]) * named.factor, float(grown[at]), named.reading)
        self._judge(touched, last, made)
        return [(tenant, _samples(points)) for tenant, points in sorted(made.items()) if points]

    def _judge(self, touched: Mapping[ThingKey, None], now: int, made: dict[str, list[tuple[int, int, float]]]) -> None:
        hosts: dict[tuple[str, str], None] = {}
        for key in touched:
            thing = self.things.known[key]
            if key[1] == "device":
                hosts[key[0], thing.home] = None
            elif key[1] == "host":
                hosts.update(((key[0], home), None) for home in self.near.homes_of(thing))
            found = made.setdefault(key[0], [])
            for spec in self._specs:
                value = self._value(spec, thing, now)
                if not math.isnan(value):
                    found.append((self._row(spec, thing), now, value))
        missing = [spec for spec in self._specs if isinstance(spec, MissingSpec)]
        for tenant, home in hosts:
            for spec in missing:
                made.setdefault(tenant, []).extend(self._missing(spec, tenant, home, now))

    def _value(self, spec: JointSpec, thing: Thing, now: int) -> float:
        sort = thing.key[1]
        match spec:
            case StalledSpec() if sort == "engine":
                found = self._stalled(spec, thing, now)
            case AllOfSpec() if sort == spec.of:
                found = self._all_of(spec, thing, now)
            case RatioSpec() if spec.whole.startswith(sort):
                part, whole = (read(self.told, thing, each, now) for each in (spec.part, spec.whole))
                found = part / whole if whole > 0 else math.nan
            case LeakSpec() if spec.reading.startswith(sort):
                found = self._leak(spec, thing, now)
            case CodeSpec() if sort == "device":
                found = self._code(spec, thing, now)
            case GivenSpec() if spec.given[0].startswith(sort):
                found = self._given(spec, thing, now)
            case _:
                found = math.nan
        return found

    def _stalled(self, spec: StalledSpec, engine: Thing, now: int) -> float:
        near = self.near
        seconds, proof = self.progress.judge(engine, near.devices_of(engine), near.demand_of(engine), now)
        if proof:
            self._prove(spec, engine, proof)
        return seconds

    def _all_of(self, spec: AllOfSpec, thing: Thing, now: int) -> float:
        if spec.unless_engine and self._engine_on(thing, now):
            return math.nan
        proof: dict[str, float | str] = {}
        met = 1.0
        for reading, limit in spec.when.items():
            value = read(self.told, thing, reading, now)
            if math.isnan(value):
                return math.nan
            unit = UNITS.get(reading, "1")
            above = limit.above is not None and value > limit.above.in_unit(unit)
            below = limit.below is not None and value < limit.below.in_unit(unit)
            met = met if above or below else 0.0
            proof[reading.replace(".", "_")] = value
        self._prove(spec, thing, proof)
        return met

    def _leak(self, spec: LeakSpec, thing: Thing, now: int) -> float:
        value, load = read(self.told, thing, spec.reading, now), self._load(thing, now)
        if math.isnan(value) or math.isnan(load):
            return math.nan
        state = self.loads.setdefault((spec.name, thing.key), EqualLoad())
        state.fold(now, value, load)
        if state.found is None:
            return 0.0
        least, per_day, full = state.found
        self._prove(spec, thing, {"grows_per_day": per_day, "days_to_full": full, "share_used": value, "load": load})
        return max(0.0, least)

    def _code(self, spec: CodeSpec, thing: Thing, now: int) -> float:
        value = read(self.told, thing, "device.error_code", now)
        if math.isnan(value):
            return math.nan
        key = spec.name, thing.key
        state = self.codes.get(key)
        if state is None:
            state = self.codes[key] = Code(value, 0)  # how old what was there from the start is, nobody knows
        elif value != state.code:
            state.code, state.since = value, now
        meant = value != 0 and (int(value) in spec.codes) != spec.other
        news = meant and state.since > 0 and now - state.since < spec.hold
        if news:
            ends = f"inferred: the gauge keeps its last code, so it counts as over when it was no news for {spec.hold // SECOND} s"
            self._prove(spec, thing, {"code": value, "seconds_ago": (now - state.since) / SECOND, "recovery": ends})
        return value if news else 0.0

    def _given(self, spec: GivenSpec, thing: Thing, now: int) -> float:
        """A reading as a share of what the others tell, which is learned."""
        value, *others = (self._near(each, thing, now) for each in (spec.reading, *spec.given))
        if math.isnan(value + math.fsum(others)):
            return math.nan
        usual = self.usual.setdefault((spec.name, thing.key), Regression(len(others)))
        share, expected = usual.fold(now, value, others)
        if not math.isnan(share):
            given = dict(zip(spec.given, others, strict=True))
            proof = {name.replace(".", "_"): each for name, each in {spec.reading: value, **given}.items()}
            plain = value / expected if expected > 0.0 else share
            self._prove(spec, thing, {**proof, "usual": expected, "share_of_usual": plain})
        return share

    def _near(self, reading: str, thing: Thing, now: int) -> float:
        """A reading of a thing, or of the devices that an engine runs on, in the mean."""
        if reading.startswith(thing.key[1]):
            return read(self.told, thing, reading, now)
        near = self.near.devices_of(thing) if thing.key[1] == "engine" and reading.startswith("device.") else []
        found = [value for each in near if not math.isnan(value := read(self.told, each, reading, now))]
        return math.fsum(found) / len(found) if found else math.nan

    def _missing(self, spec: MissingSpec, tenant: str, home: str, now: int) -> Iterator[tuple[int, int, float]]:
        """How many devices of a host should be there and are not, if anything says that the host is there."""
        devices = self.near.devices_at(tenant, home)
        here = [device for device in devices if now - self._last(device) <= self._patience(device)]
        hosts = {host.key: host for each in devices for host in self.near.hosts_of(each)}
        if not here and not any(read(self.told, host, "host.alive", now) > 0 for host in hosts.values()):
            return
        told = next((each.devices for each in self._inventory if fnmatchcase(home, each.host)), None)
        settled = [each for each in devices if self._last(each) - self.first.get(each.key, now) >= SETTLED_NS]
        gone = [each.name for each in settled if each not in here]
        count = len(gone) if told is None else max(0, told - len(here))
        thing = Thing((tenant, "host", (home,)), (("host.name", home),), home)
        if count:
            names = ", ".join(gone[:8])
            self._prove(spec, thing, {"expected": float(len(here) + count), "here": float(len(here)), "gone": names})
        yield self._row(spec, thing), now, float(count)

    # -- what belongs together -----------------------------------------------------------------------------------------

    def _engine_on(self, device: Thing, now: int) -> bool:
        """Whether a serving engine runs on a device, or may."""
        if read(self.told, device, "device.engine_memory", now) > 0:
            return True
        return any(now - self._last(engine) <= LIVE_ENGINE_NS for engine in self.near.engines_near(device))

    def _load(self, thing: Thing, now: int) -> float:
        """Tokens per second of the engine, or of those on a device; else how busy the device is."""
        engines = [thing] if thing.key[1] == "engine" else self.near.engines_of(thing)
        rates = [
            rate
            for engine in engines
            for reading in ("engine.input_tokens", "engine.output_tokens")
            if not math.isnan(rate := read(self.told, engine, reading, now))
        ]
        return math.fsum(rates) if rates else read(self.told, thing, "device.utilization", now)

    def _last(self, thing: Thing) -> int:
        rows = [row for rows in thing.rows.values() for row in rows if row < self.told.size]
        return max((int(self.told.time[row]) for row in rows), default=0)

    def _patience(self, thing: Thing) -> float:
        rows = [row for rows in thing.rows.values() for row in rows if row < self.told.size]
        gaps = [float(self.told.gap[row]) for row in rows if self.told.gap[row] > 0]
        return max(float(GONE_NS), CADENCES * min(gaps, default=0.0))

    # -- series of its own ---------------------------------------------------------------------------------------------

    def _row(self, spec: JointSpec, thing: Thing) -> int:
        row = self._row_of.get((spec.name, thing.key))
        if row is None:
            unit = spec.unit if isinstance(spec, RatioSpec) else _UNIT[spec.kind]
            signal = Signal(spec.name, unit, Kind.GAUGE)
            row = self._rows.of_series(Series.of(thing.key[0], signal, thing.labels))
            self._row_of[spec.name, thing.key] = row
        return row

    def _prove(self, spec: JointSpec, thing: Thing, proof: dict[str, float | str]) -> None:
        self._proof[self._rows.series(self._row(spec, thing)).id] = proof

    def proof(self, series: Series) -> Mapping[str, float | str]:
        """What the value of a joint signal rests on, by name; empty for any other series."""
        return self._proof.get(series.id, {})

    # -- snapshots -----------------------------------------------------------------------------------------------------

    def snapshot(self) -> dict[str, Any]:
        """All state, as a tree; things by what tells them apart."""
        return {
            "told": dict(self.told.snapshot()),
            "first": [[list(key), at] for key, at in self.first.items()],
            "standing": [[list(key), list(astuple(state))] for key, state in self.progress.standing.items()],
            "loads": [[name, list(key), state.snapshot()] for (name, key), state in self.loads.items()],
            "proof": [[series, dict(proof)] for series, proof in self._proof.items()],
            "usual": [[name, list(key), state.snapshot()] for (name, key), state in self.usual.items()],
            "codes": [[name, list(key), state.code, state.since] for (name, key), state in self.codes.items()],
        }

    def after(self, before: Joint) -> Joint:
        """Take over what the one before it knows."""
        self.restore(before.snapshot())
        return self

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take a snapshot back; the rows' series must be known."""
        self.told.restore(state["told"])
        self.things.assign()
        self.first = {_key(key): at for key, at in state["first"]}
        for key, values in state["standing"]:
            self.progress.restore(_key(key), values)
        self.loads = {(name, _key(key)): EqualLoad.of(values) for name, key, values in state["loads"]}
        self.usual = {(name, _key(key)): Regression.of(values) for name, key, values in state["usual"]}
        self._proof = {series: dict(proof) for series, proof in state["proof"]}
        self.codes = {(name, _key(key)): Code(code, since) for name, key, code, since in state["codes"]}


def _known(told: F8) -> F8:
    """Numbers that a machine can tell, NaN for all others."""
    return np.where(np.abs(told) <= LARGEST, told, np.nan)


def _key(values: Sequence[Any]) -> ThingKey:
    tenant, sort, apart = values
    return tenant, sort, tuple(apart)


def _samples(points: Sequence[tuple[int, int, float]]) -> Samples:
    row, time, value = zip(*points, strict=True)
    return Samples.plain(np.array(row, "i4"), np.array(time, "i8"), np.array(value, "f8"))
