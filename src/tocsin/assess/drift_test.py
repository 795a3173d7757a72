"""The decision on drift: evidence that counts on a reference's cells come from another distribution.

A bet that pays `E`-fold if the data moved, and on average not more than its stake if they did not: then
P(E ever reaches 1/level) <= level, however often one looks and whenever one stops (Ville's inequality). The null law
of the counts is Dirichlet-multinomial with the reference's own counts: for cells cut at order statistics of values
without ties this is exact for every distribution and every size of the reference (Wilks 1941), so its sampling error is
in the null. Evidence depends on counts only, hence not on the order of rows, and costs the same for any number.

References: G. Shafer, Testing by Betting, JRSS A 2021; A. Ramdas et al., Game-Theoretic Statistics and Safe
Anytime-Valid Inference, Stat. Sci. 2023; R. Wang and A. Ramdas, False Discovery Rate Control with E-values, JRSS B 2022.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np

from tocsin.model.arrays import F8, I8, Mask

CONCENTRATIONS: Final = (4.0, 12.0, 36.0, 108.0, 400.0, 2000.0)
"""Alternatives that move shares at random: of k cells, a stability index of about (k - 1) over this."""
TILTS: Final = {0.05: 0.04, 0.1: 0.08, 0.2: 0.2, 0.4: 0.34, 0.8: 0.24, 1.6: 0.1}
"""Alternatives that move ordered cells up, down, apart or together, in standard deviations of the normal scores, and
their stakes: what is too small to act on waits for many rows anyhow, and what is huge needs no stake."""
SPREAD, MOVED, SCALED = 0.3, 0.4, 0.3
"""Stakes of ordered cells on shares moved at random, on all moved up or down, and on all moved apart or together."""
ODDS: Final = (1.25, 2.0, 4.0, 16.0)
"""Alternatives that multiply or divide the odds of a share."""


def log_gamma(x: F8) -> F8:
    """Natural logarithm of the gamma function of positive numbers, any shape, to about 1e-13 of itself.

    Reference: M. Abramowitz and I. A. Stegun, Handbook of Mathematical Functions, 6.1.15 and 6.1.41.

    >>> np.allclose(log_gamma(np.array([0.5, 1.0, 5.0, 1e9])), [math.lgamma(v) for v in (0.5, 1.0, 5.0, 1e9)])
    True
    """
    x = np.asarray(x, "f8")
    low = np.minimum(x, 8.0)
    small = low < 8.0
    fallen = np.zeros_like(x)
    if small.any():
        # Stirling's series wants 8 and more: gamma(x) = gamma(x + 8) / (x (x + 1) ... (x + 7))
        product = low.copy()
        for k in range(1, 8):
            product *= low + k
        fallen = np.where(small, np.log(product), 0.0)
        x = np.where(small, x + 8.0, x)
    z = 1.0 / (x * x)
    series = (1 / 12 - z * (1 / 360 - z * (1 / 1260 - z * (1 / 1680 - z * (1 / 1188 - z * 691 / 360360))))) / x
    found: F8 = (x - 0.5) * np.log(x) - x + 0.5 * math.log(2 * math.pi) + series - fallen
    return found


def log_sum(values: F8) -> float:
    """Logarithm of the sum of exponentials (n,), -inf of none.

    >>> round(log_sum(np.log(np.array([1.0, 2.0]))), 4), log_sum(np.empty(0))
    (1.0986, -inf)
    """
    return float(np.logaddexp.reduce(values)) if len(values) else -math.inf


@dataclass(frozen=True)
class Bet:
    """A null law of cells and the alternatives that are bet on: `prior` (cells,), `alternatives` (bets, cells)."""

    prior: F8
    alternatives: F8
    log_weight: F8

    @cached_property
    def _laws(self) -> F8:
        """The null in the first row, then the alternatives, (1 + bets, cells)."""
        return np.vstack([self.prior, self.alternatives])

    @cached_property
    def _grows(self) -> Mask:
        """Which laws are as sure as the reference is, so that more of it makes them surer, (1 + bets, 1)."""
        found: Mask = self._laws.sum(axis=1, keepdims=True) > 0.999 * self.prior.sum()
        return found

    @cached_property
    def _norm(self) -> F8:
        return _norm(self._laws)

    def log_e(self, counts: I8 | F8, before: I8 | F8 | None = None) -> F8:
        """Natural logarithm of what a stake of 1 has become after rows in cells (..., cells); (...).

        Rows `before` (..., cells) the bet began count as reference.
        """
        laws, norm = self._laws, self._norm
        if before is not None:
            times = 1.0 + before.sum(axis=-1)[..., None, None] / self.prior.sum()
            laws = np.where(self._grows, laws * times, laws)
            laws[..., 0, :] = self.prior + before
            norm = _norm(laws)
        after = laws + counts[..., None, :]
        gains = norm - _norm(after)
        found: F8 = np.logaddexp.reduce(gains[..., 1:] - gains[..., :1] + self.log_weight, axis=-1)
        return np.where(counts.sum(axis=-1) > 0, found, 0.0)


def _norm(laws: F8) -> F8:
    """Logarithm of the reciprocal of the multivariate beta function, (..., cells) to (...)."""
    found: F8 = log_gamma(laws.sum(axis=-1)) - log_gamma(laws).sum(axis=-1)
    return found


def shape_bet(prior: F8, *, ordered: bool) -> Bet:
    """A bet on where among cells the values lie; `ordered` cells may also move up, down, apart or together."""
    total = float(prior.sum())
    share = prior / total
    spread = [share * c for c in CONCENTRATIONS if c < total] or [share * min(CONCENTRATIONS[0], total / 2)]
    tilted, stakes = [], []
    if ordered and len(prior) > 1:
        score = _normal_scores(share)
        square = score**2 - (share * score**2).sum()
        for tilt, stake in TILTS.items():
            tilted += [total * _tilted(share, sign * tilt * score) for sign in (-1.0, 1.0)]
            tilted += [total * _tilted(share, sign * tilt * square / 2) for sign in (-1.0, 1.0)]
            stakes += [MOVED * stake / 2] * 2 + [SCALED * stake / 2] * 2
    weight = [(SPREAD if tilted else 1.0) / len(spread)] * len(spread) + stakes
    return Bet(prior, np.array(spread + tilted), np.log(np.array(weight)))


def share_bet(prior: F8, *, both: bool) -> Bet:
    """A bet on a share, prior (2,) with the share first: that its odds rose, or with `both` that they fell."""
    total = float(prior.sum())
    share = float(prior[0]) / total
    alternatives = [np.array([0.5, 0.5])]
    for odds in ODDS:
        for factor in (odds, 1.0 / odds) if both else (odds,):
            moved = share * factor / (share * factor + 1.0 - share)
            alternatives.append(total * np.array([moved, 1.0 - moved]))
    weights = np.full(len(alternatives), 1.0 / len(alternatives))
    return Bet(prior, np.array(alternatives), np.log(weights))


def _tilted(share: F8, exponent: F8) -> F8:
    moved: F8 = share * np.exp(exponent - exponent.max())
    moved /= moved.sum()
    kept: F8 = 0.98 * moved + 0.02 * share  # no cell is ruled out
    return kept


def _normal_scores(share: F8) -> F8:
    """Standardised normal quantiles of the middles of cells (cells,), in order."""
    middle = np.cumsum(share) - share / 2
    # logit / 1.702 is the normal quantile within 1 %, and the score is standardised anyhow
    middle = np.clip(middle, 1e-9, 1 - 1e-9)
    score = np.log(middle / (1 - middle))
    score = score - (share * score).sum()
    scale = math.sqrt(float((share * score**2).sum()))
    found: F8 = score / scale if scale > 0 else score
    return found


def e_benjamini_hochberg(log_e: F8, level: float) -> Mask:
    """Which of some hypotheses (n,) are rejected; where none is true, any is with probability <= level.

    Valid however the e-values depend on each other. Reference: R. Wang and A. Ramdas, 2022.

    >>> e_benjamini_hochberg(np.log(np.array([1000.0, 1.0, 250.0])), 0.01).tolist()
    [True, False, True]
    """
    n = len(log_e)
    order = np.argsort(-log_e)
    bar = np.log(n / (level * np.arange(1, n + 1)))
    passed = np.flatnonzero(log_e[order] >= bar)
    rejected = np.zeros(n, bool)
    if len(passed):
        rejected[order[: passed[-1] + 1]] = True
    return rejected
