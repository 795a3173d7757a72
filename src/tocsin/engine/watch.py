"""`Watch`: one monitor at work - its groups, windows, detector, calibrator and verdicts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import groupby
from typing import Any, Literal, TypeAlias

import numpy as np

from tocsin.calibrate.budget import BINS, FAMILIES, Episodes
from tocsin.calibrate.calibrator import Calibrator
from tocsin.calibrate.hold import Hold
from tocsin.calibrate.hysteresis import Hysteresis, Move, Transitions, Verdict
from tocsin.calibrate.inputs import Inputs
from tocsin.calibrate.quarantine import Quarantine
from tocsin.calibrate.sampling import Sampling
from tocsin.calibrate.waiting import Waiting
from tocsin.detect.registry import build
from tocsin.detect.threshold import breach
from tocsin.engine.guarded import Guarded
from tocsin.engine.match import group_of
from tocsin.engine.model_shelf import ModelShelf
from tocsin.engine.persistence import lasting
from tocsin.engine.placement import Placement
from tocsin.engine.report import PaneRows, report
from tocsin.engine.series_ensemble import ensemble
from tocsin.engine.series_text import SeriesText
from tocsin.engine.teams import Ownership
from tocsin.model.arrays import F8, I4, I8, Mask
from tocsin.model.detection import Band, Detector, Step
from tocsin.model.finding import Finding
from tocsin.model.rows import Rows, grown
from tocsin.model.samples import Samples
from tocsin.model.series import Catalog, Kind, Series, Signal
from tocsin.selfmon.stopwatch import Timed
from tocsin.spec.monitor import MonitorSpec, WindowSpec
from tocsin.window.lane import Aggregate, Closed, Lane
from tocsin.window.spread import Spread

Flavour: TypeAlias = Literal["gauge", "counter", "event", "distribution"]
"""What the samples of a series are: it decides what `count` and `rate` mean."""
LaneKey: TypeAlias = tuple[str, str, str]
"""(tenant, source or "*", flavour)."""
Heard: TypeAlias = Callable[[str, Closed, F8, int], None]
"""Gets what `judge` is given."""
_COUNTS = ("count", "rate")
LEAST_SCORE = 3.0
"""However rare, what lies within the band that people are shown is no finding."""


class Watch:
    """One windowed monitor over all series it matches; rows are groups, in order of first sight."""

    def __init__(self, spec: MonitorSpec, catalog: Catalog, shelf: ModelShelf | None = None) -> None:
        self.spec = spec
        self.window = spec.window or WindowSpec()
        self.groups = Rows(catalog)
        self.told = SeriesText(self.groups, _group_state)
        self.placement = Placement(spec, self.groups)
        self.lanes: dict[LaneKey, Lane] = {}
        self.feeds: dict[LaneKey, set[tuple[str, str]]] = {}
        self._group: I4 = np.full(0, -1, "i4")
        self._limits: dict[int, tuple[float, float]] = {}
        self.detector: Detector | None = None
        if spec.detect.threshold is None:
            self.detector = _detector(spec, shelf or ModelShelf())
        self.calibrator = Calibrator()
        self.waiting = Waiting.before(self.window.size, self.window.step, spec.for_)
        self.hysteresis = Hysteresis()
        self.hold = Hold()
        self.quarantine = Quarantine()
        self.sampling = Sampling()
        self.episodes = Episodes()
        self._owned = Ownership()
        self._team: I4 = np.zeros(0, "i4")
        self._asked: Mapping[bytes, float] = {}
        self._asks: F8 = np.zeros(0)
        self.heard: Heard | None = None  # who replays the log listens to what is judged; no state

    def watch(self, row: int, series: Series) -> None:
        """Take a series of the shard into its group."""
        self._group = grown(self._group, row + 1, -1).astype("i4", copy=False)
        self._group[row] = group = self.groups.of_series(group_of(series, self.spec))
        self.placement.add(group, series)

    def own(self, owned: Ownership) -> None:
        """Put other teams into force; between two ticks nothing counted waits to be told."""
        self._owned = owned
        self._team = np.zeros(0, "i4")
        self.episodes.counts, self.episodes.exposure = (
            np.zeros((len(owned) * FAMILIES, BINS)),
            np.zeros(len(owned) * FAMILIES),
        )

    def team(self) -> I4:
        """Number of the team that each group belongs to, (groups,)."""
        have = len(self._team)
        if have < len(self.groups):
            new = [self._owned.number(self.spec.name, self.groups.series(r)) for r in range(have, len(self.groups))]
            self._team = np.concatenate([self._team, np.array(new, "i4")])
        return self._team

    def judged(self) -> I4:
        """Number of the team of each group that is judged, (judged,): they share the budget."""
        return self.team()

    def ask(self, asked: Mapping[bytes, float]) -> None:
        """Put other labels into force: the log10 p that each of these groups must pass, by id, where it is the lower."""
        self._asked = asked
        self._asks = np.zeros(0)

    def _asked_of(self, rows: I4) -> F8:
        """The log10 p that labels ask of rows, (n,); 0 where they ask nothing."""
        if not self._asked:
            return np.zeros(len(rows))
        have = len(self._asks)
        if have < len(self.groups):
            more = [self._asked.get(self.groups.series(row).id, 0.0) for row in range(have, len(self.groups))]
            self._asks = np.concatenate([self._asks, np.array(more)])
        found: F8 = self._asks[rows]
        return found

    def push(self, source: tuple[str, str], flavour: Flavour, samples: Samples) -> None:
        """Take those of a source's samples that this monitor watches."""
        if not len(samples) or not len(self._group):
            return
        rows = samples.row
        known = rows < len(self._group)
        group = np.full(len(rows), -1, "i4")
        group[known] = self._group[rows[known]]
        mine = group >= 0
        if not mine.any():
            return
        picked, group = (samples, group) if mine.all() else (samples.take(mine), group[mine])
        grouped = Samples(group, picked.time, picked.value, picked.weight, picked.low, picked.high, picked.uid)
        key = (source[0], source[1] if self.spec.by is None else "*", flavour)
        lane = self.lanes.get(key)
        if lane is None:
            lane = self.lanes[key] = self._lane(flavour)
            self.feeds[key] = set()
        self.feeds[key].add(source)
        lane.push(grouped)

    def _lane(self, flavour: Flavour) -> Lane:
        aggregate: Aggregate = self.spec.aggregate or "mean"
        if aggregate == "rate" and flavour in ("gauge", "counter"):
            aggregate = "mean"  # counters come as rates already
        return Lane(
            size=self.window.size,
            step=self.window.step,
            aggregate=aggregate,
            min_samples=self.window.min_samples,
            dense=flavour == "event" and aggregate in _COUNTS,
            events=flavour in ("event", "distribution"),
        )

    def close(
        self, watermarks: Mapping[tuple[str, str], int], levels: F8, absorb_ns: int
    ) -> tuple[list[PaneRows], list[Finding]]:
        """Judge every window that the watermarks have passed, by the levels of each team and family."""
        if not self.lanes:  # most monitors of the packs have nothing to watch at most places
            return [], []
        closings: list[tuple[int, LaneKey, Closed]] = []
        for key, lane in self.lanes.items():
            watermark = min(watermarks.get(feed, 0) for feed in self.feeds[key])
            closings += [(closed.end, key, closed) for closed in lane.close(watermark)]
        closings.sort(key=lambda closing: closing[:2])
        panes: list[PaneRows] = []
        findings: list[Finding] = []
        for tenant, closed in _together(closings):
            if self.heard is not None:
                self.heard(tenant, closed, levels, absorb_ns)
            pane, news = self.judge(tenant, closed, levels, absorb_ns)
            panes.append(pane)
            findings += news
        return panes, findings

    def skip_to(self, watermarks: Mapping[tuple[str, str], int]) -> None:
        """Pass over counts of nothing for a time in which the program was away."""
        for key, lane in self.lanes.items():
            if lane.dense:
                lane.skip_to(min(watermarks.get(feed, 0) for feed in self.feeds[key]))

    def judge(self, tenant: str, closed: Closed, levels: F8, absorb_ns: int) -> tuple[PaneRows, list[Finding]]:
        """Judge one closed window, then learn it; `levels` are by team and family."""
        rows = closed.groups
        step = self.placement.place(Step(rows, np.full(len(rows), closed.end, "i8"), closed.value))
        if self.detector is None:
            return self._judge_threshold(tenant, step, closed.samples)
        self.placement.tell(self.detector)
        if isinstance(self.detector, Guarded):
            self.detector.observe(step)
        score = self.detector.score(step).value
        log10_p, n_eff = self.calibrator.log10_p(rows, score)
        family = self.team()[rows] * FAMILIES + self.calibrator.family(rows)
        asked = self._asked_of(rows)
        wanted = np.minimum(levels[family], asked) if self._asked else np.asarray(levels[family])
        needed = self.calibrator.score_at(rows, wanted)
        if self.hold.any:
            needed = self.hold.eased(rows, needed, asked)
        band = self._band(step, needed)
        log10_p = self._by_chance(closed, log10_p, band.centre)
        direction = np.sign(closed.value - band.centre)
        in_question = (score >= LEAST_SCORE) & self._wanted(direction) & self.placement.may_open(step)
        strange = np.where(in_question | np.isnan(log10_p), log10_p, 0.0)
        overlap = self.window.step / self.window.size
        self.episodes.fold(rows, step.time, strange, family, gap_ns=self.spec.clear, share=overlap)
        odd = np.asarray(strange <= wanted)
        if self.hold.any:  # its own scores close no finding
            odd |= in_question & self.hold.stays(rows, score, asked)
        moves = self._fold(
            step, odd, np.where(np.isfinite(log10_p), score, np.nan), absorb_ns,
            self._sure(closed, odd, band, direction),
        )  # fmt: skip
        self.hold.follow(rows, moves, needed, asked)
        self.calibrator.learn(rows, self.waiting.swap(rows, score))
        for known in self.quarantine.fold(step, self.hysteresis.verdicts(rows)):
            self.detector.learn(self.placement.place(known), np.ones(len(known)))
        renewed = self.calibrator.follow(self.detector)
        if renewed.size:
            self.hold.release(renewed)
            self.waiting.forget(renewed)
        self._learn_spread(closed)
        pane = PaneRows(
            tenant, self.spec.name, rows, step.time, closed.value, closed.samples, score, log10_p, n_eff, band
        )
        return pane, report(self.spec, self.groups, pane, moves, wanted, needed, self)

    def _by_chance(self, closed: Closed, log10_p: F8, centre: F8) -> F8:
        """The p-values, (n,), none smaller than chance makes them that so few observations are like this."""
        spread = closed.spread
        if spread is None:
            return log10_p
        reach = np.where(closed.value >= centre, spread.high - centre, centre - spread.low)
        least = self.sampling.log10_p(
            closed.groups, spread.count, spread.variance, reach, np.abs(closed.value - centre)
        )
        return np.where(log10_p < least, least, log10_p)  # what has no p-value keeps none

    def _learn_spread(self, closed: Closed) -> None:
        if closed.spread is not None:
            calm = self.hysteresis.verdicts(closed.groups) == Verdict.CALM
            mine = closed.spread.take(calm)
            self.sampling.learn(closed.groups[calm], mine.count * self.window.step / self.window.size, mine.variance)

    def explain(self, row: int) -> Mapping[str, float]:
        """How a row's expectation came about, and how well its p-values fit."""
        known = self.detector.explain(row) if self.detector else {}
        return {**known, **self.calibrator.explain(row)}

    def _judge_threshold(self, tenant: str, step: Step, samples: I8) -> tuple[PaneRows, list[Finding]]:
        below, above = self._bounds(step.rows)
        band = Band(below, np.full(len(step), np.nan), above)
        odd = breach(step.value, above, below) & self.placement.may_open(step)
        none = np.full(len(step), np.nan)
        moves = self._fold(step, odd, np.abs(step.value), absorb_ns=0)
        pane = PaneRows(
            tenant, self.spec.name, step.rows, step.time, step.value, samples, none, none, np.zeros(len(step)), band
        )
        return pane, report(self.spec, self.groups, pane, moves, none, none, None)

    def _sure(self, closed: Closed, odd: Mask, band: Band, direction: F8) -> Mask | None:
        """Which rows may open, (n,): those whose breach is no burst of a moment.

        A breach is none once windows that hold nothing of its beginning have breached for as long as `for` says.
        """
        if not closed.slices or not np.count_nonzero(odd):
            return None
        ripe = odd & self.hysteresis.ripe(closed.groups, closed.end, for_ns=self.spec.for_)
        since = self.hysteresis.start[closed.groups]
        return lasting(closed, ripe, since, band, direction, self.window.size + self.spec.for_)

    def _fold(self, step: Step, odd: Mask, score: F8, absorb_ns: int, sure: Mask | None = None) -> Transitions:
        moves = self.hysteresis.step(
            step.rows, step.time, odd, score, for_ns=self.spec.for_, clear_ns=self.spec.clear, absorb_ns=absorb_ns,
            sure=sure,
        )  # fmt: skip
        if len(moves.at) and self.detector is not None:
            absorbed = moves.at[moves.move == Move.ABSORBED]
            if len(absorbed):
                self.detector.forget(step.rows[absorbed])
                self.placement.tell(self.detector, step.rows[absorbed])
        return moves

    def _band(self, step: Step, needed: F8) -> Band:
        assert self.detector is not None
        limit = np.where(np.isfinite(needed), np.maximum(needed, 3.0), 3.0)
        return self.detector.expect(step, limit)

    def _wanted(self, direction: F8) -> Mask:
        if self.spec.direction == "up":
            return direction > 0
        if self.spec.direction == "down":
            return direction < 0
        return np.ones(len(direction), bool)

    def _bounds(self, rows: I4) -> tuple[F8, F8]:
        limit = self.spec.detect.threshold
        assert limit is not None
        for row in rows.tolist():
            if row not in self._limits:
                unit = self.groups.series(row).signal.unit
                above = np.inf if limit.above is None else limit.above.in_unit(unit)
                below = -np.inf if limit.below is None else limit.below.in_unit(unit)
                self._limits[row] = (below, above)
        pairs = [self._limits[row] for row in rows.tolist()]
        return np.array([p[0] for p in pairs]), np.array([p[1] for p in pairs])

    def snapshot(self) -> dict[str, Any]:
        """All state, as a tree; groups by their series."""
        return {
            "groups": self.told.snapshot(),
            "lanes": {key: lane.snapshot() for key, lane in self.lanes.items()},
            "feeds": {key: sorted(feeds) for key, feeds in self.feeds.items()},
            "detector": self.detector.snapshot() if self.detector else {},
            "calibrator": self.calibrator.snapshot(),
            "waiting": self.waiting.snapshot(),
            "hysteresis": self.hysteresis.snapshot(),
            "hold": self.hold.snapshot(),
            "quarantine": self.quarantine.snapshot(),
            "sampling": self.sampling.snapshot(),
            "episodes": self.episodes.snapshot(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take a snapshot back; `watch` is called for the shard's series afterwards."""
        for tenant, name, unit, kind, labels in SeriesText.read(state["groups"]):
            pairs = [(str(k), str(v)) for k, v in labels]
            self.groups.of_series(Series.of(tenant, Signal(name, unit, Kind(kind)), pairs))
        for key, lane_state in state["lanes"].items():
            lane = self._lane(key[2])
            lane.restore(lane_state)
            self.lanes[key] = lane
            self.feeds[key] = {(feed[0], feed[1]) for feed in state["feeds"][key]}
        if self.detector is not None:
            self.detector.restore(state["detector"])
        self.calibrator.restore(state["calibrator"])
        self.hysteresis.restore(state["hysteresis"])
        self.quarantine.restore(state["quarantine"])
        for name, part in (("hold", self.hold), ("sampling", self.sampling), ("waiting", self.waiting)):
            if name in state:  # snapshots of before had none
                part.restore(state[name])
        self.episodes.restore(state["episodes"])


def _group_state(s: Series) -> list[Any]:
    return [s.tenant, s.signal.name, s.signal.unit, s.signal.kind.value, s.labels]


def check_detector(spec: MonitorSpec) -> None:
    """See that a monitor's detector can be made, before the log says that it is in force.

    Raises
    ------
    BadConfig
        It has parameters that nobody knows or that can't be, or needs what is not installed.
    """
    if spec.detect.threshold is None and spec.detect.onnx is None and not spec.together:
        _detector(spec, ModelShelf())


def _detector(spec: MonitorSpec, shelf: ModelShelf) -> Detector:
    if spec.detect.ensemble is not None:
        return ensemble(spec.detect.ensemble)
    model, onnx = shelf.open(spec), spec.detect.onnx
    if model is None or onnx is None:
        own = getattr(spec.detect, spec.detect.name)
        found = build(spec.detect.name, own)
        if isinstance(found, Timed):
            found.timer = shelf.stopwatch.model(spec.name, f"{spec.detect.name}:{own.get('model', '')}")
        return found
    inputs = Inputs(test=onnx.drift_test, threshold=onnx.drift_threshold)
    made = build("onnx", {"model": model} if onnx.warmup is None else {"model": model, "warmup": onnx.warmup})
    return Guarded(made, inputs, fallback=onnx.fallback is not None)


def _together(closings: list[tuple[int, LaneKey, Closed]]) -> Iterator[tuple[str, Closed]]:
    """Windows of one tenant that end together as one, so that a step is judged in one go.

    A group that two lanes have at once (its series moved from one source to another) is judged lane by lane.
    """
    for (_, tenant), several in groupby(closings, key=lambda closing: (closing[0], closing[1][0])):
        parts = [closed for _, _, closed in several]
        if len(parts) == 1:
            yield tenant, parts[0]
            continue
        rows = np.concatenate([part.groups for part in parts])
        if np.bincount(rows).max() > 1:
            yield from ((tenant, part) for part in parts)
        else:
            value = np.concatenate([part.value for part in parts])
            samples = np.concatenate([part.samples for part in parts])
            slices = tuple(each for part in parts for each in part.slices)
            spreads = [part.spread or Spread.unknown(len(part.groups)) for part in parts]
            spread = Spread.concat(spreads) if any(part.spread is not None for part in parts) else None
            yield tenant, Closed(parts[0].end, rows, value, samples, slices, spread)
