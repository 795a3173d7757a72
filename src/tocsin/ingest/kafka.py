"""Topics of a Kafka cluster as a source: what was read enters the log together with its place, and is then committed."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka import Message as KafkaMessage

from tocsin.ingest.broker_messages import Contents, Message, MessageReader, together
from tocsin.ingest.edge import Edge
from tocsin.ingest.places import Places, offsets_place
from tocsin.model.errors import Overloaded, Unreachable
from tocsin.model.place import Place
from tocsin.selfmon.metrics import counter, gauge

_MESSAGES = counter("tocsin_ingest_broker_messages_total", "Messages read from a broker", ["source", "topic"])
_BAD = counter(
    "tocsin_ingest_broker_bad_messages_total", "Messages of a broker that hold nothing readable", ["source", "reason"]
)
_LAG = gauge(
    "tocsin_ingest_broker_lag_messages", "Messages of a partition not read yet", ["source", "topic", "partition"]
)
_BATCH: Final = 500
_POLL_S: Final = 0.25
_FLUSH_S: Final = 10.0
_SETTINGS: Final[Mapping[str, Any]] = {
    "enable.auto.commit": False,
    "auto.offset.reset": "earliest",  # what was sent before the first start is not silently passed over
    "partition.assignment.strategy": "cooperative-sticky",
    "allow.auto.create.topics": False,
    "fetch.wait.max.ms": 100,  # a point waits no longer at a broker that has little for us
    "queued.max.messages.kbytes": 16_384,
}
_AWAY: Final = ("_TRANSPORT", "_ALL_BROKERS_DOWN", "_RESOLVE")
_HOPELESS: Final = ("_AUTHENTICATION", "SASL_AUTHENTICATION_FAILED")
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Cluster:
    """How a cluster is reached, and as which group: librdkafka's own names, and a topic for what can't be read."""

    topics: tuple[str, ...]
    group: str
    settings: Mapping[str, Any]
    dead_letter: str = ""


async def read_topics(
    cluster: Cluster, reader: MessageReader, edge: Edge, places: Places, *, concurrency: int = 1
) -> None:
    """Read until cancelled, by as many members of the group as wanted, each in a thread of its own.

    Raises
    ------
    Unreachable
        A member met what no waiting mends: a refused login, an unknown setting.
    """
    stop = threading.Event()
    loop = asyncio.get_running_loop()
    with ThreadPoolExecutor(concurrency, thread_name_prefix=f"kafka {reader.source}") as threads:
        members = [_Member(cluster, reader, edge, places, stop) for _ in range(concurrency)]
        running = [loop.run_in_executor(threads, member.run) for member in members]
        try:
            await asyncio.gather(*running)
        finally:
            stop.set()
            await asyncio.gather(*running, return_exceptions=True)


class _Member:
    """One consumer of the group: reads a batch, hands it in, waits until it is durable, commits."""

    def __init__(
        self, cluster: Cluster, reader: MessageReader, edge: Edge, places: Places, stop: threading.Event
    ) -> None:
        self._cluster = cluster
        self._reader = reader
        self._edge = edge
        self._places = places
        self._stop = stop
        self._told: set[str] = set()
        self._dead: Producer | None = None

    def run(self) -> None:
        """Read until told to stop."""
        settings = {**_SETTINGS, **self._cluster.settings, "group.id": self._cluster.group}
        quiet = logging.getLogger("tocsin.librdkafka")
        try:
            if self._cluster.dead_letter:
                self._dead = Producer({**self._cluster.settings, "enable.idempotence": True}, logger=quiet)
            consumer = Consumer({**settings, "error_cb": self._failed}, logger=quiet)
        except KafkaException as error:
            raise Unreachable(f"the Kafka client refuses its settings: {error.args[0]}") from error
        try:
            consumer.subscribe(list(self._cluster.topics), on_assign=self._assigned)
            while not self._stop.is_set():
                self._step(consumer)
        finally:
            consumer.close()

    def _step(self, consumer: Consumer) -> None:
        first = consumer.poll(_POLL_S)
        if first is None:
            return
        # what has come meanwhile, without waiting for more
        found = [message for message in (first, *consumer.consume(_BATCH, 0)) if self._whole(message)]
        if not found:
            return
        contents = self._taken_each(consumer, found) if self._edge.shared else self._taken(consumer, found)
        if contents is None:
            return  # nothing was taken and nothing is committed: the next start reads it again
        ends: dict[tuple[str, int], int] = {}
        for message in found:
            ends[message.topic() or "", message.partition() or 0] = (message.offset() or 0) + 1
            _MESSAGES.labels(self._reader.source, message.topic()).inc()
        for (source, reason), rows in contents.reasons.items():
            self._edge.refuse(self._reader.tenant, source, reason, rows)
        self._bury([(found[number], reason) for number, reason in contents.bad.items()])
        self._commit(consumer, ends)

    def _taken(self, consumer: Consumer, found: Sequence[KafkaMessage]) -> Contents | None:
        """Append what messages hold, and up to where they go, as one unit; None: it was told to stop before."""
        messages = [_message(each) for each in found]
        contents = self._reader.read(messages)
        ends = {(message.topic() or "", message.partition() or 0): (message.offset() or 0) + 1 for message in found}
        place = offsets_place(self._reader.source, ends)
        while not self._stop.is_set():
            try:
                contents, done = self._reader.submit(messages, contents, place)
                done.result()
            except Overloaded as full:
                self._wait(consumer, full.retry_after_s)
            else:
                self._places.note(place)
                return contents
        return None

    def _taken_each(self, consumer: Consumer, found: Sequence[KafkaMessage]) -> Contents | None:
        """Append each message with its own place, which readers of a shared log know again; None: told to stop before."""
        read = [self._reader.read([_message(each)]) for each in found]
        while not self._stop.is_set():
            try:
                waiting = [
                    self._reader.submit([_message(each)], contents, self._place(each))
                    for each, contents in zip(found, read, strict=True)
                ]
                for _, done in waiting:
                    done.result()
            except Overloaded as full:  # all once more: what is there already is known by its place
                self._wait(consumer, full.retry_after_s)
            else:
                return together([contents for contents, _ in waiting])
        return None

    def _place(self, message: KafkaMessage) -> Place:
        topic, partition = message.topic() or "", message.partition() or 0
        return Place(self._reader.source, topic, partition, message.offset() or 0)

    def _whole(self, message: KafkaMessage) -> bool:
        error = message.error()
        if error is not None:
            self._failed(error)
            return False
        known = self._places.offset(self._reader.source, message.topic() or "", message.partition() or 0)
        return (message.offset() or 0) >= known

    def _wait(self, consumer: Consumer, seconds: float) -> None:
        """The log is full: read nothing, and stay a member of the group."""
        mine = consumer.assignment()
        consumer.pause(mine)
        self._stop.wait(seconds)
        consumer.poll(0)
        consumer.resume([partition for partition in consumer.assignment() if partition in mine])

    def _bury(self, bad: Sequence[tuple[KafkaMessage, str]]) -> None:
        """Count what can't be read, say where it lies, and keep it in the topic for such."""
        for message, reason in bad:
            _BAD.labels(self._reader.source, reason).inc()
            self._once(
                f"{message.topic()} {reason}",
                "a message can't be read",
                topic=message.topic(),
                partition=message.partition(),
                offset=message.offset(),
                reason=reason,
            )
            if self._dead is not None:
                origin = f"{message.topic()}/{message.partition()}/{message.offset()}"
                headers: list[tuple[str, str | bytes | None]] = [("tocsin-reason", reason), ("tocsin-origin", origin)]
                self._dead.produce(self._cluster.dead_letter, message.value(), message.key(), headers=headers)
        if bad and self._dead is not None:
            self._dead.flush(_FLUSH_S)

    def _commit(self, consumer: Consumer, ends: Mapping[tuple[str, int], int]) -> None:
        try:
            consumer.commit(offsets=[TopicPartition(*key, end) for key, end in ends.items()], asynchronous=False)
        except KafkaException as error:
            # the group has moved on or the broker is away: what is read again is known by its place
            self._failed(error.args[0])
        for topic, partition in ends:
            _, high = consumer.get_watermark_offsets(TopicPartition(topic, partition), cached=True)
            _LAG.labels(self._reader.source, topic, str(partition)).set(max(0, high - ends[topic, partition]))

    def _assigned(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        """Begin where the group left off, or further on where the log knows better."""
        try:
            known = consumer.committed(partitions, timeout=_FLUSH_S)
        except KafkaException as error:
            self._failed(error.args[0])
            known = partitions
        for partition in known:
            ours = self._places.offset(self._reader.source, partition.topic, partition.partition)
            if ours:
                partition.offset = max(partition.offset, ours)
        consumer.incremental_assign(known)

    def _failed(self, error: KafkaError) -> None:
        """Say what went wrong once a kind; what no waiting mends ends the member, which is then tried anew."""
        name = error.name()
        if error.fatal() or name in _HOPELESS:
            raise Unreachable(f"Kafka: {error.str()}")
        if name != "_PARTITION_EOF":
            event = "brokers can't be reached; reading goes on when they can" if name in _AWAY else "Kafka says"
            self._once(name, event, error=error.str()[:200])

    def _once(self, key: str, event: str, **what: Any) -> None:
        if key not in self._told:
            self._told.add(key)
            _log.warning(event, source=self._reader.source, **what)


def _message(message: KafkaMessage) -> Message:
    return Message(message.topic() or "", message.value() or b"")
