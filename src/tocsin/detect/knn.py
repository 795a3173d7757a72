"""Nearest neighbours: how far a short run of values is from the most similar runs of the past."""

from __future__ import annotations

from typing import ClassVar

from tocsin.detect.neighbours import Neighbours


class Knn(Neighbours):
    """Score = distance to the k-th nearest earlier shingle, over what is usual.

    Parameters: `window` in steps, values of a shingle; `neighbours`, k; `kept` last values that neighbours are
    sought in; `warmup` in steps, at least 2 windows and the neighbours.

    Reference: S. Ramaswamy, R. Rastogi and K. Shim, Efficient Algorithms for Mining Outliers from Large Data Sets,
    SIGMOD 2000.

    >>> import numpy as np
    >>> from tocsin.model.detection import Step
    >>> d = Knn(window=2, neighbours=1, warmup=8)
    >>> for v in (1.0, 2.0, 1.1, 2.1, 1.2, 2.0, 1.0, 2.1, 1.0, 2.2, 2.1):
    ...     s = Step(np.zeros(1, "i4"), np.zeros(1, "i8"), np.array([v]))
    ...     z = float(d.score(s).value[0])
    ...     d.learn(s, np.ones(1))
    >>> z > 5  # each value was seen before, but never two high ones in a row
    True
    """

    name: ClassVar[str] = "knn"

    def __init__(self, *, window: float = 5, neighbours: float = 5, kept: float = 256, warmup: float = 30) -> None:
        super().__init__(window=int(window), neighbours=int(neighbours), kept=int(kept), warmup=warmup)
