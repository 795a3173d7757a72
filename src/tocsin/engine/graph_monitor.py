"""`GraphMonitor`: a watch over the nodes of the service graph that judges each given what its neighbours say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np

from tocsin.calibrate.quarantine import KEPT
from tocsin.derive.graph_samples import PEER_LABEL
from tocsin.detect.graph import MOST_NEIGHBOURS, Graph
from tocsin.engine.model_shelf import ModelShelf
from tocsin.engine.placement import Placement
from tocsin.engine.report import PaneRows
from tocsin.engine.watch import Flavour, Watch
from tocsin.model.arrays import F8, I4
from tocsin.model.detection import Band, Step
from tocsin.model.finding import Finding
from tocsin.model.rows import Rows
from tocsin.model.series import Catalog, Series
from tocsin.model.text import one_line
from tocsin.spec.monitor import MonitorSpec
from tocsin.window.lane import Aggregate, Closed, Lane

LEAST_SHARE: Final = 0.05
"""Neighbours that explain less of an excess are not named."""
VICTIM_SHARE: Final = 0.5
"""A caller of whose excess a node explains this much is its victim."""
VICTIM_EXCESS: Final = 0.2
"""Of its usual value: a smaller excess makes no victim."""
MOST_NAMED: Final = 5
NAME_CHARS: Final = 80
REMEMBERED: Final = KEPT + 8
"""Windows whose neighbours are kept: values wait in quarantine before they are learned."""


class Beside(Placement):
    """What the spec says of each group, and what the neighbours of each said in windows that may still be learned."""

    def __init__(self, spec: MonitorSpec, groups: Rows) -> None:
        super().__init__(spec, groups)
        self.columns: dict[int, dict[int, int]] = {}
        self.said: dict[int, dict[int, F8]] = {}

    def column(self, node: int, neighbour: int) -> int:
        """Column that a neighbour has with a node; those beyond the last share it."""
        known = self.columns.setdefault(node, {})
        if neighbour not in known:
            known[neighbour] = min(len(known), MOST_NEIGHBOURS - 1)
        return known[neighbour]

    def hear(self, time: int, said: dict[int, F8]) -> None:
        """Keep what neighbours of nodes, by row, said in the window that ended at a time."""
        self.said[time] = {**self.said.get(time, {}), **said}
        for old in sorted(self.said)[:-REMEMBERED]:
            del self.said[old]

    def place(self, step: Step) -> Step:
        """The step with what the neighbours of each row said."""
        none = np.full(MOST_NEIGHBOURS, np.nan)
        beside = [
            self.said.get(time, {}).get(row, none)
            for row, time in zip(step.rows.tolist(), step.time.tolist(), strict=True)
        ]
        return replace(super().place(step), beside=np.array(beside).reshape(-1, MOST_NEIGHBOURS))


class GraphMonitor(Watch):
    """One monitor over nodes; series that are labelled with a peer are what a node's neighbours have to do with it.

    A node's window is judged when it closes, with those of its neighbours that close with it. `min_samples` are
    requests of the node; neighbours come once a slice.
    """

    placement: Beside

    def __init__(self, spec: MonitorSpec, catalog: Catalog, shelf: ModelShelf | None = None) -> None:
        super().__init__(spec, catalog, shelf)
        self.placement = Beside(spec, self.groups)
        self._node: dict[int, int] = {}  # of the groups that are neighbours

    def watch(self, row: int, series: Series) -> None:
        """Take a series of the shard in, on its own."""
        super().watch(row, series)
        group = int(self._group[row])
        labels = dict(series.labels)
        if labels.pop(PEER_LABEL, None) is not None and group not in self._node:
            node = Series.of(series.tenant, series.signal, labels)
            self._node[group] = self.groups.of_series(node)
            self.placement.add(self._node[group], node)

    def judged(self) -> I4:
        """Number of the team of each node, (nodes,)."""
        nodes = np.array([group for group in range(len(self.groups)) if group not in self._node], "i4")
        team: I4 = self.team()[nodes]
        return team

    def _lane(self, flavour: Flavour) -> Lane:
        aggregate: Aggregate = self.spec.aggregate or "mean"
        return Lane(
            size=self.window.size,
            step=self.window.step,
            aggregate=aggregate,
            min_samples=1,
            dense=flavour == "event" and aggregate in ("count", "rate"),
            events=True,  # a node says one value a request
        )

    def judge(self, tenant: str, closed: Closed, levels: F8, absorb_ns: int) -> tuple[PaneRows, list[Finding]]:
        """Judge the nodes of one closed window, then learn them."""
        near = np.isin(closed.groups, list(self._node))
        enough = ~near & (closed.samples >= self.window.min_samples)
        nodes = _picked(closed, enough)
        said: dict[int, F8] = {row: np.full(MOST_NEIGHBOURS, np.nan) for row in nodes.groups.tolist()}
        for group, value in zip(closed.groups[near].tolist(), closed.value[near].tolist(), strict=True):
            node = self._node[group]
            column = self.placement.column(node, group)
            if node in said:
                before = said[node][column]
                said[node][column] = value if np.isnan(before) else before + value
        self.placement.hear(closed.end, said)
        step = self.placement.place(Step(nodes.groups, np.full(len(nodes.groups), closed.end, "i8"), nodes.value))
        detector = self.detector
        assert isinstance(detector, Graph)
        parts, usual = detector.parts(step), detector.usual(step)
        pane, findings = super().judge(tenant, nodes, levels, absorb_ns)
        found = [self._told(finding, step, parts, usual) for finding in findings]
        return _with(pane, _picked(closed, near)), found

    def _told(self, finding: Finding, step: Step, parts: F8, usual: F8) -> Finding:
        """A finding with whom of its neighbours explains what, and whose excess it explains itself."""
        row = self.groups.of_series(finding.series)
        at = np.flatnonzero(step.rows == row)
        if not len(at):
            return finding
        k = int(at[0])
        excess = float(step.value[k] - usual[k])
        told: dict[str, float | str] = {}
        if excess > 0:
            told["own.share"] = max(0.0, 1.0 - float(np.maximum(parts[k], 0).sum()) / excess)
            shares = [(float(parts[k, c]) / excess, name) for name, c in self._names(row)]
            for n, (share, name) in enumerate(_most([each for each in shares if each[0] >= LEAST_SHARE]), 1):
                told |= {f"neighbour.{n}": name, f"neighbour.{n}.share": min(share, 1.0)}
        for n, (share, name) in enumerate(_most(self._victims(row, step, parts, usual)), 1):
            told |= {f"explains.{n}": name, f"explains.{n}.share": min(share, 1.0)}
        return replace(finding, evidence={**finding.evidence, **told})

    def _names(self, node: int) -> list[tuple[str, int]]:
        """Neighbours of a node that have a column to themselves, by name."""
        known = self.placement.columns.get(node, {})
        alone = [(group, c) for group, c in known.items() if c < MOST_NEIGHBOURS - 1 or len(known) <= MOST_NEIGHBOURS]
        return [(one_line(dict(self.groups.series(group).labels)[PEER_LABEL], NAME_CHARS), c) for group, c in alone]

    def _victims(self, row: int, step: Step, parts: F8, usual: F8) -> list[tuple[float, str]]:
        """Nodes of the same window of whose excess this one explains most."""
        mine = self.groups.series(row)
        labels = dict(mine.labels)
        found = []
        for k, other in enumerate(step.rows.tolist()):
            series = self.groups.series(other)
            excess = float(step.value[k] - usual[k])
            if other == row or series.tenant != mine.tenant or not excess > VICTIM_EXCESS * abs(float(usual[k])):
                continue
            for name, column in self._names(other):
                share = float(parts[k, column]) / excess
                if name in labels.values() and share >= VICTIM_SHARE:
                    found += [(share, one_line(value, NAME_CHARS)) for _, value in series.labels]
        return found

    def snapshot(self) -> dict[str, Any]:
        """All state, as a tree."""
        beside = self.placement
        return super().snapshot() | {
            "columns": [[node, list(known)] for node, known in beside.columns.items()],
            "said": [[time, list(said), np.array(list(said.values()))] for time, said in beside.said.items()],
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take a snapshot back; `watch` is called for the shard's series afterwards."""
        super().restore(state)
        for node, known in state["columns"]:
            for group in known:
                self.placement.column(node, group)
        for time, nodes, said in state["said"]:
            self.placement.said[time] = dict(zip(nodes, said, strict=True))


def _most(found: Sequence[tuple[float, str]]) -> list[tuple[float, str]]:
    return sorted(found, key=lambda each: (-each[0], each[1]))[:MOST_NAMED]


def _picked(closed: Closed, pick: np.ndarray[Any, Any]) -> Closed:
    spread = None if closed.spread is None else closed.spread.take(pick)
    return Closed(closed.end, closed.groups[pick], closed.value[pick], closed.samples[pick], closed.slices, spread)


def _with(pane: PaneRows, near: Closed) -> PaneRows:
    """The pane of nodes with the windows of neighbours, which nobody judges."""
    n = len(near.groups)
    none, time = np.full(n, np.nan), np.full(n, near.end, "i8")
    band = [np.append(each, none) for each in (pane.band.lower, pane.band.centre, pane.band.upper)]
    return PaneRows(
        pane.tenant, pane.monitor, np.append(pane.rows, near.groups), np.append(pane.time, time),
        np.append(pane.value, near.value), np.append(pane.samples, near.samples), np.append(pane.score, none),
        np.append(pane.log10_p, none), np.append(pane.n_eff, np.zeros(n)), Band(*band),
    )  # fmt: skip
