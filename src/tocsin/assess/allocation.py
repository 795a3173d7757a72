"""Whether traffic is split as it should be: a test of shares that may be looked at whenever one likes.

The evidence is the likelihood of the counts when the shares are drawn from a Dirichlet distribution around the
planned ones, over that of the planned ones (Lindon and Malek 2022, NeurIPS, "Anytime-valid inference for multinomial
count data").
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

CONCENTRATION: Final = 100.0
"""How close to the plan other shares are thought to be: a standard deviation of about 0.05 at even shares."""


def log_mismatch(counts: Sequence[int], shares: Sequence[float]) -> float:
    """Logarithm of the evidence that rows do not come in `shares` (sum 1, each above 0).

    Under the plan it ever passes log(1/level) with probability at most `level`.

    >>> round(log_mismatch([5000, 5000], [0.5, 0.5]), 1), round(log_mismatch([5300, 4700], [0.5, 0.5]), 1)
    (-2.3, 15.5)
    """
    found = math.lgamma(CONCENTRATION) - math.lgamma(CONCENTRATION + sum(counts))
    for count, share in zip(counts, shares, strict=True):
        prior = CONCENTRATION * share
        found += math.lgamma(prior + count) - math.lgamma(prior) - count * math.log(share)
    return found
