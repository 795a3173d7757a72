"""What a load needs: cores, partitions, brokers, memory, disks, network, money, by arithmetic on measured figures."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from tocsin.app.scale.rekeying import Rekeying
from tocsin.model.errors import BadInput

DAY_S: Final = 86_400
MONTH_H: Final = 730


@dataclass(frozen=True, slots=True)
class PerCore:
    """Measured: what one core does, in points a CPU second, and what one series takes, in bytes.

    Control has two processes, which share a machine and not a core: one mirrors, the other stores.
    """

    edge: float
    engine: float
    mirror: float
    store: float
    resident_bytes: float
    snapshot_bytes: float
    rekeying: Rekeying


@dataclass(frozen=True, slots=True)
class Given:
    """What is not measured here and has to be said: how full things may run, what a broker carries, what things cost.

    Parameters
    ----------
    busy_ratio : of a core's time that is planned for
    broker_bytes_s : written and read by one broker, replication included
    replication : copies of the log
    log_s : retention of the log
    store_bytes : of a point in the telemetry store, with its verdict, in one copy
    store_s : retention of points
    store_copies : replicas of the telemetry store
    wire_bytes : of a point on its way to the edge, compressed
    snapshot_every_s : how often all state is written
    core_hour, gib_hour, disk_gb_month, network_gb : prices
    """

    busy_ratio: float = 0.6
    broker_bytes_s: float = 150e6
    replication: int = 3
    log_s: float = DAY_S
    store_bytes: float = 10.0
    store_s: float = 30 * DAY_S
    store_copies: int = 2
    wire_bytes: float = 15.0
    snapshot_every_s: float = 60.0
    core_hour: float = 0.04
    gib_hour: float = 0.005
    disk_gb_month: float = 0.08
    network_gb: float = 0.01


@dataclass(frozen=True, slots=True)
class Load:
    """Points a second, and the series that they are of: one reading of each every `step_s`."""

    points_per_s: float
    step_s: float = 10.0

    @property
    def series(self) -> float:
        """How many series there are."""
        return self.points_per_s * self.step_s


@dataclass(frozen=True, slots=True)
class Size:
    """What a load needs; cores and machines as whole numbers, the rest as computed."""

    load: Load
    installations: int
    edge_cores: int
    engine_cores: int
    control_cores: int
    partitions: int
    ticks_per_s: float
    memory_bytes: float
    snapshots_bytes: float
    snapshot_bytes_s: float
    log_bytes_s: float
    brokers: int
    log_disk_bytes: float
    store_disk_bytes: float
    network_bytes_s: float
    month: float


def per_core(runs: Mapping[str, Any], rekeying: Rekeying) -> PerCore:
    """What `tocsin bench ingest detect` measured, as its JSON has it.

    Raises
    ------
    BadInput
        A figure is not there.
    """
    known = {figure["name"]: figure["value"] for name in ("ingest", "detect") for figure in _figures(runs, name)}

    def of(name: str) -> float:
        if name not in known:
            raise BadInput(f"no figure {name!r}: run `tocsin bench ingest detect --out docs/benchmarks.json` first")
        return float(known[name])

    def alone(*stages: str) -> float:
        return sum(1.0 / of(f"points, {stage} alone") for stage in stages)

    return PerCore(
        edge=1.0 / (alone("decompress", "decode again", "redact") + rekeying.write_s),
        engine=1.0 / (rekeying.read_s + alone("engine", "output log")),
        mirror=1.0 / (rekeying.read_s + alone("log", "output log")),
        store=1.0 / alone("store"),
        resident_bytes=of("resident memory gained, per series"),
        snapshot_bytes=of("snapshot on disk, per series"),
        rekeying=rekeying,
    )


def _figures(runs: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = runs.get(name, {}).get("figures", [])
    return found


def installation_bears(core: PerCore, given: Given) -> float:
    """Points a second that one installation takes: what the slower process of its control does."""
    return min(core.mirror, core.store) * given.busy_ratio


def sized(load: Load, core: PerCore, given: Given) -> Size:
    """What a load needs, in as many installations as control asks for, all alike.

    Partitions are twice the engine's cores, so that a worker more has something to take over.
    """
    installations = max(1, math.ceil(load.points_per_s / installation_bears(core, given)))
    points = load.points_per_s / installations

    def cores(rate: float) -> int:
        return max(1, math.ceil(points / rate / given.busy_ratio))

    edges, engines, control = cores(core.edge), cores(core.engine), cores(core.mirror) + cores(core.store)
    partitions = 2 * engines
    ticks_per_s = float(installations * edges * partitions)
    log_bytes_s = load.points_per_s * core.rekeying.message_bytes + ticks_per_s * core.rekeying.tick_bytes
    moved = log_bytes_s * (given.replication + 2)  # written to each copy, read by an engine and by control
    stored = load.points_per_s * given.store_bytes * given.store_copies
    network = load.points_per_s * given.wire_bytes + moved + stored
    brokers = max(given.replication, math.ceil(moved / given.broker_bytes_s))
    memory = load.series * core.resident_bytes
    disk = log_bytes_s * given.log_s * given.replication
    snapshots = load.series * core.snapshot_bytes
    cores_in_all = installations * (edges + engines + control) + 4 * brokers
    return Size(
        load=load,
        installations=installations,
        edge_cores=installations * edges,
        engine_cores=installations * engines,
        control_cores=installations * control,
        partitions=installations * partitions,
        ticks_per_s=ticks_per_s,
        memory_bytes=memory,
        snapshots_bytes=snapshots,
        snapshot_bytes_s=snapshots / given.snapshot_every_s,
        log_bytes_s=log_bytes_s,
        brokers=brokers,
        log_disk_bytes=disk,
        store_disk_bytes=stored * given.store_s,
        network_bytes_s=network,
        month=_month(given, cores_in_all, memory, disk + stored * given.store_s, network),
    )


def _month(given: Given, cores: int, memory: float, disk: float, network: float) -> float:
    hours = cores * given.core_hour + memory / 2**30 * given.gib_hour
    return hours * MONTH_H + disk / 1e9 * given.disk_gb_month + network * MONTH_H * 3600 / 1e9 * given.network_gb


@dataclass(frozen=True, slots=True)
class Bound:
    """Something of this build that does not grow: what it is, how much there is, and the points a second it bears."""

    what: str
    limit: str
    points_per_s: float
    then: str


def bounds(core: PerCore, given: Given, most_partitions: int = 1024) -> list[Bound]:
    """What bears how much in one installation, the least first."""
    share = core.engine * given.busy_ratio
    beside = "installations side by side"
    found = [
        Bound(
            "control mirrors and stores all input",
            "a core each",
            installation_bears(core, given),
            "by team or region: " + beside,
        ),
        Bound(
            "a shard is folded by one core",
            "a tenant is one, if `shard_by` is not set",
            share,
            "`shard_by`, or tenants",
        ),
        Bound("partitions of the log", f"{most_partitions:,}", most_partitions * share, beside),
        Bound(
            "all snapshots of a minute go to a shared directory",
            "1 GB/s",
            1e9 * given.snapshot_every_s / (10.0 * core.snapshot_bytes),
            beside + ", each with a directory",
        ),
        Bound(
            "each edge writes a tick into each partition a second, and a worker reads them",
            "1,000 ticks a second of a worker with two partitions: 500 edges",
            500 * core.edge * given.busy_ratio,
            "edges of more cores, " + beside,
        ),
    ]
    return sorted(found, key=lambda bound: bound.points_per_s)
