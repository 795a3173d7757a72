"""Scaling on paper: what loads need by measured figures, what gives way first, and how a group of workers recovers.

Re-keying is measured here; what a core does comes from docs/benchmarks.json, what real groups did from
docs/scale.measured.json, both of the directory that this is called in.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import cramjam

from tocsin.app.bench.bodies import Body
from tocsin.app.bench.figure import Bench, Figure, Setting
from tocsin.app.bench.ingest import bodies_of
from tocsin.app.bench.sizes import Sizes
from tocsin.app.bench.stages import Way
from tocsin.app.scale.rekeying import Rekeying, rekeying
from tocsin.app.scale.scenario import Fault, Outcome, Scaling, Scenario
from tocsin.app.scale.simulation import outcomes
from tocsin.app.scale.sizing import Given, Load, PerCore, bounds, per_core, sized
from tocsin.app.scale.tables import between, bounds_table, outcomes_table, sizes_table
from tocsin.model.errors import BadInput
from tocsin.selfmon.clock import SystemClock

FIGURES: Final = Path("docs/benchmarks.json")
MEASURED: Final = Path("docs/scale.measured.json")
LOADS: Final = (1e6, 1e8, 1e10)
SHARDS: Final = 64
ROUNDS: Final = 12
WORKERS: Final = 8


def measure(setting: Setting) -> Bench:
    """Measure the re-keying, work out sizes, and simulate.

    Raises
    ------
    BadInput
        There are no measured figures of a core.
    """
    bench = Bench("scale", load=os.getloadavg())
    began = time.monotonic()
    if not FIGURES.exists():
        raise BadInput(f"{FIGURES} is not here: `tocsin bench ingest detect --out {FIGURES}` measures what a core does")
    way = rekeyed(setting.sizes, ())
    core, given = per_core(json.loads(FIGURES.read_text())["runs"], way), Given()
    for figure in (*of_rekeying(way), *_of_core(core)):
        bench.add(figure)
    sizes = [sized(Load(points), core, given) for points in LOADS]
    measured = json.loads(MEASURED.read_text()) if MEASURED.exists() else []
    parts = [
        ("What loads need", sizes_table(sizes)),
        ("What gives way first, in one installation", bounds_table(bounds(core, given))),
        ("What happens to lag", outcomes_table(simulated(core))),
        ("Simulated and measured", compared(measured)),
    ]
    bench.tables = "\n\n".join(f"**{name}**\n\n{table}" for name, table in parts)
    bench.elapsed_s = time.monotonic() - began
    return bench


def rekeyed(sizes: Sizes, by: Sequence[str]) -> Rekeying:
    """Measure the way through the log on points as the bench of ingest sends them."""
    bodies: list[Body] = bodies_of("points", replace(sizes, rounds=min(sizes.rounds, ROUNDS)), SystemClock().now())
    with tempfile.TemporaryDirectory() as folder:
        way = Way(Path(folder))
        try:
            decode = way.decoder("points")
            frames = [frame for body in bodies for frame in decode(bytes(cramjam.gzip.decompress(body.content)))]
            return rekeying(frames, way.catalog, SHARDS, by)
        finally:
            way.close()


def of_rekeying(way: Rekeying) -> list[Figure]:
    """The figures of a way through the log."""
    rows = f"{way.rows_per_message:.0f} points a message, 5,000 gauges of 50 services"
    return [
        Figure("re-keying alone, writing", 1.0 / way.write_s, "points/CPU-s", note=f"divide, pack, lz4; {rows}"),
        Figure("re-keying alone, reading", 1.0 / way.read_s, "points/CPU-s", note="each reader: lz4, unpack"),
        Figure(
            "message of the log, per point",
            way.message_bytes,
            "B",
            note="compressed; it names its series, so that it can be read alone",
        ),
        Figure("tick", way.tick_bytes, "B", note="of an edge with 50 sources, into each partition every second"),
    ]


def _of_core(core: PerCore) -> list[Figure]:
    return [
        Figure("edge, by stages", core.edge, "points/CPU-s", note="decompress, decode, redact, re-key; without HTTP"),
        Figure(
            "engine worker, by stages", core.engine, "points/CPU-s", note="read the log, fold, write findings and panes"
        ),
        Figure(
            "control, mirror, by stages",
            core.mirror,
            "points/CPU-s",
            note="read the log, write it and the findings to disk",
        ),
        Figure("control, store, by stages", core.store, "points/CPU-s", note="both logs into the telemetry store"),
    ]


def simulated(core: PerCore) -> list[tuple[str, Sequence[Outcome]]]:
    """Eight workers at 60 % of what they can do, and what may befall them."""
    service = core.engine / core.rekeying.rows_per_message
    usual = Scenario(
        32,
        WORKERS,
        0.6 * WORKERS * service,
        service,
        heartbeat_s=5.0,
        join_s=1.0,
        restore_s=0.3,
        save_s=0.3,
        until_s=600.0,
    )
    surge = replace(usual, surge=3.0, surge_for_s=600.0, until_s=2400.0)
    scaling = Scaling(1000.0, 32)
    rows = {
        "a worker leaves in good order": replace(usual, fault=Fault.LEAVE),
        "a worker comes": replace(usual, fault=Fault.JOIN),
        "a worker is killed, session 30 s": replace(usual, fault=Fault.KILL),
        "the same, session 10 s": replace(usual, fault=Fault.KILL, session_s=10.0, heartbeat_s=1.7),
        "the same, session 30 s, at 80 % of what all can do": replace(
            usual, fault=Fault.KILL, arrival_per_s=0.8 * WORKERS * service, until_s=1200.0
        ),
        "the same at 80 %, a snapshot every 10 min": replace(
            usual,
            fault=Fault.KILL,
            arrival_per_s=0.8 * WORKERS * service,
            snapshot_every_s=600.0,
            fault_s=700.0,
            until_s=4000.0,
        ),
    }
    found: list[tuple[str, Sequence[Outcome]]] = [(name, outcomes(scenario)) for name, scenario in rows.items()]
    found.append(("three times the load for 10 min, no worker more", outcomes(surge, 1)))
    found.append(("the same, workers by lag, each ready after 90 s", outcomes(replace(surge, scaling=scaling), 1)))
    return found


def compared(measured: Sequence[dict[str, Any]]) -> str:
    """What real groups did beside what their scenarios give; ranges are of runs, and of moments for the fault."""
    lines = [
        "| what happened | runs | folded again after, measured | simulated | nobody late after, measured | simulated |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for row in measured:
        runs = row["measured"]
        paper = outcomes(Scenario(**{**row["scenario"], "fault": Fault(row["scenario"]["fault"])}))
        told = [f"{row['name']} ({row['date']}, {row['how']})", str(len(runs))]
        for key in ("resumed_s", "caught_up_s"):
            real = [float(run[key]) for run in runs if key in run]
            told.append(between(min(real), max(real)) if real else "not taken")
            told.append(between(min(getattr(each, key) for each in paper), max(getattr(each, key) for each in paper)))
        lines.append("| " + " | ".join(told) + " |")
    return "\n".join(lines)
