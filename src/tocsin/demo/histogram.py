"""Histograms and drifting levels: what the services of the world count for themselves."""

from __future__ import annotations

import bisect
import math

import numpy as np

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
GENAI_SECONDS = tuple(0.01 * 2**k for k in range(14))
GENAI_TOKENS = tuple(float(4**k) for k in range(14))
VLLM_FIRST_TOKEN = (
    0.001,
    0.005,
    0.01,
    0.02,
    0.04,
    0.06,
    0.08,
    0.1,
    0.25,
    0.5,
    0.75,
    1.0,
    2.5,
    5.0,
    7.5,
    10.0,
    20.0,
    40.0,
)
VLLM_SECONDS = (0.3, 0.5, 0.8, 1.0, 1.5, 2.0, 2.5, 5.0, 10.0, 15.0, 20.0, 30.0, 40.0, 50.0, 60.0)
VLLM_TOKENS = (1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0, 2000.0, 5000.0, 10000.0)


class Cumulative:
    """A histogram since a start; `counts` has one more than `bounds`, whose upper ends are inclusive."""

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0
        self.least = math.inf
        self.most = -math.inf

    @property
    def count(self) -> int:
        """How many values were recorded."""
        return sum(self.counts)

    def record(self, value: float) -> None:
        """Count one value."""
        self.counts[bisect.bisect_left(self.bounds, value)] += 1
        self.total += value
        self.least = min(self.least, value)
        self.most = max(self.most, value)


class Level:
    """A quantity that wanders about its mean and always comes back (Ornstein-Uhlenbeck)."""

    def __init__(self, rng: np.random.Generator, mean: float, sd: float, memory_s: float) -> None:
        self._rng = rng
        self._mean, self._sd, self._memory_s = mean, sd, memory_s
        self._value = mean

    def after(self, passed_s: float) -> float:
        """Its value `passed_s` seconds later."""
        keep = math.exp(-passed_s / self._memory_s)
        noise = self._sd * math.sqrt(1 - keep * keep) * float(self._rng.normal())
        self._value = self._mean + keep * (self._value - self._mean) + noise
        return self._value
