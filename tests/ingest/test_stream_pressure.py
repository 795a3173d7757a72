"""Redis Streams and a log that takes little: the stream keeps what waits, nobody else takes it, nothing is lost."""

import asyncio
import itertools
import json

import pytest

from brokers import PREFIX, RedisServer
from ingest_world import NOW, World
from tocsin.ingest import redis_streams
from tocsin.ingest.broker_messages import Message, MessageReader
from tocsin.ingest.otlp import OtlpReceiver
from tocsin.ingest.places import Places
from tocsin.ingest.redis_streams import Group, read_streams
from tocsin.model.errors import Overloaded

pytestmark = pytest.mark.system
_names = itertools.count()
ROOM = 800
"""Points that the log takes before the engine has to fold some."""
BATCH = 200
CONSUMERS = 2
ABANDONED_MS = 1500


@pytest.fixture(scope="module")
def redis(tmp_path_factory):
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    yield server
    server.close()


class SlowWorld(World):
    """A world whose log is full while more than `ROOM` points are not folded."""

    def __init__(self, monkeypatch):
        super().__init__()
        self.folded = self.held_most = self.refused = 0
        self._append = self.log.append
        monkeypatch.setattr(self.log, "append", self._bounded)

    def _bounded(self, entries):
        if self.held >= ROOM:
            self.refused += 1
            raise Overloaded("full", retry_after_s=0.02)
        done = self._append(entries)
        self.held_most = max(self.held_most, self.held)
        return done

    @property
    def held(self):
        return len(self.rows()) - self.folded


def point(value):
    return json.dumps({"timestamp": NOW // 10**6, "metric": "app.load", "value": value}).encode()


def filled(redis, points):
    name = f"{PREFIX}pressure{next(_names)}"
    pipeline = redis.client.pipeline()
    for value in range(points):
        pipeline.xadd(name, {"data": point(value)})
    pipeline.execute()
    return name


def reading(redis, world, name, concurrency=CONSUMERS):
    reader = MessageReader("bus", world.edge, OtlpReceiver(world.edge), resource={"service.name": "shop"})
    reader.read([Message(name, point(0))])  # what is compiled once, at the first
    group = Group(redis.url, (name,), "tocsin", "here")
    return asyncio.create_task(read_streams(group, reader, world.edge, Places(), concurrency=concurrency))


async def until(asked, task):
    async with asyncio.timeout(90):
        while not asked():
            assert not task.done(), task.exception()
            await asyncio.sleep(0.02)


async def ended(task):
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def given(redis, name):
    """Entries that consumers have and did not acknowledge."""
    return redis.client.xpending(name, "tocsin")["pending"]


def values(world):
    return sorted(row["value"] for row in world.rows())


def test_a_slow_engine_bounds_what_is_held_and_nothing_is_lost(redis, monkeypatch):
    monkeypatch.setattr(redis_streams, "_BATCH", BATCH)
    points = 10 * ROOM

    async def scenario():
        world, most = SlowWorld(monkeypatch), 0
        name = filled(redis, points)
        task = reading(redis, world, name)
        while world.folded < points:
            await until(lambda: world.held >= min(ROOM, points - world.folded), task)
            most = max(most, given(redis, name))
            world.folded += min(BATCH, world.held)  # the engine takes its time
        await until(lambda: not given(redis, name), task)
        await ended(task)
        assert values(world) == [float(k) for k in range(points)]
        assert world.refused > 0
        assert world.held_most < ROOM + BATCH  # no unit is divided
        assert 0 < most <= CONSUMERS * BATCH

    asyncio.run(scenario())


def test_what_waits_for_a_full_log_is_not_taken_by_another_consumer_as_well(redis, monkeypatch):
    monkeypatch.setattr(redis_streams, "_ABANDONED_MS", ABANDONED_MS)
    monkeypatch.setattr(redis_streams, "_CLAIM_EVERY", 1)
    monkeypatch.setattr(redis_streams, "_BLOCK_MS", 20)

    async def scenario():
        world = SlowWorld(monkeypatch)
        world.folded = -ROOM  # full from the start
        name = filled(redis, 10)
        task = reading(redis, world, name)
        await until(lambda: world.refused, task)
        over = asyncio.get_running_loop().time() + 3 * ABANDONED_MS / 1000  # the other looks for entries all the time
        await until(lambda: asyncio.get_running_loop().time() > over, task)
        world.folded = 0
        await until(lambda: values(world) and not given(redis, name), task)
        await ended(task)
        assert values(world) == [float(k) for k in range(10)]

    asyncio.run(scenario())
