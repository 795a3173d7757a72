"""How much a CPU second takes in: from the wire to acknowledged, stored and judged, by kind; other products beside."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from tocsin.app.bench.bodies import (
    OTLP_HEADERS,
    REMOTE_WRITE_HEADERS,
    STEP_NS,
    Body,
    event_bodies,
    metric_templates,
    series_bodies,
    store_bodies,
    write_templates,
)
from tocsin.app.bench.figure import Bench, Figure, Setting
from tocsin.app.bench.peers import Peer, receiving_prometheus, receiving_victoria
from tocsin.app.bench.program import Program, Server, get, wait_until
from tocsin.app.bench.sizes import Sizes
from tocsin.app.bench.stages import stages
from tocsin.model.errors import Unreachable
from tocsin.selfmon.clock import SystemClock

_SETTLE_S = 900.0
_POLL_S = 0.25
_TICKS_S = 1.5
_TICK_S = 0.01
"""What a kernel counts CPU time in; nothing takes less."""
_WRITE = "/api/v1/write"
_KINDS = {"points": "metrics", "spans": "traces", "logs": "logs", "samples": "write"}
_AIMS = {"points": 500_000.0, "spans": 100_000.0, "logs": 300_000.0, "samples": 500_000.0}
_TABLES = {"points": "points", "spans": "spans", "logs": "logs", "samples": "points"}


@dataclass(frozen=True, slots=True)
class Load:
    """What is sent: rows of a kind, as prepared requests in a file."""

    kind: str
    rows: int
    requests: int
    file: Path
    headers: dict[str, str]


def measure(setting: Setting) -> Bench:
    """Load a fresh server with each kind, and other products with the same remote write."""
    bench = Bench("ingest", load=os.getloadavg())
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="tocsin-bench-") as place:
        where = Path(place)
        for kind in setting.sizes.kinds:
            load = prepared(kind, setting.sizes, where)
            _measure_server(bench, load, where, own_cache=setting.sizes.own_cache)
            if kind == "samples" and setting.peers:
                _measure_peers(bench, load, where)
            load.file.unlink()
        for figure in stages(setting.sizes, where):
            bench.add(figure)
    bench.elapsed_s = time.monotonic() - began
    return bench


def bodies_of(kind: str, sizes: Sizes, until_ns: int) -> list[Body]:
    """The requests of one kind; their event time ends at `until_ns`."""
    lanes, rounds, per_request = sizes.connections, sizes.rounds, sizes.rows_per_request
    if kind == "points":
        templates = metric_templates(sizes.series, per_request)
        return list(series_bodies(templates, "/v1/metrics", lanes, rounds, until_ns, snappy=False))
    if kind == "samples":
        templates = write_templates(sizes.series, per_request)
        return list(series_bodies(templates, _WRITE, lanes, rounds, until_ns, snappy=True))
    span_s = (rounds - 1) * STEP_NS / 1e9
    return list(event_bodies(_KINDS[kind], sizes.events, per_request, lanes, span_s, until_ns))


def prepared(kind: str, sizes: Sizes, where: Path) -> Load:
    """Encode the load beforehand, so that sending it costs little."""
    bodies = bodies_of(kind, sizes, SystemClock().now())
    file = where / f"{kind}.load"
    store_bodies(file, bodies)
    headers = REMOTE_WRITE_HEADERS if kind == "samples" else OTLP_HEADERS
    return Load(kind, sum(body.rows for body in bodies), len(bodies), file, headers)


class Loader:
    """The process that sends; it has read everything before it is told to go."""

    def __init__(self, load: Load, port: int) -> None:
        self._load = load
        command = [sys.executable, "-m", "tocsin.app.bench.load", str(load.file), str(port), json.dumps(load.headers)]
        self._process = subprocess.Popen(  # noqa: S603 - our own module
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        self._out = self._process.stdout
        if self._out.readline() != "loaded\n":
            raise Unreachable("the load could not be read by the process that sends it")

    def send(self) -> int:
        """Send everything; gives how often a request had to be sent again.

        Raises
        ------
        Unreachable
            Something was refused or lost.
        """
        text, _ = self._process.communicate("go\n")
        told = json.loads(text)
        if told["failed"] or told["rows"] != self._load.rows:
            raise Unreachable(f"{told['rows']} of {self._load.rows} {self._load.kind} were taken: {told['failed']}")
        return int(told["again"])


def spent(program: Program, before: dict[str, float]) -> dict[str, float]:
    """CPU seconds by role since `before`."""
    after = program.cpu_s()
    return {role: max(after[role] - before.get(role, 0.0), _TICK_S) for role in after}


def _measure_server(bench: Bench, load: Load, where: Path, *, own_cache: bool) -> None:
    with Server(where / f"serve-{load.kind}", where / "cache" if own_cache else None) as server:
        loader = Loader(load, server.port)
        if own_cache:
            server.wait_compiled()
        before, began = server.cpu_s(), time.monotonic()
        again = loader.send()
        acknowledged_s = time.monotonic() - began
        threading.Event().wait(_TICKS_S)  # what came last is judged at a tick, and only then there to be stored
        wait_until(lambda: server.settled(_TABLES[load.kind], load.rows), _SETTLE_S, f"{load.kind} stored", _POLL_S)
        used, elapsed_s = spent(server, before), time.monotonic() - began
        judged = server.total("tocsin_store_rows_total", 'table="panes"')
        memory = server.memory_bytes()
    how = f"{load.rows:,} in {load.requests} requests; {judged:,.0f} windows judged and stored"
    if again:
        how += f"; {again} sent again after 429 or 503"
    note = f"gzip OTLP/HTTP; {how}" if load.kind != "samples" else f"snappy remote write 1.0; {how}"
    unit = f"{load.kind}/CPU-s"
    bench.add(
        Figure(
            f"{load.kind}, received to stored and judged", load.rows / used["all"], unit, _AIMS[load.kind], note=note
        )
    )
    for role, what in (("hot", "edge, log, engine"), ("cold", "store, incidents")):
        share = f"{used[role]:.1f} of {used['all']:.1f} CPU-s"
        bench.add(Figure(f"{load.kind}, {role} process alone", load.rows / used[role], unit, note=f"{what}: {share}"))
    wall = f"acknowledged after {acknowledged_s:.1f} s, all stored after {elapsed_s:.1f} s"
    bench.add(Figure(f"{load.kind}, by the wall clock", load.rows / elapsed_s, f"{load.kind}/s", note=wall))
    resident = sum(memory.values()) / 2**20
    split = ", ".join(f"{role} {size / 2**20:.0f}" for role, size in sorted(memory.items()))
    bench.add(Figure(f"resident memory after the {load.kind}", resident, "MiB", note=f"{split} MiB"))


def _measure_peers(bench: Bench, load: Load, where: Path) -> None:
    for make, counted in (
        (receiving_prometheus, "prometheus_tsdb_head_samples_appended_total"),
        (receiving_victoria, 'vm_rows_inserted_total{type="promremotewrite"}'),
    ):
        with make(where / f"peer-{make.__name__}") as peer:
            peer.wait_ready()
            loader = Loader(load, peer.port)
            before = peer.cpu_s()
            loader.send()
            wait_until(lambda p=peer, c=counted: _count(p, c) >= load.rows, 60.0, f"{peer.name} stored", _POLL_S)  # type: ignore[misc]
            used = spent(peer, before)["all"]
        note = "the same requests, same run; it stores, and judges nothing"
        bench.add(Figure(f"samples, {peer.name}", load.rows / used, "samples/CPU-s", note=note))


def _count(peer: Peer, name: str) -> float:
    _, body = get(peer.port, "/metrics")
    found = re.findall(rf"^{re.escape(name)}(?:{{[^}}]*}})? (\S+)$", body.decode(), re.MULTILINE)
    return sum(map(float, found))
