"""The way of a row taken apart: each stage alone, in process, on the same requests; rows per CPU second of each."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import cramjam
import pyarrow as pa

from tocsin.app.bench.bodies import Body
from tocsin.app.bench.figure import Figure
from tocsin.app.bench.sizes import Sizes
from tocsin.engine.pipeline import Pipeline
from tocsin.ingest.edge import Edge
from tocsin.ingest.limits import Limits, decompress
from tocsin.ingest.otlp_logs import LogsDecoder
from tocsin.ingest.otlp_metrics import MetricsDecoder
from tocsin.ingest.otlp_traces import TracesDecoder
from tocsin.ingest.redact import Redactor
from tocsin.ingest.remote_write_decode import RemoteWriteDecoder
from tocsin.ingest.wire import compile_readers
from tocsin.journal.log import SegmentLog
from tocsin.model.frame import Frame
from tocsin.model.log import LogRecord, Tick
from tocsin.model.series import Catalog
from tocsin.selfmon.clock import SystemClock
from tocsin.spec.config import Config
from tocsin.spec.packs import load_packs
from tocsin.store.genai import SpanMapper
from tocsin.store.telemetry import TelemetryStore
from tocsin.store.writer import StoreWriter

_LATENESS_NS = 5 * 10**9
_AIMS = {("points", "decode again"): 5e6, ("spans", "decode again"): 1e6}
_LIMIT_BYTES = 64 << 20


class Way:
    """Everything a row passes on its way, to be walked stage by stage."""

    def __init__(self, where: Path) -> None:
        self.clock = SystemClock()
        self.catalog = Catalog()
        self.input = SegmentLog(where / "input", self.catalog, self.clock)
        self.output = SegmentLog(where / "output", self.catalog, self.clock)
        self.redactor = Redactor((), keep_content=False, token_key=bytes(32))
        self.edge = Edge(self.input, self.catalog, self.clock, self.redactor, Limits())
        self.packs = load_packs()
        self.pipeline = Pipeline(self.catalog)
        self.where = where
        pa.array([0])  # what Arrow loads at its first conversion is start-up, not a stage

    def close(self) -> None:
        """Close both logs."""
        self.input.close()
        self.output.close()

    def decoder(self, kind: str) -> Callable[[bytes], list[Frame]]:
        """Decodes one uncompressed request of a kind to frames, by the compiled readers once they may be used."""
        name, limits, now = self.edge.source_name, self.edge.limits, self.edge.received
        if kind == "samples":
            samples = RemoteWriteDecoder(self.edge.identifier, limits)
            return lambda raw: list(samples.decode_1(raw, "main", now()).frames)
        decoder: MetricsDecoder | TracesDecoder | LogsDecoder
        if kind == "points":
            decoder = MetricsDecoder(self.edge.identifier, name, limits)
        else:
            decoder = TracesDecoder(name, limits) if kind == "spans" else LogsDecoder(name, limits)
        return lambda raw: list(decoder.decode(raw, "main", now()).frames)


def timed(work: Callable[[], object]) -> float:
    """CPU seconds of this process that some work takes, all its threads included."""
    began = time.process_time()
    work()
    return max(time.process_time() - began, 1e-6)


def stages(sizes: Sizes, where: Path) -> Iterable[Figure]:
    """A figure per kind and stage."""
    from tocsin.app.bench.ingest import bodies_of  # noqa: PLC0415 - it imports this module

    for kind in sizes.kinds:
        bodies = bodies_of(kind, sizes, SystemClock().now())
        rows = sum(body.rows for body in bodies)
        way = Way(where / f"way-{kind}")
        try:
            for stage, spent_s, note in walked(way, kind, bodies):
                told = f"{spent_s:.2f} CPU-s; {note}" if note else f"{spent_s:.2f} CPU-s"
                aim = _AIMS.get((kind, stage))
                yield Figure(f"{kind}, {stage} alone", rows / spent_s, f"{kind}/CPU-s", aim, note=told)
        finally:
            way.close()


def walked(way: Way, kind: str, bodies: list[Body]) -> Iterable[tuple[str, float, str]]:
    """Stage after stage: what it is, the CPU seconds it took, and what it includes."""
    raw: list[bytes] = []
    frames: list[list[Frame]] = []
    clean: list[list[Frame]] = []
    inflate = cramjam.snappy.decompress_raw if kind == "samples" else lambda c: decompress(c, "gzip", _LIMIT_BYTES)
    yield "decompress", timed(lambda: raw.extend(bytes(inflate(body.content)) for body in bodies)), ""
    compile_readers()
    decode = way.decoder(kind)
    yield "decode", timed(lambda: frames.extend(decode(one) for one in raw)), "wire to columns, series seen first"
    yield "decode again", timed(lambda: [decode(one) for one in raw]), "the same requests, every series known"
    yield "redact", timed(lambda: clean.extend(map(way.redactor.frames, frames))), ""
    yield "log", timed(lambda: [way.input.append(some).result() for some in clean]), "encode, write, fdatasync"
    records = _with_ticks(clean)
    way.pipeline.fold(LogRecord(0, Config().engine_spec(way.packs).control()))
    outputs: list[Any] = []
    yield "engine", timed(lambda: outputs.extend(map(way.pipeline.fold, records))), "windows, baselines, verdicts"
    told = [output for output in outputs if output is not None and output.frames]
    yield "output log", timed(lambda: [way.output.append([one]).result() for one in told]), "windows judged, findings"
    store = TelemetryStore(way.where / "store")
    writer = StoreWriter(store, way.input, way.output, way.catalog, SpanMapper(way.packs), way.clock)
    yield "store", timed(writer.drain), "both logs into the store"
    store.close()


def _with_ticks(frames: list[list[Frame]]) -> list[LogRecord]:
    """Records as the log has them, with a tick whenever event time has gone on by a second or more."""
    records: list[LogRecord] = []
    marks: dict[tuple[str, str], int] = {}
    ticked = 0
    for frame in (frame for some in frames for frame in some):
        records.append(LogRecord(len(records) + 1, frame))
        latest = int(frame.i8("time").max())
        marks[frame.tenant, frame.source] = max(latest, marks.get((frame.tenant, frame.source), 0))
        if latest - ticked >= 10**9:
            ticked = latest
            watermarks = {key: mark - _LATENESS_NS for key, mark in marks.items()}
            records.append(LogRecord(len(records) + 1, Tick(latest, watermarks)))
    return records
