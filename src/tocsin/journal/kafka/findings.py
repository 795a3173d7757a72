"""What the engine says, as a topic with a partition for each of the log's."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import TimeoutError as FutureTimeout
from typing import Final

import structlog

from tocsin.journal.dictionary import SeriesTexts
from tocsin.journal.kafka.envelope import output_headers
from tocsin.journal.kafka.reader import last_cause
from tocsin.journal.kafka.topics import Topics
from tocsin.journal.kafka.writer import Parcel, TopicWriter
from tocsin.journal.messages import pack_message
from tocsin.model.errors import DiskFull, Overloaded
from tocsin.model.log import Output
from tocsin.model.series import Catalog

RETRY_S: Final = 0.5
ROUND_S: Final = 1.0
_log = structlog.get_logger(__name__)


class FindingsTopic:
    """Outputs of partitions, each to the partition of the same number; waits while the brokers take none."""

    def __init__(self, topics: Topics, writer: TopicWriter, stop: threading.Event) -> None:
        self._topics = topics
        self._writer = writer
        self._stop = stop
        self._texts: dict[int, tuple[Catalog, SeriesTexts]] = {}

    def last_cause(self, partition: int) -> int:
        """Offset that caused the last output written, -1 for none."""
        return last_cause(self._topics.settings, self._topics.findings, partition)

    def write(self, outputs: Sequence[tuple[int, Output]], catalogs: Mapping[int, Catalog]) -> None:
        """Write outputs by partition; returns when all are durable.

        Raises
        ------
        DiskFull
            It was told to stop meanwhile: the same is folded again at the next start.
        """
        parcels = [
            Parcel(
                self._topics.findings,
                number,
                pack_message(output, self._texts_of(number, catalogs[number])),
                output_headers(output),
            )
            for number, output in outputs
        ]
        while True:
            try:
                waiting = self._writer.write(parcels, patience_s=None)
            except Overloaded as full:
                _log.error("findings wait for the brokers", reason=str(full))
                if self._stop.wait(RETRY_S):
                    raise DiskFull("stopped while findings waited for the brokers") from full
            else:
                break
        while True:
            try:
                waiting.result(ROUND_S)
            except FutureTimeout:
                if self._stop.is_set():
                    raise DiskFull("stopped while findings waited for the brokers") from None
            else:
                return

    def _texts_of(self, number: int, catalog: Catalog) -> SeriesTexts:
        known = self._texts.get(number)
        if known is None or known[0] is not catalog:
            known = self._texts[number] = (catalog, SeriesTexts(catalog))
        return known[1]
