"""Robust random cut forest: by how much the shingle complicates a random description of the past."""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np

from tocsin.detect.shingled import Shingled
from tocsin.model.arrays import F8, I4
from tocsin.stats.jit import njit
from tocsin.stats.rings import unroll


class RandomCutForest(Shingled):
    """Score = collusive displacement of the shingle among those of the last `kept` values, over what is usual.

    A tree of random cuts over a set and one more point is drawn along the path of that point only, so that no
    tree has to be kept. The draws are a hash of the tree, the step and the depth: the same on every run.

    Parameters: `window` in steps, values of a shingle; `kept` values; `trees`; `warmup` in steps.

    Reference: S. Guha, N. Mishra, G. Roy and O. Schrijvers, Robust Random Cut Forest Based Anomaly Detection on
    Streams, ICML 2016.

    >>> from tocsin.model.detection import Step
    >>> d = RandomCutForest(window=2, warmup=20)
    >>> for k in range(100):
    ...     v = float(k * 7 % 10) if k < 99 else 30.0
    ...     s = Step(np.zeros(1, "i4"), np.zeros(1, "i8"), np.array([v]))
    ...     z = float(d.score(s).value[0])
    ...     d.learn(s, np.ones(1))
    >>> z > 3
    True
    """

    name: ClassVar[str] = "random_cut_forest"
    least_unit: ClassVar[float] = 1.0

    def __init__(self, *, window: float = 4, kept: float = 96, trees: float = 16, warmup: float = 40) -> None:
        self.window, self.trees = int(window), int(trees)
        if not (self.window >= 1 and self.trees >= 1 and kept >= self.window + 8):
            raise ValueError(
                f"random_cut_forest: window and trees must be at least 1 and kept at least a window and 8, "
                f"got {window:g}, {trees:g} and {kept:g}"
            )
        super().__init__(kept=int(kept), warmup=warmup, least=self.window + 8)

    def _raw(self, rows: I4, value: F8) -> F8:
        out = np.full(rows.size, np.nan)
        _displacements(rows, value, self.ring, self.seen, self.window, self.trees, out)
        return out


@njit()
def draw(tree: int, step: int, depth: int) -> float:
    """A number in [0, 1) that follows from its arguments as if by chance (splitmix64)."""
    x = np.uint64(tree) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(step) * np.uint64(0xD1B54A32D192ED03)
    x += np.uint64(depth + 1) * np.uint64(0x8CB92BA72F3D8DD7)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return float((x ^ (x >> np.uint64(31))) >> np.uint64(11)) / 9007199254740992.0


@njit()
def cut(past: F8, own: F8, members: I4, n: int, chance: float, sides: F8) -> tuple[int, float]:
    """Side and place of a random cut through the box around some shingles and one more; side -1: all are equal."""
    total = 0.0
    for j in range(own.size):
        low, high = own[j], own[j]
        for s in range(n):
            x = past[members[s] + j]
            low, high = min(low, x), max(high, x)
        sides[0, j], sides[1, j] = low, high - low
        total += high - low
    left = chance * total
    for j in range(own.size):
        if left < sides[1, j]:
            return j, sides[0, j] + left
        left -= sides[1, j]
    return -1, 0.0


@njit()
def displacement(past: F8, own: F8, members: I4, tree: int, step: int, sides: F8) -> float:
    """Largest ratio, on the way to where the shingle is alone, of those cut off to those that stay with it."""
    n, most, depth = past.size - own.size + 1, 0.0, 0
    for s in range(n):
        members[s] = s
    while n > 0:
        side, place = cut(past, own, members, n, draw(tree, step, depth), sides)
        if side < 0:
            break
        stay = 0
        for s in range(n):
            if (past[members[s] + side] <= place) == (own[side] <= place):
                members[stay] = members[s]
                stay += 1
        most = max(most, (n - stay) / (stay + 1.0))
        n, depth = stay, depth + 1
    return most


@njit("void(i4[::1],f8[::1],f8[:,::1],i4[::1],i8,i8,f8[::1])")
def _displacements(rows: I4, value: F8, ring: F8, seen: I4, window: int, trees: int, out: F8) -> None:
    kept, members, own = np.empty(ring.shape[1]), np.empty(ring.shape[1], np.int32), np.empty(window)
    sides = np.empty((2, window))
    for i in range(rows.size):
        r = rows[i]
        past = kept[: unroll(ring[r], seen[r], kept)]
        if past.size < window + 7 or not math.isfinite(value[i]):
            continue
        for j in range(window - 1):
            own[j] = past[past.size - window + 1 + j]
        own[window - 1] = value[i]
        total = 0.0
        for tree in range(trees):
            total += displacement(past, own, members, tree, seen[r], sides)
        out[i] = total / trees
