"""The alert budget of a shard: what monitors counted, the levels that follow, and the promise beside what came."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, Final

import numpy as np

from tocsin.calibrate.budget import AGES, EASIEST, FAMILIES, HARDEST, SHAPES, Counted
from tocsin.engine.watch import Watch
from tocsin.model.arrays import F8
from tocsin.model.finding import Finding, Phase
from tocsin.model.log import Control
from tocsin.selfmon.metrics import gauge

PROMISED = gauge("tocsin_engine_budget_promised_pages", "False pages a week that the team put up with")
REALISED = gauge("tocsin_engine_budget_realised_pages", "Findings opened a week, true ones included", ["over"])
REFITS = gauge(
    "tocsin_engine_calibration_refits", "Times that a row's p-values no longer fitted and its past was let go"
)
LEVEL = gauge("tocsin_engine_budget_level_decades", "-log10 p that a score needs", ["family"])

DAY_NS: Final = 86_400 * 10**9
WEEK_NS: Final = 7 * DAY_NS
WEEKS_KEPT: Final = 20
NAMES: Final = tuple(
    f"{age}-{tail}" for age in ("fresh", "young", "settled") for tail in ("light", "middling", "heavy")
)
"""Families of rows by how much of their past is known and how heavy their tail is."""
assert len(NAMES) == FAMILIES == (len(AGES) + 1) * (len(SHAPES) + 1)


class AlertBudget:
    """Levels by family, read from counts whenever a day of the log's own time has gone by.

    >>> b = AlertBudget(3.0)
    >>> b.share(windows_per_week=200 * 10_080.0)
    >>> b.levels.round(1).tolist()[-3:]
    [-6.2, -9.9, -7.2]
    """

    def __init__(self, per_week: float) -> None:
        self.per_week = per_week
        self._past, self._today = Counted(), Counted()
        self._pins: dict[str, float] = {}
        self._day = 0
        self._windows = 0.0
        self._opened: list[int] = []  # by day, the last is today
        self._refits = 0
        self.levels: F8 = np.zeros(FAMILIES)
        self.share(1.0)

    def promise(self, per_week: float) -> None:
        """Put another budget into force."""
        self.per_week = per_week
        self._read()

    def share(self, windows_per_week: float) -> None:
        """Divide the budget among so many windows a week, overlapping ones counted by their step."""
        if windows_per_week != self._windows:
            self._windows = windows_per_week
            self._read()

    def adopt(self, control: Control) -> None:
        """Take a `level` record: `{"settled-light": -9}` pins a family's level; `{}` goes back to counting."""
        pins = json.loads(control.body)
        self._pins = {name: float(pins[name]) for name in NAMES if name in pins}
        self._read()

    def fold(self, watches: Iterable[Watch], findings: Iterable[Finding]) -> None:
        """Take in what monitors counted, and the findings that opened."""
        for watch in watches:
            if watch.episodes.exposed:
                self._today.add(*watch.episodes.drain())
        if self._opened:
            self._opened[-1] += sum(finding.phase is Phase.OPEN for finding in findings)

    def inspect(self, watches: Iterable[Watch]) -> None:
        """Count how often calibration was fitted anew."""
        self._refits = sum(int(watch.calibrator.drifts.sum()) for watch in watches)

    def turn(self, received: int) -> bool:
        """Whether a new day has begun; if so, levels are read anew from all that was counted."""
        day = received // DAY_NS
        if day == self._day:
            return False
        gone = day - self._day if self._day else 1
        self._day = day
        self._past.fade(gone / 7)
        self._past.add(self._today.counts, self._today.exposure)
        self._today = Counted()
        self._opened = [*self._opened, *[0] * min(gone, 7 * WEEKS_KEPT)][-7 * WEEKS_KEPT :]
        self._read()
        return True

    def _read(self) -> None:
        levels = self._past.levels(self.per_week / max(self._windows, 1.0))
        for name, pinned in self._pins.items():
            levels[NAMES.index(name)] = -min(max(-pinned, EASIEST), HARDEST)
        self.levels = levels

    def realised(self, weeks: int) -> float:
        """Findings opened a week, over the last `weeks` weeks or as long as there is something to count."""
        days = self._opened[-7 * weeks :]
        return 7.0 * sum(days) / max(len(days), 7)

    def readings(self) -> list[tuple[str, str, float]]:
        """What there is to see: (signal, family, value); also set as the process's own metrics."""
        found = [("tocsin.budget.promised", "", self.per_week)]
        found += [(f"tocsin.budget.realised_{weeks}w", "", self.realised(weeks)) for weeks in (1, WEEKS_KEPT)]
        found += [("tocsin.budget.level", name, float(level)) for name, level in zip(NAMES, self.levels, strict=True)]
        found.append(("tocsin.calibration.refits", "", float(self._refits)))
        PROMISED.set(self.per_week)
        REFITS.set(self._refits)
        for weeks in (1, WEEKS_KEPT):
            REALISED.labels(f"{weeks}w").set(self.realised(weeks))
        for name, level in zip(NAMES, self.levels, strict=True):
            LEVEL.labels(name).set(-float(level))
        return found

    def snapshot(self) -> dict[str, Any]:
        """All state, as a tree of copies."""
        return {
            "past": [self._past.counts.copy(), self._past.exposure.copy()],
            "today": [self._today.counts.copy(), self._today.exposure.copy()],
            "pins": dict(self._pins),
            "day": self._day,
            "windows": self._windows,
            "opened": list(self._opened),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take a snapshot back."""
        self._past, self._today = Counted(), Counted()
        self._past.add(*state["past"])
        self._today.add(*state["today"])
        self._pins, self._day = dict(state["pins"]), state["day"]
        self._windows, self._opened = state["windows"], list(state["opened"])
        self._read()
        self.readings()
