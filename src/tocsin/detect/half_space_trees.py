"""Half-space trees: how much of the recent past lies where the shingle lies."""

from __future__ import annotations

import math
from typing import ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from tocsin.detect.array import column
from tocsin.detect.shingled import Shingled
from tocsin.model.arrays import F8, I4
from tocsin.model.detection import Step
from tocsin.stats.jit import njit
from tocsin.stats.moments import robust_moments
from tocsin.stats.rings import unroll
from tocsin.stats.scale import honest_sd

U2 = NDArray[np.uint16]
SPAN: Final = 12.0
"""Sds of the series that make the unit of a coordinate; its middle is the mean."""
FIRST: Final = 30
"""Shingles after which the first masses are taken over."""
FEW: Final = 0.1
"""Share of the window below which a node's mass is no more divided."""
MEMORY: Final = 1000.0
_WRAP: Final = (1 << 64) - 1


class HalfSpaceTrees(Shingled):
    """Score = how much thinner the last window of shingles lies around the newest than it usually does.

    Each tree halves the space along random coordinates; the mass of a node is how many shingles of the last
    window fell into it. All series share the trees, which follow from the parameters alone.

    Parameters: `window` in steps, values of a shingle; `trees`; `depth`; `past` in steps, shingles of which the
    mass is taken, at most 60,000; `warmup` in steps.

    Reference: S. C. Tan, K. M. Ting and F. T. Liu, Fast Anomaly Detection for Streaming Data, IJCAI 2011.

    >>> from tocsin.model.detection import Step
    >>> d = HalfSpaceTrees(window=2)
    >>> for k in range(200):
    ...     v = float(k * 7 % 10) if k < 199 else 30.0
    ...     s = Step(np.zeros(1, "i4"), np.zeros(1, "i8"), np.array([v]))
    ...     z = float(d.score(s).value[0])
    ...     d.learn(s, np.ones(1))
    >>> z > 3
    True
    """

    name: ClassVar[str] = "half_space_trees"
    least_unit: ClassVar[float] = 1e-3
    mean: F8 = column(0.0)
    var: F8 = column(0.0)
    mass: U2 = column(0, "u2", (1, 1))
    coming: U2 = column(0, "u2", (1, 1))
    taken: F8 = column(0.0)  # shingles in `mass`
    filled: F8 = column(0.0)  # shingles in `coming`

    def __init__(
        self, *, window: float = 4, trees: float = 16, depth: float = 6, past: float = 250, warmup: float = 50
    ) -> None:
        size, many, deep = int(window), int(trees), int(depth)
        if not (size >= 1 and many >= 1 and 1 <= deep <= 12 and FIRST <= past <= 60_000):
            raise ValueError(
                f"half_space_trees: window and trees must be at least 1, depth in 1 to 12 and past in {FIRST} to "
                f"60,000, got {size}, {many}, {deep} and {past:g}"
            )
        nodes = (many, 2 ** (deep + 1) - 1)
        super().__init__(kept=max(size - 1, 1), warmup=warmup, least=size + 8 + FIRST, mass=nodes, coming=nodes)
        self.window, self.past = size, float(past)
        self._sides, self._places = grow(size, many, deep)

    def _raw(self, rows: I4, value: F8) -> F8:
        out = np.full(rows.size, np.nan)
        _thinness(
            rows, value, self.window, self.ring, self.mean, self.var, self.mass, self.taken, self.seen, self._sides,
            self._places, out,
        )  # fmt: skip
        return out

    def _train(self, step: Step, weight: F8) -> None:
        _train(
            step.rows, step.value, weight, self.window, self.ring, self.mean, self.var, self.mass, self.coming,
            self.taken, self.filled, self.seen, self._sides, self._places, self.past,
        )  # fmt: skip


def grow(window: int, trees: int, depth: int) -> tuple[I4, F8]:
    """Coordinate and place of each inner node's cut, (trees, 2**depth - 1)."""
    inner = 2**depth - 1
    sides, places = np.zeros((trees, inner), "i4"), np.zeros((trees, inner))
    state = window * 1_000_003 + trees * 10_007 + depth
    for tree in range(trees):
        low, high = np.zeros((2 * inner + 1, window)), np.zeros((2 * inner + 1, window))
        for j in range(window):
            state, chance = _draw(state)
            reach = 2.0 * max(chance, 1.0 - chance)
            low[0, j], high[0, j] = chance - reach, chance + reach
        for node in range(inner):
            state, chance = _draw(state)
            side = int(chance * window)
            place = 0.5 * (low[node, side] + high[node, side])
            sides[tree, node], places[tree, node] = side, place
            for child in (2 * node + 1, 2 * node + 2):
                low[child], high[child] = low[node], high[node]
            high[2 * node + 1, side] = low[2 * node + 2, side] = place
    return sides, places


def _draw(state: int) -> tuple[int, float]:
    """Next state and a number in [0, 1) (splitmix64)."""
    state = (state + 0x9E3779B97F4A7C15) & _WRAP
    x = state
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & _WRAP
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & _WRAP
    return state, ((x ^ (x >> 31)) >> 11) / 2.0**53


@njit()
def coordinates(past: F8, value: float, mean: float, var: float, into: F8) -> None:
    """The newest shingle in the space of the trees."""
    sd, size = math.sqrt(var), into.size
    for j in range(size):
        x = value if j == size - 1 else past[past.size - size + 1 + j]
        unit = honest_sd(sd, mean, x - mean)
        into[j] = 0.5 + ((x - mean) / unit / SPAN if unit > 0.0 else 0.0)


@njit("void(i4[::1],f8[::1],i8,f8[:,::1],f8[::1],f8[::1],u2[:,:,::1],f8[::1],i4[::1],i4[:,::1],f8[:,::1],f8[::1])")
def _thinness(  # noqa: PLR0917 - a kernel takes its columns
    rows: I4, value: F8, window: int, ring: F8, mean: F8, var: F8, mass: U2, taken: F8, seen: I4, sides: I4,
    places: F8, out: F8,
) -> None:  # fmt: skip
    """Mass of an even spread over the mass found, summed over the trees."""
    kept, at = np.empty(ring.shape[1]), np.empty(window)
    trees, inner = sides.shape
    for i in range(rows.size):
        r = rows[i]
        if taken[r] == 0.0:
            continue
        coordinates(kept[: unroll(ring[r], seen[r], kept)], value[i], mean[r], var[r], at)
        found = 0.0
        for tree in range(trees):
            node, share = 0, 1.0
            while node < inner and mass[r, tree, node] > FEW * taken[r]:
                node = 2 * node + (1 if at[sides[tree, node]] < places[tree, node] else 2)
                share *= 2.0
            found += mass[r, tree, node] * share
        out[i] = trees * (inner + 1.0) * taken[r] / (found + trees)


@njit(
    "void(i4[::1],f8[::1],f8[::1],i8,f8[:,::1],f8[::1],f8[::1],u2[:,:,::1],u2[:,:,::1],f8[::1],f8[::1],i4[::1],"
    "i4[:,::1],f8[:,::1],f8)"
)
def _train(  # noqa: PLR0917 - a kernel takes its columns
    rows: I4, value: F8, weight: F8, window: int, ring: F8, mean: F8, var: F8, mass: U2, coming: U2, taken: F8,
    filled: F8, seen: I4, sides: I4, places: F8, size: float,
) -> None:  # fmt: skip
    kept, at = np.empty(ring.shape[1]), np.empty(window)
    for i in range(rows.size):
        r = rows[i]
        # the first values only tell where the middle is and how wide it is
        if seen[r] >= window + 7:
            coordinates(kept[: unroll(ring[r], seen[r], kept)], value[i], mean[r], var[r], at)
            drop(at, coming[r], sides, places)
            filled[r] += 1.0
            if filled[r] >= (size if taken[r] > 0.0 else FIRST):
                mass[r], coming[r] = coming[r], 0
                taken[r], filled[r] = filled[r], 0.0
        share = weight[i] / min(seen[r] + 1.0, MEMORY)
        mean[r], var[r] = robust_moments(mean[r], var[r], value[i], share, seen[r] >= 8)


@njit()
def drop(at: F8, mass: U2, sides: I4, places: F8) -> None:
    """Count a shingle in every node that it falls into."""
    inner = sides.shape[1]
    for tree in range(sides.shape[0]):
        node = 0
        mass[tree, node] += 1
        while node < inner:
            node = 2 * node + (1 if at[sides[tree, node]] < places[tree, node] else 2)
            mass[tree, node] += 1
