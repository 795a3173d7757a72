"""Whether the alert budget holds where nothing happens, and what is found all the same.

Stationary series of seven families, one score a minute, go through tier 1, calibration, levels and hysteresis as in
the engine. Three budgets run side by side over one detector; what it learns follows the verdicts of the middle one.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass

import numpy as np

from tocsin.app.bench.figure import Bench, Figure, Setting
from tocsin.app.bench.stationary import STEPS_A_DAY, STEPS_A_WEEK, families
from tocsin.calibrate.budget import Counted, Episodes
from tocsin.calibrate.calibrator import Calibrator
from tocsin.calibrate.hysteresis import Hysteresis, Move
from tocsin.calibrate.quarantine import Quarantine
from tocsin.detect.baseline import Baseline
from tocsin.model.arrays import F8, I8
from tocsin.model.detection import Step
from tocsin.stats.jit import compile_all

SECOND = 1_000_000_000
STEP_NS = 60 * SECOND
CLEAR_NS = 60 * SECOND
ORIGIN_NS = 20_381 * 86_400 * SECOND  # a Monday
BUDGETS = (1.0, 3.0, 10.0)
LEADING = 1
LEAST_SCORE = 3.0
BLOCK = 350
"""Series of a family that are streamed together: their state stays in the processor's cache."""


class Lot:
    """Some series of each family on their way through the stages."""

    def __init__(self, each: int, seed: int) -> None:
        self.families = families(each, seed)
        self.each = each
        self.rows = np.arange(each * len(self.families), dtype="i4")
        self.detector, self.calibrator, self.quarantine = Baseline(), Calibrator(), Quarantine()
        self.episodes = Episodes()
        self.held = [Hysteresis() for _ in BUDGETS]

    def push(self, at: int, values: F8, levels: F8) -> I8:
        """Judge one step with the levels of each budget, (budgets, families); openings, (budgets, kinds)."""
        step = Step(self.rows, np.full(len(values), ORIGIN_NS + at * STEP_NS), values)
        scores = self.detector.score(step).value
        log10_p, _ = self.calibrator.log10_p(self.rows, scores)
        strange = np.where(scores < LEAST_SCORE, 0.0, log10_p)
        family = self.calibrator.family(self.rows)
        self.episodes.fold(self.rows, step.time, strange, family, gap_ns=CLEAR_NS)
        known = np.where(np.isfinite(log10_p), scores, np.nan)
        opened = np.zeros((len(BUDGETS), len(self.families)), "i8")
        for b, held in enumerate(self.held):
            moves = held.step(self.rows, step.time, strange <= levels[b][family], known, clear_ns=CLEAR_NS)
            rows = moves.at[moves.move == Move.OPENED]
            opened[b] = np.bincount(rows // self.each, minlength=len(self.families))
        self.calibrator.learn(self.rows, scores)
        for calm in self.quarantine.fold(step, self.held[LEADING].verdicts(self.rows)):
            self.detector.learn(calm, np.ones(len(calm)))
        self.calibrator.follow(self.detector)
        return opened


@dataclass(slots=True)
class Outcome:
    """What came of a run: openings by (week, budget, family), shares of spikes found by (budget, family)."""

    names: list[str]
    well_behaved: list[bool]
    opened: I8
    found: F8
    levels: F8
    cpu_s: float
    points: int

    def a_week(self, budget: int, *, first: bool) -> float:
        """Mean episodes a week of a budget, of the first week or of all later ones."""
        weeks = self.opened[:1] if first else self.opened[1:]
        return float(weeks[:, budget].sum(axis=1).mean()) if len(weeks) else float("nan")


def simulate(series: int, weeks: int, seed: int = 1) -> Outcome:
    """Stream about `series` series for some weeks, at least two, then spike them all."""
    began = time.process_time()
    each = max(series // 7, 1)
    sizes = [min(BLOCK, each - start) for start in range(0, each, BLOCK)]
    lots = [Lot(n, seed * 1000 + k) for k, n in enumerate(sizes)]
    kinds = lots[0].families
    names, well_behaved = [kind.name for kind in kinds], [kind.well_behaved for kind in kinds]
    n = each * len(names)
    counted, opened = Counted(), np.zeros((weeks, len(BUDGETS), len(names)), "i8")
    levels = np.zeros((len(BUDGETS), 0))
    for day in range(weeks * 7):
        if day:
            counted.fade(1 / 7)
        levels = np.array([counted.levels(budget / (n * STEPS_A_WEEK)) for budget in BUDGETS])
        for lot in lots:
            life = np.concatenate([family.day(day) for family in lot.families], axis=1)
            for i in range(STEPS_A_DAY):
                opened[day // 7] += lot.push(day * STEPS_A_DAY + i, life[i], levels)
            counted.add(*lot.episodes.drain())
    found = sum((_spiked(lot, weeks * 7, levels) for lot in lots), np.zeros((len(BUDGETS), len(names))))
    points = n * weeks * STEPS_A_WEEK
    return Outcome(names, well_behaved, opened, found / each, levels, time.process_time() - began, points)


def _spiked(lot: Lot, day: int, levels: F8) -> I8:
    """Of a lot whose next three points are moved by 8 robust sds, how many have a new finding, (budgets, kinds)."""
    life = np.concatenate([family.spiked(family.day(day)[:3]) for family in lot.families], axis=1)
    before = [held.verdicts(lot.rows) for held in lot.held]
    hit = np.zeros((len(BUDGETS), len(lot.rows)), bool)
    for i, values in enumerate(life):
        lot.push(day * STEPS_A_DAY + i, values, levels)
        for b, held in enumerate(lot.held):
            hit[b] |= held.verdicts(lot.rows) > before[b]
    found: I8 = hit.reshape(len(BUDGETS), len(lot.families), lot.each).sum(axis=2)
    return found


def measure(setting: Setting) -> Bench:
    """Episodes a week beside the budgets, spikes found, and the time it took."""
    bench = Bench("calibration", load=os.getloadavg())
    began = time.monotonic()
    compile_all()
    series, weeks = setting.sizes.stationary_series, setting.sizes.stationary_weeks
    got = simulate(series, weeks)
    how = f"{got.points:,} points: {series:,} series of {len(got.names)} families, {weeks} weeks"
    for b, budget in enumerate(BUDGETS):
        first, later = got.opened[0, b], got.opened[1:, b].mean(axis=0)
        name = f"false episodes a week, budget {budget:g}"
        note = f"{how}; {_named(got.names, later)}"
        bench.add(Figure(name, got.a_week(b, first=False), "episodes", budget, aim_high=False, note=note))
        bench.add(Figure(f"{name}, first week", float(first.sum()), "episodes", note=_named(got.names, first)))
        for k, family in enumerate(got.names):
            aim = 95.0 if got.well_behaved[k] else None
            name = f"spikes found, budget {budget:g}, {family}"
            bench.add(Figure(name, 100 * float(got.found[b, k]), "%", aim, note="8 robust sds, three points"))
    bench.add(Figure("CPU time of a million scores", 1e6 * got.cpu_s / got.points, "s", note="drawing included"))
    bench.elapsed_s = time.monotonic() - began
    return bench


def _named(names: list[str], counts: F8 | I8) -> str:
    return ", ".join(f"{name} {count:.2g}" for name, count in zip(names, counts.tolist(), strict=True))
