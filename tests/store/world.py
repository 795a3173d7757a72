"""A telemetry store, logs and frames for the tests of this stage."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import yaml

import tocsin.packs
from tocsin.model.clock import ManualClock
from tocsin.model.frame import Frame, FrameKind, frame_of, points_frame
from tocsin.model.series import Catalog, Kind, Series, Signal
from tocsin.spec.pack import PackSpec
from tocsin.store.genai import SpanMapper
from tocsin.store.telemetry import TelemetryStore
from tocsin.store.writer import StoreWriter
from tocsin.testing.memory_log import MemoryLog

T0 = 1_795_000_000 * 10**9
SECOND = 10**9


def genai_pack() -> PackSpec:
    text = (Path(tocsin.packs.__file__).parent / "genai.yaml").read_text()
    return PackSpec.model_validate(yaml.safe_load(text))


class World:
    """Two logs, a catalog, a store and its writer."""

    def __init__(self, path: Path, *, cluster=None, **options) -> None:
        self.path = path
        self.cluster = cluster
        self.options = options
        path.mkdir(parents=True, exist_ok=True)
        # the engine drops by its own clock: stamps of batches must be of today
        self.clock = ManualClock(path.stat().st_mtime_ns)
        self.catalog = Catalog()
        self.input, self.output = MemoryLog(), MemoryLog()
        self.store = TelemetryStore(path, cluster=cluster)
        self.writer = self.new_writer()

    def new_writer(self) -> StoreWriter:
        mapper = SpanMapper([genai_pack()])
        return StoreWriter(self.store, self.input, self.output, self.catalog, mapper, self.clock, **self.options)

    def reopen(self) -> None:
        self.store.close()
        self.store = TelemetryStore(self.path, cluster=self.cluster)
        self.writer = self.new_writer()

    def ref(self, name="cpu", tenant="main", unit="1", **labels) -> int:
        labels = {key.replace("_", "."): value for key, value in labels.items()}
        return self.catalog.intern(Series.of(tenant, Signal(name, unit, Kind.GAUGE), labels))

    def points(self, refs, times, values, tenant="main") -> Frame:
        return points_frame(tenant, "test", np.array(refs, "i4"), np.array(times, "i8"), np.array(values, "f8"))

    def scalar(self, sql: str):
        return self.store.db.query(sql).column(0).to_pylist()[0]

    def rows(self, kind: str, tenant="main", **options) -> list[dict]:
        return list(self.store.exports.rows(kind, tenant, **options))

    def close(self) -> None:
        self.store.close()


def spans_frame(rows: list[dict], tenant="main") -> Frame:
    base = {
        "trace_id": b"t" * 16,
        "span_id": b"s" * 8,
        "parent_id": bytes(8),
        "name": "chat",
        "kind": "client",
        "start": T0,
        "time": T0 + SECOND,
        "status": "unset",
        "status_message": "",
        "scope": "",
        "resource": [("service.name", "bot")],
        "attributes": [],
        "events": "[]",
    }
    full = [{**base, **row} for row in rows]
    for row in full:
        row["attributes"] = list(dict(row["attributes"]).items())
    return frame_of(FrameKind.SPANS, tenant, "test", {key: [row[key] for row in full] for key in base})
