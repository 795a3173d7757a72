"""Versions of a prompt in the order in which they came: which one made prompts longer or calls dearer at once."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from tocsin.assess.jump import Asked, Blocks, rank_deviates, within
from tocsin.assess.tails import student_tail

MOST_VERSIONS: Final = 8
MOST_TRIALS: Final = 4
LOOKS: Final = (50, 100, 200)
"""A version is looked at after so many of its calls, each time beside as many before it, and never again."""
RANK_LEVEL: Final = 1e-4 / len(LOOKS)
"""Chance of calling a rise by the ranks of independent calls: 1 in 10,000 for all looks at a version together."""
JUMP_LEVEL: Final = 1e-3 / len(LOOKS)
"""Chance that a prompt jumps as far by itself, by the jumps of its own past: 1 in 1,000 for all looks together."""
BACK_LEVEL: Final = 1e-6
"""Chance that a version which is still in use is left out so often in a row, by its share of the calls so far."""


@dataclass(slots=True)
class LogMean:
    """Mean of positive numbers, and of their logarithms."""

    n: int = 0
    total: float = 0.0
    logs: float = 0.0

    def add(self, value: float) -> None:
        """Take a number above 0 in."""
        self.n += 1
        self.total += value
        self.logs += math.log(value)

    @property
    def average(self) -> float:
        """Arithmetic mean, NaN for none."""
        return self.total / self.n if self.n else math.nan


class Rise(NamedTuple):
    """A version whose calls lie above those before it at once: by what factor (of geometric means), of how many calls.

    `before` and `after` are arithmetic means, `base` is the mean logarithm before, `log10_p` is that of the ranks.
    """

    version: str
    version_before: str
    since: int
    ratio: float
    before: float
    after: float
    calls: int
    log10_p: float
    base: float


@dataclass(slots=True)
class Trial:
    """A new version: askers and logarithms of calls before it and its own, and how such prompts jump by themselves.

    `others` are calls of other versions since it came.
    """

    version_before: str
    before: list[Asked]
    usual: list[tuple[float, int] | None]
    after: list[Asked] = field(default_factory=list)
    others: int = 0


@dataclass(slots=True)
class Use:
    """Calls of the versions since a rise, of older ones among them, and of older ones alone since the last of those."""

    newer: int
    older: int
    back: int = 0

    def add(self, *, newer: bool) -> None:
        """Count a call."""
        if newer:
            self.newer, self.older, self.back = self.newer + 1, self.older + self.back, 0
        else:
            self.back += 1

    @property
    def ended(self) -> bool:
        """Whether the older versions are used again and no other: chance alone would leave the newer out less long."""
        if self.back < LOOKS[0]:
            return False
        share_older = self.older / (self.newer + self.older)
        return share_older <= 0.0 or self.back * math.log(share_older) <= math.log(BACK_LEVEL)


@dataclass(slots=True)
class Versions:
    """The newest versions of one prompt, by when they were first seen, and one measure of each.

    >>> versions = Versions()
    >>> for name, tokens in (("v1", 100.0), ("v2", 102.0), ("v3", 190.0), ("v4", 195.0)):
    ...     for k in range(150):
    ...         versions.add(name, k, tokens + k % 7, limit=1.3)
    >>> versions.raised.version_before, versions.raised.version, round(versions.raised.ratio, 1)
    ('v2', 'v3', 1.8)
    """

    of: dict[str, LogMean] = field(default_factory=dict)
    first: dict[str, int] = field(default_factory=dict)
    trials: dict[str, Trial] = field(default_factory=dict)
    recent: deque[Asked] = field(default_factory=lambda: deque(maxlen=LOOKS[-1]))
    latest: str = ""
    blocks: Blocks = field(default_factory=Blocks)
    raised: Rise | None = None
    use: Use | None = None

    def add(self, version: str, time_ns: int, value: float, *, limit: float, asker: str = "") -> None:
        """Take a call of a version in; a rise by more than `limit` is then in `raised`."""
        if version not in self.of:
            self._begin(version, time_ns)
        self.of[version].add(value)
        log = math.log(value)
        self.recent.append((asker, log))
        self.blocks.add(log)
        self.latest = version
        if self.raised is not None and self.use is not None:
            self.use.add(newer=self.first[version] >= self.raised.since)
        for other, each in self.trials.items():
            each.others += other != version
        trial = self.trials.get(version)
        if trial is not None:
            trial.after.append((asker, log))
            if len(trial.after) in LOOKS:
                self._look(version, trial, limit)

    def _begin(self, version: str, time_ns: int) -> None:
        if len(self.of) >= MOST_VERSIONS:
            oldest = next(iter(self.of))
            del self.of[oldest], self.first[oldest]
            self.trials.pop(oldest, None)
        self.of[version], self.first[version] = LogMean(), time_ns
        if len(self.recent) < LOOKS[0]:
            return
        if len(self.trials) >= MOST_TRIALS:
            del self.trials[next(iter(self.trials))]
        usual = [self.blocks.usual(look // LOOKS[0]) for look in LOOKS]
        self.trials[version] = Trial(self.latest, list(self.recent), usual)

    def _look(self, version: str, trial: Trial, limit: float) -> None:
        n = len(trial.after)
        if n == LOOKS[-1]:
            del self.trials[version]
        before, usual = trial.before[-n:], trial.usual[LOOKS.index(n)]
        if len(before) < n or usual is None:
            return
        same = within(before, trial.after, math.log(limit))
        if same is None:
            return
        one, two = same
        gap = math.fsum(two) / len(two) - math.fsum(one) / len(one)
        if gap <= math.log(limit):
            return
        p = 0.5 * math.erfc(rank_deviates(one, two) / math.sqrt(2))
        sd, worth = usual
        if p > RANK_LEVEL or student_tail(gap / max(sd, 1e-6), worth) > JUMP_LEVEL:
            return
        self.trials.pop(version, None)
        self.blocks = Blocks()  # what came before says nothing of how it jumps from here on
        self._raise(version, trial, gap, p)

    def _raise(self, version: str, trial: Trial, gap: float, p: float) -> None:
        old, n = self.raised, len(trial.after)
        if old is not None and old.ratio >= math.exp(gap):
            return
        before, after = ([log for _, log in side] for side in (trial.before[-n:], trial.after))
        base = math.fsum(before) / n
        self.raised = Rise(
            version, trial.version_before, self.first[version], math.exp(gap), _average(before), _average(after), n,
            math.log10(max(p, 1e-300)),
            base if old is None else min(base, old.base),
        )  # fmt: skip
        self.use = Use(n, trial.others)

    def calm(self) -> None:
        """Nothing is raised any more."""
        self.raised = self.use = None

    @property
    def went_back(self) -> bool:
        """Whether the prompt is what it was before the rise."""
        return self.use is not None and self.use.ended

    def ratio(self, version: str) -> float | None:
        """How far calls of a version lie above those before the rise; None for older versions and too few calls."""
        known = self.of[version]
        if self.raised is None or known.n < LOOKS[0] or self.first[version] < self.raised.since:
            return None
        return math.exp(known.logs / known.n - self.raised.base)

    def snapshot(self) -> dict[str, Any]:
        """All state, as a tree."""
        return {
            "of": [[name, self.first[name], each.n, each.total, each.logs] for name, each in self.of.items()],
            "trials": [
                [name, each.version_before, _plain(each.before), [list(one) if one else None for one in each.usual],
                 _plain(each.after), each.others]
                for name, each in self.trials.items()
            ],
            "recent": _plain(self.recent),
            "latest": self.latest,
            "blocks": self.blocks.snapshot(),
            "raised": None if self.raised is None else list(self.raised),
            "use": None if self.use is None else [self.use.newer, self.use.older, self.use.back],
        }  # fmt: skip

    @staticmethod
    def restored(state: dict[str, Any]) -> Versions:
        """Versions back from a snapshot."""
        found = Versions(latest=state["latest"], blocks=Blocks.restored(state["blocks"]))
        for name, first, *rest in state["of"]:
            found.of[name], found.first[name] = LogMean(*rest), first
        for name, before_name, before, usual, after, *others in state["trials"]:
            known = [None if one is None else (one[0], one[1]) for one in usual]
            found.trials[name] = Trial(before_name, _asked(before), known, _asked(after), *others)
        found.recent.extend(_asked(state["recent"]))
        found.raised = None if state["raised"] is None else Rise(*state["raised"])
        use = state.get("use")  # snapshots of earlier versions have none
        found.use = None if use is None else Use(*use)
        return found


def _average(logs: list[float]) -> float:
    return math.fsum(math.exp(each) for each in logs) / len(logs)


def _plain(calls: Iterable[Asked]) -> list[list[str | float]]:
    return [[who, value] for who, value in calls]


def _asked(state: Iterable[Any]) -> list[Asked]:
    return [(who, value) for who, value in state]
