"""A storm: ten thousand findings of as many services in ten seconds, folded into incidents."""

from __future__ import annotations

import os
import time
from typing import Final

from tocsin.app.bench.figure import Bench, Figure, Setting
from tocsin.app.bench.neighbour import WARM, added_ms
from tocsin.correlate.reducer import Reducer
from tocsin.incident.severity import grader
from tocsin.model.codec import findings_frame
from tocsin.model.finding import Finding, Phase, finding_id
from tocsin.model.log import Output
from tocsin.model.series import MAIN_TENANT, Catalog, Series, Signal
from tocsin.model.transition import Transition
from tocsin.spec.engine import EngineSpec
from tocsin.spec.packs import load_packs

FINDINGS: Final = 10_000
MOST: Final = 10
GROWTH: Final = 3.0
"""With the square of the findings it would be 4."""
BESIDE: Final = 1.25
"""Times the CPU time of telling one destination alone, which one that never answers may cost at most."""
TOLD: Final = 300
SPAN_NS: Final = 10 * 10**9
BATCH: Final = 50
SIGNALS: Final = 50
BEGIN_NS: Final = 1_767_225_600 * 10**9


def measure(setting: Setting) -> Bench:
    """Fold the storm once with the packs as shipped: services that share nothing, then all on one host; tell some of it."""
    del setting  # a storm has one size
    bench = Bench("storm", load=os.getloadavg())
    began = time.monotonic()
    for name, host in (("of strangers", ""), ("on one host", "node-1")):
        incidents, seconds = _best(host, FINDINGS)
        note = f"{FINDINGS:,} findings in 10 s, packs as shipped"
        told = f"incidents of a storm {name}"
        bench.add(Figure(told, incidents, "incidents", MOST, aim_high=False, note=note, promised=True))
        bench.add(Figure(f"time of the fold, {name}", seconds, "CPU-s", 2.0, aim_high=False, note=note))
        _, half = _best(host, FINDINGS // 2)
        told, note = f"time of the fold beside that of half as many findings, {name}", "CPU time; 2 is in proportion"
        bench.add(Figure(told, seconds / half, "times", GROWTH, aim_high=False, note=note, promised=True))
    _add_neighbour(bench)
    bench.elapsed_s = time.monotonic() - began
    return bench


def _add_neighbour(bench: Bench) -> None:
    dead, control = added_ms(opened(TOLD + WARM))
    note = f"{TOLD} incidents, one by one, in turns with one that has no such neighbour"
    told = "until one destination is told, beside one that never answers"
    bench.add(Figure(f"work {told}", dead.times, "times", BESIDE, aim_high=False, note=note, promised=True))
    note = f"median of pairs; of a second one without a neighbour {control.cpu:.2f}"
    bench.add(Figure(f"work added {told}", dead.cpu, "CPU-ms", 1.0, aim_high=False, note=note))
    note = f"median of pairs, middle half {dead.wall_spread:.1f} wide; of a second one without a neighbour {control.wall:.1f}, {control.wall_spread:.1f} wide"
    bench.add(Figure(f"time added {told}", dead.wall, "ms", 1.0, aim_high=False, note=note))


def storm(host: str = "", findings: int = FINDINGS) -> tuple[int, float]:
    """Incidents that a storm opened, and CPU seconds of the fold; a host is a label that all findings share."""
    reducer, catalog = Reducer(EngineSpec(packs=load_packs()), grader()), Catalog()
    outputs = []
    for first in range(0, findings, BATCH):
        rows = [_finding(number, host, findings) for number in range(first, min(first + BATCH, findings))]
        frame = findings_frame(rows, catalog, MAIN_TENANT)
        outputs.append(Output(first // BATCH, rows[-1].time, first % (20 * BATCH) == 0, (frame,)))
    before = time.process_time()
    said = [each for output in outputs for each in reducer.fold(output, catalog)]
    spent = time.process_time() - before
    return len({each.incident.id for each in said}), spent


def _best(host: str, findings: int) -> tuple[int, float]:
    """The same storm twice: its incidents, and the fewer of the CPU seconds."""
    incidents, seconds = zip(*(storm(host, findings) for _ in range(2)), strict=True)
    return max(incidents), min(seconds)


def opened(incidents: int) -> list[Transition]:
    """So many incidents as they are opened, each of one finding of a service of its own."""
    found = []
    for number in range(incidents):
        reducer, catalog = Reducer(EngineSpec(), grader()), Catalog()
        one = _finding(number, "", incidents)
        output = Output(0, one.time, True, (findings_frame([one], catalog, MAIN_TENANT),))
        found += [each for each in reducer.fold(output, catalog) if each.action == "open"]
    return found


def _finding(number: int, host: str, findings: int) -> Finding:
    start = BEGIN_NS + number * SPAN_NS // findings
    labels = {"service.name": f"service-{number}"} | ({"host.name": host} if host else {})
    series = Series.of(MAIN_TENANT, Signal(f"signal-{number % SIGNALS}", "1"), labels)
    identity = finding_id(MAIN_TENANT, "errors", series.id, start)
    end = start + SPAN_NS
    return Finding(
        identity, Phase.OPEN, MAIN_TENANT, "errors", series, start, end, end, 9.0, (0.0, 1.0), -12.0, 1e4, -6.0, "up"
    )
