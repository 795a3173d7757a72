"""Judges of blocks: every number alone, or all numbers of an entity together."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np

from tocsin.app.score.layout import Block
from tocsin.detect.onnx_model import OnnxModel
from tocsin.engine.entity_scorer import EntityScorer, EntityVerdict
from tocsin.engine.model_scorer import ModelScorer
from tocsin.engine.series_scorer import DEEPEST, SeriesScorer, Verdicts
from tocsin.model.arrays import F8, I4, I8, Mask
from tocsin.model.detection import Step

FIRST_ROWS: Final = 11
"""Rows of an entity from whose distances the length of its step is taken; nobody is warm before."""


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """Verdicts on the rows of a block: score, p and alarm (n,), `more` by column name (n,)."""

    score: F8
    p_value: F8
    alarm: Mask
    more: dict[str, F8]


class Judge(Protocol):
    """Judges blocks in order, each row by what came before it."""

    def judge(self, block: Block) -> Judged:
        """Verdicts on a block's rows, in their order."""


def turns(group: I4) -> Iterator[I8]:
    """Rows of a block, (m,) each, by their turn: the first of every group, then every second, and so on.

    >>> [rows.tolist() for rows in turns(np.array([0, 0, 1, 0], "i4"))]
    [[0, 2], [1], [3]]
    """
    order = np.argsort(group, kind="stable")
    starts = np.flatnonzero(np.diff(group[order], prepend=-1))
    sizes = np.diff(np.append(starts, len(order)))
    turn = np.arange(len(order)) - np.repeat(starts, sizes)
    by_turn = np.argsort(turn, kind="stable")
    cuts = np.flatnonzero(np.diff(turn[by_turn])) + 1
    for rows in np.split(order[by_turn], cuts):
        yield np.sort(rows)


class Alone:
    """Every signal of every group by itself; of several signals a row has the worst, counted as so many tries."""

    def __init__(self, signals: tuple[str, ...], model: OnnxModel | None = None) -> None:
        self.signals = signals
        self.scorer: SeriesScorer | ModelScorer = SeriesScorer() if model is None else ModelScorer(model)
        self._last: I8 = np.full(0, np.iinfo("i8").min, "i8")

    def judge(self, block: Block) -> Judged:
        """Verdicts on a block's rows, in their order."""
        n, k = block.value.shape
        found = Verdicts(*(np.zeros((n, k), kind) for kind in ("f8", "f8", "?", "f8", "f8")))
        for rows in turns(block.group):
            step = self._step(block, rows)
            got = self.scorer.fold(step)
            shape = (len(rows), k)
            found.score[rows] = got.score.reshape(shape)
            found.log10_p[rows] = got.log10_p.reshape(shape)
            found.alarm[rows] = got.alarm.reshape(shape)
            found.lower[rows] = got.lower.reshape(shape)
            found.upper[rows] = got.upper.reshape(shape)
        return self._told(found)

    def _step(self, block: Block, rows: I8) -> Step:
        k = len(self.signals)
        group = block.group[rows]
        need = int(group.max()) + 1
        if need > len(self._last):
            self._last = np.append(self._last, np.full(need - len(self._last), np.iinfo("i8").min))
        # a clock that was set back stands still until it has caught up
        time = np.maximum(block.time[rows], self._last[group])
        self._last[group] = time
        lanes = (group[:, None] * k + np.arange(k)).ravel().astype("i4")
        return Step(lanes, np.repeat(time, k), block.value[rows].ravel())

    def _told(self, found: Verdicts) -> Judged:
        k = len(self.signals)
        p = np.minimum(10.0 ** found.log10_p.min(axis=1) * k, 1.0)
        if k == 1:
            more = {"lower": found.lower[:, 0], "upper": found.upper[:, 0]}
        else:
            more = {f"contribution_{name}": found.score[:, j] for j, name in enumerate(self.signals)}
        return Judged(found.score.max(axis=1), p, np.asarray(found.alarm.any(axis=1), "?"), more)


class Together:
    """All signals of a group as one entity; of a `model` they are the features, in its order."""

    def __init__(self, signals: tuple[str, ...], model: OnnxModel | None = None) -> None:
        self.signals, self.model = signals, model
        self._entities: dict[int, _Entity] = {}

    def judge(self, block: Block) -> Judged:
        """Verdicts on a block's rows, in their order."""
        n, k = block.value.shape
        score, p_value, alarm, parts = np.zeros(n), np.ones(n), np.zeros(n, "?"), np.zeros((n, k))
        for row, group in enumerate(block.group.tolist()):
            if group not in self._entities:
                self._entities[group] = _Entity(k, self.model)
            got = self._entities[group].fold(int(block.time[row]), block.value[row])
            if got is None or math.isnan(got.score):
                continue
            score[row], alarm[row], parts[row] = got.score, got.alarm, got.contributions
            p_value[row] = 1.0 if math.isnan(got.log10_p) else 10.0 ** max(got.log10_p, DEEPEST)
        more = {f"contribution_{name}": parts[:, j] for j, name in enumerate(self.signals)}
        return Judged(score, p_value, alarm, more)


class _Entity:
    """An entity whose step is found from its first rows, which wait until then."""

    def __init__(self, signals: int, model: OnnxModel | None) -> None:
        self._signals, self._model = signals, model
        self._waiting: list[tuple[int, F8]] = []
        self._scorer: EntityScorer | None = None
        self._last = np.iinfo("i8").min

    def fold(self, time_ns: int, values: F8) -> EntityVerdict | None:
        # a clock that was set back stands still until it has caught up
        self._last = max(time_ns, self._last + 1)
        if self._scorer is not None:
            return self._scorer.fold(self._last, values)
        self._waiting.append((self._last, values))
        if len(self._waiting) == FIRST_ROWS:
            steps = np.diff([time for time, _ in self._waiting])
            step_s = max(float(np.median(steps)) / 1e9, 1e-3)
            self._scorer = EntityScorer(self._signals, step_s, model=self._model)
            for time, waiting in self._waiting:
                self._scorer.fold(time, waiting)
            self._waiting.clear()
        return None
