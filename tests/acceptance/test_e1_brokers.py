"""E1, E3 with B19: the pipeline file as it stands reads Kafka or Redis Streams; its spike is found within 30 s, in dry run."""

import asyncio
import json

import numpy as np
import pytest

from acceptance.stack import SECOND, START, Stack, play
from brokers import PREFIX, KafkaBroker, RedisServer
from pipeline_file import PIPELINE
from tocsin.app.brokers import Brokers
from tocsin.ingest.otlp import OtlpReceiver
from tocsin.ingest.places import Places
from tocsin.model.frame import Frame

pytestmark = [pytest.mark.acceptance, pytest.mark.system]

NORMAL_S, SPIKE_S = 600, 30
CHUNK_S = 10
"""Normal seconds that are sent at once: a broker takes a moment to hand out what it got."""
SIGNALS = ("app.load", "app.latency")
TOPIC = "telemetry.metrics"


@pytest.fixture
def kafka(tmp_path):
    broker = KafkaBroker(tmp_path)
    topic = broker.topic(f"{PREFIX}{TOPIC}", 4)
    producer = broker.producer()

    def send(messages):
        for message in messages:
            producer.produce(topic, message)
        assert producer.flush(30) == 0

    yield PIPELINE.replace(TOPIC, topic), {"TOCSIN_KAFKA_BOOTSTRAP": broker.address}, send
    broker.close()


@pytest.fixture
def redis(tmp_path):
    server = RedisServer(tmp_path)

    def send(messages):
        for message in messages:
            server.client.xadd(TOPIC, {"data": message})

    yield PIPELINE.replace("source: kafka", "source: redis"), {"TOCSIN_REDIS_URL": server.url}, send
    server.close()


def point(stamp_ms, name, zone, value):
    """A point as the file's topic carries it."""
    labels = {"service.name": "api", "zone": zone}
    return json.dumps({"timestamp": stamp_ms, "metric": name, "value": value, "labels": labels}).encode()


class Taken:
    """Counts the rows that have entered a log."""

    def __init__(self, log):
        self._log, self._next, self._rows = log, log.end(), 0

    def __call__(self):
        while records := self._log.read(self._next, 1024):
            self._rows += sum(len(record.entry) for record in records if isinstance(record.entry, Frame))
            self._next = records[-1].offset + 1
        return self._rows


async def spike(path, text, env, send):
    """Ten normal minutes and half a minute of +300 %; when the page was due, and what was paged."""
    rng = np.random.default_rng(1)
    stack = Stack(path, text, env=env)
    (source,) = stack.config.sources
    reading = asyncio.create_task(Brokers(stack.edge, OtlpReceiver(stack.edge), Places()).loop(source))
    names = [(name, zone) for name in SIGNALS for zone in "abc"]
    points = 0

    taken = Taken(stack.input)
    try:
        for first in (*range(0, NORMAL_S, CHUNK_S), *range(NORMAL_S, NORMAL_S + SPIKE_S)):
            high = first >= NORMAL_S
            for second in range(1 if high else CHUNK_S):
                noise = 1 + 0.1 * rng.standard_normal(len(names))
                stamp = stack.clock.now() // 10**6 + 1000 * second
                send(
                    point(stamp, name, zone, (400.0 if high else 100.0) * by)
                    for (name, zone), by in zip(names, noise, strict=True)
                )
                points += len(names)
            async with asyncio.timeout(90):
                while taken() < points:
                    assert not reading.done(), reading.exception()
                    await asyncio.sleep(0.001)
            for _ in range(1 if high else CHUNK_S):
                await stack.second()
                if not high:
                    assert not stack.incidents(), f"an incident in the normal minutes, within {first + CHUNK_S} s"
        (incident,) = stack.incidents()
        return incident, stack.state.pages("main", incident.id)
    finally:
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
        await stack.close()


@pytest.mark.parametrize("broker", [pytest.param("kafka", marks=pytest.mark.soak), "redis"])
def test_the_pipeline_file_finds_the_spike_of_a_broker_s_points(tmp_path, request, broker):
    text, env, send = request.getfixturevalue(broker)
    incident, pages = play(spike(tmp_path, text, env, send))
    spike_ns = START + NORMAL_S * SECOND
    assert spike_ns < incident.opened_at <= spike_ns + 30 * SECOND
    assert spike_ns < pages[0].message.created_at <= spike_ns + 31 * SECOND
    assert {page.message.dry_run for page in pages} == {True}
    assert incident.findings
