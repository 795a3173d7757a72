"""How often drift is decided where there is none, what is found where there is some, and what it costs.

Every run draws a reference and a stream; the stream is looked at after every batch. Beside the decision stand the rules
of the field as they are written, and at thresholds that give them the stated false rate.
"""

from __future__ import annotations

import math
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa

from tocsin.app.bench.drift_peers import beside, written
from tocsin.app.bench.drift_rules import AsWritten
from tocsin.app.bench.figure import Bench, Figure, Setting
from tocsin.assess.column import AnyColumn
from tocsin.assess.drift import DriftPolicy, compare, compare_all
from tocsin.assess.reference import FeatureReference, learn_table
from tocsin.assess.stream import DriftStream
from tocsin.model.arrays import F8

LEVEL: Final = 0.05
REFERENCE: Final = 10_000
LOOKS: Final = (10, 20, 30, 40, 50, 60, 80, 100, 120, 150, 200, 250, 300, 400, 500, 600, 700, 800, 900, 1000)
ENDS: Final = (50, 100, 200, 1000)
STRICT: Final = DriftPolicy(level=LEVEL, min_effect=0.0, min_share=0.0, min_n=1)
"""The test alone: no least effect, no least number of rows."""
Draw = Callable[[np.random.Generator, int], AnyColumn]

CALM: Final[dict[str, Draw]] = {
    "normal": lambda rng, n: rng.normal(size=n),
    "counts": lambda rng, n: rng.poisson(3.0, n).astype("f8"),
    "mostly zero": lambda rng, n: np.where(rng.random(n) < 0.7, 0.0, rng.exponential(size=n)),
    "categories": lambda rng, n: rng.choice(["a", "b", "c", "d", "e"], n, p=[0.6, 0.3, 0.09, 0.009, 0.001]),
    "2,000 categories": lambda rng, n: rng.integers(0, 2_000, n).astype(str),
}
MOVED: Final[dict[str, Draw]] = {
    "mean + 0.5 sd": lambda rng, n: rng.normal(0.5, 1.0, n),
    "spread x 1.5": lambda rng, n: rng.normal(0.0, 1.5, n),
    "10 % at 4 sd": lambda rng, n: np.where(rng.random(n) < 0.1, rng.normal(4.0, 0.5, n), rng.normal(size=n)),
}


@dataclass(frozen=True, slots=True)
class Run:
    """Of one stream: the rows at which drift was first decided (inf: never), and statistics at each of `LOOKS`."""

    decided_at: float
    log10_e: F8
    psi: F8
    kl: F8
    ks: F8


def run(rng: np.random.Generator, calm: Draw, stream: Draw, policy: DriftPolicy = STRICT, *, rules: bool = True) -> Run:
    """Draw a reference and a stream and look after every batch."""
    learned = calm(rng, REFERENCE)
    reference = FeatureReference.learn("x", learned)
    values = stream(rng, LOOKS[-1])
    watched = DriftStream.on({"x": reference}, policy)
    decided, before, evidence = math.inf, 0, []
    for look in LOOKS:
        (row,) = watched.update({"x": reference.sketch(values[before:look])})
        before = look
        evidence.append(row.log10_e)
        if row.alarm and math.isinf(decided):
            decided = float(look)
    if not rules:
        return Run(decided, np.array(evidence), *[np.empty(0)] * 3)
    written_rules = AsWritten(learned)
    psi, kl, ks = (
        np.array([rule(values[:look]) for look in LOOKS])
        for rule in (written_rules.psi, written_rules.kl, written_rules.ks)
    )
    return Run(decided, np.array(evidence), psi, kl, ks)


def measure(setting: Setting) -> Bench:
    """False decisions, power, rows a second, bytes, and the comparison of two tables."""
    bench = Bench("drift", load=os.getloadavg())
    began = time.monotonic()
    repeats = setting.sizes.drift_repeats
    calm = [run(np.random.default_rng([1, k]), CALM["normal"], CALM["normal"]) for k in range(repeats)]
    for figures in (
        _false(calm, repeats),
        _other_laws(repeats),
        _as_written(calm),
        _power(calm, max(repeats // 4, 3)),
        _outside(),
        _cost(setting.sizes.drift_rows),
        _tables(setting),
    ):
        for figure in figures:
            bench.add(figure)
    bench.elapsed_s = time.monotonic() - began
    return bench


def _share(flags: list[bool]) -> float:
    return 100.0 * sum(flags) / len(flags)


def _false(calm: list[Run], repeats: int) -> Iterator[Figure]:
    for end in ENDS:
        looks = sum(look <= end for look in LOOKS)
        note = f"{repeats} streams like their reference of {REFERENCE:,} rows, {looks} looks, no least effect"
        yield Figure(f"false decisions to n = {end}", _share([each.decided_at <= end for each in calm]), "%", 100 * LEVEL,
                     aim_high=False, note=note)  # fmt: skip
    usual = DriftPolicy(level=LEVEL)
    wrong = [
        run(np.random.default_rng([2, k]), CALM["normal"], CALM["normal"], usual, rules=False).decided_at
        for k in range(repeats)
    ]
    note = "with the least effect and the least number of rows of the default policy"
    yield Figure("false decisions to n = 1000, default policy", _share([at <= ENDS[-1] for at in wrong]), "%", 100 * LEVEL,
                 aim_high=False, note=note)  # fmt: skip


def _other_laws(repeats: int) -> Iterator[Figure]:
    for law, draw in CALM.items():
        if law == "normal":
            continue
        wrong = [run(np.random.default_rng([3, k]), draw, draw, rules=False).decided_at for k in range(repeats)]
        yield Figure(f"false decisions to n = 1000, {law}", _share([at <= ENDS[-1] for at in wrong]), "%", 100 * LEVEL,
                     aim_high=False, note=f"{repeats} streams, {len(LOOKS)} looks, no least effect")  # fmt: skip


def _as_written(calm: list[Run]) -> Iterator[Figure]:
    rules: tuple[tuple[str, Callable[[Run, int], bool]], ...] = (
        ("PSI > 0.1 as written", lambda each, k: bool(each.psi[k] > 0.1)),
        ("PSI > 0.25 as written", lambda each, k: bool(each.psi[k] > 0.25)),
        ("KL > 0.1 as written", lambda each, k: bool(each.kl[k] > 0.1)),
        ("KS p < 0.05", lambda each, k: bool(each.ks[k] < LEVEL)),
    )
    for name, rule in rules:
        for end in ENDS:
            last = LOOKS.index(end)
            yield Figure(
                f"{name}, false at n = {end}", _share([rule(each, last) for each in calm]), "%", note="one look"
            )
        ever = _share([any(rule(each, k) for k in range(LOOKS.index(50), len(LOOKS))) for each in calm])
        note = f"looked at after every batch from 50 rows on, {len(LOOKS) - LOOKS.index(50)} looks"
        yield Figure(f"{name}, ever false to n = 1000", ever, "%", note=note)


def _power(calm: list[Run], repeats: int) -> Iterator[Figure]:
    """What is found by n; the rules get thresholds at which they were false in 5 %, or as often as ours, when calm."""
    psi_bar = np.quantile([each.psi for each in calm], 1 - LEVEL, axis=0)
    ks_bar = np.quantile([each.ks for each in calm], LEVEL, axis=0)
    own = sum(each.decided_at <= ENDS[-1] for each in calm) / len(calm)
    least = [each.ks.min() for each in calm]
    ks_ever, ks_own = float(np.quantile(least, LEVEL)), float(np.quantile(least, max(own, 1 / len(calm))))
    e_ever = float(np.quantile([each.log10_e.max() for each in calm], 1 - LEVEL))
    ways: tuple[tuple[str, str, Callable[[Run, int], bool]], ...] = (
        ("found by", f"{repeats} streams, every look, threshold of the level", lambda r, k: r.decided_at <= LOOKS[k]),
        ("KS as rarely false, found by", f"every look, its threshold fitted to our {100 * own:.2g} % over these 20 looks",
         lambda r, k: bool(r.ks[: k + 1].min() <= ks_own)),
        ("fitted, found by", f"ours at every look with {10**e_ever:.2g} : 1 for a threshold, fitted to 5 % over these 20 looks",
         lambda r, k: bool(r.log10_e[: k + 1].max() > e_ever)),
        ("KS, found by", "every look, its threshold fitted to 5 % false over these 20 looks",
         lambda r, k: bool(r.ks[: k + 1].min() < ks_ever)),
        ("KS, found at", "one look, its threshold fitted to 5 % false at this n", lambda r, k: bool(r.ks[k] < ks_bar[k])),
        ("PSI, found at", "one look, its threshold fitted to 5 % false at this n", lambda r, k: bool(r.psi[k] > psi_bar[k])),
    )  # fmt: skip
    for what, draw in MOVED.items():
        runs = [run(np.random.default_rng([4, k]), CALM["normal"], draw) for k in range(repeats)]
        for end in ENDS:
            k = LOOKS.index(end)
            for way, note, found in ways:
                yield Figure(f"{way} n = {end}, {what}", _share([found(each, k) for each in runs]), "%", note=note)


def _outside() -> Iterator[Figure]:
    rng = np.random.default_rng(5)
    values = rng.normal(size=REFERENCE)
    reference = FeatureReference.learn("x", values)
    away = np.full(50, 100.0)
    row = compare(reference, reference.sketch(away))
    kl = AsWritten(values).kl(away)
    yield Figure("all of 50 rows outside the range, evidence", row.log10_e, "log10", 2.0,
                 note=f"alarm: {row.alarm}; KL as written is {kl}, which is no alarm")  # fmt: skip
    half = np.where(np.arange(100) < 50, 100.0, rng.normal(size=100))
    row = compare(reference, reference.sketch(half))
    yield Figure("half of 100 rows outside the range, PSI", row.psi or 0.0, "PSI",
                 note=f"alarm: {row.alarm}; PSI as written {AsWritten(values).psi(half):.3g}")  # fmt: skip


def _cost(rows: int) -> Iterator[Figure]:
    rng = np.random.default_rng(6)
    values = {"numbers": rng.normal(size=rows), "categories": pa.array(rng.choice(["a", "b", "c", "d"], rows))}
    for what, column in values.items():
        reference = FeatureReference.learn("x", column)
        began, rounds = time.process_time(), 0
        while time.process_time() - began < 0.5:
            sketch = reference.sketch(column)
            rounds += 1
        rate = rounds * rows / (time.process_time() - began)
        yield Figure(f"counting {what}", rate, "rows/CPU-s", note=f"{rows:,} rows at once on the reference's cells")
        few = reference.sketch(column[: max(rows // 1000, 1)])
        note = f"of {few.rows:,} rows {few.nbytes:,} B, of {sketch.rows:,} rows the same"
        yield Figure(f"bytes of a sketch of {what}", float(sketch.nbytes), "B", note=note)
    began, rounds = time.process_time(), 0
    while time.process_time() - began < 0.5:
        compare(reference, sketch)
        rounds += 1
    yield Figure(
        "judging one feature", 1e3 * (time.process_time() - began) / rounds, "CPU-ms", note="of any number of rows"
    )


def tables(rows: int) -> tuple[pa.Table, pa.Table]:
    """Two tables of 15 numbers and 5 categories; in the second one number has moved by 0.3 sd."""
    rng = np.random.default_rng(7)

    def table(shift: float) -> pa.Table:
        columns: dict[str, AnyColumn] = {f"x{i}": rng.normal(shift if i == 3 else 0.0, 1.0, rows) for i in range(15)}
        columns |= {f"c{i}": rng.choice(list("abcdefgh"), rows) for i in range(5)}
        return pa.table(columns)

    return table(0.0), table(0.3)


def _tables(setting: Setting) -> Iterator[Figure]:
    rows = setting.sizes.drift_rows
    reference, current = tables(rows)
    began = time.process_time()
    names = reference.column_names
    learned = learn_table({name: reference[name] for name in names})
    found = compare_all(learned, {name: learned[name].sketch(current[name]) for name in names})
    own = time.process_time() - began
    moved = ", ".join(f"{row.name} (PSI {row.psi:.3f})" for row in found if row.alarm) or "none"
    sure = ", ".join(row.name for row in found if row.p_value < DriftPolicy().level / len(names)) or "none"
    note = (
        f"{rows:,} rows each side: learn, count, seven distances, decide; changed for sure: {sure}; by enough: {moved}"
    )
    yield Figure("20 columns compared", own, "CPU-s", note=note)
    if setting.peers:
        with tempfile.TemporaryDirectory() as where:
            paths = [written(Path(where), n, t) for n, t in (("reference", reference), ("current", current))]
            yield from beside(paths[0], paths[1], own)
