"""A process that stores two generated logs, to be killed: `python crash_writer.py DIRECTORY`."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from tocsin.model.clock import ManualClock
from tocsin.model.frame import FrameKind, frame_of, points_frame
from tocsin.model.log import LogRecord, Output, Tick
from tocsin.model.series import Catalog, Series, Signal
from tocsin.store.genai import SpanMapper
from tocsin.store.telemetry import TelemetryStore
from tocsin.store.writer import StoreWriter

T0 = 1_795_000_000 * 10**9
DAY = 86_400 * 10**9
RECORDS = 2_000
ROWS = 200


class Generated:
    """A log whose records are computed from their offsets: the same in every process."""

    def __init__(self, make, size: int) -> None:
        self._make, self._size = make, size

    def read(self, offset, limit=1024):
        return [LogRecord(at, self._make(at)) for at in range(offset, min(offset + limit, self._size))]

    def first(self) -> int:
        return 0

    def end(self) -> int:
        return self._size


def refs(catalog: Catalog) -> list[int]:
    return [catalog.intern(Series.of("main", Signal(f"s{i % 3}"), {"host": str(i)})) for i in range(20)]


def input_record(numbers: list[int]):
    def make(at: int):
        if at % 10 == 9:
            return Tick(T0 + at)
        rows = np.arange(ROWS)
        # every batch touches several days, so that an insert makes several parts
        times = T0 + (rows % 4) * DAY + at * 10**6 + rows
        series = np.array(numbers, "i4")[rows % len(numbers)]
        return points_frame("main", "gen", series, times.astype("i8"), (at * ROWS + rows).astype("f8"))

    return make


def output_record(numbers: list[int]):
    def make(at: int):
        columns = {
            "monitor": ["m"] * 2,
            "series": numbers[:2],
            "time": [T0 + at * 10**9] * 2,
            "value": [float(at)] * 2,
            "samples": [at] * 2,
        }
        for name in ("score", "log10_p", "n_eff", "lower", "upper"):
            columns[name] = [0.5] * 2
        return Output(at, T0, True, (frame_of(FrameKind.PANES, "main", "engine", columns),))

    return make


def main() -> None:
    catalog = Catalog()
    numbers = refs(catalog)
    path = Path(sys.argv[1])
    store = TelemetryStore(path)
    clock = ManualClock(path.stat().st_mtime_ns)  # of today: the engine drops by its own clock
    logs = Generated(input_record(numbers), RECORDS), Generated(output_record(numbers), RECORDS // 4)
    print("opened", flush=True)
    writer = StoreWriter(store, *logs, catalog, SpanMapper([]), clock, max_rows=4_000)
    print("recovered", flush=True)
    while writer.step():
        pass
    print("done", flush=True)
    store.close()


if __name__ == "__main__":
    main()
