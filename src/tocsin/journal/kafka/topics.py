"""Topics of a cluster: what they are called, how they are made, and where they begin and end."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from confluent_kafka import Consumer, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from tocsin.model.errors import BadConfig, Unreachable

QUIET: Final = logging.getLogger("tocsin.librdkafka")
"""Where librdkafka's own lines go."""
WAIT_S: Final = 15.0
MOST_BYTES: Final = 64 << 20
"""Largest message: a model for the engine is one."""
_DAY_MS: Final = 86_400_000


@dataclass(frozen=True, slots=True)
class Topics:
    """How the cluster is reached, and the topics of one Tocsin on it."""

    settings: Mapping[str, Any]
    prefix: str = "tocsin"
    partitions: int = 8
    replication: int = 1
    retention_ms: int = 7 * _DAY_MS

    @property
    def log(self) -> str:
        """What came in: decoded, redacted, by shard."""
        return f"{self.prefix}.log"

    @property
    def findings(self) -> str:
        """What the engine says, a partition for each of the log's."""
        return f"{self.prefix}.findings"

    @property
    def dead(self) -> str:
        """What could not be read."""
        return f"{self.prefix}.dead"

    def make(self) -> None:
        """Make the topics that are missing.

        Raises
        ------
        BadConfig
            A topic is there with another number of partitions.
        Unreachable
            No broker answers, or one refuses.
        """
        admin = AdminClient({**self.settings}, logger=QUIET)
        wanted = {self.log: self.partitions, self.findings: self.partitions, self.dead: 1}
        try:
            known = admin.list_topics(timeout=WAIT_S).topics
        except KafkaException as error:
            raise Unreachable(f"no Kafka broker answers ({error.args[0].str()}); see `cluster: brokers`") from error
        for name, partitions in wanted.items():
            if name in known and len(known[name].partitions) != partitions:
                raise BadConfig(
                    f"topic {name} has {len(known[name].partitions)} partitions and `cluster: partitions` says"
                    f" {partitions}; say what it has, or move: docs/cluster.md"
                )
        config = {"retention.ms": str(self.retention_ms), "max.message.bytes": str(MOST_BYTES)}
        fresh = [
            NewTopic(name, partitions, self.replication, config=config)
            for name, partitions in wanted.items()
            if name not in known
        ]
        for name, made in (admin.create_topics(fresh) if fresh else {}).items():
            try:
                made.result(WAIT_S)
            except KafkaException as error:
                if error.args[0].name() != "TOPIC_ALREADY_EXISTS":  # another process of ours was quicker
                    raise Unreachable(f"topic {name} can't be made: {error.args[0].str()}") from error


def asker(settings: Mapping[str, Any], group: str) -> Consumer:
    """A consumer that is told what to read; `group` is a name alone, nothing is committed under it."""
    given = {
        "group.id": group,
        "enable.auto.commit": False,
        "auto.offset.reset": "earliest",
        "fetch.wait.max.ms": 50,
        "fetch.message.max.bytes": 4 << 20,
        "queued.max.messages.kbytes": 32_768,
    }
    return Consumer({**settings, **given}, logger=QUIET)


def bounds(consumer: Consumer, topic: str, partition: int) -> tuple[int, int]:
    """First offset that a partition still has, and the offset that the next message gets.

    Raises
    ------
    Unreachable
        The broker does not say.
    """
    try:
        found = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=WAIT_S)
    except KafkaException as error:
        raise Unreachable(f"{topic}/{partition}: the broker does not answer ({error.args[0].str()})") from error
    first, end = found
    return max(0, first), max(0, end)
