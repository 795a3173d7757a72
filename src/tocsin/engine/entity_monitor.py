"""`EntityMonitor`: a watch that judges the windows of all its series together, one entity per value of `by`."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import groupby
from typing import Any, Final

import numpy as np

from tocsin.engine.entity_watch import BUDGET_PER_WEEK, EntityWatch
from tocsin.engine.model_shelf import ModelShelf
from tocsin.engine.report import PaneRows
from tocsin.engine.teams import Ownership
from tocsin.engine.watch import LaneKey, Watch
from tocsin.model.arrays import F8, I4
from tocsin.model.detection import Band
from tocsin.model.finding import Finding
from tocsin.model.rows import grown
from tocsin.model.series import Catalog, Series, Signal
from tocsin.spec.monitor import DetectSpec, MonitorSpec
from tocsin.window.lane import Closed

ENTITY: Final = "entity"
"""Signal of the series that stands for an entity; its labels are those of `by`."""


class EntityMonitor(Watch):
    """One monitor over entities: each series has windows of its own, those that end together are one row.

    Series belong to one entity if their labels named in `by` are alike; without `by` all of a tenant do. A row is
    judged when every source of the monitor has passed its end, so that what one of them says late is not missing.
    """

    def __init__(self, spec: MonitorSpec, catalog: Catalog, shelf: ModelShelf | None = None) -> None:
        super().__init__(spec.model_copy(update={"detect": DetectSpec(baseline={})}), catalog)
        self.spec, self.detector = spec, None
        model = shelf.open(spec) if shelf is not None else None
        self.entities = EntityWatch(spec.name, self.window.step, model=model)
        self._budget: F8 = np.full(1, BUDGET_PER_WEEK)

    def own(self, owned: Ownership) -> None:
        """Put other teams into force."""
        super().own(owned)
        self._budget = np.full(len(owned), BUDGET_PER_WEEK)

    def teams(self) -> I4:
        """Number of the team that each entity belongs to, (entities,)."""
        known = (each.series for each in self.entities.entities.values())
        return np.array([self._owned.number(self.spec.name, series) for series in known], "i4")

    def allow(self, per_entity: F8) -> None:
        """False pages a week that an entity of each team may cause, (teams,)."""
        self._budget = per_entity

    def watch(self, row: int, series: Series) -> None:
        """Take a series of the shard in, on its own."""
        self._group = grown(self._group, row + 1, -1).astype("i4", copy=False)
        self._group[row] = self.groups.of_series(series)

    def close(
        self,
        watermarks: Mapping[tuple[str, str], int],
        levels: F8,  # noqa: ARG002 - of series; an entity has its own, from its part of the budget
        absorb_ns: int,  # noqa: ARG002 - an entity's past takes in what lasts, a kept shingle at a time
    ) -> tuple[list[PaneRows], list[Finding]]:
        """Judge every step that all sources have passed."""
        feeds = [watermarks.get(feed, 0) for several in self.feeds.values() for feed in several]
        closings: list[tuple[int, LaneKey, Closed]] = []
        for key, lane in self.lanes.items():
            closings += [(closed.end, key, closed) for closed in lane.close(min(feeds))]
        closings.sort(key=lambda closing: closing[:2])
        panes: list[PaneRows] = []
        findings: list[Finding] = []
        for (end, tenant), several in groupby(closings, key=lambda closing: (closing[0], closing[1][0])):
            parts = [closed for _, _, closed in several]
            panes += [self._pane(tenant, part) for part in parts]
            findings += self._together(end, parts)
        return panes, findings

    def _together(self, end: int, parts: list[Closed]) -> list[Finding]:
        rows: dict[bytes, tuple[Series, dict[Series, float]]] = {}
        for part in parts:
            for row, value in zip(part.groups.tolist(), part.value.tolist(), strict=True):
                series = self.groups.series(row)
                entity = self._entity(series)
                rows.setdefault(entity.id, (entity, {}))[1][series] = value
        findings: list[Finding] = []
        for _, (entity, values) in sorted(rows.items()):
            budget = float(self._budget[self._owned.number(self.spec.name, entity)])
            findings += self.entities.fold(entity, end, values, budget_per_week=budget)
        return findings

    def _entity(self, series: Series) -> Series:
        by = self.spec.by or ()
        return Series.of(series.tenant, Signal(ENTITY), [(name, value) for name, value in series.labels if name in by])

    def _pane(self, tenant: str, closed: Closed) -> PaneRows:
        """What the windows held; only entities are judged."""
        none = np.full(len(closed.groups), np.nan)
        time = np.full(len(closed.groups), closed.end, "i8")
        return PaneRows(
            tenant, self.spec.name, closed.groups, time, closed.value, closed.samples, none, none,
            np.zeros(len(none)), Band(none, none, none),
        )  # fmt: skip

    def snapshot(self) -> dict[str, Any]:
        """All state, as a tree."""
        return super().snapshot() | {"entities": self.entities.snapshot()}

    def restore(self, state: dict[str, Any]) -> None:
        """Take a snapshot back; `watch` is called for the shard's series afterwards."""
        super().restore(state)
        self.entities.restore(state["entities"])
