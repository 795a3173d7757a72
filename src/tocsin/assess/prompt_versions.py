"""Versions of a prompt in the order in which they came: which one made prompts longer or calls dearer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Final, NamedTuple

MOST_VERSIONS: Final = 8
LEAST_CALLS: Final = 50
LEAST_DEVIATES: Final = 6.0


@dataclass(slots=True)
class LogMean:
    """Mean of positive numbers, and mean and variance of their logarithms (Welford 1962)."""

    n: int = 0
    total: float = 0.0
    mean: float = 0.0
    squares: float = 0.0

    def add(self, value: float) -> None:
        """Take a number in; what is not positive is left out."""
        if not value > 0:
            return
        self.n += 1
        self.total += value
        gap = math.log(value) - self.mean
        self.mean += gap / self.n
        self.squares += gap * (math.log(value) - self.mean)

    @property
    def average(self) -> float:
        """Arithmetic mean, NaN for none."""
        return self.total / self.n if self.n else math.nan

    @property
    def known(self) -> bool:
        """Whether there is enough to compare."""
        return self.n >= LEAST_CALLS


class Step(NamedTuple):
    """A rise from one version to another: geometric means `ratio` apart, by `deviates` standard errors (Welch 1947)."""

    before: str
    after: str
    ratio: float
    deviates: float


def step(before: tuple[str, LogMean], after: tuple[str, LogMean]) -> Step:
    """How far the second version lies above the first."""
    (name, one), (other, two) = before, after
    error = math.sqrt(sum(each.squares / max(each.n - 1, 1) / each.n for each in (one, two)))
    gap = two.mean - one.mean
    return Step(name, other, math.exp(gap), gap / max(error, 1e-6))


@dataclass(slots=True)
class Versions:
    """The newest versions of one prompt, by when they were first seen, and one measure of each."""

    of: dict[str, LogMean] = field(default_factory=dict)
    first: dict[str, int] = field(default_factory=dict)

    def add(self, version: str, time_ns: int, value: float) -> LogMean:
        """Take a call of a version in."""
        known = self.of.get(version)
        if known is None:
            if len(self.of) >= MOST_VERSIONS:
                self.forget(next(iter(self.of)))
            known = self.of[version] = LogMean()
            self.first[version] = time_ns
        known.add(value)
        return known

    def forget(self, version: str) -> None:
        """Let go of a version."""
        del self.of[version], self.first[version]

    def rise(self, version: str) -> tuple[Step, Step] | None:
        """From the oldest version to this one, and the step between two neighbours that made most of it.

        >>> versions = Versions()
        >>> for name, tokens in (("v1", 100.0), ("v2", 102.0), ("v3", 190.0), ("v4", 195.0)):
        ...     for k in range(60):
        ...         _ = versions.add(name, 0, tokens + k % 7)
        >>> whole, worst = versions.rise("v4")
        >>> worst.before, worst.after, round(whole.ratio, 1)
        ('v2', 'v3', 1.9)
        """
        chain = [(name, each) for name, each in self.of.items() if each.known]
        names = [name for name, _ in chain]
        if version not in names[1:]:
            return None
        chain = chain[: names.index(version) + 1]
        steps = [step(before, after) for before, after in pairwise(chain)]
        return step(chain[0], chain[-1]), max(steps, key=lambda each: each.ratio)

    def snapshot(self) -> list[Any]:
        """All state, as a tree."""
        return [[name, self.first[name], each.n, each.total, each.mean, each.squares] for name, each in self.of.items()]

    @staticmethod
    def restored(state: Sequence[Any]) -> Versions:
        """Versions back from a snapshot."""
        found = Versions()
        for name, first, *rest in state:
            found.of[name], found.first[name] = LogMean(*rest), first
        return found
