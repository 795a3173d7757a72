"""`ModelDrift`: one version of a model, followed chunk by chunk: learn the reference, judge, open and close one finding."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from tocsin.assess.drift import FeatureDrift
from tocsin.engine.drift_finding import Told, finding_of, told
from tocsin.engine.model_performance import Looked, ModelPerformance
from tocsin.engine.model_reference import ModelReference
from tocsin.engine.record_sample import Arrival, Sample
from tocsin.model.finding import Finding, Phase
from tocsin.model.series import Series, Signal
from tocsin.spec.drift import DAY, DriftSpec

DRIFT: Final = Signal("tocsin.model.drift", "1")
SILENT_CHUNKS: Final = 7
"""A finding of a version that has predicted nothing for so long is closed: it was replaced."""
FORGOTTEN_NS: Final = 90 * DAY
_OF_TRUTH: Final = ("realised.", "truth", "confirmed")


@dataclass(slots=True)
class Chunk:
    """What came with event times of one span."""

    predictions: Sample = field(default_factory=Sample)
    outcomes: Sample = field(default_factory=Sample)


@dataclass(slots=True)
class Episode:
    """An open finding: since when, how many chunks in a row were well, and what it last said."""

    start: int
    said: Told
    calm: int = 0
    policy_met: bool = False


@dataclass(slots=True)
class ModelDrift:
    """State of one model's version; `closed` is the end of the last chunk that was judged.

    `streaks` has by feature how many chunks in a row it was adrift, and the start of the first of them.
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

    def take(self, arrival: Arrival) -> bool:
        """Put a record into its chunk; False for one of a chunk that was judged, which is late and left out."""
        start = arrival.row.time // self.policy.chunk * self.policy.chunk
        if start < self.closed:
            return False
        chunk = self.chunks.setdefault(start, Chunk())
        (chunk.outcomes if arrival.outcome else chunk.predictions).add(arrival.row)
        return True

    def due(self, watermark: int) -> int | None:
        """Start of the first chunk that a watermark has passed."""
        start = min(self.chunks, default=None)
        return start if start is not None and start + self.policy.chunk <= watermark else None

    @property
    def series(self) -> Series:
        """What its findings are about."""
        labels = {"model": self.model, "version": self.version}
        return Series.of(self.tenant, DRIFT, {name: text for name, text in labels.items() if text})

    def close(self, start: int, received: int, other: ModelReference | None = None) -> list[Finding]:
        """Judge the chunk that begins at `start`, by its own reference or by that of another version."""
        chunk = self.chunks.pop(start)
        end = self.closed = start + self.policy.chunk
        at = received if received - end <= self.policy.chunk else end
        realised = self.performance.learn(chunk.outcomes, end, self.policy)
        reference = self.reference if other is None else other
        if reference is None:
            if self.policy.reference.version in ("", self.version):
                self._learn(chunk.predictions, start, end)
            return self.end(at, "it is compared with another reference now")
        if chunk.predictions.seen < self.policy.min_n:
            return self._realised(realised, at)
        rows = reference.judge(chunk.predictions, self.policy, self.looks + 1)
        if not rows:
            return self._realised(realised, at)
        self.looks += 1
        self._count(rows, start)
        estimated = self.performance.estimate(chunk.predictions.rows())
        said = told(rows, self.streaks, reference, chunk.predictions.seen, self.policy, estimated)
        return self._move(said, realised, start, at, fell=bool(estimated.reason))

    def _realised(self, realised: Looked, at: int) -> list[Finding]:
        """News of an open finding from truth alone."""
        if self.episode is None or not realised.numbers:
            return []
        self.episode.said = self.episode.said.with_truth(realised)
        return self._say(Phase.UPDATE, at)

    def _learn(self, predictions: Sample, start: int, end: int) -> None:
        if not predictions.seen:
            return
        self.began = self.began or start
        self.learning.merge(predictions)
        wanted = self.policy.reference
        long_enough = self.learning.seen >= wanted.rows if wanted.rows else end - self.began >= wanted.span_ns
        if long_enough and self.learning.seen >= self.policy.min_n:
            self.reference = ModelReference(self.learning, self.began, end)
            self.learning = Sample()

    def _count(self, rows: Sequence[FeatureDrift], start: int) -> None:
        moved = [row.name for row in rows if row.alarm and (row.psi or 0.0) > self.policy.threshold]
        self.streaks = {
            name: (self.streaks.get(name, (0, 0))[0] + 1, self.streaks.get(name, (0, start))[1]) for name in moved
        }

    def _move(self, said: Told, realised: Looked, start: int, at: int, *, fell: bool) -> list[Finding]:
        lasting = [since for count, since in self.streaks.values() if count >= self.policy.chunks]
        if self.episode is None:
            if not lasting and not fell:
                return []
            self.episode = Episode(min(lasting, default=start), said)
            phase = Phase.OPEN
        else:
            self.episode.calm = 0 if self.streaks or fell else self.episode.calm + 1
            phase = Phase.UPDATE if self.episode.calm < min(self.policy.chunks, 2) else Phase.CLOSE
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
        gone = self.closed and not self.chunks and watermark - self.closed >= SILENT_CHUNKS * self.policy.chunk
        return self.end(received, "it has made no predictions since") if self.episode is not None and gone else []

    def end(self, received: int, reason: str) -> list[Finding]:
        """Close the finding for a reason that is not its data."""
        if self.episode is None:
            return []
        self.episode.said = self.episode.said.with_reason(reason)
        found = self._say(Phase.CLOSE, received)
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
            "of": [self.tenant, self.model, self.version],
            "marks": [self.closed, self.began, self.looks],
            "learning": self.learning.snapshot(),
            "reference": None if self.reference is None else self.reference.snapshot(),
            "chunks": [[s, c.predictions.snapshot(), c.outcomes.snapshot()] for s, c in sorted(self.chunks.items())],
            "streaks": [[name, count, since] for name, (count, since) in self.streaks.items()],
            "performance": self.performance.snapshot(),
            "episode": None
            if episode is None
            else [episode.start, episode.said.snapshot(), episode.calm, episode.policy_met],
        }

    @staticmethod
    def of(state: Mapping[str, Any], policy: DriftSpec) -> ModelDrift:
        """A state back from a snapshot."""
        tenant, model, version = state["of"]
        closed, began, looks = state["marks"]
        kept = state["episode"]
        episode = None if kept is None else Episode(kept[0], Told(*kept[1]), kept[2], kept[3])
        return ModelDrift(
            tenant, model, version, policy, closed, Sample.of(state["learning"]), began,
            None if state["reference"] is None else ModelReference.of(state["reference"]),
            {s: Chunk(Sample.of(predictions), Sample.of(outcomes)) for s, predictions, outcomes in state["chunks"]},
            looks, {name: (count, since) for name, count, since in state["streaks"]},
            ModelPerformance.of(state["performance"]), episode,
        )  # fmt: skip
