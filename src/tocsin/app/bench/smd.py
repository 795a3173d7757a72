"""The Server Machine Dataset: one entity a machine, 38 metrics, a row a minute, streamed with one configuration.

Rows come one at a time, the unlabelled half first; the labelled half is judged. What was chosen was chosen on the four
machines whose names have the smallest SHA-256; the other four are reported apart.
"""

from __future__ import annotations

import hashlib
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from tocsin.app.bench.figure import Bench, Figure, Setting
from tocsin.app.bench.series_metrics import alarm_f1, auc_pr, event_f1, vus_pr
from tocsin.calibrate.entity_level import EntityLevel
from tocsin.calibrate.hysteresis import Hysteresis, Verdict
from tocsin.engine.entity_scorer import EPISODE_MOST, MEMBERS, SECOND, WEEK_S, EntityScorer
from tocsin.model.arrays import F8, I8, Mask
from tocsin.model.errors import BadInput

STEP_S = 60.0
A_DAY = 1440.0
AIMS = {"VUS-PR": 0.64, "AUC-PR": 0.68, "event F1": 0.90, "alarm F1": 0.62}
OF_BEST = 95.0


@dataclass(frozen=True, slots=True, eq=False)
class Machine:
    """One machine: rows (n, signals), labels (n,), where the judged half begins, which signals were to blame."""

    name: str
    rows: F8
    labels: Mask
    begin: int
    blamed: list[tuple[int, int, frozenset[int]]]


@dataclass(slots=True)
class Outcome:
    """Figures of one machine by scorer: the ensemble and each member alone."""

    name: str
    by_scorer: dict[str, dict[str, float]]
    hits: int
    chance: float
    spans: int
    cpu_s: float
    rows: int


def measure(setting: Setting) -> Bench:
    """Every machine there is, or of small sizes the first with few rows.

    Raises
    ------
    BadInput
        No data sets were named, or the directory has no `smd/*.parquet`.
    """
    if setting.datasets is None:
        raise BadInput("bench smd needs real data: give --datasets DIR with DIR/smd/*.parquet")
    paths = sorted((setting.datasets / "smd").glob("*.parquet"))
    if not paths:
        raise BadInput(
            f"{setting.datasets}/smd: no *.parquet there; each is one machine with columns m00.., split, label"
        )
    bench = Bench("smd", load=os.getloadavg())
    began = time.monotonic()
    limit = setting.sizes.entity_rows
    outcomes = [judged(machine(path), limit) for path in (paths if limit == 0 else paths[:1])]
    for figure in _figures(outcomes):
        bench.add(figure)
    bench.elapsed_s = time.monotonic() - began
    return bench


def machine(path: Path) -> Machine:
    """Read one machine and, where it is given, which signals were to blame for each labelled span."""
    table = pq.read_table(path)
    names = [name for name in table.column_names if name[:1] == "m" and name[1:].isdigit()]
    rows = np.stack([table.column(name).to_numpy().astype(np.float64) for name in names], axis=1)
    begin = table.column("split").to_pylist().index("test")
    blamed = []
    told = path.parent / "interpretation" / f"{path.stem}.txt"
    for line in told.read_text().split() if told.exists() else []:
        where, _, which = line.partition(":")
        first, _, last = where.partition("-")
        blamed.append((int(first), int(last), frozenset(int(k) - 1 for k in which.split(","))))
    return Machine(path.stem, rows, table.column("label").to_numpy() > 0, begin, blamed)


def judged(given: Machine, limit: int = 0) -> Outcome:
    """Stream a machine; `limit` rows of each half only, 0: all."""
    rows, labels, begin = given.rows, given.labels, given.begin
    if limit:
        take = np.r_[max(begin - limit, 0) : begin + limit]
        rows, labels, begin = rows[take], labels[take], min(begin, limit)
    scorer = EntityScorer(rows.shape[1], STEP_S)
    names = ("ensemble", *(member.name for member in MEMBERS))
    score, log10_p = (np.full((len(names), len(rows)), np.nan) for _ in range(2))
    alarm, top = np.zeros(len(rows), bool), np.zeros(len(rows), np.int64)
    began = time.process_time()
    for t, row in enumerate(rows):
        verdict = scorer.fold(round(t * STEP_S * SECOND), row)
        score[0, t], log10_p[0, t], alarm[t] = verdict.score, verdict.log10_p, verdict.alarm
        top[t] = int(np.argmax(verdict.contributions))
        for k, name in enumerate(names[1:], 1):
            if name in verdict.members:
                score[k, t], log10_p[k, t] = verdict.members[name][:2]
    cpu_s = time.process_time() - began
    sys.stderr.write(f"  {given.name}: {len(rows):,} rows judged in {cpu_s:.0f} s of processor time\n")
    truth = labels[begin:]
    by_scorer = {}
    for k, name in enumerate(names):
        flagged = alarm if k == 0 else alone(log10_p[k])
        by_scorer[name] = _quality(truth, np.nan_to_num(score[k, begin:]), flagged[begin:])
    blamed = given.blamed if not limit else [b for b in given.blamed if b[1] < limit]
    hits, chance = _attributed(np.nan_to_num(score[0, begin:]), top[begin:], blamed, rows.shape[1])
    return Outcome(given.name, by_scorer, hits, chance, len(blamed), cpu_s, len(rows))


def alone(log10_p: F8) -> Mask:
    """Alarms of one member at the level and with the hysteresis of the ensemble."""
    level, held, row = EntityLevel(steps_per_week=WEEK_S / STEP_S), Hysteresis(), np.zeros(1, "i4")
    out, needed = np.zeros(log10_p.size, bool), 0.0
    step_ns = round(STEP_S * SECOND)
    for t, p in enumerate(log10_p):
        if t % 16 == 0:
            needed = level.level(7.0, EPISODE_MOST / 3.0)
        held.step(
            row, np.array([t * step_ns]), np.array([-p >= needed]), np.array([-p]),
            for_ns=2 * step_ns, clear_ns=15 * step_ns,
        )  # fmt: skip
        level.learn(-float(p))
        out[t] = held.verdicts(row)[0] == Verdict.OPEN
    return out


def _quality(truth: Mask, score: F8, flagged: Mask) -> dict[str, float]:
    seen = alarm_f1(truth, flagged)
    return {
        "VUS-PR": vus_pr(truth, score), "AUC-PR": auc_pr(truth, score), "event F1": event_f1(truth, score),
        "alarm F1": seen.f1, "alarm recall": seen.recall, "alarm precision": seen.precision,
        "false alarms a day": seen.false_alarms * A_DAY / len(truth), "time in alarm": 100.0 * float(flagged.mean()),
    }  # fmt: skip


def _attributed(score: F8, top: I8, blamed: list[tuple[int, int, frozenset[int]]], signals: int) -> tuple[int, float]:
    """Spans whose row of the largest score names a signal to blame first, and how many a guess would hit."""
    hits, chance = 0, 0.0
    for first, last, which in blamed:
        at = first + int(np.argmax(score[first : last + 1]))
        hits += int(top[at]) in which
        chance += len(which) / signals
    return hits, chance


def _mean(outcomes: list[Outcome], scorer: str, quantity: str) -> float:
    return float(np.nanmean([outcome.by_scorer[scorer][quantity] for outcome in outcomes]))


def _figures(outcomes: list[Outcome]) -> Iterator[Figure]:
    ranked = sorted(outcomes, key=lambda o: hashlib.sha256(o.name.encode()).hexdigest())
    half = len(ranked) // 2
    names = list(outcomes[0].by_scorer)
    for quantity, aim in AIMS.items():
        each = ", ".join(f"{o.name.removeprefix('machine-')} {o.by_scorer['ensemble'][quantity]:.2f}" for o in outcomes)
        yield Figure(f"{quantity}, mean of machines", _mean(outcomes, "ensemble", quantity), "of 1", aim, note=each)
        if half:
            told = ", ".join(o.name.removeprefix("machine-") for o in ranked[half:])
            yield Figure(
                f"{quantity}, machines not chosen on", _mean(ranked[half:], "ensemble", quantity), "of 1", note=told
            )
        alone = {name: _mean(outcomes, name, quantity) for name in names[1:]}
        best = max(alone, key=lambda name: alone[name])
        note = ", ".join(f"{name} {value:.3f}" for name, value in alone.items())
        if alone[best] > 0.0:
            share = 100.0 * _mean(outcomes, "ensemble", quantity) / alone[best]
            yield Figure(f"{quantity}, ensemble of its best member ({best})", share, "%", OF_BEST, note=note)
    for quantity, unit in (
        ("alarm recall", ""),
        ("alarm precision", ""),
        ("false alarms a day", "/d"),
        ("time in alarm", "%"),
    ):
        each = ", ".join(f"{o.name.removeprefix('machine-')} {o.by_scorer['ensemble'][quantity]:.2g}" for o in outcomes)
        yield Figure(quantity, _mean(outcomes, "ensemble", quantity), unit, note=each)
    total = sum(o.spans for o in outcomes)
    if total:
        guess = 100.0 * sum(o.chance for o in outcomes) / total
        note = f"{total} labelled spans, at the row of the largest score; a guess would hit {guess:.0f} %"
        yield Figure(
            "first contribution is a signal to blame", 100.0 * sum(o.hits for o in outcomes) / total, "%", note=note
        )
    cpu, rows = sum(o.cpu_s for o in outcomes), sum(o.rows for o in outcomes)
    yield Figure(
        "processor time a row", 1e6 * cpu / rows, "us", note=f"{rows:,} rows of 38 signals, all members, one core"
    )
