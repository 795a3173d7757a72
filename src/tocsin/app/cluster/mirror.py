"""`Mirror`: the shared log and what workers found in it, as the two logs of one machine - all behind them is the same.

What was taken over is noted in the unit of the input log that holds it, so that each message is taken once. An output
is told after its note: when the note is there and the output is not, the same stretch is read once more.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import structlog
from confluent_kafka import Message as KafkaMessage

from tocsin.correlate.merging import OutputMerge, Told
from tocsin.engine.runner import last_cause
from tocsin.journal.kafka.envelope import routed_of
from tocsin.journal.kafka.reader import PlacesReader
from tocsin.journal.kafka.topics import Topics
from tocsin.model.errors import Corrupt
from tocsin.model.frame import Frame
from tocsin.model.log import Control, Entry, Log, Output, Tick
from tocsin.model.routed import GROWN, Routed, Seen
from tocsin.model.series import Catalog
from tocsin.selfmon.metrics import counter, gauge

MIRROR: Final = "mirror"
"""Kind of the control records that say how far all is taken over."""
BATCH: Final = 1_000
WAIT_S: Final = 0.05
BACK: Final = 5_000
_PASSED = counter(
    "tocsin_app_mirror_passed_messages_total", "Messages of the cluster that can't be read and were passed over"
)
_LAG = gauge("tocsin_app_mirror_lag_records", "Messages of the cluster that are not taken over yet", ["topic"])
_log = structlog.get_logger(__name__)


class _Note(NamedTuple):
    """The last note in the input log: where it lies, and what it says."""

    offset: int
    said: Mapping[str, Any]


class _Held(NamedTuple):
    """A partition that waits: up to where older ones go before it, and what came of it."""

    ends: list[int]
    messages: list[KafkaMessage]


class Mirror:
    """Copies the topics of a cluster into the logs of a data directory; used by one thread."""

    def __init__(self, topics: Topics, input_log: Log, output_log: Log, catalog: Catalog) -> None:
        self._topics = topics
        self._input = input_log
        self._output = output_log
        self._catalog = catalog
        self._log_at = [0] * topics.partitions
        self._seen = [Seen() for _ in self._log_at]
        self._merge = OutputMerge(topics.partitions)
        self._held: dict[int, _Held] = {}
        self._again: tuple[_Note, list[int]] | None = None
        self._recover()
        places = {(topics.log, n): at for n, at in enumerate(self._log_at)}
        places |= {(topics.findings, n): at for n, at in enumerate(self._merge.offsets())}
        self._reader = PlacesReader(topics.settings, places)

    def _recover(self) -> None:
        notes = _notes(self._input)
        if not notes:
            return
        last = notes[-1]
        known = len(last.said["log"])
        self._log_at[:known] = last.said["log"]
        for number, seen in enumerate(self._seen):  # one that was made since has its shards from the one it was part of
            seen.restore(last.said["seen"][number % known])
        if not last.said["tells"] or last.offset <= last_cause(self._output):
            self._merge.restore(last.said["merge"])
            return
        self._merge.restore(last.said["before"])
        self._again = (last, [at for at, _ in last.said["merge"]["streams"]])

    def step(self) -> int:
        """Take over what came; how many messages it was."""
        messages = self._reader.read(BATCH, WAIT_S)
        frames: list[Frame] = []
        for message in [*self._released(), *messages]:
            number = message.partition() or 0
            if message.topic() != self._topics.log:
                routed = self._read(message)
                if routed is not None and isinstance(routed.entry, Output):
                    self._merge.push(number, message.offset() or 0, routed.entry)
            elif number in self._held:
                self._held[number].messages.append(message)
            else:
                frames += self._take(number, message)
        if frames:
            self._append(frames, None)
        self._tell()
        self._count()
        return len(messages)

    def _take(self, number: int, message: KafkaMessage) -> list[Frame]:
        routed = self._read(message)
        if routed is not None and isinstance(routed.entry, Control) and routed.entry.kind == GROWN:
            ends = json.loads(routed.entry.body)["ends"]
            if any(at < end for at, end in zip(self._log_at, ends, strict=False)):
                self._held[number] = _Held(ends, [message])
                self._reader.hold(self._topics.log, number)
                return []
        self._log_at[number] = max(self._log_at[number], (message.offset() or 0) + 1)
        return [routed.entry] if routed is not None and isinstance(routed.entry, Frame) else []

    def _released(self) -> list[KafkaMessage]:
        """What came of partitions that were made later, once all that goes before them is taken over."""
        found: list[KafkaMessage] = []
        for number, held in list(self._held.items()):
            if all(at >= end for at, end in zip(self._log_at, held.ends, strict=False)):
                del self._held[number]
                self._reader.release(self._topics.log, number)
                found += held.messages
        return found

    def _read(self, message: KafkaMessage) -> Routed | None:
        try:
            routed = routed_of(message.offset() or 0, message.value(), message.headers(), self._catalog)
        except Corrupt:
            _PASSED.inc()
            return None
        if routed.place is None:
            return routed
        seen = self._seen[routed.shard % self._topics.partitions]
        return routed if seen.first_time(routed.place) else None

    def _tell(self) -> None:
        if self._again is not None and not self._tell_again():
            return
        before = self._merge.snapshot()
        while (told := self._merge.pop(self._log_at)) is not None:
            if told.tick or told.frames:
                entries: list[Entry] = [Tick(told.received)] if told.tick else []
                cause = self._append(entries, before)
                self._say(cause, told)
                before = self._merge.snapshot()

    def _tell_again(self) -> bool:
        """Tell what was noted and not told when the process ended: all outputs of the stretch that the note names."""
        assert self._again is not None
        note, ends = self._again
        stretch = self._merge.up_to(ends)
        if stretch is None:
            return False  # not all of it has come yet
        told = note.said["merge"]["told"]
        self._merge.restore(note.said["merge"])
        self._say(note.offset, Told(told, bool(note.said["tick"]), stretch))
        self._again = None
        return True

    def _append(self, entries: list[Any], before: Mapping[str, Any] | None) -> int:
        said = {
            "log": self._log_at,
            "seen": [seen.snapshot() for seen in self._seen],
            "merge": self._merge.snapshot(),
            "tells": before is not None,
            "before": before,
            "tick": any(isinstance(entry, Tick) for entry in entries),
        }
        return self._input.append([*entries, Control.of(MIRROR, json.dumps(said).encode())]).result()

    def _say(self, cause: int, told: Told) -> None:
        self._output.append([Output(cause, told.received, told.tick, told.frames)]).result()

    def _count(self) -> None:
        lags = [self._reader.lag(self._topics.log, n, at) for n, at in enumerate(self._log_at)]
        _LAG.labels("log").set(sum(lags))
        offsets = self._merge.offsets()
        _LAG.labels("findings").set(sum(self._reader.lag(self._topics.findings, n, at) for n, at in enumerate(offsets)))

    def close(self) -> None:
        """Stop reading."""
        self._reader.close()


def _notes(log: Log) -> list[_Note]:
    """Notes among the last records of the log."""
    at = max(log.first(), log.end() - BACK)
    found = []
    while records := log.read(at, 1024):
        found += [
            _Note(record.offset, json.loads(record.entry.body))
            for record in records
            if isinstance(record.entry, Control) and record.entry.kind == MIRROR
        ]
        at = records[-1].offset + 1
    return found
