"""Workers on a real broker of the Kafka protocol, a world that is sent to them, and what they made of it."""

from __future__ import annotations

import itertools
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from brokers import PREFIX, KafkaBroker
from cluster.wire import Wire
from engine.worlds import S, any_series, fold_all, records, said, spiking
from tocsin.app.bench import cluster_worker
from tocsin.app.cluster.links import topics_of
from tocsin.correlate.merging import OutputMerge
from tocsin.engine.pipeline import Pipeline
from tocsin.ingest.shards import ShardSplit
from tocsin.journal.kafka.envelope import cause_of, routed_of
from tocsin.journal.kafka.reader import PlacesReader
from tocsin.journal.kafka.sharded import ShardedLog
from tocsin.journal.kafka.writer import TopicWriter
from tocsin.model.frame import Frame, FrameKind
from tocsin.model.log import Output, Tick
from tocsin.model.place import Place
from tocsin.model.series import Catalog
from tocsin.spec.cluster import ClusterSpec
from tocsin.spec.engine import EngineSpec
from tocsin.spec.monitor import MonitorSpec

KINDS = (FrameKind.FINDINGS, FrameKind.PANES)
TENANTS = ("a", "b", "c", "d")
PROGRAM = Path(cluster_worker.__file__)
_names = itertools.count()


def spec_of_world():
    """A baseline on every series, whose panes carry all that it has learned, and a limit."""
    limit = {"name": "limit", "signal": "load", "aggregate": "mean", "window": {"size": "10s", "step": "10s"}}
    limits = MonitorSpec.model_validate(limit | {"detect": {"threshold": {"above": 250}}})
    learned = any_series(window={"size": "20s", "step": "10s"}).monitors
    return EngineSpec(monitors=[*learned, limits])


class World:
    """Seconds of four tenants: what is sent at each, and what one machine says of it."""

    def __init__(self, seconds=240, tenants=TENANTS):
        self.tenants = tenants
        self.catalog = Catalog()
        self.control = spec_of_world().control()
        streams = [
            spiking(self.catalog, tenant=name, seed=seed, seconds=seconds, spike_at=seconds - 60, series=2)
            for seed, name in enumerate(tenants)
        ]
        self.seconds = []
        for at in range(0, len(streams[0]), 2):
            ticks = [stream[at + 1] for stream in streams]
            marks = {key: mark for tick in ticks for key, mark in tick.watermarks.items()}
            self.seconds.append(([stream[at] for stream in streams], Tick(ticks[0].received, marks)))

    def alone(self):
        """What one machine says, in the order of tenants."""
        found = []
        for number in range(len(self.tenants)):
            entries = [self.control]
            for frames, tick in self.seconds:
                entries += [frames[number], tick]
            found += said(fold_all(Pipeline(self.catalog), records(entries)), self.catalog, KINDS)
        return sorted(found)


class Fleet:
    """Topics of their own on a broker, and workers that share them."""

    def __init__(self, path, *, partitions=4, session_s=6, **fields):
        path.mkdir(parents=True, exist_ok=True)
        self.path = path
        self.broker = KafkaBroker(path, through=self._wired)
        snapshots = path / "shared"
        self.spec_fields = {
            "brokers": [self.broker.address],
            "prefix": (name := f"{PREFIX}t{next(_names)}"),
            "group": f"{name}-engine",
            "partitions": partitions,
            "shards": 16,
            "snapshots": str(snapshots),
            "session": f"{session_s}s",
            **fields,
        }
        self.spec = ClusterSpec.model_validate(self.spec_fields)
        self.topics = topics_of(self.spec)
        self.topics.make()
        self.workers = []
        self.poisoned = 0

    def _wired(self, port):
        self.wire = Wire(port)
        return self.wire.address

    def start(self, count=1, program=PROGRAM, arguments=()):
        """Start workers; they are ready when this returns."""
        file = self.path / "spec.json"
        file.write_text(json.dumps(self.spec_fields))
        fresh = []
        for _ in range(count):
            log = (self.path / f"worker-{len(self.workers)}.log").open("wb")
            command = [sys.executable, str(program), str(file), *arguments]
            fresh.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, env={**os.environ}))
            self.workers.append(fresh[-1])
            log.close()
        for worker in fresh:
            assert worker.stdout.readline() == b"ready\n", self.said()
        return fresh

    def living(self):
        return [worker for worker in self.workers if worker.poll() is None]

    def said(self, last=2000):
        """What workers wrote, the end of it for the message of a test that fails."""
        return "\n".join(file.read_text()[-last if last else None :] for file in self.path.glob("worker-*.log"))

    def begun(self):
        """Offsets from which each partition was folded by one worker after the other."""
        said = [json.loads(line) for file in self.path.glob("worker-*.log") for line in file.read_text().splitlines()]
        found = {}
        for each in sorted(said, key=lambda each: each["timestamp"]):
            if each["event"] == "partitions are folded here":
                for number, offset in zip(json.loads(each["partitions"]), json.loads(each["offsets"]), strict=True):
                    found.setdefault(number, []).append(offset)
        return found

    def send(self, world, *, per_second=40.0, at=(), edge="edge"):
        """Send a world, so many of its seconds a second; `at` are (second, what to do then) on the way."""
        writer = TopicWriter(self.topics.settings)
        log = ShardedLog(self.topics, writer, world.catalog, edge, ShardSplit(world.catalog, self.spec.shards))
        log.append([world.control]).result(60)
        todo = sorted(at, key=lambda pair: pair[0])
        waiting, offset = [], 0
        for second, (frames, tick) in enumerate(world.seconds):
            while todo and todo[0][0] <= second:
                todo.pop(0)[1]()
            for frame in frames:
                waiting.append(log.append_from([frame], Place("bus", "points", 0, offset)))
                offset += 1
            waiting.append(log.append_from([tick], Place("bus", "points", 0, offset)))
            time.sleep(1 / per_second)
        for each in waiting:
            each.result(120)
        log.close()

    def poison(self):
        """Put a message that nobody can read into each partition of the log."""
        producer = self.broker.producer()
        for partition in range(self.topics.partitions):
            producer.produce(self.topics.log, b"\x01" + bytes(7) + b"no blocks at all", partition=partition)
        assert producer.flush(30) == 0
        self.poisoned += self.topics.partitions

    def buried(self):
        """Where the messages came from that are kept as unreadable."""
        reader = PlacesReader(self.topics.settings, {(self.topics.dead, 0): 0})
        origins, quiet = set(), 0
        while quiet < 10:
            messages = reader.read(100, 0.1)
            quiet = 0 if messages else quiet + 1
            origins |= {dict(message.headers())["tocsin-origin"] for message in messages}
        reader.close()
        return origins

    def heard(self, upto, limit_s=240):
        """All that workers wrote until each partition told the tick of `upto` (ns), each cause once; and how many came twice."""
        catalog, merge = Catalog(), OutputMerge(self.topics.partitions)
        reader = PlacesReader(
            self.topics.settings, {(self.topics.findings, n): 0 for n in range(self.topics.partitions)}
        )
        ticked, frames, twice, last = {}, [], 0, {}
        end = time.monotonic() + limit_s
        while len([at for at in ticked.values() if at >= upto]) < self.topics.partitions:
            assert time.monotonic() < end, f"{ticked}\n{self.said()}"
            for message in reader.read(500, 0.2):
                number, cause = message.partition(), cause_of(message.headers())
                twice += cause <= last.get(number, -1)
                last[number] = max(cause, last.get(number, -1))
                output = routed_of(message.offset(), message.value(), message.headers(), catalog).entry
                merge.push(number, message.offset(), output)
                if output.tick:
                    ticked[number] = max(output.received, ticked.get(number, 0))
        while (told := merge.pop([1 << 40] * self.topics.partitions)) is not None:
            frames += told.frames
        reader.close()
        return sorted(said([Output(0, 0, True, tuple(frames))], catalog, KINDS)), twice

    def close(self):
        for worker in self.living():
            worker.send_signal(signal.SIGCONT)
            worker.kill()
        for worker in self.workers:
            worker.wait(30)
            worker.stdout.close()
        if self.broker.own:
            self.wire.close()
        self.broker.close()


class Faults:
    """What may go wrong with a fleet, drawn by a seed; workers that died are replaced."""

    def __init__(self, fleet, seed):
        self.fleet = fleet
        self.rng = random.Random(seed)
        self.met = []

    def draw(self, kind=None):
        """Something that goes wrong, to be called when it shall."""
        kinds = ["kill", "pause", "cut", "join", "leave", "poison"]
        if not self.fleet.broker.own:
            kinds.remove("cut")  # its clients come to it by no wire of ours
        kind = kind or self.rng.choice(kinds)

        def fault():
            self.met.append(kind)
            getattr(self, f"_{kind}")()

        return fault

    def _kill(self):
        self.rng.choice(self.fleet.living()).kill()
        self.fleet.start()

    def _pause(self):
        """Stop a worker for longer than its session, while the others take over; then it wakes up and knows of nothing."""
        worker = self.rng.choice(self.fleet.living())
        worker.send_signal(signal.SIGSTOP)
        threading.Timer(self.fleet.spec.session / S + 4, worker.send_signal, (signal.SIGCONT,)).start()

    def _cut(self):
        self.fleet.wire.cut()
        threading.Timer(2, self.fleet.wire.mend).start()

    def _join(self):
        self.fleet.start()

    def _leave(self):
        if len(self.fleet.living()) > 1:
            self.rng.choice(self.fleet.living()).terminate()
        else:
            self._kill()

    def _poison(self):
        self.fleet.poison()


__all__ = ["Faults", "Fleet", "Frame", "World"]
