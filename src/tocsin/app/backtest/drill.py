"""Fire drills: anomalies planted into shadow copies of stored series; how many are found, and after how long."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final, Literal, TypeAlias, get_args

import numpy as np

from tocsin.app.backtest.fold import Changed, Run, fold, opened
from tocsin.app.backtest.history import History, Rows
from tocsin.app.backtest.judging import levels, run_of
from tocsin.app.backtest.work import Work
from tocsin.engine.labels import Labels
from tocsin.model.arrays import F8
from tocsin.model.clock import SECOND
from tocsin.model.codec import Json, labels_text
from tocsin.spec.config import Config
from tocsin.spec.packs import load_packs

Shape: TypeAlias = Literal["spike", "shift", "drop", "ramp"]
SHAPES: Final[tuple[Shape, ...]] = get_args(Shape)
LASTS_NS: Final = 600 * SECOND
GRACE_NS: Final = 300 * SECOND
"""A finding that opens so soon after a planted anomaly ended is still of it."""
LEAST_ROWS: Final = 60


@dataclass(frozen=True, slots=True)
class Planted:
    """One anomaly: `size` robust spreads of its series, from `start` on for `LASTS_NS`."""

    series: int
    shape: Shape
    size: float
    start: int

    def lies_in(self, rows: Rows) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        """Which rows it changes, (n,)."""
        mine: np.ndarray[tuple[int], np.dtype[np.bool_]] = (
            (rows.series == self.series) & (rows.time > self.start) & (rows.time <= self.start + LASTS_NS)
        )
        return mine


def drill(directory: Path, *, per_monitor: int, size: float, seed: int) -> Json:
    """Plant anomalies into the parts of a history, one at a time in each series, and see what is found.

    `size` is in robust spreads (1.4826 times the median distance from the median) of the series itself.
    """
    work, history = Work.read(directory), History.opened(directory)
    config = Config.model_validate(work.after.config)
    spec = config.engine_spec(load_packs())
    pins = levels(work.pins, work.windows_per_week, spec, 0.0)
    rng = np.random.default_rng(seed)
    found = []
    for part in work.parts:
        run = run_of(part, spec, pins, Labels.restored(work.after.asks))
        if run is not None:
            found += _drilled(history, run, part.monitor, work.since, (per_monitor, size), rng)
    return summary(found, size, seed)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one planted anomaly; `delay_s` None: it was not found."""

    monitor: str
    labels: str
    shape: Shape
    start: int
    delay_s: float | None


def _drilled(
    history: History, run: Run, monitor: str, since: int, wanted: tuple[int, float], rng: np.random.Generator
) -> list[Outcome]:
    known: dict[int, list[F8]] = {}
    for rows in history.parts(run.part):
        for number in np.unique(rows.series).tolist():
            known.setdefault(number, []).append(rows.value[rows.series == number])
    values = {number: np.concatenate(some) for number, some in known.items()}
    fit = sorted(
        number for number, some in values.items() if np.isfinite(some).sum() >= LEAST_ROWS and np.ptp(some) > 0
    )
    chosen = rng.permutation(fit)[: wanted[0]].tolist() if fit else []
    last = history.stretch.end - LASTS_NS - GRACE_NS
    if last <= since:
        return []
    planted = [
        Planted(number, SHAPES[i % len(SHAPES)], wanted[1], int(rng.integers(since, last)))
        for i, number in enumerate(chosen)
    ]
    news = fold(history, run, _planter(planted, values))
    firsts = [(received, each) for received, each in opened(news).values()]
    outcomes = []
    for each in planted:
        series = history.series[each.series]
        times = [
            received
            for received, finding in firsts
            if finding.series.id == series.id and each.start <= received <= each.start + LASTS_NS + GRACE_NS
        ]
        delay = (min(times) - each.start) / SECOND if times else None
        outcomes.append(Outcome(monitor, labels_text(series.labels), each.shape, each.start, delay))
    return outcomes


def _planter(planted: Sequence[Planted], values: dict[int, F8]) -> Changed:
    spread = {each.series: _spread(values[each.series]) for each in planted}
    middle = {each.series: float(np.nanmedian(values[each.series])) for each in planted}

    def changed(rows: Rows) -> Rows:
        value = rows.value.copy()
        for each in planted:
            mine = each.lies_in(rows)
            if not mine.any():
                continue
            size = each.size * spread[each.series]
            since = (rows.time[mine] - each.start) / LASTS_NS
            if each.shape == "spike":
                value[mine] += np.where(since <= 0.2, size, 0.0)
            elif each.shape == "shift":
                value[mine] += size
            elif each.shape == "ramp":
                value[mine] += size * since
            else:
                value[mine] = min(0.0, middle[each.series] - size)
        return Rows(rows.time, rows.series, value, rows.start)

    return changed


def _spread(values: F8) -> float:
    finite = values[np.isfinite(values)]
    robust = 1.4826 * float(np.median(np.abs(finite - np.median(finite))))
    return robust or float(finite.std())


def summary(found: Sequence[Outcome], size: float, seed: int) -> Json:
    """Recall and delay, of all and by shape and monitor."""

    def told(some: Sequence[Outcome]) -> Json:
        delays = sorted(each.delay_s for each in some if each.delay_s is not None)
        return {
            "planted": len(some),
            "found": len(delays),
            "recall": len(delays) / len(some) if some else None,
            "delay_s": {"median": median(delays), "most": delays[-1]} if delays else None,
        }

    return {
        **told(found),
        "size": size,
        "seed": seed,
        "by_shape": {shape: told([each for each in found if each.shape == shape]) for shape in SHAPES},
        "by_monitor": {
            name: told([each for each in found if each.monitor == name]) for name in sorted({e.monitor for e in found})
        },
        "missed": [
            {"monitor": each.monitor, "series": each.labels, "shape": each.shape}
            for each in found
            if each.delay_s is None
        ],
    }
