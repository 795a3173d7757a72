"""`ModelQuality`: what a version of a model is given, checked every quarter of an hour against its reference's promises.

Rows are counted in pieces as they come. A piece is judged once it is over, together with those before it that had too
few rows; it is then added to its chunk, which is judged as a whole too, so that what is rare is seen. Gaps of the record
stream are judged by the longest gap of the reference.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from tocsin.assess.promises import Promised
from tocsin.assess.quality import Fault, Limits, Violation, freshness, is_promised
from tocsin.assess.quality_counts import by_counts, by_runs, by_types
from tocsin.assess.sketch import FeatureSketch
from tocsin.assess.tally import Tally
from tocsin.engine.model_reference import LEVEL, ModelReference
from tocsin.engine.quality_finding import Broken, QualityEpisode
from tocsin.engine.record_counts import RecordCounts
from tocsin.engine.record_sample import RecordRow, features_of
from tocsin.model.finding import Finding
from tocsin.model.series import Series

PIECE_NS: Final = 900 * 1_000_000_000
LEAST_PIECE: Final = 100
"""Rows of a piece below which the next ones are added to it."""
MOST_LEFT: Final = 4
"""Pieces that are over when their chunk is, above which they are history and judged together."""
_OF_VALUES: Final = frozenset({Fault.UNSEEN, Fault.OUT_OF_RANGE})
HOUR_NS: Final = 4 * PIECE_NS
WHOLE_NS: Final = 7 * 86_400 * 1_000_000_000
"""A reference that covers so much has seen how long records may stay away."""


@dataclass(slots=True)
class ModelQuality:
    """State of one version; `chunk_ns` is how long its chunks last.

    `pending` are the pieces that are over and were too few to judge; `told` are the features of which a part of the
    current chunk was broken. `last` is the event time of the newest record, `gap` the longest time without any while the
    reference was learned, and `fresh` says that records came as they were made.
    """

    chunk_ns: int
    pieces: dict[int, RecordCounts] = field(default_factory=dict)
    pending: RecordCounts = field(default_factory=RecordCounts)
    since: int = 0
    chunk: RecordCounts = field(default_factory=RecordCounts)
    most_missing: dict[str, float] = field(default_factory=dict)
    looks: int = 0
    last: int = 0
    gap: int = 0
    fresh: bool = False
    told: list[str] = field(default_factory=list)
    episode: QualityEpisode | None = None
    limits: Mapping[str, Limits] = field(default_factory=dict)
    promised: dict[int, Promised] = field(default_factory=dict)

    def take(self, row: RecordRow, reference: ModelReference | None) -> None:
        """Count a row."""
        start = self._piece_of(row.time)
        self.pieces.setdefault(start, RecordCounts()).add(row, reference)
        if self.limits:
            self.promised.setdefault(start, Promised()).add(features_of(row.features), self.limits)
        if reference is None and self.last:
            self.gap = max(self.gap, row.time - self.last)
        self.last = max(self.last, row.time)

    def _piece_of(self, time: int) -> int:
        chunk = time // self.chunk_ns * self.chunk_ns
        return chunk + (time - chunk) // PIECE_NS * PIECE_NS

    def _end_of(self, start: int) -> int:
        return min(start + PIECE_NS, start // self.chunk_ns * self.chunk_ns + self.chunk_ns)

    def due(self, watermark: int) -> int | None:
        """Start of the first piece that a watermark has passed."""
        start = min(self.pieces, default=None)
        return start if start is not None and self._end_of(start) <= watermark else None

    def close(self, start: int, at: int, reference: ModelReference | None, series: Series) -> list[Finding]:
        """Judge the piece that begins at `start`, which is over, or keep it for the next if it has few rows."""
        piece, end = self.pieces.pop(start), self._end_of(start)
        piece.settle(reference)
        if not self.pending.rows:
            self.since = start
        self.pending.merge(piece)
        if self.pending.rows < LEAST_PIECE:
            return []
        return self._judge_pending(at, end, reference, series)

    def _judge_pending(self, at: int, end: int, reference: ModelReference | None, series: Series) -> list[Finding]:
        judged, self.pending = self.pending, self.pending.after()
        self.chunk.merge(judged)
        kept = self._kept(end)
        if reference is None:
            self.note_missing(judged)
            if not kept and self.episode is None:
                return []
            return self._move(Broken(judged.rows, kept, (), None), self.since, end, at, series, whole=False)
        sketches = judged.sketches if judged.whole(reference) else {}
        broken = self._broken(reference, sketches, judged, runs=True)
        broken = broken._replace(violations=[*kept, *broken.violations])
        self.told = sorted({*self.told, *(each.feature for each in broken.violations)})
        return self._move(broken, self.since, end, at, series, whole=False)

    def _kept(self, end: int) -> list[Violation]:
        """What rows of pieces that began before `end` break of what a person promised."""
        parts = [self.promised.pop(start) for start in sorted(self.promised) if start < end]
        return Promised.of(parts).violations(self.limits)

    def note_missing(self, part: RecordCounts) -> None:
        """Learn how much may be missing from a part of the reference."""
        for name, tally in part.tallies.items():
            share = tally.missing / max(part.rows, 1)
            self.most_missing[name] = max(self.most_missing.get(name, 0.0), share)

    def finish(self, end: int, at: int, reference: ModelReference | None, series: Series) -> list[Finding]:
        """Judge what is left of a chunk that ends at `end`; `chunk` then holds all its counts."""
        found = []
        left = sorted(each for each in self.pieces if each < end)
        if len(left) > MOST_LEFT:  # history that is replayed is judged chunk by chunk: ticks must stay short
            self._gather(left, reference)
            found += self._judge_pending(at, end, reference, series)
            left = []
        for start in left:
            found += self.close(start, at, reference, series)
        if self.pending.rows:  # too few for a verdict of their own
            rest, self.pending = self.pending, self.pending.after()
            self.chunk.merge(rest)
        return found

    def _gather(self, starts: Sequence[int], reference: ModelReference | None) -> None:
        """Put pieces together to be judged as one."""
        self.since = self.since if self.pending.rows else starts[0]
        for start in starts:
            piece = self.pieces.pop(start)
            if reference is None:
                piece.settle(None)
                if piece.rows >= LEAST_PIECE:
                    self.note_missing(piece)
            if piece.tallies:
                piece.settle(reference)
                self.pending.settle(reference)
                self.pending.merge(piece)
            else:
                for row in piece.waiting:
                    self.pending.add(row, reference)
        self.pending.settle(reference)

    def look(
        self,
        reference: ModelReference,
        sketches: Mapping[str, FeatureSketch],
        span: tuple[int, int],
        at: int,
        series: Series,
    ) -> list[Finding]:
        """Judge a whole chunk, which began and ended at `span`, by sketches of all its features."""
        broken = self._broken(reference, sketches, self.chunk, runs=False)
        rare = [each for each in broken.violations if each.feature not in self.told]
        return self._move(broken._replace(violations=rare), span[0], span[1], at, series, whole=True)

    def taken(self) -> RecordCounts:
        """The counts of the chunk that is over; the next begins."""
        found, self.chunk, self.told = self.chunk, RecordCounts(), []
        return found

    def _broken(
        self, reference: ModelReference, sketches: Mapping[str, FeatureSketch], counts: RecordCounts, *, runs: bool
    ) -> Broken:
        self.looks += 1
        level = LEVEL / (self.looks * (self.looks + 1)) / max(len(reference.features), 1)
        found: list[Violation] = []
        for name, test in reference.tests.items():
            here: list[Violation] = []
            if name in sketches:
                broken = by_counts(
                    test, sketches[name], level=level, most_missing=reference.most_missing.get(name, 0.0)
                )
                here += [each for each in broken if each.fault not in _OF_VALUES or name not in reference.unbounded]
            usual, tally = reference.tallies.get(name), counts.tallies.get(name)
            if usual is not None and tally is not None:
                here += _of_rows(test, tally, usual, level, here, runs=runs)
            found += [each for each in here if not is_promised(each.fault, self.limits.get(name))]
        alarms = sorted(
            (each for each in found if each.alarm), key=lambda each: (-each.count / max(each.rows, 1), each.feature)
        )
        return Broken(counts.rows, alarms, tuple(counts.new), reference)

    def _move(self, broken: Broken, start: int, end: int, at: int, series: Series, *, whole: bool) -> list[Finding]:
        if self.episode is None:
            if not broken.violations:
                return []
            self.episode = QualityEpisode(series, start)
        done, found = self.episode.move(broken, end, at, whole=whole)
        if done:
            self.episode = None
        return found

    def stale(
        self, watermark: int, newest: int, reference: ModelReference | None, at: int, series: Series
    ) -> list[Finding]:
        """Tell that records have stopped; `newest` is the event time of the last record of any version of this model."""
        if reference is None or not self.last or newest > self.last:
            return []
        known = self.gap > 0 and reference.end - reference.start >= WHOLE_NS
        within = max(4 * self.gap, HOUR_NS if known else self.chunk_ns)
        if at - self.last <= within:
            self.fresh = True
        if not self.fresh or watermark - self.last <= within:
            return []  # what was read from a file of the past has not stopped
        self.fresh = False
        found = [each for each in freshness([self.last], watermark, within_ns=within, feature="records") if each.alarm]
        if self.episode is None:
            self.episode = QualityEpisode(series, self.last)
        return self.episode.silence(Broken(0, found, (), reference), at)

    def end(self, at: int, reason: str) -> list[Finding]:
        """Close the finding for a reason that is not its data."""
        if self.episode is None:
            return []
        found, self.episode = self.episode.end(at, reason), None
        return found

    def snapshot(self) -> dict[str, Any]:
        """All state, as a tree."""
        return {
            "pieces": [[start, piece.snapshot()] for start, piece in sorted(self.pieces.items())],
            "parts": [self.pending.snapshot(), self.chunk.snapshot()],
            "marks": [self.chunk_ns, self.since, self.looks, self.last, self.gap, self.fresh],
            "most_missing": dict(self.most_missing),
            "told": list(self.told),
            "promised": [[start, each.snapshot()] for start, each in sorted(self.promised.items())],
            "episode": None if self.episode is None else self.episode.snapshot(),
        }

    @staticmethod
    def of(state: Mapping[str, Any], series: Series) -> ModelQuality:
        """A state back from a snapshot."""
        chunk_ns, since, looks, last, gap, fresh = state["marks"]
        pending, chunk = (RecordCounts.back(each) for each in state["parts"])
        pieces = {start: RecordCounts.back(piece) for start, piece in state["pieces"]}
        kept = state["episode"]
        episode = None if kept is None else QualityEpisode.of(kept, series)
        return ModelQuality(
            chunk_ns, pieces, pending, since, chunk, dict(state["most_missing"]), looks, last, gap, fresh,
            list(state["told"]), episode,
            promised={start: Promised.back(each) for start, each in state.get("promised", ())},
        )  # fmt: skip


def _of_rows(
    test: Any, tally: Tally, usual: Tally, level: float, here: Sequence[Violation], *, runs: bool
) -> Iterable[Violation]:
    """Changed types, where nothing is corrupted for that reason, and stuck values."""
    if not any(each.alarm for each in here):
        yield from by_types(test.reference.name, tally, usual)
    if runs:
        yield from by_runs(test, tally, usual, level=level)
