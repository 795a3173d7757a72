"""Residuals over a graph: what a node shows beyond what its neighbours explain, so that a victim is no culprit."""

from __future__ import annotations

import math
from typing import ClassVar, Final

import numpy as np

from tocsin.detect.array import column
from tocsin.detect.baseline import Baseline
from tocsin.model.arrays import F8, I4
from tocsin.model.detection import Step
from tocsin.stats.jit import njit
from tocsin.stats.products import factor, solve

MOST_NEIGHBOURS: Final = 8
"""Neighbours that a row keeps apart; who has more lets the rest share the last column."""
CLIP: Final = 3.0
"""Deviations beyond which a value teaches no more, and neighbours explain by structure instead of by experience."""
PRIOR_STEPS: Final = 30.0
"""Steps of experience that the gain of the structure is worth."""
RIDGE: Final = 0.01
MOST_GAIN: Final = 1.5
LEAST_OWN: Final = 0.05
"""Of the usual value: no less is left to a row, however much its neighbours explain."""
WARM: Final = 8.0
EDGE: Final = 3.0
"""Score at the edge of the ordinary,"""
WITHIN: Final = math.nextafter(EDGE, 0.0)
"""and the largest that is still within."""


class Graph(Baseline):
    """Score = distance of the residual to its own baseline, in robust sds (>= 0), given `Step.beside`.

    Value and neighbours are taken as deviations from means that forget exponentially. Within `CLIP` of its sds a
    neighbour explains what it used to go with: gains by least squares with forgetting, of bounded influence, shrunk
    to 1, which is what the structure says - who waits for a callee takes as much longer as the callee does. Beyond
    that there is no experience, and the structure alone speaks: at least all of a neighbour's excess is explained.
    What is left, the residual, is judged by the robust seasonal baseline, the length of states apart. Without neighbours
    that is all there is.

    Parameters: `memory` in steps, after which what was learned of neighbours has faded to 1/e; the rest as `baseline`.

    References: L. Ljung, System Identification, 2nd ed. 1999, chapter 11 (least squares with forgetting);
    P. J. Huber, Robust Statistics, 1981, chapter 7 (regression of bounded influence); A. E. Hoerl and R. W. Kennard,
    Ridge Regression, Technometrics 1970 (shrinking); the judgement of a node given its neighbours as in X. Song et al.,
    Conditional Anomaly Detection, IEEE TKDE 2007.

    >>> def step(k, own, callee):
    ...     beside = np.array([[callee] + [math.nan] * 7])
    ...     return Step(np.zeros(1, "i4"), np.array([k * 30 * 10**9]), np.array([own + callee]), None, beside)
    >>> d, wave = Graph(), [1.0 + 0.1 * math.sin(k) for k in range(200)]
    >>> for k, x in enumerate(wave):
    ...     d.learn(step(k, 0.5 + 0.01 * math.cos(3 * k), x), np.ones(1))
    >>> victim, culprit = (float(d.score(step(200, *said)).value[0]) for said in ((0.5, 9.0), (8.5, 1.0)))
    >>> victim < 3, culprit > 50
    (True, True)
    """

    name: ClassVar[str] = "graph"
    weight: F8 = column(0.0)
    centre: F8 = column(0.0, shape=(1 + MOST_NEIGHBOURS,))  # of the value, of the neighbours
    square: F8 = column(0.0, shape=(MOST_NEIGHBOURS,))  # of bounded deviations of neighbours
    spread: F8 = column(0.0)  # of the bounded deviation of the value that gains leave
    heard: F8 = column(0.0, shape=(MOST_NEIGHBOURS,))  # steps in which a neighbour said anything, at most `memory`
    products: F8 = column(0.0, shape=(MOST_NEIGHBOURS, MOST_NEIGHBOURS))
    crossed: F8 = column(0.0, shape=(MOST_NEIGHBOURS,))
    gains: F8 = column(1.0, shape=(MOST_NEIGHBOURS,))

    def __init__(
        self,
        *,
        memory: float = 720,
        season: str = "auto",
        warmup: float = 15,
        floor: float = 0.0,
        floor_ratio: float = 0.001,
    ) -> None:
        super().__init__(season=season, warmup=warmup, floor=floor, floor_ratio=floor_ratio)
        if not memory >= PRIOR_STEPS:
            raise ValueError(f"graph: memory must be at least {PRIOR_STEPS:g} steps, got {memory}")
        self.memory = float(memory)

    def parts(self, step: Step) -> F8:
        """How much of each value beyond the usual its neighbours explain, in the row's unit, (n, k); pure."""
        inside, beyond = self._parts(self._plain(step))
        return inside + beyond

    def usual(self, step: Step) -> F8:
        """What each row usually shows, (n,), whatever its neighbours say; NaN where nothing was learned."""
        step = self._plain(step)
        return np.where(self.weight[step.rows] > 0, self.centre[step.rows, 0], np.nan)

    def _parts(self, step: Step) -> tuple[F8, F8]:
        inside, beyond = np.zeros((2, len(step), MOST_NEIGHBOURS))
        if step.beside is not None:
            explained(step.rows, step.beside, self.centre, self.square, self.gains, inside, beyond)
        return inside, beyond

    def _own(self, step: Step) -> Step:
        """The residuals; structure explains an excess, and makes no lack of what is as usual."""
        if step.beside is None:
            return step
        inside, beyond = (each.sum(axis=1) for each in self._parts(step))
        usual = self.centre[step.rows, 0]
        left = step.value - inside
        left -= np.minimum(beyond, np.maximum(left - usual, 0.0))
        least = np.minimum(LEAST_OWN * usual, step.value)
        return Step(step.rows, step.time, np.where(inside > 0, np.maximum(left, least), left), step.season)

    def _score(self, step: Step) -> F8:
        own = self._own(step)
        found = super()._score(own)
        # that a node stays as it is for long is no news: only what lies out of its band is
        lower, _, upper = super()._band(own, np.full(len(own), EDGE))
        usual = (own.value >= lower) & (own.value <= upper)
        return np.where(usual, np.minimum(found, WITHIN), found)

    def _band(self, step: Step, width: F8) -> tuple[F8, F8, F8]:
        lower, centre, upper = super()._band(step, width)
        if step.beside is not None:
            inside, beyond = (each.sum(axis=1) for each in self._parts(step))
            lower, centre, upper = lower + inside, centre + inside + beyond, upper + inside + beyond
        return lower, centre, upper

    def _learn(self, step: Step, weight: F8) -> None:
        own = self._own(step)
        if step.beside is not None:
            learn_neighbours(
                step.rows, step.value, step.beside, weight, self.memory, self.weight, self.centre, self.square,
                self.spread, self.heard, self.products, self.crossed, self.gains,
            )  # fmt: skip
        super()._learn(own, weight)


@njit("void(i4[::1],f8[:,::1],f8[:,::1],f8[:,::1],f8[:,::1],f8[:,::1],f8[:,::1])")
def explained(
    rows: I4, beside: F8, centre: F8, square: F8, gains: F8, inside: F8, beyond: F8,
) -> None:  # fmt: skip
    """Parts of each row that its neighbours explain: by experience within `CLIP` sds, by structure beyond."""
    for i in range(rows.size):
        r = rows[i]
        for j in range(min(beside.shape[1], MOST_NEIGHBOURS)):
            if not math.isfinite(beside[i, j]):
                continue
            away = beside[i, j] - centre[r, 1 + j]
            reach = CLIP * math.sqrt(square[r, j])
            within = min(max(away, -reach), reach)
            inside[i, j] = gains[r, j] * within
            beyond[i, j] = max(gains[r, j], 1.0) * max(away - within, 0.0)


@njit(
    "void(i4[::1],f8[::1],f8[:,::1],f8[::1],f8,f8[::1],f8[:,::1],f8[:,::1],f8[::1],f8[:,::1],f8[:,:,::1],"
    "f8[:,::1],f8[:,::1])"
)
def learn_neighbours(  # noqa: PLR0917 - a kernel takes its columns
    rows: I4, value: F8, beside: F8, given: F8, memory: float, weight: F8, centre: F8, square: F8, spread: F8,
    heard: F8, products: F8, crossed: F8, gains: F8,
) -> None:  # fmt: skip
    """Take values and neighbours into means, products and gains, each deviation within its own `CLIP` sds."""
    away = np.zeros(MOST_NEIGHBOURS)
    for i in range(rows.size):
        r = rows[i]
        before = weight[r]
        weight[r] = before * (1.0 - given[i] / memory) + given[i]
        told = _hear(beside[i], given[i], memory, before, centre[r], square[r], heard[r], away, gains[r])
        if before <= 0.0:
            centre[r, 0] = value[i]
            continue
        left = _within(value[i] - centre[r, 0] - told, spread[r], before)
        rate = given[i] / weight[r]
        spread[r] += rate * (left * left - spread[r])
        centre[r, 0] += rate * (told + left)
        for j in range(MOST_NEIGHBOURS):
            crossed[r, j] += rate * (away[j] * (told + left) - crossed[r, j])
            for m in range(MOST_NEIGHBOURS):
                products[r, j, m] += rate * (away[j] * away[m] - products[r, j, m])
        _fit(products[r], crossed[r], weight[r], gains[r])


@njit(inline=True)
def _hear(  # noqa: PLR0917 - a kernel takes its columns
    beside: F8, given: float, memory: float, before: float, centre: F8, square: F8, heard: F8, away: F8, gains: F8,
) -> float:  # fmt: skip
    """Take what neighbours of a row said into their means; gives what they explain, and how far each is `away`."""
    told = 0.0
    for j in range(MOST_NEIGHBOURS):
        away[j] = 0.0
        if not (j < beside.size and math.isfinite(beside[j])):
            continue
        if heard[j] <= 0.0:
            # who comes late was as good as 0 so far: what it brings is explained until the baseline has followed
            heard[j] = before
            if before <= WARM:
                centre[1 + j] = beside[j]
        away[j] = _within(beside[j] - centre[1 + j], square[j], heard[j])
        heard[j] = heard[j] * (1.0 - given / memory) + given
        square[j] += given / heard[j] * (away[j] * away[j] - square[j])
        centre[1 + j] += given / heard[j] * away[j]
        told += gains[j] * away[j]
    return told


@njit(inline=True)
def _within(gap: float, square: float, seen: float) -> float:
    """A deviation as it is learned, once the sd is known."""
    most = CLIP * math.sqrt(square) if seen > WARM and square > 0.0 else math.inf
    return min(max(gap, -most), most)


@njit(inline=True)
def _fit(products: F8, crossed: F8, weight: float, gains: F8) -> None:
    """Gains by ridge regression towards 1, on neighbours in units of their own sds; those that never move keep 1."""
    k = MOST_NEIGHBOURS
    pull = RIDGE + PRIOR_STEPS / (PRIOR_STEPS + weight)
    lower = np.zeros((k, k))
    right = np.zeros(k)
    for j in range(k):
        a = products[j, j]
        if a <= 0.0:
            lower[j, j] = 1.0
            right[j] = 0.0
            continue
        right[j] = crossed[j] / math.sqrt(a) + pull * math.sqrt(a)
        for m in range(k):
            if products[m, m] > 0.0:
                lower[j, m] = products[j, m] / math.sqrt(a * products[m, m])
        lower[j, j] = 1.0 + pull
    factor(lower)
    solve(lower, right)
    for j in range(k):
        if products[j, j] > 0.0:
            gains[j] = min(max(right[j] / math.sqrt(products[j, j]), 0.0), MOST_GAIN)
        else:
            gains[j] = 1.0
