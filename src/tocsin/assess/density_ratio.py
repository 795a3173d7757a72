"""How much likelier than in the reference each of its rows is in a chunk: the weights of importance sampling."""

from __future__ import annotations

from typing import Final

import numpy as np

from tocsin.assess.grid import LEAST_ROWS, Grid
from tocsin.model.arrays import F8, I8

PRIOR_ROWS: Final = 100.0
"""A cell moves the weights by half of what it says when it held this many rows of the reference."""
_BLOCK: Final = 8192


class DensityRatio:
    """Least-squares density ratio over the cells of a grid, fitted once, solved for any chunk in closed form.

    Kanamori, Hido, Sugiyama (2009), "A least-squares approach to direct importance estimation" (uLSIF), with the
    indicators of cells, centred, as the basis and a ridge on all but the constant. The matrix to invert is of the
    reference alone, so a chunk costs its counts per cell and one product.

    Parameters
    ----------
    grid : of the reference
    coded : (n, columns) its rows
    """

    def __init__(self, grid: Grid, coded: I8) -> None:
        self.grid, self.coded = grid, coded
        n = coded.shape[0]
        self.count = grid.counts(coded)
        self.mean: F8 = self.count / n
        together = np.zeros((grid.size, grid.size))
        for start in range(0, n, _BLOCK):
            block = coded[start : start + _BLOCK]
            shown = np.zeros((block.shape[0], grid.size), "f4")
            np.put_along_axis(shown, block, 1.0, axis=1)
            together += shown.T @ shown  # counts below 2**24: float32 holds them exactly
        spread = together / n - np.outer(self.mean, self.mean)
        self._solve: F8 = np.linalg.inv(spread + PRIOR_ROWS / n * np.eye(grid.size))

    def weights(self, coded: I8) -> F8:
        """Weights of the reference's rows for a chunk of (m, columns) rows: (n,) not below 0, their mean is 1."""
        found = self.grid.counts(coded) / coded.shape[0]
        alpha = self._solve @ (found - self.mean)
        raw = 1.0 - float(self.mean @ alpha) + alpha[self.coded].sum(axis=1)
        raw = np.maximum(raw, 0.0)
        total = float(raw.mean())
        weights: F8 = raw / total if total > 0 else np.ones_like(raw)
        return weights

    def unknown_share(self, coded: I8) -> float:
        """Share of a chunk's rows with a cell of which the reference says nothing, in columns that vary there."""
        rare = self.count < LEAST_ROWS
        for cut, first in zip(self.grid.columns, self.grid.first, strict=True):
            inside = slice(first, first + cut.size)
            if np.count_nonzero(self.count[inside]) < 2:
                rare[inside] = False  # constant in the reference: the model can't have learned anything from it
        return float(rare[coded].any(axis=1).mean()) if coded.size else 0.0


def effective_size(weights: F8) -> float:
    """How many rows of equal weight say as much (Kish 1965).

    >>> effective_size(np.array([1.0, 1.0, 0.0, 0.0]))
    2.0
    """
    return float(weights.sum() ** 2 / (weights**2).sum()) if weights.size else 0.0
