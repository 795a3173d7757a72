"""From one machine to a cluster: what the engine has learned, and what the stores hold; nothing is learned anew."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import NamedTuple

from tocsin.app.cluster.links import topics_of
from tocsin.app.cluster.shelves import shelves_of
from tocsin.app.logs import open_logs, redaction_key, share_redaction_key
from tocsin.app.stores import STATE_FILE, StatePlace
from tocsin.engine.partition import Partition
from tocsin.engine.runner import Runner
from tocsin.engine.snapshot import Snapshots
from tocsin.ingest.shards import shard_of
from tocsin.journal.directory import Directory
from tocsin.journal.errors import LogFailed
from tocsin.journal.kafka.topics import Topics, asker, bounds
from tocsin.model.clock import Clock
from tocsin.model.errors import BadConfig
from tocsin.model.series import Catalog
from tocsin.spec.cluster import ClusterSpec
from tocsin.spec.config import Config
from tocsin.store.moving import copy_state, copy_telemetry
from tocsin.store.state import StateStore
from tocsin.store.telemetry import TelemetryStore


class Moved(NamedTuple):
    """What went to the cluster."""

    series: int
    partition: int
    state_rows: int = 0
    telemetry_rows: int = 0


def move_engine(data_dir: Path, config: Config, spec: ClusterSpec, clock: Clock) -> Moved:
    """Fold the rest of a stopped machine's log, and lay what was learned down as the snapshot of its shard.

    Raises
    ------
    BadConfig
        The log of the cluster is in use already, or what was learned is of several tenants and can't be divided.
    """
    shelves = shelves_of(spec)
    topics = topics_of(spec)
    topics.make()
    _unused(topics)
    catalog = Catalog()
    logs = open_logs(data_dir, catalog, clock, config.limits, _fatal)
    try:
        runner = Runner(*logs, Snapshots(Directory(data_dir / "snapshots")), catalog)
        while runner.step():
            pass
        runner.close()
    finally:
        for log in logs:
            log.close()
    pipeline = runner.pipeline
    tenants = {pipeline.rows.series(row).tenant for row in range(len(pipeline.rows))}
    if len(tenants) > 1 or spec.shard_by:
        of = f"{len(tenants)} tenants" if len(tenants) > 1 else "one shard"
        raise BadConfig(
            f"what the engine has learned is of {of} and can't be divided; take `shard_by` out, or move with"
            " --learn-anew: then all else is moved, and every series is learned from its next samples on"
        )
    shard = shard_of(next(iter(tenants), "main"), "", spec.shards)
    partition = shard % spec.partitions
    state = Partition.of_one(pipeline, shard, catalog).snapshot()
    shelves.of(partition).save(0, state)
    return Moved(len(pipeline.rows), partition)


def move_stores(data_dir: Path, state: StatePlace | None, telemetry: TelemetryStore | None) -> tuple[int, int]:
    """Copy what is stored here into other stores, where there are any; rows of both.

    Raises
    ------
    BadConfig
        One of them holds something already.
    """
    rows = [0, 0]
    if state is not None:
        source = StateStore(f"sqlite:///{data_dir / STATE_FILE}")
        try:
            rows[0] = copy_state(source, state.url, state.password_file)
        finally:
            source.close()
    if telemetry is not None:
        here = TelemetryStore(data_dir / "store", read_only=True)
        try:
            rows[1] = copy_telemetry(here, telemetry)
        finally:
            here.close()
    return rows[0], rows[1]


def share_keys(data_dir: Path, spec: ClusterSpec) -> None:
    """Let all machines redact with this one's key, so that its series stay the same, and know its callers.

    Raises
    ------
    BadConfig
        The machines of the cluster redact with another key.
    """
    shared = Path(spec.shared_dir)
    before = redaction_key(data_dir)
    agreed = shared / "redaction.key"
    if agreed.exists() and agreed.read_bytes() != before:
        raise BadConfig(
            f"{agreed} is not the key of {data_dir}: series with redacted words would get other names; put"
            f" {data_dir / 'redaction.key'} in its place"
        )
    share_redaction_key(data_dir, shared)
    own, common = data_dir / "keys.json", shared / "keys.json"
    if own.exists() and not common.exists():
        try:
            shutil.copy2(own, common)
        except OSError as error:
            raise BadConfig(
                f"{common} can't be made ({(error.strerror or str(error)).lower()}): put {own} into the secret or"
                " directory that `cluster: shared` names"
            ) from error


def _fatal(error: BaseException) -> None:
    raise LogFailed(f"the log of the data directory can't be written: {error}") from error


def _unused(topics: Topics) -> None:
    consumer = asker(topics.settings, f"{topics.prefix}.moving")
    try:
        used = [n for n in range(topics.partitions) if bounds(consumer, topics.log, n)[1]]
    finally:
        consumer.close()
    if used:
        raise BadConfig(
            f"{topics.log} holds entries already (partitions {used}): what one machine has learned goes before all of"
            " them; name another `cluster: prefix`, or delete its topics"
        )
