"""How fast series are judged: the kernels beside the machine's copy bandwidth, and a whole tick over many series."""

from __future__ import annotations

import gc
import json
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from tocsin.app.bench.beside import beside
from tocsin.app.bench.bodies import SECOND, STEP_NS, readings
from tocsin.app.bench.figure import Bench, Figure, Setting, quantile
from tocsin.app.bench.models import inference
from tocsin.app.bench.sizes import Sizes
from tocsin.calibrate.calibrator import Calibrator
from tocsin.calibrate.hysteresis import Hysteresis
from tocsin.detect.baseline import Baseline
from tocsin.engine.budget import NAMES
from tocsin.engine.runner import SNAPSHOT_EVERY_NS, Runner
from tocsin.engine.snapshot import Snapshots
from tocsin.journal.directory import Directory
from tocsin.journal.log import SegmentLog
from tocsin.model.arrays import F8
from tocsin.model.detection import Step
from tocsin.model.frame import FrameKind, points_frame
from tocsin.model.log import Control, Output, Tick
from tocsin.model.series import Catalog, Kind, Series, Signal
from tocsin.selfmon.clock import SystemClock
from tocsin.spec.config import Config
from tocsin.spec.packs import load_packs
from tocsin.stats.jit import compile_all

_SOURCE = "otlp/bench"
_ORIGIN_NS = 1_790_000_000 * SECOND
_ODD_EVERY = 1_000
_COPIES = 8
_LEVEL = -6.0


def measure(setting: Setting) -> Bench:
    """Kernels first, then whole ticks through the log."""
    bench = Bench("detect", load=os.getloadavg())
    began = time.monotonic()
    compile_all()
    for figure in _kernels(setting.sizes):
        bench.add(figure)
    if setting.peers:
        for figure in beside(setting.sizes):
            bench.add(figure)
    for figure in inference():
        bench.add(figure)
    with tempfile.TemporaryDirectory(prefix="tocsin-bench-") as place:
        for figure in _ticks(setting.sizes, Path(place)):
            bench.add(figure)
    bench.elapsed_s = time.monotonic() - began
    return bench


def copy_bandwidth(size_bytes: int) -> float:
    """Bytes copied in a second, read and written counted once each way; the best of several, in one thread."""
    source = np.ones(size_bytes // 8)
    target = np.zeros_like(source)
    best = 0.0
    for _ in range(_COPIES):
        began = time.perf_counter()
        np.copyto(target, source)
        best = max(best, 2 * source.nbytes / (time.perf_counter() - began))
    return best


def _kernels(sizes: Sizes) -> Iterator[Figure]:
    """Score, p-value, band and learning of the default detector, as the engine calls them."""
    n, warm, measured = sizes.window_series, sizes.warm_steps, sizes.steps
    detector, calibrator = Baseline(), Calibrator()
    rows = np.arange(n, dtype="i4")
    spent = {"score": 0.0, "p-value": 0.0, "band": 0.0, "learn": 0.0, "calibrate": 0.0}
    for turn, values in enumerate(readings(warm + measured, n, 7)):
        step = Step(rows, np.full(n, _ORIGIN_NS + turn * STEP_NS), values)
        marks = [time.perf_counter()]
        scores = detector.score(step).value
        marks.append(time.perf_counter())
        calibrator.log10_p(rows, scores)
        needed = calibrator.score_at(rows, np.full(n, _LEVEL))
        marks.append(time.perf_counter())
        detector.expect(step, np.where(np.isfinite(needed), needed, 3.0))
        marks.append(time.perf_counter())
        detector.learn(step, np.ones(n))
        marks.append(time.perf_counter())
        calibrator.learn(rows, scores)
        marks.append(time.perf_counter())
        if turn >= warm:
            for name, a, b in zip(spent, marks, marks[1:], strict=False):
                spent[name] += b - a
    bandwidth = copy_bandwidth(sizes.copy_bytes)
    state = detector.row_bytes() + calibrator.row_bytes()
    per_s = n * measured / sum(spent.values())
    split = ", ".join(f"{name} {s / sum(spent.values()):.0%}" for name, s in spent.items())
    share = 100.0 * per_s * state * 2 / bandwidth
    yield Figure("detection kernel", per_s, "points/s", note=f"one core, {n:,} series, {measured} steps: {split}")
    yield Figure("time of a tick in the kernels", 1e3 * n / per_s, "ms", note=f"{n:,} series")
    yield Figure("copy bandwidth", bandwidth / 1e9, "GB/s", note="same run, one thread, bytes read plus bytes written")
    how = f"points/s x {state} B of state, over copy bandwidth, as if all of it were read and written: an upper bound"
    yield Figure("kernel beside copy bandwidth", share, "%", 50.0, note=how)
    of = f"detector {detector.row_bytes()} B, calibrator {calibrator.row_bytes()} B, verdict {Hysteresis().row_bytes()} B"
    total = state + Hysteresis().row_bytes()
    yield Figure("state per series, seasons and calibration included", total, "B", 2048.0, aim_high=False, note=of)


def _series(catalog: Catalog, n: int) -> Any:
    signal = Signal("bench.queue.depth", "1", Kind.GAUGE)
    made = (
        Series.of("main", signal, [("service.name", f"bench-{k // 100}"), ("shard", f"shard-{k % 100}")])
        for k in range(n)
    )
    return np.array([catalog.intern(series) for series in made], "i4")


def _ticks(sizes: Sizes, where: Path) -> Iterator[Figure]:
    """The runner over a real log: from the append of the tick that closes a window to the durable findings."""
    gc.collect()
    process = psutil.Process()
    resident = process.memory_info().rss
    clock, catalog = SystemClock(), Catalog()
    input_log = SegmentLog(where / "input", catalog, clock)
    output_log = SegmentLog(where / "output", catalog, clock)
    # at so many series and so short a past the budget lets no one through; the level is put where there are findings
    pins = Control.of("level", json.dumps(dict.fromkeys(NAMES, _LEVEL)).encode())
    input_log.append([Config().engine_spec(load_packs()).control(), pins]).result()
    runner = Runner(input_log, output_log, Snapshots(Directory(where / "snapshots")), catalog)
    refs = _series(catalog, sizes.window_series)
    took: list[float] = []
    saving: list[float] = []
    for turn, values in enumerate(readings(sizes.warm_steps + sizes.steps, len(refs), 11)):
        planted = turn >= sizes.warm_steps
        if planted:
            values[::_ODD_EVERY] *= 5.0
        elapsed_s = _step(input_log, runner, refs, turn, values)
        if planted:
            took.append(elapsed_s)
            if turn % (SNAPSHOT_EVERY_NS // STEP_NS) == 0:
                saving.append(elapsed_s)
    panes, findings = _told(output_log)
    gained = process.memory_info().rss - resident
    runner.close()
    on_disk = max(path.stat().st_size for path in (where / "snapshots").iterdir())
    state = _array_bytes(runner.pipeline.snapshot())
    input_log.close()
    output_log.close()
    n = sizes.window_series
    how = f"{n:,} series, {len(took)} ticks, {panes:,} windows judged, {findings} findings; log to log, durable"
    yield Figure("window close to finding, p99", quantile(took, 0.99), "s", 1.0, aim_high=False, note=how)
    yield Figure("window close to finding, p50", quantile(took, 0.5), "s", note="the same ticks")
    how = f"the {len(saving)} of the same ticks that also make a snapshot, one a minute"
    yield Figure("window close to finding, ticks with a snapshot, p50", quantile(saving, 0.5), "s", note=how)
    yield Figure(
        "all state of the engine, per series",
        state / n,
        "B",
        note="arrays of a snapshot: windows, verdicts, presence too",
    )
    yield Figure(
        "resident memory gained, per series", gained / n, "B", note="names, identities, log cache and garbage included"
    )
    yield Figure("snapshot on disk, per series", on_disk / n, "B", note="compressed")


def _step(log: SegmentLog, runner: Runner, refs: Any, turn: int, values: F8) -> float:
    """One reading of every series, folded in; then the tick that closes its window: seconds until all is durable."""
    at = _ORIGIN_NS + turn * STEP_NS
    log.append([points_frame("main", _SOURCE, refs, np.full(len(refs), at), values)]).result()
    while runner.step():
        pass
    tick = Tick(at + SECOND, {("main", _SOURCE): at})
    began = time.perf_counter()
    log.append([tick]).result()
    while runner.step():
        pass
    return time.perf_counter() - began


def _told(log: SegmentLog) -> tuple[int, int]:
    """Windows judged and findings opened, by the output log."""
    panes = findings = 0
    offset = log.first()
    while records := log.read(offset, 64):
        offset = records[-1].offset + 1
        for record in records:
            frames = record.entry.frames if isinstance(record.entry, Output) else ()
            panes += sum(len(frame) for frame in frames if frame.kind is FrameKind.PANES)
            findings += sum(
                frame.batch.column("phase").to_pylist().count("open")
                for frame in frames
                if frame.kind is FrameKind.FINDINGS
            )
    return panes, findings


def _array_bytes(node: Any) -> int:
    if isinstance(node, np.ndarray):
        return int(node.nbytes)
    if isinstance(node, dict):
        return sum(map(_array_bytes, node.values()))
    return sum(map(_array_bytes, node)) if isinstance(node, list | tuple) else 0
