"""A log of one machine, folded once more by a cluster: broker, two workers, mirror and PostgreSQL; and what both say."""

import dataclasses
import time
from contextlib import closing
from enum import Enum
from unittest.mock import patch

from tocsin.app.cluster.mirror import Mirror
from tocsin.app.correlating import Correlating
from tocsin.app.logs import read_logs
from tocsin.correlate import merging
from tocsin.correlate.reducer import Reducer
from tocsin.incident.policy import Policy
from tocsin.incident.severity import grader
from tocsin.ingest.shards import ShardSplit
from tocsin.journal.kafka.sharded import ShardedLog
from tocsin.journal.kafka.writer import TopicWriter
from tocsin.journal.log import SegmentLog
from tocsin.model.clock import ManualClock
from tocsin.model.log import Tick
from tocsin.model.series import Catalog
from tocsin.spec.load import load_config
from tocsin.spec.packs import load_packs
from tocsin.store.state import StateStore

LIMIT_S = 300
APART_NS = 10 * 10**9
"""Time of the log that is sent at once: less than what control waits for a partition that is behind."""


def correlating(config, logs, catalog, state):
    """The loop that makes incidents, as the cold process has it, over two logs and a database."""
    inputs, outputs = logs
    reducer = Reducer(config.engine_spec(load_packs()), grader(config.loss), inputs)
    return Correlating(outputs, catalog, state, reducer, Policy())


def lives(loop, state):
    """All incidents, plain, and what became of each; by what is the same for all who tell of it."""
    while loop.step():
        pass
    told = {}
    for incident in state.incidents("main", limit=1000):
        events = state.incident_events("main", incident.id)
        told[incident.id] = {
            "incident": plain(dataclasses.asdict(incident)),
            "life": [(each.kind, each.time, each.by) for each in events],
        }
    return told


def plain(value):
    """Findings by their id, enumerations by name, all else as it is."""
    match value:
        case dict():
            return {str(key): plain(each) for key, each in value.items()}
        case list() | tuple():
            found = [plain(each) for each in value]
            keyed = found and all(isinstance(each, dict) and "monitor" in each for each in found)
            return {each["id"]: each for each in found} if keyed else found
        case Enum():
            return value.value
        case bytes():
            return value.hex()
    return value


def differences(one, other, path=""):
    """Every place at which two documents differ, with what stands there."""
    if isinstance(one, dict) and isinstance(other, dict):
        for key in sorted(one.keys() | other.keys()):
            yield from differences(one.get(key, "nothing"), other.get(key, "nothing"), f"{path}/{key}")
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for number, (first, second) in enumerate(zip(one, other, strict=True)):
            yield from differences(first, second, f"{path}/{number}")
    elif repr(one) != repr(other):  # NaN is itself
        yield path, one, other


def alone(data, path):
    """Incidents of one machine, by its own logs."""
    config = load_config(data / "demo.yaml", {}, load_packs()).config
    catalog = Catalog()
    with closing(StateStore(f"sqlite:///{path / 'alone.db'}")) as state:
        return lives(correlating(config, read_logs(data, catalog), catalog, state), state)


def clustered(data, path, fleet, url, workers=2, then=lambda _: None):
    """Incidents of a cluster that is sent the same entries; `then` is told of each tick that goes on."""
    config = load_config(data / "demo.yaml", {}, load_packs()).config
    fleet.start(workers)
    catalog = Catalog()
    logs = [SegmentLog(path / name, catalog, ManualClock(0)) for name in ("input", "output")]
    mirror = Mirror(fleet.topics, *logs, catalog)
    state = StateStore(url)
    loop = correlating(config, logs, catalog, state)
    try:
        # the log's time goes much faster here than that of the wall: control would leave partitions behind
        with patch.object(merging, "SLOWEST_NS", merging.NEVER):
            for received, done in sent(data, fleet):
                end = time.monotonic() + LIMIT_S
                while told(logs[1]) < received:
                    assert time.monotonic() < end, (received, fleet.said())
                    mirror.step()
                    while loop.step():
                        pass
                done.result(60)
                then(received)
        return lives(loop, state)
    finally:
        for each in (mirror, state, *logs):
            each.close()


def sent(data, fleet):
    """Send the input log of a machine, and stop at ticks that are `APART_NS` apart, and at the last one."""
    catalog, last, upto, at = Catalog(), 0, 0, 0
    inputs, _ = read_logs(data, catalog)
    assert inputs.first() == 0  # all of it is there
    writer = TopicWriter(fleet.topics.settings)
    log = ShardedLog(fleet.topics, writer, catalog, "edge", ShardSplit(catalog, fleet.spec.shards))
    try:
        while records := inputs.read(at, 256):
            for record in records:
                done = log.append([record.entry])
                if isinstance(record.entry, Tick):
                    upto = record.entry.received
                    if upto >= last + APART_NS:
                        yield upto, done
                        last = upto
            at = records[-1].offset + 1
        yield upto, done
    finally:
        log.close()


def told(log):
    """Time of the last output that tells a tick."""
    records = log.read(max(log.first(), log.end() - 1), 1)
    return records[-1].entry.received if records else 0
