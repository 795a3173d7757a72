"""Left matrix profile: how unlike anything before the last stretch of a series is."""

from __future__ import annotations

from typing import ClassVar

from tocsin.detect.neighbours import Neighbours


class LeftMatrixProfile(Neighbours):
    """Score = distance of the last `window` values to the nearest earlier stretch, over what is usual.

    The distance is of the raw values, so that a change of level or of size counts, and not only one of shape.

    Parameters: `window` in steps; `kept` last values in which the nearest stretch is sought; `warmup` in steps, at
    least 2 windows.

    Reference: C.-C. M. Yeh et al., Matrix Profile I, ICDM 2016; the left profile: Y. Zhu et al., Matrix Profile VII,
    ICDM 2017.

    >>> import numpy as np
    >>> from tocsin.model.detection import Step
    >>> d = LeftMatrixProfile(window=4, warmup=12)
    >>> for v in [0.0, 1.0, 2.0, 1.1] * 8 + [0.0, 0.0]:
    ...     s = Step(np.zeros(1, "i4"), np.zeros(1, "i8"), np.array([v + 0.01]))
    ...     z = float(d.score(s).value[0])
    ...     d.learn(s, np.ones(1))
    >>> z > 5
    True
    """

    name: ClassVar[str] = "left_matrix_profile"

    def __init__(self, *, window: float = 24, kept: float = 1024, warmup: float = 60) -> None:
        super().__init__(window=int(window), neighbours=1, kept=int(kept), warmup=warmup)
