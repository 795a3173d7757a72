"""Sources at real brokers: what was sent is taken once, in any form, over refusals, restarts and lost acknowledgements."""

import asyncio
import itertools
import json
import threading
from contextlib import asynccontextmanager

import pytest
from google.protobuf import json_format
from redis import Redis
from redis.asyncio import Redis as AsyncRedis

from brokers import PREFIX, KafkaBroker, RedisServer
from ingest_world import NOW, KeepAll, World, gauge_request, log_request, span_request
from tocsin.ingest.broker_messages import Message, MessageReader
from tocsin.ingest.kafka import Cluster, read_topics
from tocsin.ingest.otlp import OtlpReceiver
from tocsin.ingest.places import Places, ids_place, offsets_place
from tocsin.ingest.redis_streams import Group, read_streams
from tocsin.model.errors import Overloaded
from tocsin.model.frame import FrameKind
from tocsin.model.log import Control
from tocsin.selfmon.metrics import exposition
from tocsin.testing.memory_log import MemoryLog

pytestmark = pytest.mark.system
_names = itertools.count()


@pytest.fixture(scope="module")
def kafka(tmp_path_factory):
    broker = KafkaBroker(tmp_path_factory.mktemp("kafka"))
    yield broker
    broker.close()


@pytest.fixture(scope="module")
def redis(tmp_path_factory):
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    yield server
    server.close()


@pytest.fixture
def name():
    return f"{PREFIX}t{next(_names)}"


def point(value, metric="app.load", **fields):
    return json.dumps(
        {"timestamp": NOW // 10**6, "metric": metric, "value": value, "labels": {"zone": "a"}} | fields
    ).encode()


def reader_of(world):
    return MessageReader("bus", world.edge, OtlpReceiver(world.edge), resource={"service.name": "shop"})


def values(world):
    return sorted(row["value"] for row in world.rows())


def places_of(world):
    return Places(entry for entry in world.log.entries if isinstance(entry, Control))


@asynccontextmanager
async def running(loop):
    """A source's loop, ended with the block."""
    task = asyncio.create_task(loop)
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(asked, task):
    async with asyncio.timeout(90):
        while not asked():
            assert not task.done(), task.exception()
            await asyncio.sleep(0.02)


def reading(broker, world, topic, *, group, places=None, **more):
    settings = {"bootstrap.servers": broker.address, "session.timeout.ms": 6000}
    cluster = Cluster((topic,), group, settings, more.pop("dead_letter", ""))
    return read_topics(cluster, reader_of(world), world.edge, places or Places(), **more)


def sent(broker, topic, messages, **settings):
    producer = broker.producer(**settings)
    for message in messages:
        producer.produce(topic, message)
    assert producer.flush(30) == 0


def play(scenario):
    asyncio.run(scenario)


def test_points_of_a_topic_are_taken_however_they_were_compressed(kafka, name):
    async def scenario():
        world = World()
        kafka.topic(name)
        for number, compression in enumerate(["none", "gzip", "snappy", "lz4", "zstd"]):
            eight = [point(8.0 * number + k) for k in range(8)]
            sent(kafka, name, eight, **{"compression.type": compression})
        async with running(reading(kafka, world, name, group=name)) as task:
            await until(lambda: len(world.rows()) >= 40, task)
        assert values(world) == [float(k) for k in range(40)]
        ((series, _), *_) = world.named()
        assert dict(series.labels) == {"service.name": "shop", "zone": "a"}

    play(scenario())


@pytest.mark.parametrize("as_json", [False, True])
@pytest.mark.parametrize(
    ("signal", "request_of", "kind"),
    [
        ("metrics", gauge_request([1.0, 2.0]), FrameKind.POINTS),
        ("spans", span_request(2), FrameKind.SPANS),
        ("logs", log_request("a", "b"), FrameKind.LOGS),
    ],
)
def test_what_the_collector_exports_is_taken_by_the_name_of_its_topic(signal, request_of, kind, as_json):
    world = World()
    body = (json_format.MessageToJson(request_of) if as_json else request_of.SerializeToString()) or b""
    if as_json:
        found = json.loads(body)
        for of_resource in found.get("resourceSpans", []):  # the JSON of OTLP has ids in hexadecimal digits
            for span in of_resource["scopeSpans"][0]["spans"]:
                span |= {"traceId": "ab" * 16, "spanId": "cd" * 8}
        body = json.dumps(found).encode()
    contents = reader_of(world).read([Message(f"team.otlp_{signal}", body)])
    assert not contents.bad
    assert [(frame.kind, len(frame)) for frame in contents.frames] == [(kind, 2)]


def test_what_cannot_be_read_is_counted_buried_and_passed(kafka, name):
    async def scenario():
        world = World()
        dead = kafka.topic(f"{name}-dead")
        sent(kafka, kafka.topic(name), [point(1.0), b"\xff\x00 no json", point("many"), point(2.0)])
        before = _bad("bad_json")
        async with running(reading(kafka, world, name, group=name, dead_letter=dead)) as task:
            await until(lambda: len(world.rows()) >= 2, task)
            await until(lambda: _bad("no_number") and _bad("bad_json") == before + 1, task)
        async with running(reading(kafka, buried := World(), dead, group=name)) as task:
            await until(lambda: _bad("bad_json") == before + 2, task)
        assert values(world) == [1.0, 2.0]
        assert not buried.rows()

    play(scenario())


def _bad(reason):
    line = f'tocsin_ingest_broker_bad_messages_total{{reason="{reason}",source="bus"}} '
    return sum(float(each.removeprefix(line)) for each in exposition().decode().splitlines() if each.startswith(line))


class SharedMemoryLog(MemoryLog):
    """A log that several write, which leaves out what came twice by its place."""

    def __init__(self):
        super().__init__()
        self.places = set()

    def append_from(self, entries, place):
        known = place in self.places
        self.places.add(place)
        return self.append([] if known else entries)


class Stumbling(KeepAll):
    """A redactor with a fault: it fails at one value."""

    def frames(self, frames):
        assert all(76 not in frame.f8("value") for frame in frames if frame.kind is FrameKind.POINTS)
        return super().frames(frames)


@pytest.mark.parametrize("shared", [False, True])
def test_a_message_that_redaction_stumbles_over_is_left_out_and_ends_no_reader(kafka, name, shared):
    async def scenario():
        world = World(Stumbling(), log=SharedMemoryLog() if shared else None)
        dead = kafka.topic(f"{name}-dead")
        sent(kafka, kafka.topic(name), [point(1.0), point(76), point(2.0)])
        before = _bad("internal")
        async with running(reading(kafka, world, name, group=name, dead_letter=dead)) as task:
            await until(lambda: len(world.rows()) >= 2 and _bad("internal") == before + 1, task)
            sent(kafka, name, [point(3.0)])
            await until(lambda: len(world.rows()) >= 3, task)
        async with running(reading(kafka, buried := World(), dead, group=name)) as task:
            await until(buried.rows, task)
        assert (values(world), values(buried)) == ([1.0, 2.0, 3.0], [76.0])

    play(scenario())


def test_an_entry_of_a_stream_that_redaction_stumbles_over_is_left_out(redis, name):
    async def scenario():
        world = World(Stumbling())
        for value in (1.0, 76.0, 2.0):
            redis.client.xadd(name, {"data": point(value)})
        async with running(streams(redis, world, name)) as task:
            await until(lambda: len(world.rows()) >= 2 and _read_all(redis.client, name), task)
        assert values(world) == [1.0, 2.0]

    play(scenario())


def test_a_full_log_loses_nothing(kafka, name, monkeypatch):
    async def scenario():
        world = World()
        refusals = iter([True] * 3)
        append = world.log.append

        def refusing(entries):
            if next(refusals, False):
                raise Overloaded("full", retry_after_s=0.01)
            return append(entries)

        monkeypatch.setattr(world.log, "append", refusing)
        sent(kafka, kafka.topic(name), [point(float(k)) for k in range(10)])
        async with running(reading(kafka, world, name, group=name)) as task:
            await until(lambda: len(world.rows()) >= 10, task)
        assert values(world) == [float(k) for k in range(10)]
        assert next(refusals, None) is None

    play(scenario())


def test_what_is_in_the_log_is_not_taken_again_though_the_group_has_forgotten(kafka, name):
    async def scenario():
        world = World()
        sent(kafka, kafka.topic(name, 2), [point(float(k)) for k in range(10)])
        async with running(reading(kafka, world, name, group=name)) as task:
            await until(lambda: len(world.rows()) >= 10, task)
        sent(kafka, name, [point(99.0)])
        # another group has acknowledged nothing: all comes once more, and the log knows it
        async with running(reading(kafka, world, name, group=f"{name}-new", places=places_of(world))) as task:
            await until(lambda: 99.0 in values(world), task)
        assert values(world) == [*(float(k) for k in range(10)), 99.0]

    play(scenario())


def test_members_of_one_group_share_the_partitions_and_take_each_message_once(kafka, name):
    async def scenario():
        world = World()
        kafka.topic(name, 4)
        threads, wanted = set(), []
        submit = world.edge.submit

        def told(*args):
            threads.add(threading.get_ident())
            return submit(*args)

        def all_taken():
            return set(values(world)) >= set(wanted)

        world.edge.submit = told
        async with running(reading(kafka, world, name, group=name, concurrency=2)) as task:
            while len(threads) < 2:  # until both members have partitions, and each has read
                assert len(wanted) < 4000
                spread(kafka, name, [point(float(len(wanted) + k)) for k in range(8)])
                wanted += [float(len(wanted) + k) for k in range(8)]
                await until(all_taken, task)
        assert values(world) == wanted

    play(scenario())


def spread(broker, topic, messages):
    """Send messages to four partitions in turn."""
    producer = broker.producer()
    for number, message in enumerate(messages):
        producer.produce(topic, message, partition=number % 4)
    assert producer.flush(30) == 0


def test_a_restart_goes_on_where_the_group_left_off(kafka, name):
    async def scenario():
        first, second = World(), World()
        sent(kafka, kafka.topic(name), [point(1.0)])
        async with running(reading(kafka, first, name, group=name)) as task:
            await until(lambda: len(first.rows()) >= 1, task)
        sent(kafka, name, [point(2.0)])
        async with running(reading(kafka, second, name, group=name)) as task:
            await until(lambda: len(second.rows()) >= 1, task)
        assert values(second) == [2.0]

    play(scenario())


def streams(server, world, stream, *, places=None, consumer="here", **more):
    group = Group(server.url, (stream,), "tocsin", consumer)
    return read_streams(group, reader_of(world), world.edge, places or Places(), **more)


def test_entries_of_a_stream_are_taken_and_acknowledged(redis, name):
    async def scenario():
        world = World()
        for value in range(20):
            redis.client.xadd(name, {"data": point(float(value))})
        redis.client.xadd(name, {"other": "x"})
        redis.client.xadd(name, {"data": "not json"})
        async with running(streams(redis, world, name, concurrency=2)) as task:
            await until(lambda: len(world.rows()) >= 20, task)
            await until(lambda: _read_all(redis.client, name), task)
        assert values(world) == [float(k) for k in range(20)]
        assert redis.client.xpending(name, "tocsin")["pending"] == 0

    play(scenario())


def _read_all(client: Redis, stream):
    (group,) = client.xinfo_groups(stream)
    return group["lag"] == 0 and group["pending"] == 0


def test_what_was_not_acknowledged_is_taken_at_the_next_start_unless_the_log_has_it(redis, name):
    async def scenario():
        world = World()
        ids = [redis.client.xadd(name, {"data": point(float(k))}).decode() for k in range(3)]
        redis.client.xgroup_create(name, "tocsin", id="0")
        redis.client.xreadgroup("tocsin", "here-0", {name: ">"})  # given, and never acknowledged
        places = Places([ids_place("bus", {name: ids[:1]})])
        async with running(streams(redis, world, name, places=places)) as task:
            await until(lambda: _read_all(redis.client, name), task)
        assert values(world) == [1.0, 2.0]

    play(scenario())


def test_what_a_consumer_left_is_taken_over(redis, name, monkeypatch):
    monkeypatch.setattr("tocsin.ingest.redis_streams._ABANDONED_MS", 0)

    async def scenario():
        world = World()
        redis.client.xadd(name, {"data": point(5.0)})
        redis.client.xgroup_create(name, "tocsin", id="0")
        redis.client.xreadgroup("tocsin", "gone", {name: ">"})
        async with running(streams(redis, world, name)) as task:
            await until(lambda: _read_all(redis.client, name), task)
        assert values(world) == [5.0]

    play(scenario())


def test_a_reader_ends_though_its_client_swallowed_the_cancellation(redis, name, monkeypatch):
    async def scenario():
        reading, swallowed = asyncio.Event(), asyncio.Event()

        async def swallowing(*_, **__):
            reading.set()
            try:
                await asyncio.sleep(30)
            except asyncio.CancelledError:
                swallowed.set()
            return []

        monkeypatch.setattr(AsyncRedis, "xreadgroup", swallowing)
        task = asyncio.create_task(streams(redis, World(), name))
        await asyncio.wait_for(reading.wait(), 20)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(task, 20)
        assert swallowed.is_set()

    play(scenario())


def test_places_know_the_furthest_and_forget_what_was_acknowledged():
    places = Places([offsets_place("bus", {("t", 0): 5}), offsets_place("bus", {("t", 0): 3, ("t", 1): 9})])
    assert (places.offset("bus", "t", 0), places.offset("bus", "t", 1), places.offset("other", "t", 0)) == (5, 9, 0)
    places.note(ids_place("bus", {"s": ["1-0", "2-0"]}))
    places.forget("bus", {"s": ["1-0"]})
    assert not places.has("bus", "s", "1-0")
    assert places.has("bus", "s", "2-0")
