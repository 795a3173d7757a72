"""Who watches what: the monitors of the spec in force, and the series each was given."""

from __future__ import annotations

from typing import Any

import numpy as np

from tocsin.engine.entity_monitor import EntityMonitor
from tocsin.engine.graph_monitor import GraphMonitor
from tocsin.engine.labels import Labels
from tocsin.engine.match import Matcher
from tocsin.engine.metric_family import MetricFamilies
from tocsin.engine.model_shelf import ModelShelf
from tocsin.engine.points import PointRule
from tocsin.engine.season_clock import SeasonClock
from tocsin.engine.teams import Ownership
from tocsin.engine.watch import Watch
from tocsin.model.arrays import F8, I4, U1
from tocsin.model.rows import Rows, grown
from tocsin.model.series import Catalog, Kind, Series
from tocsin.spec.engine import EngineSpec
from tocsin.spec.monitor import MonitorSpec

GAUGE, COUNTER, DELTA = 0, 1, 2
"""How the readings of a series are to be taken."""


WEEK_NS = 7 * 86_400 * 10**9


class Roster:
    """Watches and point rules by monitor, and what the readings of each series are."""

    def __init__(
        self, spec: EngineSpec, rows: Rows, before: Roster | None = None, shelf: ModelShelf | None = None
    ) -> None:
        shelf = shelf or ModelShelf()
        self._rows = rows
        self.owned = Ownership(spec.teams, spec.false_pages_per_week)
        self._monitors = spec.all_monitors()
        self._matcher = Matcher(self._monitors)
        kept_watches = {watch.spec.model_dump_json(): watch for watch in (before.watches if before else {}).values()}
        kept_rules = {rule.spec.model_dump_json(): rule for rule in (before.rules if before else {}).values()}
        clock, kinds = SeasonClock(spec.calendars), MetricFamilies(spec.all_families())
        self.watches: dict[int, Watch] = {}
        self.rules: dict[int, PointRule] = {}
        for i, monitor in enumerate(self._monitors):
            text = monitor.model_dump_json()
            if monitor.per_point:
                self.rules[i] = kept_rules.get(text) or PointRule(monitor, rows)
            else:
                self.watches[i] = kept_watches.get(text) or _watch(monitor, rows.catalog, shelf)
                self.watches[i].own(self.owned)
                self.watches[i].placement.settle(clock, kinds, self.watches[i].detector)
        self._of_entities = [watch for watch in self.watches.values() if isinstance(watch, EntityMonitor)]
        self.kind: U1 = np.zeros(0, "u1")
        self._audience: I4 = np.zeros(0, "i4")  # by row: which set of watches sees it
        self._audiences: dict[tuple[int, ...], int] = {}
        self._assigned = 0
        self._shared: tuple[int, F8] = (0, np.zeros(len(self.owned)))
        self.assign()

    def assign(self) -> None:
        """Give every series that is new to this roster to the monitors that match it."""
        have = len(self._rows)
        if have == self._assigned:
            return
        self.kind = grown(self.kind, have, GAUGE).astype("u1", copy=False)
        self._audience = grown(self._audience, have, 0).astype("i4", copy=False)
        for row in range(self._assigned, have):
            series = self._rows.series(row)
            self.kind[row] = _kind(series)
            watching = []
            for i in self._matcher.of(series):
                if i in self.rules:
                    self.rules[i].watch(row)
                else:
                    self.watches[i].watch(row, series)
                    watching.append(i)
            self._audience[row] = self._audiences.setdefault(tuple(sorted(watching)), len(self._audiences))
        self._assigned = have
        for watch in self.watches.values():
            watch.told.extend()

    def ask(self, labels: Labels) -> None:
        """Put what people's labels ask for into force."""
        for watch in self.watches.values():
            watch.ask(labels.asks.get(watch.spec.name, {}))

    def watching(self, rows: I4) -> list[Watch]:
        """The watches that see any of these rows, (n,); asking all of them would cost more than what they see."""
        sets = list(self._audiences)
        some = {i for audience in set(self._audience[rows].tolist()) for i in sets[audience]}
        return [self.watches[i] for i in sorted(some)]

    def monitor(self, i: int) -> MonitorSpec:
        """The spec of a monitor."""
        return self._monitors[i]

    def windows_per_week(self) -> F8:
        """Windows that are judged in a week, by team, (teams,), overlapping ones counted by their step.

        They share the budget.
        """
        groups = sum(len(watch.groups) for watch in self.watches.values())
        if groups != self._shared[0]:  # asked at every tick; groups are never fewer
            found = np.zeros(len(self.owned))
            for watch in self.watches.values():
                if watch.detector is not None:
                    found += np.bincount(watch.judged(), minlength=len(self.owned)) * (WEEK_NS / watch.window.size)
            self._shared = groups, found
        return self._shared[1]

    def entities(self) -> I4:
        """Entities that are judged as a whole, by team, (teams,); they share a part of the budget."""
        found = np.zeros(len(self.owned), "i4")
        for watch in self._of_entities:
            found += np.bincount(watch.teams(), minlength=len(self.owned)).astype("i4")
        return found

    def allow(self, per_entity: F8) -> None:
        """Tell those that judge entities what part of the budget each of a team has, (teams,)."""
        for watch in self._of_entities:
            watch.allow(per_entity)

    def snapshot(self) -> dict[str, Any]:
        """State of all monitors by name."""
        return {
            "watches": {watch.spec.name: watch.snapshot() for watch in self.watches.values()},
            "rules": {rule.spec.name: rule.snapshot() for rule in self.rules.values()},
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take a snapshot back; the rows' series must be known."""
        for watch in self.watches.values():
            watch.restore(state["watches"][watch.spec.name])
        self._assigned = 0
        self.assign()
        for rule in self.rules.values():
            rule.restore(state["rules"][rule.spec.name])


def _watch(monitor: MonitorSpec, catalog: Catalog, shelf: ModelShelf) -> Watch:
    if monitor.detect.graph is not None:
        return GraphMonitor(monitor, catalog, shelf)
    return EntityMonitor(monitor, catalog, shelf) if monitor.together else Watch(monitor, catalog, shelf)


def _kind(series: Series) -> int:
    signal = series.signal
    if signal.kind is not Kind.SUM or not signal.monotonic:
        return GAUGE
    return COUNTER if signal.cumulative else DELTA
