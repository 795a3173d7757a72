"""The fold over the log: what happens to each entry, in order. Read this file first.

Nothing here looks at a clock, a random number, a file or the network. What it says depends on the entries alone,
and not on how they were batched: samples wait until a tick's watermark has passed them, are then put in order,
and only then counted, windowed and judged.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from tocsin.derive.buckets import Distribution, Growth, spread
from tocsin.derive.changes import Changes
from tocsin.derive.counters import Rates, delta_rates
from tocsin.derive.evaluations import Evaluations
from tocsin.derive.fields import FieldReader
from tocsin.derive.joint import Joint
from tocsin.derive.logs import LogCounts
from tocsin.derive.records import RecordSignals
from tocsin.derive.service_graph import GRAPH, ServiceGraph
from tocsin.derive.shares import Shares
from tocsin.derive.spans import SpanSignals
from tocsin.derive.vocabulary import Vocabulary
from tocsin.engine.access_watch import AccessWatch
from tocsin.engine.blind_watch import BlindWatch
from tocsin.engine.budget import TeamBudgets
from tocsin.engine.call_watch import CallWatch
from tocsin.engine.drift_watch import DriftWatch
from tocsin.engine.events import EventFrames, EventReaders
from tocsin.engine.histograms import distributions_of
from tocsin.engine.intake import Intake, distribution_of, readings_of
from tocsin.engine.labels import Labels
from tocsin.engine.log_lines import LogLines
from tocsin.engine.model_shelf import ModelShelf
from tocsin.engine.report import ENGINE, PaneRows, panes_frames
from tocsin.engine.roster import COUNTER, DELTA, Roster
from tocsin.engine.series_text import SeriesText
from tocsin.engine.state_frames import change_frame, state_frames
from tocsin.engine.teams import Ownership
from tocsin.engine.watch import Flavour
from tocsin.llm.calls import CallReader
from tocsin.llm.doubles import Doubles
from tocsin.model.arrays import I8
from tocsin.model.codec import findings_frame
from tocsin.model.finding import Finding
from tocsin.model.frame import Frame, FrameKind, points_frame
from tocsin.model.log import Control, LogRecord, Output, SourceKey, Tick
from tocsin.model.rows import Rows
from tocsin.model.samples import Samples
from tocsin.model.series import MAIN_TENANT, Catalog, Kind, Series, Signal
from tocsin.selfmon.stopwatch import Stopwatch
from tocsin.spec.engine import EngineSpec
from tocsin.window.presence import Presences

SECOND = 1_000_000_000
JOINT = "joint"
"""Source of signals that several readings make together."""
AWAY_NS = 60 * SECOND
"""Ticks this far apart mean that the program itself was away: its silence is not the sources' silence."""


class Pipeline:
    """State of one shard and the fold that moves it."""

    def __init__(self, catalog: Catalog, stopwatch: Stopwatch | None = None) -> None:
        self.rows = Rows(catalog)
        self.told = SeriesText(self.rows, _series_state)
        self.received = 0
        self.intakes: dict[SourceKey, Intake] = {}
        self.events = EventFrames()
        self.words = Vocabulary()
        self.doubles = Doubles()
        self.rates = Rates()
        self.growth = Growth()
        self.presences = Presences()
        self.shelf = ModelShelf(stopwatch)
        self.budget = TeamBudgets(Ownership())
        self.drift = DriftWatch()
        self.lines = LogLines(self.rows)
        self.calls = CallWatch()
        self.access = AccessWatch()
        self.graph = ServiceGraph()
        self.blind = BlindWatch()
        self.joint = Joint((), (), self.rows)
        self.labels = Labels()
        self._adopt(EngineSpec().control(), None, [])

    def fold(self, record: LogRecord) -> Output | None:
        """Take one entry in; give what there is to say about it."""
        entry = record.entry
        if isinstance(entry, Tick):
            return Output(record.offset, entry.received, True, tuple(self._tick(entry)))
        if isinstance(entry, Frame):
            frames = self._frame(entry)
            return Output(record.offset, self.received, False, tuple(frames)) if frames else None
        if isinstance(entry, Control) and entry.kind == "spec":
            self._adopt(entry, self.roster, self.changes.snapshot())
        if isinstance(entry, Control) and entry.kind == "model":
            self.shelf.put(entry)
        if isinstance(entry, Control) and entry.kind == "level":
            self.budget.adopt(entry)
        if isinstance(entry, Control) and entry.kind == "feedback":
            self.labels = Labels.of(entry)
            self.roster.ask(self.labels)
        return None

    def _adopt(self, control: Control, before: Roster | None, known: list[list[Any]]) -> None:
        """Put a spec into force; monitors that stay the same keep what they know."""
        self._read_events()  # by the rules under which they came
        self.control = control
        self.spec = EngineSpec.of(control)
        self.readers = EventReaders(
            FieldReader(self.spec.packs, CallReader(self.spec.packs, self.spec.models, self.doubles)),
            SpanSignals(self.spec.packs, self.words),
            LogCounts(),
            RecordSignals(self.spec.packs, self.words),
            Evaluations(self.spec.packs),
            self.lines,
            self.access,
            self.graph,
        )
        self.shares = Shares(self.spec.packs, self.rows)
        self.joint = Joint(self.spec.packs, self.spec.inventory, self.rows).after(self.joint)
        self.changes = Changes(self.spec.packs)
        self.changes.restore(known)
        self.roster = Roster(self.spec, self.rows, before, self.shelf)
        self.roster.ask(self.labels)
        self.shelf.keep(self.spec.all_monitors())
        self.budget.promise(self.roster.owned)
        self.drift.adopt(self.spec.drift, [tag for pack in self.spec.packs for tag in pack.clients])
        self.calls.adopt(self.spec)
        self.access.adopt(self.spec)
        self.graph.adopt(self.spec)
        self.blind.adopt(self.spec)

    # -- frames: per-point rules at once, all else waits for its watermark ------------------------------------------

    def _frame(self, frame: Frame) -> list[Frame]:
        intake = self._intake((frame.tenant, frame.source))
        match frame.kind:
            case FrameKind.POINTS:
                return self._points(frame, intake)
            case FrameKind.DISTRIBUTIONS:
                readings = distributions_of(frame, self.rows)
                timely = [d for d in readings if d.time > intake.readings.released]
                intake.readings.late += len(readings) - len(timely)
                intake.distributions += timely
            case FrameKind.SPANS | FrameKind.LOGS | FrameKind.RECORDS:
                if frame.kind is FrameKind.RECORDS:
                    self.drift.hold((frame.tenant, frame.source), intake.watermark, frame)
                if not self.events.hold(intake, frame):
                    return []
                self._read_events()
            case FrameKind.EVENTS:
                return [frame]
            case _:
                pass
        self._assign()
        return []

    def _assign(self) -> None:
        """Give series that are new to whoever watches them."""
        self.roster.assign()
        self.told.extend()

    def _points(self, frame: Frame, intake: Intake) -> list[Frame]:
        readings, start = readings_of(frame, self.rows)
        self._assign()
        kind = self.roster.kind[readings.row]
        gauges = readings
        if kind.any():  # a frame of gauges, as most are, is taken as it is
            delta = kind == DELTA
            if delta.any():
                self._behind(intake.readings.push(delta_rates(readings.take(delta), start[delta])))
            gauges = readings.take(kind != COUNTER)
            readings = readings.take(~delta)
        self._behind(intake.readings.push(readings))
        findings: list[Finding] = []
        for rule in self.roster.rules.values():
            findings += rule.fold(gauges.row, gauges.time, gauges.value)
        return self._findings(findings)

    def _read_events(self) -> None:
        if self.events.held:
            self.events.read(self.readers, self.changes, self.rows)
            self._assign()

    def _behind(self, late: Samples) -> None:
        if len(late):
            self.presences.arrived_late(late.row, self.received)

    def late(self) -> int:
        """How many samples came after their watermark and were left out."""
        aside = self.drift.late + self.lines.late + self.access.late + self.graph.late
        return aside + sum(each.readings.late + each.events.late + each.late_calls for each in self.intakes.values())

    def left_out(self) -> int:
        """How many values of records (models, classes, features, segments) were beyond their caps."""
        named = self.words.left_out + self.joint.things.left_out + self.lines.counted_out() + self.graph.left_out
        return named + self.drift.left_out + self.calls.left_out + self.access.left_out + self.blind.left_out

    def _intake(self, key: SourceKey) -> Intake:
        found = self.intakes.get(key)
        if found is None:
            found = self.intakes[key] = Intake(len(self.intakes))
        return found

    # -- ticks: what the watermarks have passed is put in order, windowed and judged ---------------------------------

    def _tick(self, tick: Tick) -> list[Frame]:
        away = self.received > 0 and tick.received - self.received > AWAY_NS
        self.received = tick.received
        frames: list[Frame] = []
        self._read_events()
        for key in sorted(self.intakes):
            frames += self._release(key, tick.watermarks.get(key, 0))
        self._assign()
        marks = {key: intake.watermark for key, intake in self.intakes.items()}
        frames += self._findings(self._together(marks)) + self.lines.frames(self.received)
        for source, samples in self.lines.close(away=away):
            self._assign()
            for watch in self.roster.watching(samples.row):
                watch.push(source, "gauge", samples)
        watermarks = marks | self.lines.watermarks() | self.graph.watermarks()
        for tenant in sorted({key[0] for key in watermarks}):
            watermarks[tenant, JOINT] = max(mark for key, mark in watermarks.items() if key[0] == tenant)
        frames += self._judge(watermarks, away) + self._findings(self.drift.close(watermarks, self.received))
        frames += self._findings(self.calls.close(self.received) + self.access.close(self.received))
        frames += [change_frame(change) for change in self.calls.changes()]
        frames += self.calls.points(self.received, self.rows.catalog)
        frames += self._presence(tick)
        return frames + self._findings(self.blind.close(self.presences, self.rows, self.received, away=away))

    def _release(self, key: SourceKey, watermark: int) -> list[Frame]:
        """Let go of all that a source's watermark has passed; gives the change events found on the way."""
        intake = self.intakes[key]
        if watermark <= intake.watermark:
            return []
        intake.watermark = watermark
        self.drift.release(key, watermark)
        self.lines.release(key, watermark)
        self.calls.release(key, intake.ripe_calls(watermark), intake.ripe_votes(watermark))
        raw = intake.readings.release(watermark)
        self.presences.observe(raw, intake.number, self.received)
        gauges, rates = self._told_apart(raw)
        found = self.changes.fold(intake.ripe_sightings(watermark))
        gains = self._gains(intake, watermark)
        deltas = gauges.take(self.roster.kind[gauges.row] == DELTA)
        self.joint.take(gauges.take(self.roster.kind[gauges.row] != DELTA), Samples.concat([rates, deltas]), gains)
        parts: list[tuple[Flavour, Samples]] = [
            ("gauge", Samples.concat([gauges, *self.shares.fold([rates, deltas], gains)])),
            ("counter", rates),
            ("distribution", spread(gains)),
            ("event", intake.events.release(watermark)),
        ]
        self._assign()
        for flavour, samples in parts:
            if len(samples):
                for watch in self.roster.watching(samples.row):
                    watch.push(key, flavour, samples)
        return [change_frame(change) for change in found]

    def _together(self, marks: dict[SourceKey, int]) -> list[Finding]:
        """Give signals that several readings or spans make together to who watches them; gives what rules on points found."""
        findings: list[Finding] = []
        told = [((tenant, JOINT), samples) for tenant, samples in self.joint.close()]
        told += [((tenant, GRAPH), samples) for tenant, samples in self.graph.close(marks, self.rows)]
        for source, samples in told:
            self._assign()
            for watch in self.roster.watching(samples.row):
                watch.push(source, "gauge", samples)
            for rule in self.roster.rules.values():
                findings += rule.fold(samples.row, samples.time, samples.value)
        return findings

    def _told_apart(self, raw: Samples) -> tuple[Samples, Samples]:
        """Gauges as they are, and counters as rates."""
        counters = self.roster.kind[raw.row] == COUNTER
        if not counters.any():
            return raw, Samples.empty()
        rates, resets = self.rates.fold(raw.take(counters))
        if len(resets):
            self.presences.restarted(resets, self.received)
        return raw.take(~counters), rates

    def _gains(self, intake: Intake, watermark: int) -> list[Distribution]:
        """What each histogram gained."""
        gains = []
        for reading in intake.ripe_distributions(watermark):
            signal = self.rows.series(reading.row).signal
            gain = self.growth.fold(reading) if signal.cumulative else reading
            if gain is not None:
                gains.append(gain)
        return gains

    def _judge(self, watermarks: dict[SourceKey, int], away: bool) -> list[Frame]:
        panes: list[tuple[Rows, PaneRows]] = []
        findings: list[Finding] = []
        turned = self.budget.turn(self.received)
        self.budget.share(self.roster.windows_per_week(), self.roster.entities())
        self.roster.allow(self.budget.per_entity)
        levels = self.budget.levels
        for watch in self.roster.watches.values():
            if away:
                watch.skip_to(watermarks)
            closed, news = watch.close(watermarks, levels, self.spec.absorb_after)
            panes += [(watch.groups, pane) for pane in closed]
            findings += news
        self.budget.fold(self.roster.watches.values(), findings)
        return panes_frames(panes) + self._findings(findings) + (self._promise() if turned else [])

    def _promise(self) -> list[Frame]:
        """Budget, levels and what came of them, once a day, as points of their own."""
        self.budget.inspect(self.roster.watches.values())
        readings = self.budget.readings()
        refs = [
            self.rows.catalog.intern(Series.of(MAIN_TENANT, Signal(signal, "1"), labels))
            for signal, labels, _ in readings
        ]
        times = np.full(len(refs), self.received)
        return [points_frame(MAIN_TENANT, ENGINE, np.array(refs, "i4"), times, np.array([v for _, _, v in readings]))]

    def _findings(self, findings: list[Finding]) -> list[Frame]:
        findings = [self._proven(finding) for finding in findings]
        tenants = sorted({finding.tenant for finding in findings})
        return [
            findings_frame([f for f in findings if f.tenant == tenant], self.rows.catalog, tenant) for tenant in tenants
        ]

    def _proven(self, finding: Finding) -> Finding:
        proof = {**self.joint.proof(finding.series), **self.lines.proof(finding)}
        return replace(finding, evidence={**finding.evidence, **proof}) if proof else finding

    def _presence(self, tick: Tick) -> list[Frame]:
        marks: I8 = np.zeros(len(self.intakes), "i8")
        for intake in self.intakes.values():
            marks[intake.number] = intake.watermark
        return state_frames(self.presences.decide(tick.received, marks), self.rows, self.received)

    # -- snapshots -------------------------------------------------------------------------------------------------

    def snapshot(self) -> dict[str, Any]:
        """All state, as a tree of copies; series by what they are, not by their number in this process."""
        self._read_events()
        return {
            "received": self.received,
            "control": [self.control.kind, self.control.sha256, self.control.body],
            "rows": self.told.snapshot(),
            "intakes": {key: intake.snapshot() for key, intake in self.intakes.items()},
            "rates": dict(self.rates.snapshot()),
            "growth": [[d.row, d.time, d.edges, d.counts, d.total, d.low, d.high] for d in self.growth.last.values()],
            "presences": dict(self.presences.snapshot()),
            "changes": self.changes.snapshot(),
            "words": self.words.snapshot(),
            "doubles": self.doubles.snapshot(),
            "models": self.shelf.snapshot(),
            "budget": self.budget.snapshot(),
            "drift": self.drift.snapshot(),
            "lines": self.lines.snapshot(),
            "joint": self.joint.snapshot(),
            "calls": self.calls.snapshot(),
            "access": self.access.snapshot(),
            "graph": self.graph.snapshot(),
            "blind": self.blind.snapshot(),
            "roster": self.roster.snapshot(),
            "labels": self.labels.snapshot(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take a snapshot back into a new pipeline."""
        for tenant, name, unit, kind, monotonic, cumulative, labels in SeriesText.read(state["rows"]):
            signal = Signal(name, unit, Kind(kind), monotonic, cumulative)
            self.rows.of_series(Series.of(tenant, signal, [(k, v) for k, v in labels]))
        self.received = state["received"]
        self.shelf.restore(state.get("models", {}))
        self.words.restore(state.get("words", {"left_out": 0, "words": []}))
        self.doubles.restore(state.get("doubles", {}))  # snapshots of before had none
        self._adopt(Control(*state["control"]), None, state["changes"])
        self.intakes = {(key[0], key[1]): Intake.of(intake) for key, intake in state["intakes"].items()}
        self.rates.restore(state["rates"])
        self.growth.last = {d[0]: distribution_of(d) for d in state["growth"]}
        self.presences.restore(state["presences"])
        self.budget.restore(state["budget"])
        parts = ("drift", self.drift), ("lines", self.lines), ("joint", self.joint), ("calls", self.calls)
        for name, part in (*parts, ("access", self.access), ("blind", self.blind), ("graph", self.graph)):
            if name in state:  # snapshots of before had none
                part.restore(state[name])
        self.roster.restore(state["roster"])
        self.labels = Labels.restored(state.get("labels", []))  # snapshots of before had none
        self.roster.ask(self.labels)


def _series_state(s: Series) -> list[Any]:
    g = s.signal
    return [s.tenant, g.name, g.unit, g.kind.value, g.monotonic, g.cumulative, s.labels]
