"""`TopicWriter`: entries to partitions of topics, in order, acknowledged when all replicas have them."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from typing import Any, Final, NamedTuple

from confluent_kafka import KafkaError, KafkaException, Producer
from confluent_kafka import Message as KafkaMessage

from tocsin.journal.kafka.envelope import Headers
from tocsin.journal.kafka.topics import MOST_BYTES, QUIET
from tocsin.model.errors import Overloaded
from tocsin.selfmon.metrics import counter, gauge

_WRITTEN = counter("tocsin_journal_messages_total", "Messages that the brokers acknowledged", ["topic"])
_BYTES = counter("tocsin_journal_message_bytes_total", "Bytes of messages that the brokers acknowledged", ["topic"])
_FAILED = counter("tocsin_journal_messages_failed_total", "Messages that no broker acknowledged", ["topic"])
_QUEUED = gauge("tocsin_journal_queued_messages", "Messages taken and not yet acknowledged")
_FLUSH_S: Final = 30.0
_RETRY_S: Final = 1.0
PATIENCE_S: Final = 30.0
SETTINGS: Final[Mapping[str, Any]] = {
    "enable.idempotence": True,
    "acks": "all",
    "linger.ms": 2,
    "compression.type": "lz4",
    "message.max.bytes": MOST_BYTES,
    "queue.buffering.max.kbytes": 262_144,
    "message.timeout.ms": 0,  # never given up: a message that failed before one that came through would be a gap
}


class Parcel(NamedTuple):
    """A message to be written."""

    topic: str
    partition: int
    value: bytes
    headers: Headers
    key: bytes | None = None


class TopicWriter:
    """Writes messages; a thread of its own hears what the brokers say. Thread-safe."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self._producer = Producer({**SETTINGS, **settings}, logger=QUIET)
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._waiting: deque[tuple[float, _Unit]] = deque()
        self._hearing = threading.Thread(target=self._hear, name="kafka-writer", daemon=True)
        self._hearing.start()

    def write(self, parcels: Sequence[Parcel], patience_s: float | None = PATIENCE_S) -> Future[int]:
        """Queue messages in their order; the future gives the last one's offset once all are acknowledged.

        It fails with `Overloaded` when they are not acknowledged in time, if there is a time: they may come through
        later all the same.

        Raises
        ------
        Overloaded
            The queue is full; of these messages none was taken.
        """
        unit = _Unit(len(parcels))
        if len(self._producer) + len(parcels) > _MOST_QUEUED:
            raise Overloaded("the brokers take no more at present", retry_after_s=_RETRY_S)
        with self._lock:
            if patience_s is not None:
                self._waiting.append((time.monotonic() + patience_s, unit))
            for parcel in parcels:
                self._queue(parcel, unit)
        _QUEUED.set(len(self._producer))
        return unit.future

    def _queue(self, parcel: Parcel, unit: _Unit) -> None:
        while True:
            try:
                self._producer.produce(
                    parcel.topic,
                    parcel.value,
                    parcel.key,
                    parcel.partition,
                    headers=parcel.headers,
                    on_delivery=unit.delivered,
                )
            except BufferError:  # by bytes: wait for the brokers rather than break a unit in two
                self._producer.poll(_RETRY_S)
            except KafkaException as error:
                unit.fail(error.args[0].str())
                return
            else:
                return

    def _hear(self) -> None:
        while not self._stop.is_set():
            self._producer.poll(0.1)
            now = time.monotonic()
            while self._waiting and (self._waiting[0][0] < now or self._waiting[0][1].future.done()):
                self._waiting.popleft()[1].give_up()

    def close(self) -> None:
        """Flush what is queued and stop."""
        self._producer.flush(_FLUSH_S)
        self._stop.set()
        self._hearing.join()


_MOST_QUEUED: Final = 90_000


class _Unit:
    """Messages that are acknowledged together."""

    def __init__(self, count: int) -> None:
        self.future: Future[int] = Future()
        self._open = count
        self._lock = threading.Lock()
        self._fault = ""
        if not count:
            self.future.set_result(-1)

    def delivered(self, error: KafkaError | None, message: KafkaMessage) -> None:
        """Hear of one message."""
        topic = message.topic() or ""
        if error is not None:
            _FAILED.labels(topic).inc()
            self._end(message.offset(), error.str())
            return
        _WRITTEN.labels(topic).inc()
        _BYTES.labels(topic).inc(len(message.value() or b""))
        self._end(message.offset(), "")

    def fail(self, why: str) -> None:
        """One of the messages was not even queued."""
        self._end(None, why)

    def give_up(self) -> None:
        """Tell who waits that it takes too long."""
        with self._lock:
            if not self.future.done():
                late = Overloaded("the brokers did not acknowledge in time", retry_after_s=_RETRY_S)
                self.future.set_exception(late)

    def _end(self, offset: int | None, fault: str) -> None:
        with self._lock:
            self._open -= 1
            self._fault = self._fault or fault
            if self._open or self.future.done():
                return
            if self._fault:
                self.future.set_exception(
                    Overloaded(f"the brokers did not take it: {self._fault}", retry_after_s=_RETRY_S)
                )
            else:
                self.future.set_result(-1 if offset is None else offset)
