"""`ModelDrift`: one version of a model, followed chunk by chunk: learn the reference, judge, open and close one finding."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from tocsin.assess.drift import FeatureDrift
from tocsin.assess.quality import Limits
from tocsin.assess.sketch import FeatureSketch
from tocsin.engine.drift_finding import Told, finding_of, told, told_by_truth
from tocsin.engine.model_performance import Looked, ModelPerformance
from tocsin.engine.model_quality import LEAST_PIECE, ModelQuality
from tocsin.engine.model_reference import LEVEL, ModelReference
from tocsin.engine.quality_finding import QUALITY
from tocsin.engine.record_counts import RecordCounts
from tocsin.engine.record_sample import Arrival, Sample
from tocsin.engine.sparse_drift import SparseDrift
from tocsin.model.finding import Finding, Phase
from tocsin.model.series import Series, Signal
from tocsin.spec.drift import DAY, DriftSpec

DRIFT: Final = Signal("tocsin.model.drift", "1")
SILENT_CHUNKS: Final = 7
"""A finding of a version that has predicted nothing for so long is closed: it was replaced."""
SEGMENTS: Final = 10
"""Values of a tag that are followed by themselves."""
FORGOTTEN_NS: Final = 90 * DAY
_OF_TRUTH: Final = ("realised.", "truth", "confirmed", "errors.")


@dataclass(slots=True)
class Chunk:
    """What came with event times of one span."""

    predictions: Sample = field(default_factory=Sample)
    outcomes: Sample = field(default_factory=Sample)


@dataclass(slots=True)
class Episode:
    """An open finding: since when, how many chunks in a row were well, what it last said, and whether truth shows a fall."""

    start: int
    said: Told
    calm: int = 0
    policy_met: bool = False
    fallen: bool = False


@dataclass(slots=True)
class ModelDrift:
    """State of one model's version; `closed` is the end of the last chunk that was judged.

    `segment` is the tag and value that its records have, ("", "") for all of the version. `streaks` has by feature how many chunks in a row it was adrift, and the start of the first of them; `gathered` says that these were
    chunks of few rows.
    """

    tenant: str
    model: str
    version: str
    policy: DriftSpec
    closed: int = 0
    learning: Sample = field(default_factory=Sample)
    began: int = 0
    reference: ModelReference | None = None
    chunks: dict[int, Chunk] = field(default_factory=dict)
    looks: int = 0
    streaks: dict[str, tuple[int, int]] = field(default_factory=dict)
    performance: ModelPerformance = field(default_factory=ModelPerformance)
    episode: Episode | None = None
    learned: RecordCounts = field(default_factory=RecordCounts)
    segment: tuple[str, str] = ("", "")
    sparse: SparseDrift = field(default_factory=SparseDrift)
    gathered: bool = False
    quality: ModelQuality = field(init=False)

    def __post_init__(self) -> None:
        self.quality = ModelQuality(self.policy.chunk, limits=limits_of(self.policy))
        given = self.policy.reference.given
        self.performance.shared_by = self._parts
        if given is not None and self.reference is None and not self.segment[0]:
            self.reference = ModelReference.of_file(given)
            self.performance.begin(self.reference.sample.rows())

    def adopt(self, policy: DriftSpec) -> None:
        """Go by another policy with the same reference and chunks."""
        self.policy = policy
        self.quality.limits = limits_of(policy)
        self.performance.shared_by = self._parts

    def take(self, arrival: Arrival, other: ModelReference | None = None) -> bool:
        """Put a record into its chunk; False for one of a chunk that was judged, which is late and left out.

        `other` is the reference of another version, if records are compared with that.
        """
        start = arrival.row.time // self.policy.chunk * self.policy.chunk
        if start < self.closed:
            return False
        chunk = self.chunks.setdefault(start, Chunk())
        (chunk.outcomes if arrival.outcome else chunk.predictions).add(arrival.row)
        if not arrival.outcome and not self.segment[0]:  # what a segment is given is part of what all are given
            self.quality.take(arrival.row, self.reference if other is None else other)
        return True

    def due(self, watermark: int) -> int | None:
        """Start of the first chunk that a watermark has passed."""
        start = min(self.chunks, default=None)
        return start if start is not None and start + self.policy.chunk <= watermark else None

    @property
    def key(self) -> tuple[str, ...]:
        """Tenant, model and version, and tag and value of a segment."""
        return (self.tenant, self.model, self.version, *(self.segment if self.segment[0] else ()))

    @property
    def series(self) -> Series:
        """What its findings are about."""
        return self._series(DRIFT)

    def _series(self, signal: Signal) -> Series:
        tag, value = self.segment
        labels = {"model": self.model, "version": self.version, tag: value}
        return Series.of(self.tenant, signal, {name: text for name, text in labels.items() if text})

    def close(self, start: int, received: int, other: ModelReference | None = None) -> list[Finding]:
        """Judge the chunk that begins at `start`, by its own reference or by that of another version."""
        chunk = self.chunks.pop(start)
        end = self.closed = start + self.policy.chunk
        at = self._told_at(end, received)
        realised = self.performance.learn(chunk.outcomes, end, self.policy)
        reference = self.reference if other is None else other
        found = self.quality.finish(end, at, reference, self._series(QUALITY))
        if reference is None:
            if self.policy.reference.version in ("", self.version):
                self._learn(chunk.predictions, self.quality.taken(), start, end)
            return found + self.end(at, "it is compared with another reference now")
        sketches = reference.sketches(chunk.predictions, self.quality.chunk)
        if self.quality.chunk.rows >= LEAST_PIECE:
            found += self.quality.look(reference, sketches, (start, end), at, self._series(QUALITY))
        self.quality.taken()
        n = chunk.predictions.seen
        rows = (
            self._compare(reference, sketches, start)
            if n >= self.policy.min_n
            else self._gather(reference, sketches, start)
        )
        if not rows:
            return found + self._realised(realised, n, start, at)
        estimated = self.performance.estimate(chunk.predictions.rows())
        moved = self.performance.moved.evidence(rows)
        said = told(rows, self.streaks, reference, max(n, *(row.n for row in rows)), self.policy, estimated, moved)
        return found + self._move(said, realised, start, at, fell=bool(estimated.reason))

    def _gather(
        self, reference: ModelReference, sketches: Mapping[str, FeatureSketch], start: int
    ) -> list[FeatureDrift]:
        """The drift of all chunks of few rows since a change, if there is one, or was when this was judged last."""
        if self.segment[0]:
            return []
        rows = self.sparse.judge(reference, sketches, start, self.policy)
        streaks = self.sparse.streaks(rows, start + self.policy.chunk, self.policy)
        was, self.gathered = self.gathered, bool(streaks)
        if not streaks and not was:
            return []
        self.streaks = streaks
        return rows

    def _compare(
        self, reference: ModelReference, sketches: Mapping[str, FeatureSketch], start: int
    ) -> list[FeatureDrift]:
        """The drift of a chunk of enough rows."""
        rows = reference.judge(sketches, self.policy, self.looks + 1, LEVEL / self._parts)
        self.looks += bool(rows)
        self.gathered = False
        self._count(rows, start)
        return rows

    @property
    def _parts(self) -> int:
        """In how many parts the level goes: half of it is the version's, the other half is shared by its segments."""
        if not self.policy.segments:
            return 1
        return 2 * SEGMENTS * len(self.policy.segments) if self.segment[0] else 2

    def _told_at(self, end: int, received: int) -> int:
        """When something that ended then is told: now, but for history that is replayed."""
        return received if received - end <= self.policy.chunk else end

    def inspect(self, start: int, received: int, other: ModelReference | None = None) -> list[Finding]:
        """Judge the data of the piece of a chunk that begins at `start`, and is over."""
        at = self._told_at(start, received)
        return self.quality.close(start, at, self.reference if other is None else other, self._series(QUALITY))

    def stale(self, watermark: int, newest: int, received: int, other: ModelReference | None = None) -> list[Finding]:
        """Tell that records have stopped; `newest` is the event time of the last record of any version of this model."""
        if self._gone(watermark):
            return []
        reference = self.reference if other is None else other
        return self.quality.stale(watermark, newest, reference, received, self._series(QUALITY))

    def _realised(self, realised: Looked, n: int, start: int, at: int) -> list[Finding]:
        """What truth alone says: news of an open finding, or a fall that opens one."""
        if self.episode is None and realised.reason:
            said = told_by_truth(n, self.policy, self.performance.moved.evidence([]))
            self.episode = Episode(realised.since or start, said.with_truth(realised), fallen=True)
            return self._say(Phase.OPEN, at)
        if self.episode is None or not realised.numbers:
            return []
        self.episode.fallen = bool(realised.reason)
        self.episode.said = self.episode.said.with_truth(realised)
        return self._say(Phase.UPDATE, at)

    def _learn(self, predictions: Sample, counts: RecordCounts, start: int, end: int) -> None:
        if not predictions.seen:
            return
        if counts.rows >= LEAST_PIECE:
            self.quality.note_missing(counts)
        self.learned.merge(counts)
        self.began = self.began or start
        self.learning.merge(predictions)
        wanted = self.policy.reference
        long_enough = self.learning.seen >= wanted.rows if wanted.rows else end - self.began >= wanted.span_ns
        if long_enough and self.learning.seen >= self.policy.min_n:
            self.reference = ModelReference(
                self.learning, self.began, end, self.learned.tallies, dict(self.quality.most_missing)
            )
            self.learning, self.learned = Sample(), RecordCounts()

    def _count(self, rows: Sequence[FeatureDrift], start: int) -> None:
        moved = [row.name for row in rows if row.alarm and (row.psi or 0.0) > self.policy.threshold]
        self.streaks = {
            name: (self.streaks.get(name, (0, 0))[0] + 1, self.streaks.get(name, (0, start))[1]) for name in moved
        }

    def _move(self, said: Told, realised: Looked, start: int, at: int, *, fell: bool) -> list[Finding]:
        lasting = [since for count, since in self.streaks.values() if count >= self.policy.chunks]
        onset = [*lasting, *([realised.since] if realised.since else [])]
        opened = self.episode is None
        if self.episode is None:
            if not lasting and not fell and not realised.reason:
                return []
            self.episode = Episode(min(onset, default=start), said)
        if realised.numbers:
            self.episode.fallen = bool(realised.reason)
        self.episode.calm = 0 if self.streaks or fell or self.episode.fallen else self.episode.calm + 1
        over = self.episode.calm >= min(self.policy.chunks, 2)
        phase = Phase.OPEN if opened else Phase.CLOSE if over else Phase.UPDATE
        self.episode.policy_met |= bool(lasting)
        kept = {name: value for name, value in self.episode.said.evidence.items() if name.startswith(_OF_TRUTH)}
        self.episode.said = said._replace(evidence={**kept, **said.evidence}).with_truth(realised)
        found = self._say(phase, at)
        if phase is Phase.CLOSE:
            self.episode = None
        return found

    def _say(self, phase: Phase, at: int) -> list[Finding]:
        assert self.episode is not None
        said, start = self.episode.said, self.episode.start
        said = said._replace(evidence={**said.evidence, "policy_met": float(self.episode.policy_met)})
        return [finding_of(self.series, phase, start, at, said, self.policy)]

    def silent(self, watermark: int, received: int) -> list[Finding]:
        """Close the finding of a version that predicts no more."""
        return self.end(received, "it has made no predictions since") if self._gone(watermark) else []

    def _gone(self, watermark: int) -> bool:
        return bool(self.closed) and not self.chunks and watermark - self.closed >= SILENT_CHUNKS * self.policy.chunk

    def end(self, received: int, reason: str) -> list[Finding]:
        """Close the findings for a reason that is not their data."""
        found = self.quality.end(received, reason)
        if self.episode is None:
            return found
        self.episode.said = self.episode.said.with_reason(reason)
        found += self._say(Phase.CLOSE, received)
        self.episode = None
        return found

    def forgettable(self, watermark: int) -> bool:
        """Whether nothing came for so long that its reference is of no use."""
        idle = max(FORGOTTEN_NS, SILENT_CHUNKS * self.policy.chunk)
        return not self.chunks and bool(self.closed) and watermark - self.closed >= idle

    def snapshot(self) -> dict[str, Any]:
        """All state but the policy, as a tree."""
        episode = self.episode
        return {
            "of": list(self.key),
            "marks": [self.closed, self.began, self.looks],
            "learning": self.learning.snapshot(),
            "reference": None if self.reference is None else self.reference.snapshot(),
            "chunks": [[s, c.predictions.snapshot(), c.outcomes.snapshot()] for s, c in sorted(self.chunks.items())],
            "streaks": [[name, count, since] for name, (count, since) in self.streaks.items()],
            "performance": self.performance.snapshot(),
            "sparse": [self.sparse.snapshot(), self.gathered],
            "learned": self.learned.snapshot(),
            "quality": self.quality.snapshot(),
            "episode": None
            if episode is None
            else [episode.start, episode.said.snapshot(), episode.calm, episode.policy_met, episode.fallen],
        }

    @staticmethod
    def of(state: Mapping[str, Any], policy: DriftSpec) -> ModelDrift:
        """A state back from a snapshot."""
        tenant, model, version, *segment = state["of"]
        closed, began, looks = state["marks"]
        kept = state["episode"]
        episode = None if kept is None else Episode(kept[0], Told(*kept[1]), *kept[2:])
        found = ModelDrift(
            tenant, model, version, policy, closed, Sample.of(state["learning"]), began,
            None if state["reference"] is None else ModelReference.of(state["reference"]),
            {s: Chunk(Sample.of(predictions), Sample.of(outcomes)) for s, predictions, outcomes in state["chunks"]},
            looks, {name: (count, since) for name, count, since in state["streaks"]},
            ModelPerformance.of(state["performance"]), episode, segment=(segment[0], segment[1]) if segment else ("", ""),
        )  # fmt: skip
        if "quality" in state:  # snapshots of before had none
            found.sparse, found.gathered = SparseDrift.back(state["sparse"][0]), state["sparse"][1]
            found.learned = RecordCounts.back(state["learned"])
            found.quality = ModelQuality.of(state["quality"], found._series(QUALITY))
            found.quality.limits = limits_of(policy)
        return found


def limits_of(policy: DriftSpec) -> dict[str, Limits]:
    """What a policy promises, by feature."""
    return {
        name: Limits(
            -math.inf if each.low is None else each.low,
            math.inf if each.high is None else each.high,
            None if each.categories is None else frozenset(each.categories),
            each.missing_ratio,
        )
        for name, each in policy.limits.items()
    }
