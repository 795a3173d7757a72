"""Error streams: has a model's error changed? ADWIN, DDM and Page-Hinkley, one value at a time, bounded memory."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum
from functools import reduce

from tocsin.model.errors import BadInput


class State(Enum):
    """What a stream says after a value."""

    LEARNING = "learning"
    STABLE = "stable"
    WARNING = "warning"
    CHANGED = "changed"


@dataclass(slots=True)
class Bucket:
    """`rows` values in a row from place `start` on: their sum, and the sum of squares about their mean."""

    rows: int
    total: float
    spread: float
    start: int = 0

    @property
    def mean(self) -> float:
        """Their mean."""
        return self.total / self.rows


@dataclass(frozen=True, slots=True)
class Change:
    """Where a window came apart most clearly: all before it, and all since."""

    before: Bucket
    since: Bucket


def joined(left: Bucket, right: Bucket) -> Bucket:
    """The values of both."""
    gap = left.mean - right.mean
    rows = left.rows + right.rows
    spread = left.spread + right.spread + gap * gap * left.rows * right.rows / rows
    return Bucket(rows, left.total + right.total, spread, left.start)


def together(buckets: Iterable[Bucket]) -> Bucket:
    """All values of buckets in a row, at least one, as one.

    >>> together([Bucket(1, 1.0, 0.0, 7), Bucket(1, 3.0, 0.0, 8)])
    Bucket(rows=2, total=4.0, spread=2.0, start=7)
    """
    return reduce(joined, buckets)


@dataclass(slots=True)
class Adwin:
    """A window that grows while its mean stands still and drops its old part when that has another mean than the new.

    `delta` bounds the false alarms of one cut; `most` buckets of a size are kept, so memory is logarithmic in the
    window. `delta` in (0, 1). `change` is the last change, None before any. Reference: A. Bifet and R. Gavalda, Learning from Time-Changing Data with Adaptive
    Windowing, SDM 2007, theorem 3.1 and equation 3.1.

    >>> adwin = Adwin()
    >>> states = [adwin.update(value) for value in [0.0] * 400 + [1.0] * 100]
    >>> State.CHANGED in states[:400], State.CHANGED in states[400:]
    (False, True)
    """

    delta: float = 0.002
    most: int = 5
    least: int = 10
    every: int = 8
    buckets: deque[Bucket] = field(default_factory=deque)
    seen: int = 0
    change: Change | None = None

    def __post_init__(self) -> None:
        if not (0 < self.delta < 1 and self.most >= 2 and self.least >= 1 and self.every >= 1):
            raise BadInput(f"adwin needs delta in (0, 1) and most >= 2, got {self.delta} and {self.most}")

    @property
    def rows(self) -> int:
        """Length of the window."""
        return sum(bucket.rows for bucket in self.buckets)

    @property
    def mean(self) -> float:
        """Mean of the window, NaN of none."""
        rows = self.rows
        return sum(bucket.total for bucket in self.buckets) / rows if rows else math.nan

    def update(self, error: float, at: int = 0) -> State:
        """Take in the next error (any finite number; what is not finite says nothing), which is at place or time `at`."""
        if not math.isfinite(error):
            return State.LEARNING if self.rows < 2 * self.least else State.STABLE
        self.buckets.append(Bucket(1, error, 0.0, at))
        self._compress()
        self.seen += 1
        changed = self.seen % self.every == 0 and self._cut()
        if changed:
            return State.CHANGED
        return State.LEARNING if self.rows < 2 * self.least else State.STABLE

    def _compress(self) -> None:
        """Join the two oldest of a size where there are more than `most`."""
        held = list(self.buckets)
        size = 1
        while True:
            of_size = [i for i, bucket in enumerate(held) if bucket.rows == size]
            if len(of_size) <= self.most:
                break
            first = of_size[0]
            held[first : first + 2] = [joined(held[first], held[first + 1])]
            size *= 2
        self.buckets = deque(held)

    def _cut(self) -> bool:
        """Drop old buckets while some cut of the window parts two means."""
        first = found = self._parted()
        while found is not None:
            self.buckets.popleft()
            found = self._parted()
        self.change = first or self.change
        return first is not None

    def _parted(self) -> Change | None:
        """The cut that parts two means most clearly, if one does for sure."""
        held = list(self.buckets)
        rows = sum(bucket.rows for bucket in held)
        if rows < 2 * self.least:
            return None
        whole = together(held)
        variance = whole.spread / rows
        log_term = math.log(2.0 * math.log(rows) / self.delta)
        n0, total0, best, at = 0, 0.0, 1.0, 0
        for place, bucket in enumerate(held, 1):
            n0, total0 = n0 + bucket.rows, total0 + bucket.total
            n1 = rows - n0
            if n0 < self.least or n1 < self.least:
                continue
            m = 1.0 / (1.0 / n0 + 1.0 / n1)
            bound = math.sqrt(2.0 / m * variance * log_term) + 2.0 / (3.0 * m) * log_term
            gap = abs(total0 / n0 - (whole.total - total0) / n1) / bound if bound > 0 else 0.0
            if gap > best:
                best, at = gap, place
        return Change(together(held[:at]), together(held[at:])) if at else None


@dataclass(slots=True)
class Ddm:
    """The error rate against its own best: a warning at 2, a change at 3 standard deviations above it.

    Takes 0 (right) and 1 (wrong). Reference: J. Gama et al., Learning with Drift Detection, SBIA 2004.

    >>> ddm = Ddm()
    >>> states = [ddm.update(float(i % 10 == 0)) for i in range(500)] + [ddm.update(float(i % 2)) for i in range(200)]
    >>> State.CHANGED in states[:500], State.CHANGED in states[500:]
    (False, True)
    """

    warning: float = 2.0
    change: float = 3.0
    least: int = 30
    rows: int = 0
    rate: float = 0.0
    best: float = math.inf
    best_rate: float = math.inf
    best_sd: float = math.inf

    def __post_init__(self) -> None:
        if not (0 < self.warning < self.change and self.least >= 1):
            raise BadInput(f"ddm needs 0 < warning < change, got {self.warning} and {self.change}")

    def update(self, error: float) -> State:
        """Take in whether the next prediction was wrong; starts anew after a change.

        Raises
        ------
        BadInput
            The error is neither 0 nor 1.
        """
        if math.isnan(error):
            return State.LEARNING if self.rows < self.least else State.STABLE
        if error not in (0.0, 1.0):
            raise BadInput(f"ddm takes 0 (right) or 1 (wrong), got {error:g}; use adwin or page_hinkley for numbers")
        self.rows += 1
        self.rate += (error - self.rate) / self.rows
        sd = math.sqrt(self.rate * (1.0 - self.rate) / self.rows)
        if self.rows < self.least:
            return State.LEARNING
        if self.rate > 0.0 and self.rate + sd <= self.best:
            self.best, self.best_rate, self.best_sd = self.rate + sd, self.rate, sd
        if self.rate + sd > self.best_rate + self.change * self.best_sd:
            self.rows, self.rate, self.best, self.best_rate, self.best_sd = 0, 0.0, math.inf, math.inf, math.inf
            return State.CHANGED
        return State.WARNING if self.rate + sd > self.best_rate + self.warning * self.best_sd else State.STABLE


@dataclass(slots=True)
class PageHinkley:
    """The cumulative sum of errors above their mean, less `delta` each; a change when it is `threshold` over its least.

    Finds a rise. Both are in the errors' unit. Reference: E. S. Page, Continuous Inspection Schemes, Biometrika 1954.

    >>> stream = PageHinkley(delta=0.05, threshold=10.0)
    >>> states = [stream.update(float(i % 10 == 0)) for i in range(500)] + [stream.update(1.0) for _ in range(50)]
    >>> State.CHANGED in states[:500], State.CHANGED in states[500:]
    (False, True)
    """

    delta: float = 0.005
    threshold: float = 50.0
    least: int = 30
    rows: int = 0
    mean: float = 0.0
    total: float = 0.0
    lowest: float = 0.0

    def __post_init__(self) -> None:
        if not (self.delta >= 0 and self.threshold > 0 and self.least >= 1):
            raise BadInput(f"page_hinkley needs delta >= 0 and threshold > 0, got {self.delta} and {self.threshold}")

    def update(self, error: float) -> State:
        """Take in the next error; starts anew after a change."""
        if not math.isfinite(error):
            return State.LEARNING if self.rows < self.least else State.STABLE
        self.rows += 1
        self.mean += (error - self.mean) / self.rows
        self.total += error - self.mean - self.delta
        self.lowest = min(self.lowest, self.total)
        if self.rows < self.least:
            return State.LEARNING
        if self.total - self.lowest > self.threshold:
            self.rows, self.mean, self.total, self.lowest = 0, 0.0, 0.0, 0.0
            return State.CHANGED
        return State.STABLE
