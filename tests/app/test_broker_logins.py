"""Logins at Kafka over TLS: what the configuration says reaches the wire, from every client that there is."""

import asyncio
import contextlib

import pytest

from ingest_world import World
from kafka_login import LoginPort, certificate
from tocsin.app.brokers import Brokers
from tocsin.app.cluster.links import topics_of
from tocsin.ingest.otlp import OtlpReceiver
from tocsin.ingest.places import Places
from tocsin.journal.kafka import topics as kafka_topics
from tocsin.journal.kafka.feed import GroupFeed
from tocsin.journal.kafka.reader import PlacesReader
from tocsin.journal.kafka.writer import TopicWriter
from tocsin.model.errors import Unreachable
from tocsin.spec.load import parse_config

WAIT_S = 60
PASSWORD = "s3cret"
TOLD = ("PLAIN", b"\0ann\0" + PASSWORD.encode())
CONFIG = """
sources:
  - {{name: points, type: kafka, topics: [t], dead_letter: dead, {access}}}
cluster: {{snapshots: /shared, {access}}}
"""


@pytest.fixture(scope="module")
def signed(tmp_path_factory):
    return certificate(tmp_path_factory.mktemp("ca"))


@pytest.fixture
def port(signed):
    made = LoginPort(*signed)
    yield made
    made.close()


def configured(port, ca, mechanism="PLAIN"):
    access = f"brokers: ['{port.address}'], tls: {{ca: {ca}}}, sasl: {{mechanism: {mechanism}, username: ann, password: '${{PASS}}'}}"
    return parse_config(CONFIG.format(access=access), "tocsin.yaml", {"PASS": PASSWORD}).config


def by_source(config):
    """Read a topic until cancelled."""
    world = World()
    brokers = Brokers(world.edge, OtlpReceiver(world.edge), Places())
    return brokers.loop(config.sources[0])


def reads_places(topics):
    with pytest.raises(Unreachable):
        PlacesReader(topics.settings, {(topics.log, 0): 0})


def asks_for_topics(topics):
    with pytest.raises(Unreachable):
        topics.make()


def joins_the_group(topics):
    writer = TopicWriter(topics.settings)
    feed = GroupFeed(topics, "engine", 6000, writer, "here")
    return contextlib.closing(feed), contextlib.closing(writer)


def writes(topics):
    return (contextlib.closing(TopicWriter(topics.settings)),)


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
def test_a_source_and_its_dead_letters_log_in(port, signed, mechanism):
    async def scenario():
        task = asyncio.create_task(by_source(configured(port, signed[0], mechanism)))
        try:
            return [await asyncio.to_thread(port.heard.get, timeout=WAIT_S) for _ in range(2)]
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    for told in asyncio.run(scenario()):
        assert told[0] == mechanism
        assert told == TOLD if mechanism == "PLAIN" else told[1].startswith(b"n,,n=ann,r=")


@pytest.mark.parametrize("client", [writes, joins_the_group, reads_places, asks_for_topics])
def test_every_client_of_the_log_logs_in(port, signed, client, monkeypatch):
    monkeypatch.setattr(kafka_topics, "WAIT_S", 3.0)
    topics = topics_of(configured(port, signed[0]).cluster)
    with contextlib.ExitStack() as open_clients:
        for each in client(topics) or ():
            open_clients.enter_context(each)
        assert port.heard.get(timeout=WAIT_S) == TOLD


def test_a_broker_that_the_named_authority_did_not_sign_gets_no_password(port, tmp_path):
    other, _ = certificate(tmp_path)
    topics = topics_of(configured(port, other).cluster)
    with contextlib.closing(TopicWriter(topics.settings)):
        assert port.heard.get(timeout=WAIT_S) in {"TLSV1_ALERT_UNKNOWN_CA", "SSLV3_ALERT_BAD_CERTIFICATE"}
