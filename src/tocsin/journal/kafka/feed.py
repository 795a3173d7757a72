"""`GroupFeed`: the log as a consumer group gets it - partitions come and go, and a lease is asked for before writing."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Final

import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka import Message as KafkaMessage

from tocsin.journal.dictionary import SeriesTexts
from tocsin.journal.kafka.envelope import Headers, headers_of, routed_of
from tocsin.journal.kafka.topics import QUIET, Topics
from tocsin.journal.kafka.writer import Parcel, TopicWriter
from tocsin.journal.messages import pack_message
from tocsin.model.errors import Corrupt, Unreachable
from tocsin.model.routed import LeaseLost, Owner, Routed
from tocsin.model.series import Catalog
from tocsin.selfmon.metrics import counter

BATCH: Final = 500
POLL_S: Final = 0.1
_LOST: Final = ("UNKNOWN_MEMBER_ID", "ILLEGAL_GENERATION", "FENCED_INSTANCE_ID", "_FENCED", "_ASSIGNMENT_LOST")
"""What the group says to who is no longer a member of it."""
_MOST_PATIENCE_S: Final = 600.0
"""A group that has others for all its partitions is not shared out anew again and again for one more member."""
_HOPELESS: Final = ("_AUTHENTICATION", "SASL_AUTHENTICATION_FAILED")
_POISON = counter(
    "tocsin_journal_poison_messages_total", "Messages of the log that can't be read, kept in the dead topic"
)
_MISPLACED = counter(
    "tocsin_journal_misplaced_messages_total", "Messages of shards that another partition has since the log has more"
)
_log = structlog.get_logger(__name__)


def read_or_bury(
    message: KafkaMessage, catalog: Catalog, topics: Topics, dead: TopicWriter, *, again: bool = False
) -> Routed | None:
    """What a message of the log holds; None for one that can't be read, buried unless met `again`, or not of its partition."""
    try:
        routed = routed_of(message.offset() or 0, message.value(), message.headers(), catalog)
    except Corrupt as error:
        if again:
            return None
        _POISON.inc()
        origin = f"{message.topic()}/{message.partition()}/{message.offset()}"
        _log.error("a message of the log can't be read and is passed over", origin=origin, reason=str(error))
        headers: Headers = [("tocsin-reason", str(error)[:200]), ("tocsin-origin", origin)]
        dead.write([Parcel(topics.dead, 0, message.value() or b"", headers)])
        return None
    if routed.shard >= 0 and routed.shard % topics.partitions != message.partition():
        _MISPLACED.inc()  # from before the log had so many partitions: another one knows what that shard has learned
        return None
    return routed


def bury_entry(
    record: Routed, catalog: Catalog, topics: Topics, dead: TopicWriter, partition: int, reason: str
) -> None:
    """Keep an entry of a partition in the dead topic, as it lies in the log, with origin and reason; durable on return.

    Raises
    ------
    Overloaded
        The brokers do not take it.
    """
    headers = headers_of(record.shard, record.edge, record.place)
    headers += [("tocsin-reason", reason[:200]), ("tocsin-origin", f"{topics.log}/{partition}/{record.offset}")]
    dead.write([Parcel(topics.dead, 0, pack_message(record.entry, SeriesTexts(catalog)), headers)]).result()


class GroupFeed:
    """One member of the group; used by one thread.

    A message that can't be read is passed by all workers alike; each keeps it in the dead topic, once in its life.
    """

    def __init__(self, topics: Topics, group: str, session_ms: int, dead: TopicWriter, client: str) -> None:
        self._topics = topics
        self._dead = dead
        self._owner: Owner | None = None
        self._read: dict[int, int] = {}  # up to where each partition was read in this life: replays bury nothing
        self._settings = {
            **topics.settings,
            "group.id": group,
            "client.id": client,
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "partition.assignment.strategy": "cooperative-sticky",
            "session.timeout.ms": session_ms,
            "heartbeat.interval.ms": max(500, session_ms // 6),
            "max.poll.interval.ms": max(300_000, session_ms),
            "fetch.wait.max.ms": 50,
            "queued.max.messages.kbytes": 32_768,
        }
        self._session_s = self._patience_s = session_ms / 1000
        self._alone_since: float | None = None
        self._consumer = self._joined()

    def _joined(self) -> Consumer:
        consumer = Consumer(self._settings, logger=QUIET)
        log = [self._topics.log]
        consumer.subscribe(log, on_assign=self._assigned, on_revoke=self._revoked, on_lost=self._lost)
        return consumer

    def poll(self, owner: Owner, catalogs: Mapping[int, Catalog]) -> Sequence[tuple[int, Routed]]:
        """Entries by partition that came next; tells `owner` of partitions that come and go.

        Raises
        ------
        Unreachable
            The client met what no waiting mends.
        """
        self._owner = owner
        if self._alone_since is not None and time.monotonic() - self._alone_since > self._patience_s:
            _log.warning("lost partitions do not come back; joining the group anew", waited_s=round(self._patience_s))
            self._patience_s = max(min(2 * self._patience_s, _MOST_PATIENCE_S), self._session_s)
            self.rejoin()
        found = []
        for message in self._consumer.consume(BATCH, POLL_S):
            error = message.error()
            if error is not None:
                self._failed(error)
                continue
            number = message.partition() or 0
            if number in catalogs:
                following, known = (message.offset() or 0) + 1, self._read.get(number, 0)
                routed = read_or_bury(message, catalogs[number], self._topics, self._dead, again=following <= known)
                self._read[number] = max(following, known)
                if routed is not None:
                    found.append((number, routed))
        return found

    def lease(self, offsets: Mapping[int, int]) -> bool:
        """Tell the group how far partitions are folded; False: nobody can say at present whether they are still ours.

        Raises
        ------
        LeaseLost
            They are no longer this member's.
        """
        ends = [TopicPartition(self._topics.log, number, offset) for number, offset in sorted(offsets.items())]
        try:
            said = self._consumer.commit(offsets=ends, asynchronous=False) or ()
            errors = [each.error for each in said if each.error is not None]
        except KafkaException as error:
            errors = [error.args[0]]
        for fault in errors:
            if fault.name() in _LOST:
                raise LeaseLost(fault.str())
        return not errors

    def lag(self, partition: int, offset: int) -> int:
        """How many entries of a partition are at `offset` or above, as the last fetch told."""
        at = TopicPartition(self._topics.log, partition)
        try:
            _, end = self._consumer.get_watermark_offsets(at, cached=True)
        except KafkaException:
            return 0
        return max(0, end - offset)

    def rejoin(self) -> None:
        """Become a new member, after a lease was refused."""
        self._consumer.close()
        self._consumer = self._joined()
        self._alone_since = time.monotonic()

    def seek(self, partition: int, offset: int) -> None:
        """Read a partition from `offset` on once more.

        Raises
        ------
        Unreachable
            The client can't.
        """
        try:
            self._consumer.seek(TopicPartition(self._topics.log, partition, offset))
        except KafkaException as error:
            raise Unreachable(f"{self._topics.log}/{partition}: {error.args[0].str()}") from error

    def bury(self, record: Routed, catalog: Catalog, origin: int, reason: str) -> None:
        """Keep an entry of partition `origin` that can't be folded in the dead topic; see `bury_entry`."""
        bury_entry(record, catalog, self._topics, self._dead, origin, reason)

    def close(self) -> None:
        """Leave the group, handing over what is held."""
        self._consumer.close()

    def _assigned(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        if self._owner is not None and partitions:
            numbers = [each.partition for each in partitions]
            try:
                wanted = self._owner.assigned(numbers)
            except Unreachable:
                self._owner.lost(numbers)
                self._alone_since = time.monotonic() - self._patience_s  # nobody would fold them: join anew at once
                raise
            self._alone_since, self._patience_s = None, self._session_s
            for each in partitions:
                each.offset = wanted[each.partition]
        consumer.incremental_assign(partitions)

    def _revoked(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        if self._owner is not None and partitions:
            self._owner.revoked([each.partition for each in partitions])
        consumer.incremental_unassign(partitions)

    def _lost(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._alone_since = time.monotonic()
        if self._owner is not None:
            self._owner.lost([each.partition for each in partitions])
        consumer.incremental_unassign(partitions)

    def _failed(self, error: KafkaError) -> None:
        if error.fatal() or error.name() in _HOPELESS:
            raise Unreachable(f"Kafka: {error.str()}")
        if error.name() != "_PARTITION_EOF":
            _log.warning("Kafka says", error=error.str()[:200])
