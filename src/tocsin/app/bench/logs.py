"""How fast log lines get their template, and how well: the cache of shapes, new shapes, and a whole tick of the engine."""

from __future__ import annotations

import gc
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from tocsin.app.bench.figure import Bench, Figure, Setting
from tocsin.derive.templates import Templates
from tocsin.engine.pipeline import Pipeline
from tocsin.model.errors import BadInput
from tocsin.model.frame import Frame, FrameKind, frame_of
from tocsin.model.log import LogRecord, Tick
from tocsin.model.series import Catalog
from tocsin.spec.engine import EngineSpec
from tocsin.spec.packs import load_packs
from tocsin.stats.jit import compile_all
from tocsin.stats.log_mask import masked, shapes

_SECOND = 1_000_000_000
_START = 1_790_000_000 * _SECOND
_AIM = 1e6
_OF_NEW = 20.0
"""So many times as fast as new lines are lines whose shape is in the cache, or it is worth nothing."""
_GROUPED = 0.95
_USERS = tuple(f"{first}{last}" for first in ("ann", "bo", "cy", "di", "ed", "flo") for last in ("lee", "ray", "kim"))
_MADE = (
    "request {n} from {ip} finished in {ms} ms status={n}",
    "cache hit for key item:{n}",
    "cache miss for key item:{n}, loading from replica {n}",
    '{{"level":"info","msg":"user signed in","user":"{user}","ms":{ms}}}',
    "user {user} opened page /items/{n}",
    "slow query took {ms} ms: SELECT * FROM items WHERE id = {n}",
    "retrying call to http://inventory:{n}/stock after timeout",
    "order {hex} saved",
    "order {hex} failed",
    "could not parse reply of {ip}: unexpected end of input",
    "block {hex} of size {n} replicated from {ip} to {ip}",
    "connection from {ip} closed by user {user}",
)
_TOLD_LINES = 20_000
_LEAST_LINES = 3_000
"""With fewer, what changes from line to line is not told from what stays."""
_REPEATS = 5


def measure(setting: Setting) -> Bench:
    """Made lines, then real ones where there are data sets; other products on the same lines."""
    bench = Bench("logs", load=os.getloadavg())
    began = time.monotonic()
    compile_all()
    lines, truth = _made(max(setting.sizes.events, _LEAST_LINES))
    for figure in _rates(lines):
        bench.add(figure)
    told = _TOLD_LINES
    own = _grouping("made lines", lines[:told], truth[:told], _ours, "tocsin")
    bench.add(replace(own, aim=_GROUPED, promised=True))
    if setting.peers:
        for figure in _peer(lines[:told], truth[:told]):
            bench.add(figure)
    if setting.datasets is not None:
        bench.add(_real(setting.datasets))
    bench.elapsed_s = time.monotonic() - began
    return bench


def _made(n: int) -> tuple[list[str], list[int]]:
    """Lines with time and level in front, and which message each is."""
    rng = np.random.default_rng(1)
    which = rng.integers(0, len(_MADE), n).tolist()
    numbers = rng.integers(1, 10**6, (n, 4)).tolist()
    lines = []
    for k, (number, *rest) in zip(which, numbers, strict=True):
        said = _MADE[k].format(
            n=number,
            ms=round(rest[0] / 997, 2),
            user=_USERS[rest[1] % len(_USERS)],
            ip=f"10.{rest[0] % 256}.{rest[1] % 256}.{rest[2] % 256}",
            hex=f"{rest[1] * rest[2] + 2**41:x}",
        )
        lines.append(f"2026-11-22T10:{number % 60:02d}:{rest[0] % 60:02d}.{rest[2] % 1000:03d}Z INFO {said}")
    return lines, which


def _rates(lines: Sequence[str]) -> Iterator[Figure]:
    """Lines a CPU-second of the cache, of new shapes, and of the engine as a whole."""
    column = pa.array(lines)
    mean = sum(map(len, lines)) / len(lines)
    known = dict.fromkeys(shapes(column).tolist(), "")

    def cached() -> None:
        found, where = np.unique(shapes(column), return_inverse=True)
        _ = [known[shape] for shape in found.tolist()], where

    note = f"best of {_REPEATS}; {len(lines):,} lines of {mean:.0f} characters, {len(known)} shapes"
    rate = len(lines) / _best(cached)
    yield Figure("templates of lines from the cache", rate, "lines/CPU-s", _AIM, note=note)
    distinct = [f"{line} part {_letters(k)} of {_letters(k // 7)}" for k, line in enumerate(lines[:2_000])]

    def new() -> None:
        templates = Templates()
        for shape, line in zip(shapes(pa.array(distinct)).tolist(), distinct, strict=True):
            templates.learn(shape, masked(line), 1)

    fresh = len(distinct) / _best(new)
    yield Figure("templates of lines that are all new", fresh, "lines/CPU-s", note="all differ")
    note = "the same run, by CPU time"
    yield Figure("cached lines beside new ones", rate / fresh, "times", _OF_NEW, note=note, promised=True)
    note = "all packs: counted, told apart, windowed and judged, 10 s a tick"
    yield Figure("the engine on logs", len(lines) / _best(lambda: _fold(lines), 2), "lines/CPU-s", note=note)


def _letters(number: int) -> str:
    return "".join(chr(97 + number // 26**k % 26) for k in range(4))


def _best(work: Callable[[], object], repeats: int = _REPEATS) -> float:
    """Least CPU time of some runs, seconds."""
    found = []
    for _ in range(repeats):
        gc.collect()
        began = time.process_time()
        work()
        found.append(time.process_time() - began)
    return min(found)


def _fold(lines: Sequence[str]) -> None:
    pipeline = Pipeline(Catalog())
    pipeline.fold(LogRecord(0, EngineSpec(packs=load_packs()).control()))
    size, now = 8_192, _START
    for number, at in enumerate(range(0, len(lines), size)):
        pipeline.fold(LogRecord(2 * number + 1, _frame(lines[at : at + size], now)))
        now += 10 * _SECOND
        pipeline.fold(LogRecord(2 * number + 2, Tick(now, {("main", "otlp/bench"): now})))


def _frame(lines: Sequence[str], now: int) -> Frame:
    n = len(lines)
    columns: dict[str, Sequence[object]] = {
        "time": [now + k * 1_000_000 for k in range(n)],
        "severity": ["INFO"] * n,
        "severity_number": [9] * n,
        "body": lines,
        "event_name": [""] * n,
        "trace_id": [bytes(16)] * n,
        "span_id": [bytes(8)] * n,
        "resource": [[("service.name", f"service-{k % 10}")] for k in range(n)],
        "attributes": [[]] * n,
    }
    return frame_of(FrameKind.LOGS, "main", "otlp/bench", columns)


def _ours(lines: Sequence[str]) -> list[str]:
    """Template of each line, once all were learned."""
    templates = Templates()
    found = shapes(pa.array(lines)).tolist()
    for shape, line in zip(found, lines, strict=True):
        if shape not in templates:
            templates.learn(shape, masked(line), 1)
    return [templates.of(shape).id for shape in found]


def _grouping(
    what: str, lines: Sequence[str], truth: Sequence[int], group: Callable[..., list[Any]], who: str
) -> Figure:
    """Share of lines whose group has exactly the lines of one message (grouping accuracy, J. Zhu et al., ICSE 2019)."""
    found = group(lines)
    pairs = Counter(zip(truth, found, strict=True))
    of_truth, of_found = Counter(truth), Counter(found)
    right = sum(n for (a, b), n in pairs.items() if n == of_truth[a] == of_found[b])
    note = f"{len(of_truth)} messages, {len(of_found)} templates found"
    return Figure(f"grouping accuracy, {what}, {who}", right / len(truth), "1", note=note)


def _peer(lines: Sequence[str], truth: Sequence[int]) -> Iterator[Figure]:
    """Drain3 as its users run it: each line through its tree, with masks for numbers, ids and addresses."""
    if find_spec("drain3") is None:
        raise BadInput("drain3 is not installed; install it (`pip install drain3`), or measure without --peers")
    drain = import_module("drain3")
    config, masking = import_module("drain3.template_miner_config"), import_module("drain3.masking")
    made = config.TemplateMinerConfig()
    made.masking_instructions = [
        masking.MaskingInstruction(r"\b\d{4}-\d\d-\d\dT[\d:.]+Z", "TIME"),
        masking.MaskingInstruction(r"\b\d{1,3}(\.\d{1,3}){3}\b", "IP"),
        masking.MaskingInstruction(r"\b[0-9a-f]{8,}\b", "HEX"),
        masking.MaskingInstruction(r"\b\d+(\.\d+)?\b", "NUM"),
    ]
    groups: list[Any] = []

    def run() -> None:
        miner = drain.TemplateMiner(config=made)
        groups[:] = [miner.add_log_message(line)["cluster_id"] for line in lines]

    rate = len(lines) / _best(run, 2)
    yield Figure("drain3, each line", rate, "lines/CPU-s", note=f"{len(lines):,} of the same lines, with four masks")
    yield _grouping("made lines", lines, truth, lambda _: list(groups), "drain3")


def _real(datasets: Path) -> Figure:
    """Templates of the log lines of Nezha."""
    import json  # noqa: PLC0415 - of this figure only

    from pyarrow import parquet  # noqa: PLC0415 - of this figure only

    place = datasets / "nezha_ts_0130" / "2023-01-30" / "log.parquet"
    if not place.exists():
        raise BadInput(f"{place} is not there; name the folder of data sets by --datasets, or measure without")
    lines = [_inner(text, json.loads) for text in parquet.read_table(place, columns=["Log"]).column(0).to_pylist()]
    found = Counter(_ours(lines))
    top = sum(n for _, n in found.most_common(100)) / len(lines)
    return Figure(
        "templates in Nezha's logs", len(found), "1", note=f"{len(lines):,} lines; 100 of them have {top:.1%}"
    )


def _inner(text: str, load: Callable[[str], Any]) -> str:
    try:
        return str(load(text)["log"])
    except (ValueError, KeyError):
        return text
