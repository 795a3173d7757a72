"""Alert budget: levels per family of rows from counted, declustered episode maxima of -log10 p.

A p-value is right on average over what it was fitted to and wrong in the far tail, by a factor that differs from
family to family. What a level of 1e-8 lets through is therefore not computed but counted: runs of small p-values
count once, by their smallest one; the counts of all rows of a family make a histogram; the level is where that
histogram, continued as an exponential beyond its last well-known place, meets the family's share of the budget.
Histograms of shards, tenants and weeks add up.

Reference: M. R. Leadbetter, On a Basis for 'Peaks over Threshold' Modeling, Statistics and Probability Letters 1991.
"""

from __future__ import annotations

import math
from typing import ClassVar, Final

import numpy as np

from tocsin.calibrate.tail import N_EFF, PHI, PRIOR_COUNT, XI
from tocsin.model.arrays import F8, I4, I8
from tocsin.stats.columns import Columns, column, numbers_of, rows_of, times_of
from tocsin.stats.jit import njit

BASE: Final = 3.0
"""-log10 p from which on a score starts an episode."""
PER_DECADE: Final = 4.0
BINS: Final = 108
"""Quarter decades from 1e-3 to 1e-30, the last one open."""
SURE: Final = 40.0
"""Episodes above the place from which on counts are continued as an exponential."""
PRIOR: Final = 10.0
"""Pseudo-episodes beyond 1e-4 behind the prior rate and the prior mean excess of a family."""
FAR: Final = 6.0
"""Decades beyond which an excess counts no more: one real disaster says little of false pages."""
HALF_LIFE_WEEKS: Final = 10.0
EASIEST: Final = 4.0
"""However large the budget: about one step in ten thousand."""
HARDEST: Final = 25.0
"""However many the rows: beyond this the level would never be reached."""

AGES: Final = (300.0, 1500.0)
"""Effective past scores that part fresh, young and settled rows."""
SHAPES: Final = (0.08, 0.16)
"""Tail shapes, without what is added for not knowing them, that part light, middling and heavy tails."""
FAMILIES: Final = (len(AGES) + 1) * (len(SHAPES) + 1)
PRIOR_RATES: Final = np.array([50e-6, 470e-6, 570e-6, 40e-6, 230e-6, 270e-6, 60e-6, 140e-6, 140e-6])
"""Episodes beyond 1e-4 a step, by family (age, then shape), counted over three days of the seven kinds of series of
`tocsin bench calibration`, 150 of each (2026-11); doubled where tails are light, for lives less even than these."""
PRIOR_EXCESSES: Final = np.array([1.0, 1.1, 0.9, 0.65, 0.7, 0.65, 0.6, 1.3, 0.7])
"""Mean excess beyond 1e-4 in decades, from the same; p-values that are right have 1 / ln 10 = 0.43."""


class Episodes(Columns):
    """Each row's episode under way, and the maxima of those that are over, by family.

    >>> e = Episodes(families=1)
    >>> row, s = np.zeros(1, "i4"), 10**9
    >>> for t, log10_p in enumerate([-1.0, -5.0, -7.1, -1.0, -4.0]):
    ...     e.fold(row, np.array([t * 60 * s]), np.array([log10_p]), np.zeros(1, "i4"), gap_ns=120 * s)
    >>> int(e.counts.sum()), float(e.exposure[0])
    (0, 5.0)
    >>> e.fold(row, np.array([9999 * s]), np.array([-1.0]), np.zeros(1, "i4"), gap_ns=120 * s)
    >>> np.flatnonzero(e.counts[0]).tolist()
    [16]
    """

    kind: ClassVar[str] = "episodes"
    top: F8 = column(0.0)
    last: I8 = column(0, "i8")

    def __init__(self, families: int = FAMILIES) -> None:
        super().__init__()
        self.counts: F8 = np.zeros((families, BINS))
        self.exposure: F8 = np.zeros(families)

    def fold(self, rows: I4, time: I8, log10_p: F8, family: I4, *, gap_ns: int, share: float = 1.0) -> None:
        """Take one step in, all (n,); NaN says nothing. An episode is over when it was calm for `gap_ns`.

        `share`: of a step in what is counted, less than 1 where windows overlap.
        """
        rows = rows_of(rows)
        self.touch(rows)
        _fold(
            rows, times_of(time), numbers_of(log10_p), rows_of(family), gap_ns, share,
            self.top, self.last, self.counts, self.exposure,
        )  # fmt: skip

    @property
    def exposed(self) -> bool:
        """Whether anything was counted since the last time."""
        return bool(self.exposure.any())

    def drain(self) -> tuple[F8, F8]:
        """What was counted since the last time: maxima (families, BINS) and steps (families,)."""
        found = self.counts, self.exposure
        self.counts, self.exposure = np.zeros_like(self.counts), np.zeros_like(self.exposure)
        return found


class Counted:
    """Counts of past weeks by family, fading; they add up over shards. From them: the levels.

    >>> Counted().levels(1e-6).round(1).tolist()[-3:]
    [-6.5, -10.4, -7.5]
    """

    def __init__(self, families: int = FAMILIES) -> None:
        self.counts: F8 = np.zeros((families, BINS))
        self.exposure: F8 = np.zeros(families)

    def add(self, counts: F8, exposure: F8) -> None:
        """Take in what one shard or monitor has counted."""
        self.counts += counts
        self.exposure += exposure

    def fade(self, weeks: float) -> None:
        """Let what was counted lose weight, by half in `HALF_LIFE_WEEKS`."""
        share = 0.5 ** (weeks / HALF_LIFE_WEEKS)
        self.counts *= share
        self.exposure *= share

    def levels(self, wanted: float) -> F8:
        """Log10 p by family, (families,), at which `wanted` episodes a step and row are let through."""
        found = [
            log10_level(self.counts[f], float(self.exposure[f]), wanted, PRIOR_RATES[f], PRIOR_EXCESSES[f])
            for f in range(len(self.exposure))
        ]
        return np.array(found)


def log10_level(counts: F8, exposure: float, wanted: float, prior_rate: float, prior_excess: float) -> float:
    """Log10 p at which `wanted` episodes a step are let through, given counts (BINS,) over `exposure` steps.

    >>> round(log10_level(np.zeros(BINS), 0.0, 1e-6, 30e-6, 0.5), 2)
    -5.7
    """
    above = np.cumsum(counts[::-1])[::-1]
    first = int((EASIEST - BASE) * PER_DECADE)
    sure = np.flatnonzero(above[first:] >= SURE)
    at = first + (int(sure[-1]) if sure.size else 0)
    while at > first and above[at] < wanted * exposure:
        at -= 1  # the level lies where counts are plenty
    rests = (np.arange(BINS - at) + 0.5) / PER_DECADE
    excess = float((counts[at:] * np.minimum(rests, FAR)).sum())
    mean = (excess + PRIOR * prior_excess) / (above[at] + PRIOR)
    start = BASE + at / PER_DECADE
    episodes = above[at] + PRIOR * math.exp(-(start - EASIEST) / prior_excess)
    rate = episodes / (exposure + PRIOR / prior_rate)
    return -float(min(max(start + mean * math.log(max(rate / wanted, 1e-300)), EASIEST), HARDEST))


@njit()
def family_of(n_eff: float, shape: float) -> int:
    """Family of a row by how much of its past is known and how heavy its tail is."""
    age = 0 if n_eff < AGES[0] else (1 if n_eff < AGES[1] else 2)
    tail = 0 if shape < SHAPES[0] else (1 if shape < SHAPES[1] else 2)
    return 3 * age + tail


@njit("void(i4[::1],f8[:,::1],i4[::1])")
def family_rows(rows: I4, fit: F8, out: I4) -> None:
    """Family of each row, from its fit."""
    for i in range(rows.size):
        r = rows[i]
        unknown = 1.0 / (PRIOR_COUNT + fit[r, PHI] * fit[r, N_EFF])
        out[i] = family_of(fit[r, N_EFF], fit[r, XI] - unknown)


@njit()
def bin_of(top: float) -> int:
    """Bin of a maximum."""
    return min(max(int((top - BASE) * PER_DECADE), 0), BINS - 1)


@njit("void(i4[::1],i8[::1],f8[::1],i4[::1],i8,f8,f8[::1],i8[::1],f8[:,::1],f8[::1])")
def _fold(  # noqa: PLR0917 - a kernel takes its columns
    rows: I4, time: I8, log10_p: F8, family: I4, gap_ns: int, share: float, top: F8, last: I8, counts: F8, exposure: F8,
) -> None:  # fmt: skip
    for i in range(rows.size):
        x = -log10_p[i]
        if math.isnan(x):
            continue
        r, f = rows[i], family[i]
        exposure[f] += share
        if top[r] > 0.0 and time[i] - last[r] > gap_ns:
            counts[f, bin_of(top[r])] += 1.0
            top[r] = 0.0
        if x >= BASE:
            top[r] = max(top[r], x)
            last[r] = time[i]
