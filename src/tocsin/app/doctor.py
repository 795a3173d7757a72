"""Looks at what a server needs on this machine, and says in words what is missing and what to do about it."""

from __future__ import annotations

import importlib
import os
import platform
import resource
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tocsin.app.cluster.shelves import look_at_snapshots
from tocsin.app.defaults import OTLP_GRPC_PORT, OTLP_HTTP_PORT, PORT
from tocsin.app.ports import holder, is_free
from tocsin.app.stores import cluster_of, state_place
from tocsin.model.errors import TocsinError
from tocsin.spec.cluster import S3, TOPIC
from tocsin.spec.config import Config
from tocsin.spec.packs import load_packs, unseen
from tocsin.spec.problem import BadSpec
from tocsin.store.looking import look_at_cluster, look_at_state

_FREE_BYTES = 2 << 30
_OPEN_FILES = 4096


@dataclass(frozen=True, slots=True)
class Check:
    """One thing looked at."""

    name: str
    state: Literal["ok", "warning", "error"]
    text: str


def examine(data_dir: Path) -> Iterator[Check]:
    """Look at everything, the most basic things first."""
    yield Check("python", "ok", f"{platform.python_version()} on {platform.machine()} {platform.system()}")
    yield from _libraries()
    yield from _packs()
    yield from _directory(data_dir)
    yield from _keys(data_dir / "keys.json")
    yield _open_files()
    for name, port in (("port", PORT), ("otlp-http-port", OTLP_HTTP_PORT), ("otlp-grpc-port", OTLP_GRPC_PORT)):
        yield _port(name, port)


def examine_stores(config: Config, env: Mapping[str, str], data_dir: Path) -> Iterator[Check]:
    """Look at the stores that other servers keep, where a configuration or the environment names any."""
    state, cluster = state_place(config, env, data_dir), cluster_of(config, env)
    if not state.embedded:
        yield _answers("state", lambda: look_at_state(state.url, state.password_file))
    if cluster is not None:
        yield _answers("telemetry", lambda: look_at_cluster(cluster))
    workers = config.cluster
    if workers is not None and (workers.snapshots == TOPIC or workers.snapshots.startswith(S3)):
        yield _answers("snapshots", lambda: look_at_snapshots(workers))


def _answers(name: str, look: Callable[[], str]) -> Check:
    try:
        return Check(name, "ok", look())
    except TocsinError as error:
        return Check(name, "error", str(error))


def _libraries() -> Iterator[Check]:
    for name in ("numpy", "pyarrow", "numba", "chdb", "grpc", "re2"):
        try:
            module = importlib.import_module(name)
        except (ImportError, OSError) as error:
            yield Check(
                name, "error", f"can't be loaded: {error}; reinstall with `pip install --force-reinstall tocsin`"
            )
        else:
            yield Check(name, "ok", str(getattr(module, "__version__", "")) or "loads")


def _packs() -> Iterator[Check]:
    try:
        packs = load_packs()
    except BadSpec as error:
        yield Check("packs", "error", str(error).splitlines()[0])
        return
    count = sum(len(p.monitors) for p in packs)
    yield Check("packs", "ok" if packs else "error", f"{len(packs)} with {count} monitors")
    for text in unseen(packs):
        yield Check("not seen", "ok", text)


def _directory(path: Path) -> Iterator[Check]:
    around = next(parent for parent in (path, *path.parents) if parent.exists())
    try:
        with tempfile.TemporaryFile(dir=around) as probe:
            probe.write(b"x")
            os.fsync(probe.fileno())
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        yield Check("data directory", "error", f"{path} can't be written: {reason}; choose another with --data DIR")
        return
    yield Check("data directory", "ok", f"{path} can be written")
    free = shutil.disk_usage(around).free
    text = f"{free / 2**30:.1f} GiB free"
    if free < _FREE_BYTES:
        yield Check(
            "disk",
            "warning",
            f"{text}; below 2 GiB a day's telemetry may not fit: free some, or set `limits.retention`",
        )
    else:
        yield Check("disk", "ok", text)


def _keys(path: Path) -> Iterator[Check]:
    if path.exists():
        mode = stat.S_IMODE(path.stat().st_mode)
        if mode & 0o077:
            yield Check("keys", "warning", f"{path} can be read by others; run `chmod 600 {path}`")
        else:
            yield Check("keys", "ok", f"{path} is its owner's alone")


def _open_files() -> Check:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < _OPEN_FILES:
        return Check(
            "open files", "warning", f"at most {soft}; raise it with `ulimit -n {_OPEN_FILES}` for many senders"
        )
    return Check("open files", "ok", f"at most {soft}")


def _port(name: str, port: int) -> Check:
    if is_free("127.0.0.1", port):
        return Check(name, "ok", f"{port} is free")
    who = holder(port)
    return Check(name, "warning", f"{port} is taken{f' by {who}' if who else ''}; use --{name} N if that is not Tocsin")
