"""Small made-up worlds as lists of log entries, for tests of the fold."""

from __future__ import annotations

import numpy as np

from tocsin.model.frame import FrameKind, frame_of, points_frame
from tocsin.model.log import LogRecord, Output, Tick
from tocsin.model.series import Catalog, Kind, Series, Signal
from tocsin.spec.engine import EngineSpec
from tocsin.spec.monitor import MonitorSpec

S = 1_000_000_000
T0 = 1_790_000_000 * S


def any_series(**changes):
    fields = {
        "name": "any",
        "signal": "*",
        "window": {"size": "60s", "step": "10s"},
        "detect": {"baseline": {}},
    } | changes
    return EngineSpec(monitors=[MonitorSpec.model_validate(fields)])


def spiking(catalog, *, seconds=660, spike_at=600, factor=4.0, series=3, seed=1, tenant="main"):
    """One point a second on each series, a tick after each second; all series jump at `spike_at`."""
    rng = np.random.default_rng(seed)
    refs = np.array(
        [catalog.intern(Series.of(tenant, Signal("load", "1"), {"host": f"h{i}"})) for i in range(series)], "i4"
    )
    entries = []
    for second in range(1, seconds + 1):
        now = T0 + second * S
        level = 100.0 * (factor if second > spike_at else 1.0)
        values = level * (1 + 0.05 * rng.standard_normal(series))
        entries.append(points_frame(tenant, "otlp/w", refs, np.full(series, now), values))
        entries.append(Tick(now, {(tenant, "otlp/w"): now}))
    return entries


def records(entries, start=0):
    return [LogRecord(start + i, entry) for i, entry in enumerate(entries)]


def fold_all(pipeline, recs):
    return [out for rec in recs if (out := pipeline.fold(rec)) is not None]


def said(
    outputs: list[Output],
    catalog: Catalog,
    kinds=(FrameKind.FINDINGS, FrameKind.PANES, FrameKind.STATES, FrameKind.EVENTS),
):
    """All rows of outputs as plain tuples, series by identity, in order."""
    rows = []
    for out in outputs:
        for frame in out.frames:
            if frame.kind not in kinds:
                continue
            for row in frame.rows():
                if "series" in row:
                    row["series"] = catalog[row["series"]].id
                rows.append((frame.kind.value, frame.tenant, repr(sorted(row.items(), key=lambda kv: kv[0]))))
    return rows


def span_frame(times, *, service="bot", version="v1", tokens=100, tenant="main", start_id=0):
    n = len(times)
    attributes = {"gen_ai.request.model": "m", "gen_ai.usage.input_tokens": str(tokens), "prompt.version": version}
    return frame_of(
        FrameKind.SPANS,
        tenant,
        f"otlp/{service}",
        {
            "trace_id": [bytes(16)] * n,
            "span_id": [(start_id + i).to_bytes(8, "big") for i in range(n)],
            "parent_id": [bytes(8)] * n,
            "name": ["chat"] * n,
            "kind": ["client"] * n,
            "start": [t - S for t in times],
            "time": list(times),
            "status": ["ok"] * n,
            "status_message": [""] * n,
            "scope": [""] * n,
            "resource": [{"service.name": service}] * n,
            "attributes": [attributes] * n,
            "events": ["[]"] * n,
        },
    )


__all__ = ["T0", "Kind", "S", "any_series", "fold_all", "records", "said", "span_frame", "spiking"]
