"""Scores turned into probabilities by what came true in a reference."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from tocsin.model.arrays import F8

BLOCKS: Final = 2000


@dataclass(frozen=True, slots=True, eq=False)
class Calibrated:
    """A rising map from score to probability: straight between `at`, level outside.

    Attributes
    ----------
    at : (k,) scores, rising
    to : (k,) probabilities, not falling
    """

    at: F8
    to: F8

    @staticmethod
    def fit(score: F8, truth: F8) -> Calibrated:
        """Isotonic regression of (n,) truth, 0 to 1, on (n,) scores, by pooling adjacent violators.

        Zadrozny and Elkan (2002). The scores are grouped into at most 2,000 blocks of equal size first.

        >>> Calibrated.fit(np.array([0.1, 0.2, 0.3, 0.4]), np.array([0.0, 1.0, 0.0, 1.0])).to.tolist()
        [0.0, 0.5, 0.5, 1.0]
        """
        values, place = np.unique(score, return_inverse=True)
        if values.size > BLOCKS:
            rank = np.cumsum(np.bincount(place)) - 1
            place = (rank * BLOCKS // score.size)[place]
            place = np.unique(place, return_inverse=True)[1]
        rows = np.bincount(place).astype("f8")
        at = np.bincount(place, score) / rows
        return Calibrated(at, _pooled(np.bincount(place, truth) / rows, rows))

    def __call__(self, score: F8) -> F8:
        """Probabilities of (n,) scores."""
        found: F8 = np.interp(score, self.at, self.to)
        return found


def _pooled(means: F8, rows: F8) -> F8:
    """Nearest not falling sequence in weighted squares (Ayer et al. 1955)."""
    kept: list[tuple[float, float, int]] = []  # mean, rows, blocks
    for mean, size in zip(means.tolist(), rows.tolist(), strict=True):
        value, weight, blocks = mean, size, 1
        while kept and kept[-1][0] >= value:
            other, more, many = kept.pop()
            value = (value * weight + other * more) / (weight + more)
            weight, blocks = weight + more, blocks + many
        kept.append((value, weight, blocks))
    return np.repeat([each[0] for each in kept], [each[2] for each in kept]).astype("f8")
