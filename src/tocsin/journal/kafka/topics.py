"""Topics of a cluster: what they are called, how they are made, and where they begin and end."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from confluent_kafka import Consumer, ConsumerGroupState, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._config import ConfigResource
from confluent_kafka.cimpl import NewPartitions, NewTopic

from tocsin.model.errors import BadConfig, Unreachable

QUIET: Final = logging.getLogger("tocsin.librdkafka")
"""Where librdkafka's own lines go."""
WAIT_S: Final = 15.0
_CONFIG_S: Final = 3.0
MOST_BYTES: Final = 64 << 20
"""Largest message: a model for the engine is one."""
_DAY_MS: Final = 86_400_000
COMPACTED: Final[Mapping[str, str]] = {
    "cleanup.policy": "compact",
    "segment.bytes": str(16 << 20),
    "segment.ms": str(_DAY_MS // 24),
    "min.cleanable.dirty.ratio": "0.1",
    "delete.retention.ms": str(_DAY_MS),
    "message.timestamp.type": "LogAppendTime",
}
"""How a topic of files is kept: what is written anew or dropped goes early, and stamps are of the broker's clock."""


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

    @property
    def snapshots(self) -> str:
        """Files of state, where neither a directory nor a bucket keeps them; one partition."""
        return f"{self.prefix}.snapshots"

    def make(self) -> None:
        """Make the topics that are missing.

        Raises
        ------
        BadConfig
            A topic is there with another number of partitions.
        Unreachable
            No broker answers, or one refuses.
        """
        config = {"retention.ms": str(self.retention_ms), "max.message.bytes": str(MOST_BYTES)}
        self._make({self.log: self.partitions, self.findings: self.partitions, self.dead: 1}, config)

    def make_snapshots(self) -> None:
        """Make the topic of snapshots where it is missing.

        Raises
        ------
        BadConfig, Unreachable
            As `make`.
        """
        self._make({self.snapshots: 1}, COMPACTED)

    def _make(self, wanted: Mapping[str, int], config: Mapping[str, str]) -> None:
        admin = AdminClient({**self.settings}, logger=QUIET)
        known = self.counts()
        for name, partitions in wanted.items():
            if name in known and known[name] != partitions:
                raise BadConfig(
                    f"topic {name} has {known[name]} partitions and `cluster: partitions` says {partitions}; say what it"
                    " has, or give it more with `tocsin repartition`: docs/cluster.md"
                )
        fresh = [
            NewTopic(name, partitions, self.replication, config={**config})
            for name, partitions in wanted.items()
            if name not in known
        ]
        for name, made in (admin.create_topics(fresh) if fresh else {}).items():
            try:
                made.result(WAIT_S)
            except KafkaException as error:
                if error.args[0].name() != "TOPIC_ALREADY_EXISTS":  # another process of ours was quicker
                    raise Unreachable(f"topic {name} can't be made: {error.args[0].str()}") from error

    def counts(self) -> Mapping[str, int]:
        """How many partitions each topic has.

        Raises
        ------
        Unreachable
            No broker answers.
        """
        try:
            known = AdminClient({**self.settings}, logger=QUIET).list_topics(timeout=WAIT_S).topics
        except KafkaException as error:
            raise Unreachable(f"no Kafka broker answers ({error.args[0].str()}); see `cluster: brokers`") from error
        return {name: len(found.partitions) for name, found in known.items()}

    def cleanup(self, name: str) -> str | None:
        """What a topic's `cleanup.policy` is; None: the broker does not say."""
        asked = ConfigResource(ConfigResource.Type.TOPIC, name)
        admin = AdminClient({**self.settings}, logger=QUIET)
        try:
            found = admin.describe_configs([asked], request_timeout=_CONFIG_S)[asked].result(_CONFIG_S)
        except (KafkaException, TimeoutError):
            return None
        said = found.get("cleanup.policy")
        return None if said is None else said.value

    def enlarge(self) -> None:
        """Give the topics of log and findings their number of partitions, where they have fewer.

        Raises
        ------
        Unreachable
            No broker answers, or it refuses.
        """
        known = self.counts()
        wanted = [name for name in (self.findings, self.log) if known[name] < self.partitions]
        admin = AdminClient({**self.settings}, logger=QUIET)
        for name in wanted:
            try:
                admin.create_partitions([NewPartitions(name, self.partitions)])[name].result(WAIT_S)
            except KafkaException as error:
                raise Unreachable(f"topic {name} can't be given more partitions: {error.args[0].str()}") from error

    def members(self, group: str) -> Sequence[str] | None:
        """Clients that are members of a group now, as far as the broker names them; None: it has none.

        Raises
        ------
        Unreachable
            The broker does not say.
        """
        admin = AdminClient({**self.settings}, logger=QUIET)
        try:
            found = admin.describe_consumer_groups([group])[group].result(WAIT_S)
        except KafkaException as error:
            raise Unreachable(f"the broker does not say who is in group {group}: {error.args[0].str()}") from error
        if found.state in (ConsumerGroupState.EMPTY, ConsumerGroupState.DEAD):
            return None
        return sorted(member.client_id for member in found.members)


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
