"""A4 and A23: with no configuration, two days of daily life and then one fault of each kind: one incident names it.

One world of a host and a service is lived through once, by the clock of the log, with day and night in everything it
measures; from there it goes on once for each fault, and once with none.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field

import numpy as np
import pytest

from tocsin.correlate.reducer import Reducer
from tocsin.engine.pipeline import Pipeline
from tocsin.engine.snapshot import pack, unpack
from tocsin.incident.severity import grader
from tocsin.model.frame import FrameKind, frame_of, points_frame
from tocsin.model.log import LogRecord, Tick
from tocsin.model.series import Catalog, Kind, Series, Signal
from tocsin.spec.config import Config
from tocsin.spec.packs import load_packs

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(900)]  # two days are lived through first

S = 10**9
MINUTE, HOUR, DAY = 60 * S, 3600 * S, 86_400 * S
START = 20_740 * DAY + 12 * HOUR  # a Tuesday noon
HISTORY = 2 * DAY
BOUNDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
HOST, SHOP = {"host.name": "web-1"}, {"service.name": "shop"}


@dataclass
class Conditions:
    """What is wrong, as factors and additions to daily life; `hours` since it began."""

    cpu: float = 0.0
    leak_per_hour: float = 0.0
    disk_io: float = 1.0
    network: float = 1.0
    filling_per_hour: float = 0.0
    slower: float = 1.0
    failing: float = 0.004
    traffic: float = 1.0


CALM = Conditions()


def day(at):
    """Busyness of a time of day, 0 at night to 1 in the afternoon."""
    return 0.5 - 0.5 * np.cos(2 * np.pi * ((at % DAY) / DAY - 3 / 24))


@dataclass
class World:
    """A host and a service that report each minute, in the names of OpenTelemetry."""

    seed: int
    catalog: Catalog
    totals: dict = field(default_factory=dict)
    refs: dict = field(default_factory=dict)

    def ref(self, signal, labels):
        key = (signal.name, tuple(sorted(labels.items())))
        if key not in self.refs:
            self.refs[key] = self.catalog.intern(Series.of("main", signal, labels))
        return self.refs[key]

    def grown(self, key, by):
        self.totals[key] = self.totals.get(key, 0.0) + by
        return self.totals[key]

    def minute(self, at, now, hours):
        """Frames of one minute; each has noise of its own, the same however one got here."""
        rng = np.random.default_rng([self.seed, at // MINUTE])
        busy = day(at)

        def noisy(value, share):
            return value * float(np.exp(share * rng.standard_normal()))

        gauges = [
            ("system.cpu.utilization", {}, min(noisy(0.12 + 0.3 * busy, 0.08) + now.cpu, 0.99)),
            ("system.memory.utilization", {"system.memory.state": "used"}, noisy(0.45 + 0.08 * busy, 0.01) + now.leak_per_hour * hours),
            ("system.filesystem.utilization", {"system.filesystem.mountpoint": "/"}, 0.4 + 0.005 * (at - START) / DAY + now.filling_per_hour * hours),
            ("system.cpu.load_average.1m", {}, noisy(1 + 3 * busy + 20 * now.cpu, 0.15)),
        ]  # fmt: skip
        rows = [(self.ref(Signal(name, "1"), HOST | labels), value) for name, labels, value in gauges]
        io = noisy(2e6 * (0.3 + busy), 0.25) * now.disk_io
        net = noisy(5e6 * (0.1 + busy), 0.1) * now.network
        totals = [
            ("system.disk.io", {"system.device": "sda", "disk.io.direction": "write"}, io),
            ("system.disk.operations", {"system.device": "sda", "disk.io.direction": "write"}, io / 2e4),
            ("system.network.io", {"network.interface.name": "eth0", "network.io.direction": "receive"}, net),
            ("system.network.io", {"network.interface.name": "eth0", "network.io.direction": "transmit"}, 2 * net),
            ("system.network.errors", {"network.interface.name": "eth0", "network.io.direction": "receive"}, 0.0),
        ]
        for name, labels, rate in totals:
            signal = Signal(name, "By", Kind.SUM, monotonic=True, cumulative=True)
            ref = self.ref(signal, HOST | labels)
            rows.append((ref, self.grown(ref, 60 * rate)))
        refs, values = (list(column) for column in zip(*rows, strict=True))
        return [
            points_frame("main", "host", np.array(refs, "i4"), np.full(len(refs), at), np.array(values)),
            self.requests(at, now, busy, rng),
        ]

    def requests(self, at, now, busy, rng):
        """Histograms of the service's requests, one of each status."""
        signal = Signal("http.server.request.duration", "s", Kind.HISTOGRAM, cumulative=True)
        n = rng.poisson(60 * (4 + 20 * busy) * now.traffic)
        bad = rng.binomial(n, now.failing)
        refs, counts, sums = [], [], []
        for status, several in (("200", n - bad), ("500", bad)):
            seconds = np.exp(np.log(0.08 * (1 + 0.4 * busy) * now.slower) + 0.5 * rng.standard_normal(several))
            ref = self.ref(signal, SHOP | {"http.route": "/buy", "http.response.status_code": status})
            now_in = np.bincount(np.searchsorted(BOUNDS, seconds), minlength=len(BOUNDS) + 1)
            self.totals[ref] = self.totals.get(ref, np.zeros(len(BOUNDS) + 1)) + now_in
            refs.append(ref)
            counts.append(self.totals[ref].tolist())
            sums.append(self.grown((ref, "sum"), float(seconds.sum())))
        none = [None] * 2
        columns = {
            "series": refs, "time": [at] * 2, "start": [START] * 2, "flags": [0] * 2,
            "count": [sum(each) for each in counts], "sum": sums, "min": none, "max": none,
            "bounds": [list(BOUNDS)] * 2, "counts": counts, "scale": none, "zero_count": none, "offset": none,
            "negative_offset": none, "negative_counts": none,
        }  # fmt: skip
        return frame_of(FrameKind.DISTRIBUTIONS, "main", "otlp/shop", columns)


class House:
    """Engine and correlation over a world."""

    def __init__(self, world, packs):
        spec = Config().engine_spec(packs)
        self.world = world
        self.pipeline = Pipeline(world.catalog)
        self.reducer = Reducer(spec, grader())
        self.offset = 0
        self.incidents = {}
        self.feed(spec.control())

    def feed(self, entry):
        self.offset += 1
        output = self.pipeline.fold(LogRecord(self.offset, entry))
        if output is not None:
            for step in self.reducer.fold(output, self.world.catalog):
                self.incidents[step.incident.id] = step.incident

    def live(self, start, until, now=CALM):
        for at in range(start + MINUTE, until + 1, MINUTE):
            for frame in self.world.minute(at, now, (at - start) / HOUR):
                self.feed(frame)
            self.feed(Tick(at + S, {("main", "host"): at, ("main", "otlp/shop"): at}))

    def after(self, packs):
        """A copy that goes on by itself."""
        world = World(self.world.seed, self.world.catalog, dict(self.world.totals), dict(self.world.refs))
        other = House(world, packs)
        other.pipeline.restore(unpack(self.frozen[0]))
        other.reducer.restore(self.frozen[1])
        other.offset = self.offset
        return other

    def freeze(self):
        self.frozen = (pack(self.pipeline.snapshot()), self.reducer.snapshot())


@pytest.fixture(scope="module")
def packs():
    return load_packs()


@pytest.fixture(scope="module")
def house(packs):
    found = House(World(7, Catalog()), packs)
    found.live(START, START + HISTORY)
    found.freeze()
    return found


FAULTS = {
    "cpu": (Conditions(cpu=0.4), 1, "cpu"),
    "memory": (Conditions(leak_per_hour=0.035), 4, "memory leaking"),
    "io": (Conditions(disk_io=25.0), 1, "disk io"),
    "network": (Conditions(network=0.05), 1, "network"),
    "storage": (Conditions(filling_per_hour=0.03), 3, "disk filling"),
    "latency": (Conditions(slower=4.0), 1, "latency"),
    "errors": (Conditions(failing=0.2), 1, "errors"),
    "throughput": (Conditions(traffic=0.05), 1, "throughput"),
}


def test_daily_life_is_hardly_an_incident_while_it_is_new(house):
    assert len(house.incidents) <= 1, [each.title for each in house.incidents.values()]
    assert [each.title for each in house.incidents.values() if each.opened_at > START + DAY] == []


def test_daily_life_goes_on_without_an_incident(house, packs):
    other = house.after(packs)
    other.live(START + HISTORY, START + HISTORY + 8 * HOUR)
    assert [each.title for each in other.incidents.values()] == []


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(each, marks=[pytest.mark.soak] if each in ("cpu", "io", "network", "throughput") else [])
        for each in FAULTS
    ],
)
def test_one_incident_names_the_fault(house, packs, fault):
    now, hours, word = FAULTS[fault]
    other = house.after(packs)
    begin = START + HISTORY + 2 * HOUR
    other.live(START + HISTORY, begin)
    other.live(begin, begin + hours * HOUR, now)
    assert len(other.incidents) == 1, [each.title for each in other.incidents.values()]
    (incident,) = other.incidents.values()
    assert word in incident.title.lower(), json.dumps([incident.title, incident.statement])
    assert incident.opened_at > begin
    assert any(name in incident.entities for name in ("web-1", "shop"))
