"""Alert budgets of a shard, one a team: what monitors counted, the levels that follow, the promise and what came."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any, Final, TypeAlias

import numpy as np

from tocsin.calibrate.budget import AGES, EASIEST, FAMILIES, HARDEST, SHAPES, Counted
from tocsin.engine.guarded import Guarded
from tocsin.engine.own_signals import FOREIGN
from tocsin.engine.teams import Ownership
from tocsin.engine.watch import Watch
from tocsin.model.arrays import F8, I4
from tocsin.model.finding import Finding, Phase
from tocsin.model.log import Control
from tocsin.selfmon.metrics import gauge

PROMISED = gauge("tocsin_engine_budget_promised_pages", "False pages a week that a team put up with", ["team"])
REALISED = gauge("tocsin_engine_budget_realised_pages", "Findings opened a week, true ones included", ["team", "over"])
LEVEL = gauge("tocsin_engine_budget_level_decades", "-log10 p that a score needs", ["team", "family"])

Reading: TypeAlias = tuple[str, dict[str, str], float]
"""(signal, labels, value)."""

DAY_NS: Final = 86_400 * 10**9
WEEK_NS: Final = 7 * DAY_NS
WEEKS_KEPT: Final = 20
NAMES: Final = tuple(
    f"{age}-{tail}" for age in ("fresh", "young", "settled") for tail in ("light", "middling", "heavy")
)
"""Families of rows by how much of their past is known and how heavy their tail is."""
assert len(NAMES) == FAMILIES == (len(AGES) + 1) * (len(SHAPES) + 1)


ENTITY_SHARE: Final = 0.25
"""Of a team's budget that goes to its entities, if any are judged as a whole; the rest goes to single series."""


class AlertBudget:
    """The budget of one team: levels by family, read from counts whenever a day of the log's own time has gone by.

    >>> b = AlertBudget(3.0)
    >>> b.share(windows_per_week=200 * 10_080.0)
    >>> b.levels.round(1).tolist()[-3:]
    [-6.2, -9.9, -7.2]
    """

    def __init__(self, per_week: float) -> None:
        self.per_week = per_week
        self._past, self._today = Counted(), Counted()
        self.pins: dict[str, float] = {}
        self._day = 0
        self._windows = 0.0
        self._entities = 0
        self._opened: list[int] = []  # by day, the last is today
        self.levels: F8 = np.zeros(FAMILIES)
        self.share(1.0)

    def promise(self, per_week: float) -> None:
        """Put another budget into force."""
        self.per_week = per_week
        self._read()

    def share(self, windows_per_week: float, entities: int = 0) -> None:
        """Divide the budget among so many windows a week, overlapping ones counted by their step, and entities."""
        if (windows_per_week, entities) != (self._windows, self._entities):
            self._windows, self._entities = windows_per_week, entities
            self._read()

    @property
    def per_entity(self) -> float:
        """False pages a week that one entity may cause."""
        return self.per_week * ENTITY_SHARE / max(self._entities, 1)

    def adopt(self, control: Control) -> None:
        """Take a `level` record: `{"settled-light": -9}` pins a family's level; `{}` goes back to counting."""
        pins = json.loads(control.body)
        self.pins = {name: float(pins[name]) for name in NAMES if name in pins}
        self._read()

    def count(self, counts: F8, exposure: F8) -> None:
        """Take in what monitors counted: maxima (FAMILIES, BINS) and steps (FAMILIES,)."""
        self._today.add(counts, exposure)

    def opened(self, findings: int) -> None:
        """Count findings that opened today."""
        if self._opened:
            self._opened[-1] += findings

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
        rest = self.per_week * (1.0 - ENTITY_SHARE if self._entities else 1.0)
        levels = self._past.levels(rest / max(self._windows, 1.0))
        for name, pinned in self.pins.items():
            levels[NAMES.index(name)] = -min(max(-pinned, EASIEST), HARDEST)
        self.levels = levels

    def realised(self, weeks: int) -> float:
        """Findings opened a week, over the last `weeks` weeks or as long as there is something to count."""
        days = self._opened[-7 * weeks :]
        return 7.0 * sum(days) / max(len(days), 7)

    def readings(self, team: str) -> list[Reading]:
        """What there is to see of a team's budget; also set as the process's own metrics."""
        whose = {"team": team}
        found: list[Reading] = [("tocsin.budget.promised", whose, self.per_week)]
        PROMISED.labels(team).set(self.per_week)
        for weeks in (1, WEEKS_KEPT):
            found.append((f"tocsin.budget.realised_{weeks}w", whose, self.realised(weeks)))
            REALISED.labels(team, f"{weeks}w").set(self.realised(weeks))
        for name, level in zip(NAMES, self.levels.tolist(), strict=True):
            found.append(("tocsin.budget.level", {**whose, "family": name}, level))
            LEVEL.labels(team, name).set(-level)
        return found

    def snapshot(self) -> dict[str, Any]:
        """All state, as a tree of copies."""
        return {
            "past": [self._past.counts.copy(), self._past.exposure.copy()],
            "today": [self._today.counts.copy(), self._today.exposure.copy()],
            "pins": dict(self.pins),
            "day": self._day,
            "windows": self._windows,
            "entities": self._entities,
            "opened": list(self._opened),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take a snapshot back."""
        self._past, self._today = Counted(), Counted()
        self._past.add(*state["past"])
        self._today.add(*state["today"])
        self.pins, self._day = dict(state["pins"]), state["day"]
        self._windows, self._entities = state["windows"], state["entities"]
        self._opened = list(state["opened"])
        self._read()


class TeamBudgets:
    """The budgets of all teams: what monitors count goes to whose it is, and each team has levels of its own.

    Levels and counts are by team, then family: row `team * FAMILIES + family`.

    >>> from tocsin.spec.team import TeamSpec
    >>> b = TeamBudgets(Ownership([TeamSpec(name="ml", owns={"model": "*"}, false_pages_per_week=0.01)]))
    >>> b.share(np.array([1e6, 1e6]))
    >>> b.levels.shape, bool((b.levels[FAMILIES:] < b.levels[:FAMILIES]).all())
    ((18,), True)
    """

    def __init__(self, ownership: Ownership) -> None:
        self._budgets: dict[str, AlertBudget] = {}
        self._refits = self._drifted = 0
        self._foreign: dict[str, float] = {}
        self.promise(ownership)

    def promise(self, ownership: Ownership) -> None:
        """Put other teams or budgets into force; a team that stays keeps what was counted."""
        self._ownership = ownership
        before, self._budgets = self._budgets, {}
        pins = next(iter(before.values())).pins if before else {}  # they hold for all teams
        for name, per_week in zip(ownership.names, ownership.per_week, strict=True):
            budget = self._budgets[name] = before.get(name) or AlertBudget(per_week)
            budget.pins = dict(pins)
            budget.promise(per_week)
        for name in before.keys() - self._budgets.keys():
            forget(name)

    def of(self, team: str) -> AlertBudget:
        """The budget of one team."""
        return self._budgets[team]

    @property
    def levels(self) -> F8:
        """Log10 p that a score needs, by team and family, (teams * FAMILIES,)."""
        return np.concatenate([budget.levels for budget in self._budgets.values()])

    def share(self, windows_per_week: F8, entities: I4 | None = None) -> None:
        """Divide each budget among the windows of its team, (teams,), and its entities, (teams,)."""
        counts = np.zeros(len(windows_per_week), "i4") if entities is None else entities
        for budget, windows, count in zip(
            self._budgets.values(), windows_per_week.tolist(), counts.tolist(), strict=True
        ):
            budget.share(windows, count)

    @property
    def per_entity(self) -> F8:
        """False pages a week that one entity of each team may cause, (teams,)."""
        return np.array([budget.per_entity for budget in self._budgets.values()])

    def adopt(self, control: Control) -> None:
        """Take a `level` record: it pins the levels of its families for all teams."""
        self.pins = control
        for budget in self._budgets.values():
            budget.adopt(control)

    def fold(self, watches: Iterable[Watch], findings: Sequence[Finding]) -> None:
        """Take in what monitors counted, and the findings that opened."""
        for watch in watches:
            if watch.lanes and watch.episodes.exposed:
                counts, exposure = watch.episodes.drain()
                for number, budget in enumerate(self._budgets.values()):
                    mine = slice(number * FAMILIES, (number + 1) * FAMILIES)
                    budget.count(counts[mine], exposure[mine])
        budgets = list(self._budgets.values())
        for finding in findings:
            if finding.phase is Phase.OPEN:
                budgets[self._ownership.number(finding.monitor, finding.series)].opened(1)

    def inspect(self, watches: Iterable[Watch]) -> None:
        """Count how often calibration was fitted anew, and series whose model is given what it doesn't know."""
        watches = list(watches)
        self._refits, self._drifted = calibration_of(watches)
        self._foreign = foreign_of(watches)

    def turn(self, received: int) -> bool:
        """Whether a new day has begun; if so, levels are read anew from all that was counted."""
        return any([budget.turn(received) for budget in self._budgets.values()])  # noqa: C419 - every one must turn

    def readings(self) -> list[Reading]:
        """What there is to see of all teams; also set as the process's own metrics."""
        found = [reading for name, budget in self._budgets.items() for reading in budget.readings(name)]
        counted: list[Reading] = [
            ("tocsin.calibration.refits", {}, float(self._refits)),
            ("tocsin.calibration.inputs_drifted", {}, float(self._drifted)),
        ]
        shares: list[Reading] = [(FOREIGN, {"monitor": name}, share) for name, share in self._foreign.items()]
        return [*found, *counted, *shares]

    def snapshot(self) -> dict[str, Any]:
        """All state, as a tree of copies, by team."""
        return {name: budget.snapshot() for name, budget in self._budgets.items()}

    def restore(self, state: dict[str, Any]) -> None:
        """Take a snapshot back; the teams are those of the spec in force."""
        for name, budget in self._budgets.items():
            budget.restore(state[name])
        self.readings()


def calibration_of(watches: Iterable[Watch]) -> tuple[int, int]:
    """Times that calibration was fitted anew, and series whose model is given what it doesn't know."""
    refits = drifted = 0
    for watch in watches:
        refits += int(watch.calibrator.drifts.sum())
        drifted += watch.detector.drifted() if isinstance(watch.detector, Guarded) else 0
    return refits, drifted


def foreign_of(watches: Iterable[Watch]) -> dict[str, float]:
    """Share of the series of each monitor that its model was not made for, where two weeks tell; see `Guarded.foreign`."""
    found: dict[str, float] = {}
    for watch in watches:
        share = watch.detector.foreign() if isinstance(watch.detector, Guarded) else math.nan
        if not math.isnan(share):
            found[watch.spec.name] = max(share, found.get(watch.spec.name, 0.0))
    return dict(sorted(found.items()))


def forget(team: str) -> None:
    """Take a team that is no more off the metrics."""
    for metric, rest in ((PROMISED, [()]), (REALISED, [("1w",), (f"{WEEKS_KEPT}w",)]), (LEVEL, [(n,) for n in NAMES])):
        for labels in rest:
            with suppress(KeyError):
                metric.remove(team, *labels)
