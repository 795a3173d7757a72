"""More partitions for a cluster that has learned: shards move with all they know; nothing is lost, doubled or relearned.

The broker of the tests can't give a topic more partitions. That step alone is done in its place here: the topic is made
anew with as many, and every message is put where it was, at the offset that it had. A broker of one's own does it itself.
"""

import json
import threading

import numpy as np
import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic
from typer.testing import CliRunner

from cluster.fleet import KINDS, Fleet, spec_of_world
from engine.worlds import T0, S, fold_all, records, said
from tocsin.app.cluster import growing
from tocsin.app.cluster.engines import WorkerEngine
from tocsin.app.cluster.growing import grow
from tocsin.app.cluster.links import Links, topics_of
from tocsin.app.cluster.mirror import Mirror
from tocsin.app.cluster.shelves import shelves_of
from tocsin.cli.main import app
from tocsin.engine.pipeline import Pipeline
from tocsin.engine.snapshot import Snapshots
from tocsin.ingest.shards import ShardSplit
from tocsin.journal.kafka.findings import FindingsTopic
from tocsin.journal.kafka.reader import PlacesReader
from tocsin.journal.kafka.sharded import ShardedLog
from tocsin.journal.kafka.topics import Topics
from tocsin.journal.kafka.writer import TopicWriter
from tocsin.model.errors import BadConfig, Unreachable
from tocsin.model.frame import Frame, points_frame
from tocsin.model.log import Tick
from tocsin.model.place import Place
from tocsin.model.series import Catalog, Series, Signal
from tocsin.testing.memory_log import MemoryLog

pytestmark = pytest.mark.system
HOSTS = 12
SHARDS = 16
SECONDS = 200
FOLDED, SENT = 100, 140
"""So many seconds are folded before, and so many are sent: what lies between is the rest."""
BEFORE, AFTER = 2, 6


class Hosts:
    """Seconds of one tenant's hosts, each a shard by `shard_by`; some of them jump near the end."""

    def __init__(self):
        self.catalog, self.control = Catalog(), spec_of_world().control()
        rng = np.random.default_rng(5)
        series = [Series.of("main", Signal("load", "1"), {"host": f"h{n}"}) for n in range(HOSTS)]
        refs = np.array([self.catalog.intern(each) for each in series], "i4")
        self.split = ShardSplit(self.catalog, SHARDS, ["host"])
        self.seconds = []
        for second in range(1, SECONDS + 1):
            now = T0 + second * S
            level = np.where((np.arange(HOSTS) % 3 == 0) & (second > SECONDS - 40), 400.0, 100.0)
            values = level * (1 + 0.05 * rng.standard_normal(HOSTS))
            frame = points_frame("main", "otlp/w", refs, np.full(HOSTS, now), values)
            self.seconds.append((frame, Tick(now, {("main", "otlp/w"): now})))

    def alone(self):
        """What one machine says of each shard."""
        found = []
        for shard in sorted({number for number, _ in self.split(self.seconds[0][0])}):
            entries = [self.control]
            for frame, tick in self.seconds:
                entries += [dict(self.split(frame))[shard], tick]
            found += said(fold_all(Pipeline(self.catalog), records(entries)), self.catalog, KINDS)
        return sorted(found)


@pytest.fixture(scope="module")
def world():
    return Hosts()


@pytest.fixture(scope="module")
def alone(world):
    return world.alone()


@pytest.fixture
def fleet(request, tmp_path):
    """Topics with few partitions; the parameter says where snapshots lie, if not in a directory."""
    in_topic = getattr(request, "param", "directory") == "topic"
    kept = {"snapshots": "topic", "shared": str(tmp_path / "shared")} if in_topic else {}
    fleet = Fleet(tmp_path / "fleet", partitions=BEFORE, shards=SHARDS, shard_by=["host"], **kept)
    yield fleet
    fleet.close()


def wider(fleet, partitions=AFTER):
    """The configuration with more partitions."""
    return fleet.spec.model_copy(update={"partitions": partitions})


def send(spec, world, begin, end):
    """Send seconds with their places in a broker's topic; whoever sends them again is the same edge."""
    topics = topics_of(spec)
    writer = TopicWriter(topics.settings)
    log = ShardedLog(topics, writer, world.catalog, "edge", world.split)
    waiting = [log.append([world.control])] if not begin else []
    for second, (frame, tick) in enumerate(world.seconds[begin:end], begin):
        waiting += [log.append_from([frame], Place("bus", "points", 0, second)), log.append([tick])]
    for each in waiting:
        each.result(60)
    log.close()


class Folding:
    """A worker's engine in a thread."""

    def __init__(self, spec):
        self._stop = threading.Event()
        self._links = Links(spec, Catalog(), self._stop)
        shelves = shelves_of(spec)
        shelves.check()
        self._thread = threading.Thread(target=WorkerEngine(self._links, shelves.of).run)
        self._thread.start()

    def close(self):
        self._stop.set()
        self._thread.join()
        self._links.close()


def folded_by_few(fleet, world):
    """Fold the first seconds with few partitions, and leave a rest."""
    worker = Folding(fleet.spec)
    send(fleet.spec, world, 0, FOLDED)
    fleet.heard(world.seconds[FOLDED - 1][1].received)
    worker.close()
    send(fleet.spec, world, FOLDED, SENT)


def in_the_brokers_place(self):
    """What `Topics.enlarge` asks a broker for, at one that can't."""
    admin = AdminClient({**self.settings})
    for name in (self.findings, self.log):
        before = self.counts()[name]
        if before == self.partitions:
            continue
        reader = PlacesReader(self.settings, {(name, number): 0 for number in range(before)})
        kept, quiet = [], 0
        while quiet < 10:
            messages = reader.read(500, 0.1)
            kept, quiet = kept + list(messages), 0 if messages else quiet + 1
        reader.close()
        admin.delete_topics([name])[name].result(30)
        config = {"retention.ms": str(self.retention_ms), "max.message.bytes": str(64 << 20)}
        admin.create_topics([NewTopic(name, self.partitions, 1, config=config)])[name].result(30)
        producer = Producer({**self.settings, "linger.ms": 0, "batch.num.messages": 1})
        for each in kept:
            places = []
            producer.produce(name, each.value(), each.key(), each.partition(), headers=each.headers(),
                             on_delivery=lambda error, told, places=places: places.append(told.offset()))  # fmt: skip
            assert producer.flush(30) == 0
            assert places == [each.offset()]


@pytest.fixture
def broker_that_can(fleet, monkeypatch):
    if not fleet.broker.enlarges():
        monkeypatch.setattr(Topics, "enlarge", in_the_brokers_place)


def at_once(_):
    """No writer is about: nobody is waited for."""


def grown_and_on(fleet, world):
    """Go on with more partitions; what all workers ever said."""
    fleet.spec = wider(fleet)
    fleet.topics = topics_of(fleet.spec)
    worker = Folding(fleet.spec)
    send(fleet.spec, world, SENT - 20, SECONDS)  # who sends did not know how far it had come
    rows, _ = fleet.heard(world.seconds[-1][1].received)
    worker.close()
    return rows


@pytest.mark.usefixtures("broker_that_can")
@pytest.mark.parametrize("fleet", ["directory", pytest.param("topic", marks=pytest.mark.soak)], indirect=True)
def test_with_more_partitions_findings_are_those_of_one_machine(fleet, world, alone):
    folded_by_few(fleet, world)
    file = fleet.path / "tocsin.yaml"
    file.write_text(json.dumps({"cluster": fleet.spec_fields | {"partitions": AFTER}}))
    for told in (f"{AFTER} partitions instead of {BEFORE}", f"has {AFTER} partitions already"):
        done = CliRunner().invoke(app, ["repartition", "--config", str(file), "--data", str(fleet.path)])
        assert done.exit_code == 0, done.output
        assert told in done.output
    found = grown_and_on(fleet, world)
    assert found == alone
    assert any(kind == "findings" for kind, *_ in found)
    state = {n: shelves_of(fleet.spec).of(n).load(1 << 60)[1]["shards"] for n in range(AFTER)}
    assert all(shard % AFTER == number for number, shards in state.items() for shard in shards)
    assert len({shard for shards in state.values() for shard in shards}) == sum(map(len, state.values())) > AFTER


class Died(Exception):
    pass


class Mortal:
    """Lets this thread die once before and once after each step that it meets."""

    def __init__(self, monkeypatch):
        self.deaths = set()
        self._monkeypatch = monkeypatch

    def over(self, owner, name, which):
        kept = getattr(owner, name)

        def step(*given):
            self._die("before", name, which(*given))
            found = kept(*given)
            self._die("after", name, which(*given))
            return found

        self._monkeypatch.setattr(owner, name, step)

    def _die(self, *at):
        if threading.current_thread() is threading.main_thread() and at not in self.deaths:
            self.deaths.add(at)
            raise Died


@pytest.mark.soak
@pytest.mark.usefixtures("broker_that_can")
@pytest.mark.parametrize("fleet", ["directory", pytest.param("topic", marks=pytest.mark.soak)], indirect=True)
def test_who_is_killed_at_any_step_runs_it_again(fleet, world, alone, monkeypatch):
    folded_by_few(fleet, world)
    spec = wider(fleet)
    with monkeypatch.context() as patched:
        mortal = Mortal(patched)
        mortal.over(growing, "_note", lambda _, growth: str(growth))
        mortal.over(FindingsTopic, "write", lambda _, outputs, __: outputs[0][1].cause)
        mortal.over(Snapshots, "save", lambda kept, offset, _: (kept._shelf._path, offset))
        mortal.over(Snapshots, "keep_only", lambda kept, offset: (kept._shelf._path, offset))
        mortal.over(Topics, "enlarge", lambda _: None)
        mortal.over(growing, "_begin_new", lambda *_: None)
        while True:
            try:
                grow(spec, pause=at_once)
            except Died:
                if len(mortal.deaths) > 1:  # the note was written
                    with pytest.raises(BadConfig, match="run it once more"):
                        shelves_of(spec).check()
            else:
                break
    names = {name for _, name, _ in mortal.deaths}
    assert names == {"_note", "write", "save", "keep_only", "enlarge", "_begin_new"}
    assert len(mortal.deaths) > 2 * len(names) + 2 * AFTER
    assert grown_and_on(fleet, world) == alone


@pytest.mark.usefixtures("broker_that_can")
def test_control_takes_all_over_once_in_each_shards_order(fleet, world):
    folded_by_few(fleet, world)
    catalog, logs = Catalog(), (MemoryLog(), MemoryLog())
    mirror = Mirror(fleet.topics, *logs, catalog)
    for _ in range(3):
        mirror.step()  # control stops somewhere on the way
    mirror.close()
    grow(wider(fleet), pause=at_once)
    rows = grown_and_on(fleet, world)
    sent = sorted(value for frame, _ in world.seconds for value in (row["value"] for row in frame.rows()))
    for known, (inputs, outputs) in ((catalog, logs), (Catalog(), (MemoryLog(), MemoryLog()))):
        mirror = Mirror(fleet.topics, inputs, outputs, known)
        while not (ticks := [each for each in outputs.entries if each.tick]) or (
            ticks[-1].received < world.seconds[-1][1].received
        ):
            mirror.step()
        mirror.close()
        frames = [entry for entry in inputs.entries if isinstance(entry, Frame)]
        assert sorted(row["value"] for frame in frames for row in frame.rows()) == sent
        times = {}
        for frame in frames:
            for row in frame.rows():
                assert row["time"] > times.get(row["series"], 0), "a shard's entries came out of order"
                times[row["series"]] = row["time"]
        assert sorted(said(outputs.entries, known, KINDS)) == rows


def test_nobody_may_fold_or_write_meanwhile(fleet, world):
    worker = Folding(fleet.spec)
    send(fleet.spec, world, 0, 5)
    fleet.heard(world.seconds[4][1].received)
    with pytest.raises(BadConfig, match=f"workers are alive in group {fleet.spec.group}"):
        grow(wider(fleet), pause=at_once)
    worker.close()
    with pytest.raises(BadConfig, match="is still written to"):
        grow(wider(fleet), pause=lambda _: send(fleet.spec, world, 5, 6))


def test_the_topics_get_their_partitions_or_it_is_said_why(fleet):
    topics = topics_of(wider(fleet))
    if fleet.broker.enlarges():
        topics.enlarge()
        assert [topics.counts()[name] for name in (topics.log, topics.findings)] == [AFTER, AFTER]
    else:
        with pytest.raises(Unreachable, match=r"can't be given more partitions: .*not supported by broker"):
            topics.enlarge()


def away(_):
    raise Unreachable("the broker went away")


def test_what_can_not_be_is_refused_in_words(fleet, tmp_path, monkeypatch):
    for partitions in (1, 3, 5):
        with pytest.raises(BadConfig, match="4 or 6 are"):
            grow(wider(fleet, partitions), pause=at_once)
    with pytest.raises(BadConfig, match="`tocsin repartition`"):
        topics_of(wider(fleet)).make()
    with pytest.raises(BadConfig, match=r"there is no topic other\.log"):
        grow(wider(fleet).model_copy(update={"prefix": "other"}), pause=at_once)
    monkeypatch.setattr(Topics, "enlarge", away)
    with pytest.raises(Unreachable, match="the broker went away"):
        grow(wider(fleet), pause=at_once)
    with pytest.raises(BadConfig, match="on their way to 6 partitions, and `cluster: partitions` says 4"):
        grow(wider(fleet, 4), pause=at_once)
    plain = tmp_path / "tocsin.yaml"
    plain.write_text("monitors: []\n")
    told = CliRunner().invoke(app, ["repartition", "--config", str(plain), "--data", str(tmp_path)])
    assert "there is no `cluster:`" in str(told.exception)
