"""When people write to the bot, and what they ask: a Poisson stream with a day, a week and slow weather."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

DAY_S = 86_400.0
_WEATHER_S = 900.0  # how long a busier or quieter spell lasts
_WEATHER_SD = 0.05
_STEP_S = 30.0


@dataclass(frozen=True, slots=True)
class Question:
    """One request of a customer; `at_s` is event time in seconds."""

    at_s: float
    length_tokens: int
    answer_tokens: int
    appetite: float  # how many of the documents that are asked for this question finds, as a factor


class Traffic:
    """Arrivals by thinning; every draw comes from one generator, so that what happens to a request changes no other."""

    def __init__(self, seed: np.random.SeedSequence, mean_per_s: float, start_s: float) -> None:
        self._rng = np.random.default_rng(seed)
        self._mean_per_s = mean_per_s
        self._weather = 0.0
        self._weather_at_s = start_s
        self._at_s = start_s
        self._waiting: Question | None = None

    def rate(self, at_s: float) -> float:
        """Expected arrivals a second: few at night, two humps in the day, a little less at weekends."""
        hour = at_s % DAY_S / 3600.0
        day = 0.84 + 0.32 * math.exp(-(((hour - 11) / 3.2) ** 2)) + 0.26 * math.exp(-(((hour - 19.5) / 2.6) ** 2))
        weekend = 0.93 if int(at_s // DAY_S + 3) % 7 >= 5 else 1.0
        return self._mean_per_s * day * weekend * math.exp(self._weather)

    def until(self, stop_s: float) -> list[Question]:
        """Questions that come before `stop_s` and were not given yet, in order."""
        found: list[Question] = []
        while True:
            if self._waiting is None:
                self._waiting = self._next()
            if self._waiting.at_s >= stop_s:
                return found
            found.append(self._waiting)
            self._waiting = None

    def _next(self) -> Question:
        top = self._mean_per_s * 1.5
        while True:
            self._at_s += self._rng.exponential(1.0 / top)
            while self._weather_at_s < self._at_s:
                keep = math.exp(-_STEP_S / _WEATHER_S)
                self._weather = keep * self._weather + math.sqrt(1 - keep * keep) * self._rng.normal(0, _WEATHER_SD)
                self._weather_at_s += _STEP_S
            if self._rng.random() * top < self.rate(self._at_s):
                return Question(
                    self._at_s,
                    int(self._rng.lognormal(3.4, 0.5)) + 4,
                    int(self._rng.lognormal(5.1, 0.4)) + 8,
                    float(self._rng.beta(18, 2)) * 1.1,
                )
