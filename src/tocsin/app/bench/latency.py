"""How long people wait: breach to webhook, start to ready, first page; and what memory and disk it takes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tocsin.app.bench.bodies import OTLP_HEADERS, metric_templates, series_bodies, store_bodies
from tocsin.app.bench.breach import breaches
from tocsin.app.bench.figure import Bench, Figure, Setting
from tocsin.app.bench.ingest import Load, Loader
from tocsin.app.bench.program import Server, get, wait_until
from tocsin.app.bench.sizes import Sizes
from tocsin.model.errors import Unreachable
from tocsin.selfmon.clock import SystemClock

_SETTLE_S = 300.0
_FIRST_PAGE = ("/", "/api/overview")
MIB = 2**20


def measure(setting: Setting) -> Bench:
    """Starts first: they fill the cache of kernels that all later starts find, as on a machine in use."""
    bench = Bench("latency", load=os.getloadavg())
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="tocsin-bench-") as place:
        where = Path(place)
        for figure in _starts(setting.sizes, where):
            bench.add(figure)
        for figure in breaches(setting.sizes, where, peers=setting.peers):
            bench.add(figure)
        if setting.peers:
            for figure in _installed(where):
                bench.add(figure)
    bench.elapsed_s = time.monotonic() - began
    return bench


def _starts(sizes: Sizes, where: Path) -> Iterator[Figure]:
    cache = where / "cache" if sizes.own_cache else None
    with Server(where / "started", cache) as server:
        how = "nothing compiled yet: the very first start after an installation"
        yield Figure("start to ready, cold kernels", server.ready_s, "s", note=how)
        yield _first_page(server, "first page after the very first start", None)
    with Server(where / "started", cache) as server:
        yield Figure("start to ready, warm", server.ready_s, "s", 5.0, aim_high=False, note="a second start, same data")
        yield _first_page(server, "first page after start", 5.0)
        if sizes.own_cache:
            server.wait_compiled()  # the process that compiles is none of the server's memory
        empty = server.memory_bytes()
        yield from _memory(sizes, where, server, empty)


def _first_page(server: Server, what: str, aim: float | None) -> Figure:
    for path in _FIRST_PAGE:
        status, body = get(server.port, path)
        if status != 200:
            said = server.log.read_text(errors="replace")[-2000:]
            raise Unreachable(f"GET {path} was answered with {status} {body[:500]!r}: {said}")
    took_s = time.monotonic() - server.started_s
    how = f"from the command to answers to GET {' and '.join(_FIRST_PAGE)}; no browser"
    return Figure(what, took_s, "s", aim, aim_high=False, note=how)


def _memory(sizes: Sizes, where: Path, server: Server, empty: dict[str, float]) -> Iterator[Figure]:
    templates = metric_templates(sizes.memory_series, sizes.rows_per_request)
    now = SystemClock().now()
    bodies = list(series_bodies(templates, "/v1/metrics", 1, sizes.memory_rounds, now, snappy=False))
    file = where / "memory.load"
    store_bodies(file, bodies)
    rows = sum(body.rows for body in bodies)
    Loader(Load("points", rows, len(bodies), file, OTLP_HEADERS), server.port).send()
    wait_until(lambda: server.settled("points", rows), _SETTLE_S, "points stored", 0.25)
    full = server.memory_bytes()
    for role, what in (("hot", "edge, log, engine"), ("cold", "store, incidents, pages"), ("other", "supervisor")):
        how = f"{what}; {empty.get(role, 0) / MIB:.0f} MiB before"
        name = f"resident memory with {sizes.memory_series:,} series, {role} process"
        yield Figure(name, full.get(role, 0.0) / MIB, "MiB", note=how)


def _installed(where: Path) -> Iterator[Figure]:
    """Build the wheel of the tree we run from and install it as a user would; nothing where we are installed ourselves."""
    root = Path(__file__).parents[4]
    if not (root / "pyproject.toml").exists():
        return
    uv = shutil.which("uv") or str(Path(sys.executable).with_name("uv"))
    _run([uv, "build", "--quiet", "--wheel", "--out-dir", str(where / "dist"), str(root)])
    (wheel,) = (where / "dist").glob("*.whl")
    yield Figure("wheel", wheel.stat().st_size / 1e6, "MB")
    venv = where / "venv"
    began = time.monotonic()
    _run([sys.executable, "-m", "venv", str(venv)])
    pip_bytes = _size_bytes(venv)
    _run([str(venv / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check", str(wheel)])
    took_s = time.monotonic() - began
    how = "python -m venv, then pip install of the wheel with its dependencies; cache of pip as it was"
    yield Figure("install", took_s, "s", 60.0, aim_high=False, note=how)
    size = (_size_bytes(venv) - pip_bytes) / 1e6
    largest = sorted((venv / "lib").glob("python*/site-packages/*"), key=_size_bytes, reverse=True)[:6]
    parts = ", ".join(f"{path.name} {_size_bytes(path) / 1e6:.0f}" for path in largest)
    yield Figure("installed size", size, "MB", note=f"without pip itself, with compiled Python files; largest: {parts}")


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - commands made above
    if done.returncode:
        raise Unreachable(f"{' '.join(command)} ended with {done.returncode}: {done.stderr[-500:]}")


def _size_bytes(path: Path) -> int:
    """Disk blocks used, as `du` counts them."""
    if not path.is_dir():
        return path.stat().st_blocks * 512
    return sum(found.lstat().st_blocks * 512 for found in path.rglob("*"))
