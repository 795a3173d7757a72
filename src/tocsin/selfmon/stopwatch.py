"""`Stopwatch`: how long ticks and runs of models take; its time is handed in, and nothing that is judged depends on it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import TypeAlias

from prometheus_client import Histogram

from tocsin.selfmon.metrics import histogram

Seconds: TypeAlias = Callable[[], float]
"""Seconds of a clock that never goes back, whatever its zero."""
Timer: TypeAlias = AbstractContextManager[object]
"""What goes around each run of what is timed."""

INFERENCE = histogram(
    "tocsin_engine_inference_seconds",
    "What one run of a model took, on all windows that it was given at once",
    ["monitor", "model"],
    (0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0),
)
TICK = histogram("tocsin_engine_tick_seconds", "What the fold of a tick took: windows closed, judged and learned")


class Stopwatch:
    """Times what the engine runs; without a clock nothing is timed.

    >>> times = iter([1.0, 1.25])
    >>> with Stopwatch(lambda: next(times)).tick:
    ...     pass
    """

    def __init__(self, seconds: Seconds | None = None) -> None:
        self._seconds = seconds
        self.tick: Timer = nullcontext() if seconds is None else _Lap(seconds, TICK)

    def model(self, monitor: str, model: str) -> Timer:
        """The timer of one monitor's model."""
        return nullcontext() if self._seconds is None else _Lap(self._seconds, INFERENCE.labels(monitor, model))


class Timed:
    """What runs a model that others trained or wrote: `timer` goes around each run."""

    timer: Timer = nullcontext()


class _Lap:
    """One thing that is timed again and again, by one thread and never within itself."""

    def __init__(self, seconds: Seconds, metric: Histogram) -> None:
        self._seconds = seconds
        self._metric = metric
        self._began = 0.0

    def __enter__(self) -> None:
        self._began = self._seconds()

    def __exit__(self, *_: object) -> None:
        self._metric.observe(self._seconds() - self._began)
