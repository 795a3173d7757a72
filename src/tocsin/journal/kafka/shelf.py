"""`TopicShelf`: a shelf in a compacted topic; a file is there as a whole once its manifest is, which comes last."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from io import BytesIO
from typing import Any, BinaryIO, Final

import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka import Message as KafkaMessage

from tocsin.journal.kafka.files import MOST_BYTES, PART_BYTES, FileIndex, Manifest, part_key
from tocsin.journal.kafka.topics import QUIET, asker, bounds
from tocsin.model.errors import Corrupt, TooLarge, Unreachable

SETTINGS: Final[Mapping[str, Any]] = {
    "enable.idempotence": True,
    "acks": "all",
    "linger.ms": 0,
    "batch.num.messages": 1,  # a part is large; and some brokers say no end that lies within a batch
    "message.timeout.ms": 30_000,
    "queue.buffering.max.kbytes": 2 * MOST_BYTES >> 10,
}
_POLL_S: Final = 0.1
_QUIET_S: Final = 15.0
PATIENCE_S: Final = 3.0
STALE_S: Final = 3600.0
"""Who has not looked for so long reads all anew: the topic forgets what was dropped a day after it was."""
_log = structlog.get_logger(__name__)


class FileTopic:
    """The topic, followed by one index and written to by one producer of this process; thread-safe."""

    def __init__(self, settings: Mapping[str, Any], name: str) -> None:
        self.name = name
        self._settings = settings
        self._producer: Producer | None = None
        self._consumer: Consumer = asker({**settings, "enable.partition.eof": True}, f"{name}.files")
        self._lock = threading.RLock()
        self._index = FileIndex()
        self._at = 0
        self._looked = time.monotonic()

    @contextmanager
    def index(self) -> Iterator[FileIndex]:
        """What the topic holds now; nobody else changes it meanwhile.

        Raises
        ------
        Unreachable
            The brokers don't answer.
        """
        with self._lock:
            if time.monotonic() - self._looked > STALE_S:
                self.forget()
            end = self._end()
            if end < self._at:  # it was deleted and made anew
                self.forget()
            self._read(self._at, end, self._take)
            self._at = max(self._at, end)  # its last records may be compacted away
            self._looked = time.monotonic()
            yield self._index

    def _end(self) -> int:
        """Offset of the next record; a connection that broke gets a moment to be made anew."""
        until = time.monotonic() + PATIENCE_S
        while True:
            try:
                return bounds(self._consumer, self.name, 0)[1]
            except Unreachable:
                if time.monotonic() > until:
                    raise
                time.sleep(_POLL_S)

    def forget(self) -> None:
        """Read all anew at the next look."""
        with self._lock:
            self._index, self._at = FileIndex(), 0

    def fetched(self, places: Mapping[int, str]) -> list[bytes] | None:
        """Values of records at offsets, in that order; None: one is gone, or another one lies there.

        Raises
        ------
        Unreachable
            The brokers don't answer.
        """
        found: dict[int, bytes] = {}

        def take(message: KafkaMessage) -> None:
            offset = message.offset()
            if offset is not None and places.get(offset) == _text(message.key()):
                found[offset] = message.value() or b""

        if places:
            with self._lock:
                self._read(min(places), max(places) + 1, take)
        return [found[offset] for offset in places] if len(found) == len(places) else None

    def put(self, records: Sequence[tuple[str, bytes | None]]) -> None:
        """Write records in their order; returns when all replicas that are in sync have them.

        Raises
        ------
        Unreachable
            The brokers did not take one of them in time; the others may be there.
        """
        if not records:
            return
        with self._lock:
            producer = self._producer = self._producer or Producer({**SETTINGS, **self._settings}, logger=QUIET)
        told: list[KafkaError | None] = []
        try:
            for key, value in records:
                self._queue(producer, key, value, told)
            while len(told) < len(records):
                producer.poll(_POLL_S)
            fault = next((error for error in told if error is not None), None)
        except KafkaException as error:
            fault = error.args[0]
        if fault is not None:
            with self._lock:
                self._producer = None  # some faults are for good
            raise Unreachable(f"{self.name}: the brokers do not take it ({fault.str()}); see `cluster: brokers`")

    def _queue(self, producer: Producer, key: str, value: bytes | None, told: list[KafkaError | None]) -> None:
        while True:
            try:
                producer.produce(self.name, value, key, 0, on_delivery=lambda error, _: told.append(error))
            except BufferError:  # others write as well; what waits too long is given up
                producer.poll(_POLL_S)
            else:
                return

    def _take(self, message: KafkaMessage) -> None:
        key, (_, stamp_ms) = _text(message.key()), message.timestamp()
        offset = message.offset() or 0
        self._index.take(key, message.value(), offset, stamp_ms)
        self._at = offset + 1

    def _read(self, first: int, end: int, take: Callable[[KafkaMessage], None]) -> None:
        """Take all records from an offset up to another; where they are compacted away, others follow or the end."""
        if first >= end:
            return
        at, heard, fault = first, time.monotonic(), "nothing comes"
        self._consumer.assign([TopicPartition(self.name, 0, first)])
        try:
            while at < end:
                message = self._consumer.poll(_POLL_S)
                error = None if message is None else message.error()
                if message is not None and error is None:
                    take(message)
                    at, heard = (message.offset() or 0) + 1, time.monotonic()
                elif message is not None and error is not None and error.name() == "_PARTITION_EOF":
                    at = max(at, message.offset() or 0)
                elif error is not None:
                    fault = error.str()
                if time.monotonic() - heard > _QUIET_S:
                    raise Unreachable(f"{self.name}: the brokers do not answer ({fault}); see `cluster: brokers`")
        finally:
            self._consumer.unassign()


class TopicShelf:
    """Files at a path of a topic."""

    def __init__(self, topic: FileTopic, path: str = "") -> None:
        self._topic = topic
        self._path = path

    def at(self, *names: str) -> TopicShelf:
        """A shelf below this one."""
        return TopicShelf(self._topic, "/".join((*filter(None, (self._path,)), *names)))

    def names(self) -> Sequence[str]:
        """Names of all files."""
        with self._topic.index() as index:
            return index.names(self._path)

    def read(self, name: str) -> bytes:
        """A file's content."""
        file, doubted = self._file(name), None
        while True:
            with self._topic.index() as index:
                manifest = index.files.get(file)
                if manifest is None:
                    raise FileNotFoundError(f"{self._topic.name}: {file} is gone")
                places = index.places(file, manifest)
                parts = None if places is None else self._topic.fetched(places)
            content = b"".join(parts or ())
            if parts is not None and manifest.fits(content):
                return content
            if manifest == doubted:
                raise Corrupt(f"{self._topic.name}: parts of {file} are gone or are not what was written")
            doubted = manifest  # perhaps it was dropped so long ago that nothing tells of it
            self._topic.forget()

    def write(self, name: str, fill: Callable[[BinaryIO], object]) -> None:
        """Put the parts of a file, then its manifest, and sweep what nobody needs any more at this path."""
        packed = BytesIO()
        fill(packed)
        content = packed.getbuffer()
        file = self._file(name)
        if len(content) > MOST_BYTES:
            raise TooLarge(
                f"{file} has {_mib(len(content))}, and a topic takes at most {_mib(MOST_BYTES)}: keep snapshots in a bucket"
                " or a shared directory (`cluster: snapshots`, docs/cluster.md)"
            )
        if len(content) > MOST_BYTES // 2:
            _log.warning(
                "a snapshot comes near to what a topic takes; move to a bucket or a directory before it does not fit",
                file=file,
                has=_mib(len(content)),
                most=_mib(MOST_BYTES),
            )
        manifest = Manifest.of(uuid.uuid4().hex, content)
        pieces = (bytes(content[at : at + PART_BYTES]) for at in range(0, len(content), PART_BYTES))
        self._topic.put([(part_key(file, manifest.write, number), piece) for number, piece in enumerate(pieces)])
        self._topic.put([(file, manifest.packed())])
        self._sweep()

    def rename(self, name: str, other: str) -> None:
        """Write a file under its new name and drop the old one; of one that is not whole nothing is kept."""
        try:
            content = self.read(name)
        except FileNotFoundError:
            return
        except Corrupt:
            _log.error("a file of the topic is not whole and is dropped", file=self._file(name))
        else:
            self.write(other, lambda file: file.write(content))
        self.drop(name)

    def drop(self, name: str) -> None:
        """Forget a file: its manifest first, then its parts."""
        file = self._file(name)
        with self._topic.index() as index:
            there = file in index.files
        if there:
            self._topic.put([(file, None)])
            self._sweep()

    def _file(self, name: str) -> str:
        return f"{self._path}/{name}" if self._path else name

    def _sweep(self) -> None:
        with suppress(Unreachable):  # what was to be done is done; who writes next sweeps
            with self._topic.index() as index:
                left = index.leftovers(self._path)
            self._topic.put([(key, None) for key in left])


def _text(key: str | bytes | None) -> str:
    return key.decode(errors="replace") if isinstance(key, bytes) else key or ""


def _mib(size: int) -> str:
    return f"{size / 2**20:.1f} MiB"
