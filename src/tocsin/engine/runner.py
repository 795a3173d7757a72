"""The runner: reads the input log, folds it, writes the output log, keeps snapshots.

Exactly once by arithmetic: an output record names the input offset that caused it, and the fold is a function of
the log. After a crash the runner starts from a snapshot, folds again, and holds back every output whose cause the
output log already has.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import Event

import structlog

from tocsin.engine.budget import calibration_of
from tocsin.engine.passed import Stumbles, told
from tocsin.engine.pipeline import Pipeline
from tocsin.engine.score_metrics import ScoreMetrics, show_calibration
from tocsin.engine.snapshot import Keeper, Snapshots
from tocsin.journal.dictionary import SeriesTexts
from tocsin.journal.messages import pack_message
from tocsin.model.errors import Corrupt
from tocsin.model.frame import Frame
from tocsin.model.log import Log, LogRecord, Output, Tick
from tocsin.model.series import Catalog
from tocsin.selfmon.metrics import counter, gauge
from tocsin.selfmon.stopwatch import Stopwatch

FOLDED = counter("tocsin_engine_records_total", "Input log records folded in")
OFFSET = gauge("tocsin_engine_offset_records", "Input log offset up to which the fold has come")
LAG = gauge("tocsin_engine_lag_records", "Input log records not yet folded in")
FINDINGS = counter("tocsin_engine_outputs_total", "Output records written")
HELD_BACK = counter(
    "tocsin_engine_replayed_outputs_total", "Outputs folded again after a restart and not written twice"
)
LATE = counter(
    "tocsin_engine_late_samples_total", "Samples that came after their window had been judged, and were left out"
)
LEFT_OUT = counter(
    "tocsin_engine_record_values_left_out_total",
    "Models, classes, features and segments of records beyond their caps: counted under (other) or not on their own",
)

_log = structlog.get_logger(__name__)

SNAPSHOT_EVERY_NS = 60 * 10**9
BATCH = 512


class Runner:
    """Drives one pipeline over one log; `stopwatch` times ticks and runs of models."""

    def __init__(
        self,
        input_log: Log,
        output_log: Log,
        snapshots: Snapshots,
        catalog: Catalog,
        stopwatch: Stopwatch | None = None,
        stumbles: Stumbles | None = None,
    ) -> None:
        self._input = input_log
        self._output = output_log
        self._snapshots = snapshots
        self._catalog = catalog
        self._keeper = Keeper(snapshots)
        self._passed = snapshots.passed(input_log.first())
        self._stumbles = stumbles or Stumbles()
        self._since: list[LogRecord] = []
        self._written = last_cause(output_log)
        self._stopwatch = stopwatch or Stopwatch()
        self._scores = ScoreMetrics()
        self._restore()

    def _restore(self) -> None:
        self.pipeline, self.offset = _restored(self._snapshots, self._input, self._catalog, self._stopwatch)
        self._show()
        self._snapshot_at = self.pipeline.received
        self._late = self.pipeline.late()
        self._left_out = self.pipeline.left_out()

    def step(self) -> int:
        """Fold what the log has to offer, at most a batch; how many records it was."""
        records = self._input.read(self.offset, BATCH)
        outputs: list[Output] = []
        for record in records:
            try:
                output = self._fold(record)
            except MemoryError:
                raise  # whatever entry comes next would be the one to blame
            except Exception as error:  # noqa: BLE001 - whatever it is, it is the same at the next start
                self._write(outputs)
                self._recover(record, error)
                return len(records)
            self.offset = record.offset + 1
            if output is not None:
                if output.cause <= self._written:
                    HELD_BACK.inc()
                else:
                    outputs.append(output)
            if isinstance(record.entry, Tick) and record.entry.received - self._snapshot_at >= SNAPSHOT_EVERY_NS:
                self._write(outputs)
                outputs = []
                self.snapshot()
        self._write(outputs)
        FOLDED.inc(len(records))
        late = self.pipeline.late()
        LATE.inc(late - self._late)
        self._late = late
        left_out = self.pipeline.left_out()
        LEFT_OUT.inc(left_out - self._left_out)
        self._left_out = left_out
        OFFSET.set(self.offset)
        LAG.set(self._input.end() - self.offset)
        return len(records)

    def _fold(self, record: LogRecord) -> Output | None:
        if record.offset in self._passed:
            return None
        if not isinstance(record.entry, Tick):
            if isinstance(record.entry, Frame):
                self._since.append(record)
            return self.pipeline.fold(record)
        with self._stopwatch.tick:
            output = self.pipeline.fold(record)
        self._since.clear()
        return output

    def _recover(self, record: LogRecord, error: Exception) -> None:
        """Restore a state that is half changed, and fold again; an entry that failed often enough is passed over first."""
        _log.error("an entry can't be folded; the state is restored", offset=record.offset, reason=told(error))
        if self._stumbles.enough(0, record.offset):
            blamed = self._stumbles.blamed(record, self._since, self._passed, error)
            try:
                for each in blamed:
                    self._snapshots.bury(each.offset, pack_message(each.entry, SeriesTexts(self._catalog)))
                self._passed.add([each.offset for each in blamed], told(error))
            except OSError as full:
                _log.error("an entry can't be kept as a dead letter; it is tried again", reason=str(full))
        self._since = []
        self._keeper.wait()
        self._restore()

    def _show(self) -> None:
        show_calibration([calibration_of(self.pipeline.roster.watches.values())])

    def _write(self, outputs: list[Output]) -> None:
        if outputs:
            self._output.append(outputs).result()
            self._written = outputs[-1].cause
            FINDINGS.inc(len(outputs))
            self._scores.take(outputs)

    def snapshot(self) -> None:
        """Write the state down; the log is needed only from the oldest kept snapshot on."""
        self._snapshot_at = self.pipeline.received
        self._show()
        # the copy is made here, between two records; packing and writing it need not hold up the fold
        self._keeper.save(self.offset, self.pipeline.snapshot())

    def oldest_needed(self) -> int:
        """Input offset below which no snapshot needs the log."""
        return self._keeper.oldest()

    def run(self, stop: Event, wait: Callable[[], object]) -> None:
        """Fold until told to stop; `wait` blocks until there may be more to read."""
        while not stop.is_set():
            if not self.step():
                wait()
        while self.step():
            pass
        self.close()

    def close(self) -> None:
        """Write a last snapshot and wait until it is down."""
        self.snapshot()
        self._keeper.wait()


def _restored(snapshots: Snapshots, log: Log, catalog: Catalog, stopwatch: Stopwatch) -> tuple[Pipeline, int]:
    pipeline = Pipeline(catalog, stopwatch)
    newest = log.end()
    while (found := snapshots.load(newest)) is not None:
        offset, state = found
        try:
            pipeline.restore(state)
        except (Corrupt, KeyError):
            # written by another version: an older snapshot or the log itself has the same knowledge
            newest = offset - 1
            pipeline = Pipeline(catalog, stopwatch)
        else:
            return pipeline, offset
    return pipeline, log.first()


def last_cause(log: Log) -> int:
    """Input offset of the last output written, -1 for none; it survives however the output log was cut."""
    end = log.end()
    if end <= log.first():
        return -1
    (record,) = log.read(end - 1, 1)
    assert isinstance(record.entry, Output)
    return record.entry.cause
