"""What workers on one broker do: points a second by number of workers, recovery, shards that move, overload.

`python -m tests.cluster.figures [--points N]`: prints a table for docs/benchmarks.md. Broker and workers share the machine.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

import kernel_cache

kernel_cache.use()

from cluster.fleet import Fleet  # noqa: E402
from cluster.worker_metrics import LAG, WorkerMetrics  # noqa: E402
from engine.worlds import T0, S, any_series  # noqa: E402
from tocsin.ingest.shards import ShardSplit  # noqa: E402
from tocsin.journal.kafka.envelope import cause_of  # noqa: E402
from tocsin.journal.kafka.reader import PlacesReader  # noqa: E402
from tocsin.journal.kafka.sharded import ShardedLog  # noqa: E402
from tocsin.journal.kafka.topics import asker, bounds  # noqa: E402
from tocsin.journal.kafka.writer import TopicWriter  # noqa: E402
from tocsin.model.frame import points_frame  # noqa: E402
from tocsin.model.log import Tick  # noqa: E402
from tocsin.model.series import Catalog, Series, Signal  # noqa: E402

TENANTS = 8
PARTITIONS = 8


MOST_MIB = 1024
"""What a worker may take however far it is behind: what it has not folded waits in the topic."""


class Failed(Exception):
    """A figure that is none, because what it measures did not come about."""


class Load:
    """Seconds in which every series of eight tenants gives one point."""

    def __init__(self, fleet, series):
        self.fleet, self.series = fleet, series
        self.catalog, self.rng = Catalog(), np.random.default_rng(1)
        names = [f"t{number}" for number in range(TENANTS)]
        self.refs = {name: self._series(name, series // TENANTS) for name in names}
        self.writer = TopicWriter(fleet.topics.settings)
        split = ShardSplit(self.catalog, fleet.spec.shards)
        self.log = ShardedLog(fleet.topics, self.writer, self.catalog, "edge", split)
        self.log.append([any_series().control()]).result(60)
        self.second = 0

    def _series(self, tenant, count):
        signal = Signal("load", "1")
        made = [Series.of(tenant, signal, {"host": f"h{n}", "service.name": "shop"}) for n in range(count)]
        return np.array([self.catalog.intern(each) for each in made], "i4")

    def send(self):
        """One more second; the future of its tick."""
        self.second += 1
        now = T0 + self.second * S
        for tenant, refs in self.refs.items():
            for part in np.array_split(refs, max(1, len(refs) // 2000)):
                values = 100 + self.rng.standard_normal(len(part))
                self.log.append([points_frame(tenant, "otlp/w", part, np.full(len(part), now), values)])
        marks = {(tenant, "otlp/w"): now for tenant in self.refs}
        return self.log.append([Tick(now, marks)])

    def close(self):
        self.log.close()


class Told:
    """When the tick of a second was told by each partition."""

    def __init__(self, fleet):
        self.reader = PlacesReader(fleet.topics.settings, {(fleet.topics.findings, n): 0 for n in range(PARTITIONS)})
        self.causes = dict.fromkeys(range(PARTITIONS), -1)
        self.at = dict.fromkeys(range(PARTITIONS), time.monotonic())

    def look(self):
        for message in self.reader.read(500, 0.05):
            number, cause = message.partition(), cause_of(message.headers())
            if cause > self.causes[number]:
                self.causes[number], self.at[number] = cause, time.monotonic()

    def until(self, ends, limit_s=600):
        end = time.monotonic() + limit_s
        while any(self.causes[number] < upto for number, upto in ends.items()):
            assert time.monotonic() < end, (self.causes, ends)
            self.look()


def ends_of(fleet):
    """Offset of the last entry of each partition of the log."""
    consumer = asker(fleet.topics.settings, "figures")
    found = {n: bounds(consumer, fleet.topics.log, n)[1] - 1 for n in range(PARTITIONS)}
    consumer.close()
    return found


def throughput(path, workers, series, seconds):
    """Points a second from a log that is full already, and CPU-seconds of the workers."""
    fleet = Fleet(path, partitions=PARTITIONS)
    load = Load(fleet, series)
    waiting = [load.send() for _ in range(seconds)]
    for each in waiting:
        each.result(300)
    ends = ends_of(fleet)
    told = Told(fleet)
    fleet.start(workers)
    began = time.monotonic()
    first = None
    while any(told.causes[n] < upto for n, upto in ends.items()):
        told.look()
        if first is None and any(cause >= 0 for cause in told.causes.values()):
            first = time.monotonic()
        assert time.monotonic() - began < 900
    took = time.monotonic() - first
    cpu = sum(_cpu_s(worker.pid) for worker in fleet.workers)
    load.close()
    told.reader.close()
    fleet.close()
    return series * seconds / took, cpu


def _cpu_s(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def recovery(path, series, how, limit_s=60):
    """Seconds from a worker's death until all its partitions are told again, and snapshot bytes of the partitions.

    Raises
    ------
    Failed
        They are not told in time.
    """
    fleet = Fleet(path, partitions=PARTITIONS)
    load = Load(fleet, series)
    fleet.start(2)
    told = Told(fleet)
    stop = threading.Event()

    def go():
        while not stop.wait(0.25):
            load.send()

    for _ in range(70):  # past the first snapshot, which comes after a minute of the log's time
        load.send().result(60)
    told.until(ends_of(fleet))
    time.sleep(3)
    sender = threading.Thread(target=go)
    sender.start()
    began = time.monotonic()
    fleet.workers[0].send_signal(how)
    ends = None
    silent = 0.0
    while not silent and time.monotonic() - began < limit_s:
        told.look()
        if ends is None and time.monotonic() - began > 1:
            ends = ends_of(fleet)
        if ends is not None and all(told.causes[n] >= upto for n, upto in ends.items()):
            silent = max(told.at.values()) - began
    stop.set()
    sender.join()
    size = sum(file.stat().st_size for file in Path(fleet.spec.snapshots).rglob("*.snap"))
    load.close()
    told.reader.close()
    fleet.close()
    if not silent:
        behind = {n: (told.causes[n], upto) for n, upto in (ends or {}).items() if told.causes[n] < upto}
        raise Failed(f"not told again {limit_s} s after signal {how}: partitions (told, sent) {behind}")
    return silent, size


class Watch(threading.Thread):
    """Reads the lag that a worker tells at its /metrics, twice a second, until it is over."""

    def __init__(self, worker):
        super().__init__()
        self._metrics, self._over, self.seen = WorkerMetrics(worker), threading.Event(), []

    def run(self):
        while not self._over.wait(0.5):
            self.seen.append(self._metrics.total(LAG))

    def end(self, limit_s=60):
        """Wait until the lag is no more than a second's entries, and read no more; the highest, and the last."""
        end = time.monotonic() + limit_s
        while (not self.seen or self.seen[-1] > 2 * PARTITIONS) and time.monotonic() < end:
            time.sleep(0.1)
        self._over.set()
        self.join()
        return max(self.seen), self.seen[-1]


def overload(path, series, seconds):
    """Lag of a worker that gets three times what it folds, and how long it takes to come back.

    It is stopped five sixths of the time: nobody here could send three times what a worker folds.

    Raises
    ------
    Failed
        Its /metrics did not show that lag rose and fell back, or what it had to do filled its memory.
    """
    rate, _ = throughput(path / "rate", 1, series, 30)
    fleet = Fleet(path / "over", partitions=PARTITIONS)
    load = Load(fleet, series)
    fleet.start(1)
    told = Told(fleet)
    load.send().result(60)
    told.until(ends_of(fleet))
    over = threading.Event()
    slow = threading.Thread(target=_slowed, args=(fleet.workers[0], over))
    watch = Watch(fleet.workers[0])
    watch.start()
    slow.start()
    began, sent = time.monotonic(), 0
    while time.monotonic() - began < seconds:
        if sent * series < rate * (time.monotonic() - began):
            load.send()
            sent += 1
        told.look()
    ends = ends_of(fleet)
    over.set()
    slow.join()
    most = sum(upto - told.causes[n] for n, upto in ends.items())
    memory = Path(f"/proc/{fleet.workers[0].pid}/status").read_text().split("VmHWM:")[1].split()[0]
    back = time.monotonic()
    told.until(ends)
    took = time.monotonic() - back
    highest, last = watch.end()
    load.close()
    told.reader.close()
    fleet.close()
    _seen(most, highest, last, sum(ends.values()) + PARTITIONS, int(memory) / 1024)
    return 6 * sent * series / seconds / rate, most, highest, took, int(memory) / 1024


def _seen(most, highest, last, entries, mib):
    """Whether the lag was seen as it was: it rose, no higher than all that was sent, and fell back."""
    if not (most / 2 < highest <= entries and last < highest / 4):
        raise Failed(
            f"{most} entries behind; its /metrics said {highest:.0f} at most, of {entries}, and {last:.0f} at the end"
        )
    if mib > MOST_MIB:
        raise Failed(f"{mib:.0f} MiB, more than {MOST_MIB}: entries do not wait in the topic")


def _slowed(worker, over):
    """Let a worker run a sixth of the time."""
    while not over.is_set():
        worker.send_signal(signal.SIGSTOP)
        time.sleep(0.25)
        worker.send_signal(signal.SIGCONT)
        time.sleep(0.05)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--series", type=int, default=40_000)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--only", default="")
    told = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tocsin-figures-") as root:
        for workers in () if told.only else (1, 2, 4):
            rate, cpu = throughput(Path(root) / f"rate{workers}", workers, told.series, told.seconds)
            points = told.series * told.seconds
            print(
                f"workers {workers}: {rate:,.0f} points/s, {points / cpu:,.0f} a CPU-second of the workers", flush=True
            )
        for name, how in () if told.only else (("kill -9", signal.SIGKILL), ("SIGTERM", signal.SIGTERM)):
            silent, size = recovery(Path(root) / f"recovery{how}", told.series // 4, how)
            print(f"{name}: all partitions told again after {silent:.1f} s; snapshots {size / 1e6:.1f} MB", flush=True)
        if not told.only:
            silent, size = recovery(Path(root) / "many", 100_000, signal.SIGKILL)
            print(f"100,000 series, kill -9: {silent:.1f} s; snapshots {size / 1e6:.1f} MB", flush=True)
        times, lag, seen, took, memory = overload(Path(root) / "over", told.series, 20)
        print(
            f"overload {times:.1f}x for 20 s: {lag} entries behind, {seen:.0f} at /metrics, caught up {took:.1f} s later,"
            f" {memory:.0f} MiB",
            flush=True,
        )


if __name__ == "__main__":
    try:
        main()
    except Failed as error:
        sys.exit(f"no figure: {error}")
