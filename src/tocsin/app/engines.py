"""What folds the log: the engine of one machine, or a worker's share of a cluster's."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from tocsin.app.front import unknown
from tocsin.app.logs import INPUT, OUTPUT
from tocsin.app.patient import PatientLog
from tocsin.app.progress import Progress
from tocsin.engine.runner import Runner
from tocsin.engine.snapshot import Snapshots
from tocsin.journal.directory import Directory
from tocsin.journal.log import SegmentLog
from tocsin.model.log import Control
from tocsin.model.series import Catalog
from tocsin.selfmon.stopwatch import Stopwatch

IDLE_S = 0.005


class Engine(Protocol):
    """Folds the log in a thread of its own."""

    def catch_up(self) -> None:
        """Fold what is there already."""

    def run(self) -> None:
        """Follow the log until told to stop."""

    def knows(self, control: Control) -> bool:
        """Whether a spec is in force, so that the log need not be told."""

    def holds(self, sha256: str) -> bool:
        """Whether a model is known by its digest."""

    def verdict(self, tenant: str, name: str) -> Mapping[str, Any]:
        """What is known of a run, trace or session that goes on."""

    def received(self) -> int:
        """Time of the last tick that was folded; 0 where none is to be folded."""

    def retain(self) -> None:
        """Let retention of local logs go as far as nobody needs them."""


class LocalEngine:
    """The engine of one machine: reads the input log and writes the output log of a data directory."""

    def __init__(
        self, data_dir: Path, input_log: SegmentLog, output_log: SegmentLog, catalog: Catalog, stop: threading.Event
    ) -> None:
        self._data_dir = data_dir
        self._stop = stop
        self._logs = {INPUT: input_log, OUTPUT: output_log}
        self.written = PatientLog(output_log, stop)
        self._runner = Runner(
            input_log, self.written, Snapshots(Directory(data_dir / "snapshots")), catalog, Stopwatch(time.perf_counter)
        )

    def catch_up(self) -> None:
        """Fold what the log has."""
        while self._runner.step():
            pass

    def run(self) -> None:
        """Follow the log until told to stop."""
        self._runner.run(self._stop, lambda: self._stop.wait(IDLE_S))

    def knows(self, control: Control) -> bool:
        """Whether a spec is in force."""
        return control.sha256 == self._runner.pipeline.control.sha256

    def holds(self, sha256: str) -> bool:
        """Whether a model is known by its digest."""
        return self._runner.pipeline.shelf.holds(sha256)

    def verdict(self, tenant: str, name: str) -> Mapping[str, Any]:
        """What is known of a run, trace or session that goes on."""
        return self._runner.pipeline.calls.verdict(tenant, name)

    def received(self) -> int:
        """Time of the last tick that was folded."""
        return self._runner.pipeline.received

    def retain(self) -> None:
        """Keep what snapshot and cold process still need."""
        progress = Progress.read(self._data_dir)
        self._logs[INPUT].retain_from(min(progress.input, self._runner.oldest_needed()))
        self._logs[OUTPUT].retain_from(progress.output)


def no_verdict(tenant: str, name: str) -> Mapping[str, Any]:
    """The verdict where no engine is."""
    return unknown(tenant, name)
