"""Reading partitions from given places: for who takes all of them, not a share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from confluent_kafka import KafkaException, TopicPartition
from confluent_kafka import Message as KafkaMessage

from tocsin.journal.kafka.envelope import cause_of
from tocsin.journal.kafka.topics import asker, bounds
from tocsin.model.errors import Unreachable

BACK: Final = 600
"""Messages at the end of a partition among which the last cause is looked for: more are never under way at once."""
_POLL_S: Final = 0.05
_QUIET_S: Final = 10.0


class PlacesReader:
    """Reads partitions of topics from given offsets on, as they come; used by one thread."""

    def __init__(self, settings: Mapping[str, Any], places: Mapping[tuple[str, int], int]) -> None:
        self._consumer = asker(settings, "tocsin.places")
        found = []
        for (topic, partition), offset in places.items():
            first, _ = bounds(self._consumer, topic, partition)
            found.append(TopicPartition(topic, partition, max(first, offset)))
        self._consumer.assign(found)

    def read(self, limit: int, wait_s: float) -> Sequence[KafkaMessage]:
        """Messages that came, at most `limit`; waits for the first of them."""
        return [message for message in self._consumer.consume(limit, wait_s) if message.error() is None]

    def lag(self, topic: str, partition: int, offset: int) -> int:
        """How many messages of a partition are at `offset` or above, as the last fetch told."""
        _, end = self._consumer.get_watermark_offsets(TopicPartition(topic, partition), cached=True)
        return max(0, end - offset)

    def hold(self, topic: str, partition: int) -> None:
        """Read no more of a partition until it is released; what was given of it counts as read."""
        self._consumer.pause([TopicPartition(topic, partition)])

    def release(self, topic: str, partition: int) -> None:
        """Read on in a partition that was held."""
        self._consumer.resume([TopicPartition(topic, partition)])

    def seek(self, topic: str, partition: int, offset: int) -> None:
        """Read a partition from `offset` on once more.

        Raises
        ------
        Unreachable
            The client can't.
        """
        try:
            self._consumer.seek(TopicPartition(topic, partition, offset))
        except KafkaException as error:
            raise Unreachable(f"{topic}/{partition}: {error.args[0].str()}") from error

    def close(self) -> None:
        """Stop reading."""
        self._consumer.close()


def last_cause(settings: Mapping[str, Any], topic: str, partition: int) -> int:
    """Highest cause among the last outputs of a partition, -1 without any.

    Raises
    ------
    Unreachable
        The broker sends nothing.
    """
    consumer = asker(settings, f"{topic}.last")
    try:
        first, end = bounds(consumer, topic, partition)
        if end <= first:
            return -1
        consumer.assign([TopicPartition(topic, partition, max(first, end - BACK))])
        last, at, quiet = -1, 0, 0.0
        while at < end:
            message = consumer.poll(_POLL_S)
            if message is None:
                quiet += _POLL_S
                if quiet > _QUIET_S:
                    raise Unreachable(f"{topic}/{partition}: the broker sends nothing")
                continue
            if message.error() is None:
                at = (message.offset() or 0) + 1
                last = max(last, cause_of(message.headers()))
        return last
    finally:
        consumer.close()
