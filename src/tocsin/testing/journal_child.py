"""The program that the kill harness kills to test the journal: appends without end, prints what was acknowledged."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from functools import partial
from pathlib import Path

import numpy as np
import structlog

from tocsin.journal import SegmentLog, SegmentReader
from tocsin.model.clock import ManualClock
from tocsin.model.errors import Corrupt, Overloaded
from tocsin.model.frame import Frame, points_frame
from tocsin.model.log import Control, Entry, Tick
from tocsin.model.series import Catalog, Series, Signal
from tocsin.testing.power import disk

_PER_START = 10_000_000
_SEGMENT_BYTES = 40_000  # small, so that kills meet the making of segments too


class JournalVictim:
    """Appends numbered units from a process of its own; `mutant` is `none` or `early` (acknowledge first)."""

    def __init__(self, path: Path, *, disk_name: str = "real", mutant: str = "none") -> None:
        self._path = path
        self._arguments = (disk_name, mutant)
        self._starts = 0

    def start(self) -> subprocess.Popen[bytes]:
        self._starts += 1
        numbers = str(self._starts * _PER_START)
        command = [sys.executable, "-m", __name__, str(self._path), numbers, *self._arguments]
        return subprocess.Popen(command, stdout=subprocess.PIPE)

    def load(self, process: subprocess.Popen[bytes], acknowledge: Callable[[int], None]) -> None:
        assert process.stdout is not None
        with process.stdout as lines:
            for line in lines:
                if line.endswith(b"\n"):  # the last line may be cut by the kill
                    acknowledge(int(line))

    def kept(self) -> Iterable[int]:
        SegmentLog(self._path, Catalog(), ManualClock(1)).close()
        reader = SegmentReader(self._path, Catalog())
        offset = reader.first()
        while offset < reader.end():
            try:
                records = reader.read(offset)
            except Corrupt:  # a disk that lied about a sync: what lies behind the damage is lost
                break
            yield from (number_of(record.entry) for record in records if isinstance(record.entry, Frame))
            offset = records[-1].offset + 1
        reader.close()


def number_of(frame: Frame) -> int:
    """The number of a unit, from the values of its frame."""
    values = frame.f8("value")
    assert (values == values[0]).all(), "a record is not what was written"
    return int(values[0])


def units(catalog: Catalog, number: int) -> list[Entry]:
    """A unit of three records; series and sizes vary."""
    n = 1 + number % 40
    signal = Signal("load")
    refs = [catalog.intern(Series.of("main", signal, {"host": str((number + i) % 100)})) for i in range(n)]
    time = np.full(n, number, np.int64)
    frame = points_frame("main", "kill", np.array(refs, np.int32), time, np.full(n, float(number)))
    return [frame, Tick(number), Control.of("note", b"x" * (number % 500))]


def _acknowledge(number: int) -> None:
    os.write(sys.stdout.fileno(), b"%d\n" % number)


def _when_durable(number: int, done: Future[int]) -> None:
    if done.exception() is None:
        _acknowledge(number)


def main(path: str, first: str, disk_name: str, mutant: str) -> None:
    """Append until killed."""
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))  # stdout is for acknowledgements
    catalog = Catalog()
    seed = int(first)
    log = SegmentLog(
        Path(path),
        catalog,
        ManualClock(1),
        segment_bytes=_SEGMENT_BYTES,
        files=disk(disk_name, seed),
        queue_bytes=1 << 18,
    )
    number = seed
    while True:
        try:
            future: Future[int] = log.append(units(catalog, number))
        except Overloaded:
            future = log.append([])
            future.result()
            continue
        if mutant == "early":
            _acknowledge(number)
        else:
            future.add_done_callback(partial(_when_durable, number))
        number += 1


if __name__ == "__main__":
    main(*sys.argv[1:])
