"""How far a metric moved at a time, beside how far it moved by itself before: by means of windows of the same length."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import numpy as np

from tocsin.model.arrays import F8

Role: TypeAlias = Literal["resource", "symptom", "flow", "other"]

HALF_SURE = 4.0
"""A move so many times the greatest usual one is held for half sure."""
USUAL = 3.0
"""No move of less than so many robust deviations is out of the ordinary; twice that where little was seen before."""
FEW_WINDOWS = 10
LEAST_BEFORE = 3
MOST_BEFORE = 5000
SLIGHT = 0.02
"""Share of its level within which a metric may always move."""
CLIP = 20.0
COMMON = 3
"""From so many entities on, what moved on many of them at once says little of any one."""
WEIGHT: dict[Role, float] = {"resource": 1.0, "symptom": 0.7, "flow": 0.45, "other": 0.7}
FALLEN = 0.5
"""What a fall counts beside a rise where work that doesn't come is the simpler reason: resources and flows."""
_SYMPTOM = re.compile(
    r"latency|duration|response|elapsed|error|fail|success|availab|timeout|exception|(?:^|[^a-z])(?:p\d\d|rt|rtt|[45]xx)(?:[^a-z]|$)",
    re.IGNORECASE,
)
_FLOW = re.compile(
    r"workload|throughput|request|(?:^|[^a-z])(?:load|[rqt]ps|ops|calls|hits|traffic)(?:[^a-z0-9]|$)|net|receive|transmit|(?:^|[^a-z])[rt]x",
    re.IGNORECASE,
)
_RESOURCE = re.compile(
    r"cpu|mem|rss|heap|gc|disk|(?:^|[^a-z])(?:io|fd)|fs|file|socket|conn|thread|queue|pool|gpu|syscall|throttl|swap|power|temp|load\d|kv_?cache|restart",
    re.IGNORECASE,
)
_GOOD = re.compile(r"success|availab|uptime", re.IGNORECASE)


@dataclass(frozen=True, slots=True, eq=False)
class Readings:
    """One metric of one entity: times in seconds from any one origin, ascending, and finite values, (n,) each."""

    entity: str
    metric: str
    time: F8
    value: F8


@dataclass(frozen=True, slots=True, eq=False)
class Shift:
    """A move: `strength` in [0, 1], from which level to which, since when, and the residuals it was seen in."""

    entity: str
    metric: str
    role: Role
    strength: float
    before: float
    after: float
    deviations: float
    onset: float
    time: F8
    residual: F8

    @property
    def up(self) -> bool:
        """Whether it rose."""
        return self.after > self.before

    @property
    def weight(self) -> float:
        """How much it says of its entity being the cause, in [0, 1]."""
        if self.role == "symptom" and self.up == bool(_GOOD.search(self.metric)):
            return 0.0  # faster, or fewer failures
        fallen = not self.up and self.role in ("resource", "flow")
        return WEIGHT[self.role] * (FALLEN if fallen else 1.0) * self.strength


def role_of(metric: str) -> Role:
    """What a metric measures, by the words of its name.

    >>> [role_of(name) for name in ("cpu_usage", "LatencyP95(s)", "requests_total", "error_rate", "zeal")]
    ['resource', 'symptom', 'flow', 'symptom', 'other']
    """
    if _SYMPTOM.search(metric):
        return "symptom"
    if _FLOW.search(metric):
        return "flow"
    return "resource" if _RESOURCE.search(metric) else "other"


def shift(readings: Readings, at: float, window_s: float) -> Shift | None:
    """How a metric moved from `at` on, None where too little was seen on either side."""
    time, value = _as_rate(readings.time, readings.value)
    first, last = np.searchsorted(time, [at, at + window_s])
    before, after = value[:first][-MOST_BEFORE:], value[first:last]
    if len(before) < LEAST_BEFORE or not len(after):
        return None
    level = float(np.median(before))
    moved = max(
        (_moved(before, part) for part in (after, after[len(after) // 2 :])), key=lambda each: (each[0], each[1])
    )
    spread = _spread(before, level, float(np.abs(after - level).max()))
    seen = slice(max(0, int(first) - 3 * len(after)), int(last))
    residual = np.clip((value[seen] - level) / spread, -CLIP, CLIP)
    return Shift(
        readings.entity,
        readings.metric,
        role_of(readings.metric),
        moved[0],
        level,
        float(after.mean()),
        moved[1],
        _onset(time[seen], residual, at, float(np.sign(after.mean() - level))),
        time[seen],
        residual,
    )


def _moved(before: F8, after: F8) -> tuple[float, float]:
    """Strength in [0, 1] and robust deviations of the mean of `after` among means of as many readings before."""
    k = max(1, min(len(after), len(before) // LEAST_BEFORE))
    sums = np.concatenate(([0.0], np.cumsum(before)))
    means = (sums[k:] - sums[:-k]) / k
    level = float(np.median(means))
    far = float(after.mean()) - level
    spread = _spread(means, level, abs(far))
    deviations = abs(far) / spread
    usual = float(np.quantile(np.abs(means - level) / spread, 0.98))
    floor = USUAL if len(means) >= FEW_WINDOWS else 2 * USUAL
    times = deviations / max(usual, floor)
    return times / (times + HALF_SURE), deviations


def _spread(value: F8, level: float, far: float) -> float:
    """Robust deviation, never nothing: what never moved may move a little."""
    robust = 1.4826 * float(np.median(np.abs(value - level)))
    least = SLIGHT * abs(level) if level else SLIGHT * far
    return max(robust + SLIGHT * abs(level), least, 1e-12)


def _as_rate(time: F8, value: F8) -> tuple[F8, F8]:
    """A total that only ever grows as its growth a second."""
    steps = np.diff(value)
    if len(steps) < 2 * FEW_WINDOWS or float((steps >= 0).mean()) < 0.99 or float((steps > 0).mean()) < 0.8:
        return time, value
    return time[1:], np.maximum(steps, 0.0) / np.maximum(np.diff(time), 1e-9)


def _onset(time: F8, residual: F8, at: float, sign: float) -> float:
    """Time of the first of two readings on end that are out of line, from shortly before `at` on."""
    step = float(np.median(np.diff(time))) if len(time) > 1 else 0.0
    out = (sign * residual > USUAL) & (time >= at - 2 * step)
    both = out & np.append(out[1:], out[-1:])
    rows = np.flatnonzero(both)
    return float(time[rows[0]]) if len(rows) else float("nan")


def without_common(shifts: Sequence[Shift]) -> list[Shift]:
    """Moves less what is common: a metric that moves the same way on most entities is nobody's own."""
    moved: dict[tuple[str, bool], int] = {}
    seen: dict[str, int] = {}
    for each in shifts:
        seen[each.metric] = seen.get(each.metric, 0) + 1
        moved[each.metric, each.up] = moved.get((each.metric, each.up), 0) + (each.strength >= 1 / (1 + HALF_SURE))
    found = []
    for each in shifts:
        share = (moved[each.metric, each.up] - 1) / max(1, seen[each.metric] - 1)
        own = 1.0 - share if seen[each.metric] >= COMMON else 1.0
        found.append(replace(each, strength=each.strength * own))
    return found
