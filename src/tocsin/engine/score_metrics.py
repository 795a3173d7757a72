"""What the engine's p-values are like: how they are distributed, how far from uniform, how often they were fitted anew."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np

from tocsin.model.arrays import F8
from tocsin.model.frame import Frame, FrameKind
from tocsin.model.log import Output
from tocsin.selfmon.metrics import Binned, gauge

SURPRISE = Binned(
    "tocsin_engine_score_decades",
    "-log10 p of judged windows: one in ten is above 1 and one in a hundred above 2 when p-values are right",
    "monitor",
    (0.3, 0.6, 1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0),
)
EXCESS = gauge(
    "tocsin_engine_p_value_excess_ratio",
    "Share of small p-values beyond what uniform ones have, at most, over the last thousands of windows; near 0: right",
    ["monitor"],
)
REFITS = gauge(
    "tocsin_engine_calibration_refits", "Times that a row's p-values no longer fitted and its past was let go"
)
DRIFTED = gauge(
    "tocsin_engine_drifted_input_series", "Series whose model is given other values than in its first week (PSI or KS)"
)

LEAST: Final = 500.0
"""Windows before p-values are compared with uniform ones."""
MEMORY: Final = 4_000.0
"""Windows after which counts are halved."""
BINS: Final = 20


class ScoreMetrics:
    """Counts the p-values of what was written; used by one thread, and no state of the fold."""

    def __init__(self) -> None:
        self._seen: dict[str, F8] = {}

    def take(self, outputs: Sequence[Output]) -> None:
        """Count the judged windows of outputs that were written; thresholds and windows of learning have no p-value."""
        frames = [frame for output in outputs for frame in output.frames if frame.kind is FrameKind.PANES]
        for frame in frames:
            self._count(frame)

    def _count(self, frame: Frame) -> None:
        log10_p = frame.batch.column("log10_p").to_numpy(zero_copy_only=False)
        known = np.isfinite(log10_p)
        if not known.any():
            return
        monitors = frame.batch.column("monitor").dictionary_encode()
        names = monitors.dictionary.to_pylist()
        of, surprise = monitors.indices.to_numpy()[known], -np.minimum(log10_p[known], 0.0)
        binned = SURPRISE.binned(of, surprise, len(names))
        sums = np.bincount(of, surprise, minlength=len(names))
        p = np.minimum((10.0**-surprise * BINS).astype("i4"), BINS - 1)
        seen = np.bincount(of * BINS + p, minlength=len(names) * BINS).reshape(-1, BINS)
        for number in np.flatnonzero(seen.any(axis=1)).tolist():
            SURPRISE.add(names[number], binned[number], float(sums[number]))
            self._compare(names[number], seen[number].astype("f8"))

    def _compare(self, monitor: str, fresh: F8) -> None:
        seen = self._seen[monitor] = self._seen.get(monitor, np.zeros(BINS)) + fresh
        total = float(seen.sum())
        if total >= MEMORY:
            seen /= 2.0
        if total >= LEAST:
            EXCESS.labels(monitor).set(excess(seen))


def excess(counts: F8) -> float:
    """Largest surplus of p-values in the lower bins over uniform ones, in [0, 1]; `counts` are by equal bins of p.

    One-sided Kolmogorov-Smirnov distance: A. N. Kolmogorov, Sulla determinazione empirica di una legge di
    distribuzione, 1933. Larger p-values than uniform ones cost nothing but patience.

    >>> excess(np.full(20, 50.0)), excess(np.array([100.0] + [0.0] * 19))
    (0.0, 0.95)
    """
    share = np.cumsum(counts) / counts.sum()
    uniform = np.arange(1, len(counts) + 1) / len(counts)
    return max(0.0, round(float((share - uniform).max()), 12))


def show_calibration(told: Iterable[tuple[int, int]]) -> None:
    """Show how the calibration of all that is folded here does: what `calibration_of` gives of each shard."""
    told = list(told)
    REFITS.set(sum(refits for refits, _ in told))
    DRIFTED.set(sum(drifted for _, drifted in told))
