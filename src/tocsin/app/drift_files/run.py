"""The whole comparison of two files, from their names to the result."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tocsin.app.drift_files.compared import BROKEN, Columns, Compared
from tocsin.app.drift_files.cut import ChunkSize, Part, cut
from tocsin.app.drift_files.frame import Frame
from tocsin.app.drift_files.model import ModelWatch, Performance
from tocsin.app.drift_files.outcome import Outcome, outcome
from tocsin.app.drift_files.ranking import RankingWatch, Shown
from tocsin.app.drift_files.roles import Asked, Roles, infer
from tocsin.app.drift_files.truth import Joined, join
from tocsin.app.drift_files.unfold import vectors
from tocsin.app.drift_files.which import which_moved
from tocsin.app.score.cells import is_text
from tocsin.assess.column import FeatureKind, numbers
from tocsin.assess.drift import Distances, FeatureDrift
from tocsin.assess.intervals import Measure
from tocsin.assess.moved import Moved
from tocsin.assess.quality import Violation
from tocsin.model.arrays import I8, Mask
from tocsin.model.errors import BadInput
from tocsin.model.text import one_line

MOST_SEGMENTS: Final = 10
"""Values of a column of segments that are shown, the most frequent ones of the reference."""
MOST_UNKNOWN: Final = 0.1
"""Share of rows with something new from which an estimate is not relied on alone."""
Said = Callable[[str], None]
Advanced = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the command was told."""

    reference: Path
    current: Path
    truth: Path | None = None
    chunk: str | None = None
    asked: Asked = field(default_factory=Asked)


@dataclass(frozen=True, slots=True)
class SegmentResult:
    """One segment of a chunk."""

    column: str
    value: str
    performance: Performance


@dataclass(frozen=True, slots=True)
class ChunkResult:
    """All that is said of one chunk."""

    part: Part
    features: tuple[FeatureDrift, ...]
    prediction: FeatureDrift | None
    target: FeatureDrift | None
    performance: Performance | None
    segments: tuple[SegmentResult, ...]
    alarm: bool
    reasons: tuple[str, ...]
    which: Moved
    broken: tuple[Violation, ...]
    parts: Mapping[str, Mapping[str, Distances]]

    @property
    def moved(self) -> tuple[str, ...]:
        """Which laws moved: of the inputs, of the truth, of truth given inputs."""
        return tuple(kind.removesuffix(" drift") for kind in self.which.kinds)

    @property
    def quality_alarm(self) -> bool:
        """Whether something is broken by more than chance."""
        return any(each.alarm for each in self.broken)


@dataclass(frozen=True, slots=True)
class Result:
    """All that is said of two files."""

    wanted: Wanted
    roles: Roles
    task: str | None
    positive: str | None
    reference_rows: int
    current_rows: int
    reference: Mapping[str, Measure]
    chunks: tuple[ChunkResult, ...]
    notes: tuple[str, ...]
    joined: Joined | None
    estimate_error: Mapping[str, tuple[float, int]]


def compare_files(wanted: Wanted, say: Said, advance: Advanced = lambda _done, _all: None) -> Result:
    """Compare the current file with the reference.

    Raises
    ------
    BadInput
        A file is not as it should be; the message says where.
    """
    size = ChunkSize.read(wanted.chunk)
    reference, current = Frame.read(wanted.reference), Frame.read(wanted.current)
    truth = Frame.read(wanted.truth) if wanted.truth is not None else None
    current = _as_vectors(reference, current)
    roles = infer(reference, current, truth, wanted.asked)
    if size.span_ns and roles.time is None:
        why = "; ".join(f"column {name!r}: {told}" for name, told in roles.left_out.items() if "like a time" in told)
        raise BadInput(
            f"--chunk: a span of time needs times; {why or 'name their column with --time, or give a number of rows'}"
        )
    with np.errstate(over="ignore", invalid="ignore"):  # infinities and values of 1e308 give infinities, not shown
        return _Comparison(wanted, (reference, current, truth), roles, size, say).result(advance)


def _as_vectors(reference: Frame, current: Frame) -> Frame:
    """The current file with lists of numbers where the reference has them, also where no text of a column is one."""
    columns = {
        name: vectors(cells)
        if name in reference.columns and pa.types.is_list(reference.columns[name].type) and is_text(cells)
        else cells
        for name, cells in current.columns.items()
    }
    return replace(current, columns=columns)


class _Comparison:
    def __init__(
        self, wanted: Wanted, frames: tuple[Frame, Frame, Frame | None], roles: Roles, size: ChunkSize, say: Said
    ) -> None:
        self.wanted, self.roles, self.size = wanted, roles, size
        self.reference, self.current, truth = frames
        self.notes: list[str] = []
        self._say = say
        self.time = self.current.times(roles.time) if roles.time is not None else None
        if self.time is not None:
            back = int(np.count_nonzero(np.diff(self.time) < 0))
            if back:
                self._note(f"{back} rows are older than the row before them; all are taken in order of {roles.time!r}")
        self.joined = join(self.current, truth, roles, self.time) if truth is not None else None
        if self.joined is not None:
            for sentence in self.joined.sentences():
                self._note(sentence)
        self.truth = self.joined.cells if self.joined is not None else self.current.columns.get(roles.target or "")
        for frame in frames:
            for note in frame.notes if frame is not None else ():
                self._note(note)
        self._note_text()
        for name, why in roles.left_out.items():
            self._note(f"column {name!r} takes no part: {why}")

    def _note_text(self) -> None:
        """Say where columns of numbers hold text, in either file."""
        for frame in (self.reference, self.current):
            for name in self.roles.features:
                cells = frame.columns[name]
                if self.roles.kinds[name] is not FeatureKind.NUMERIC or not is_text(cells):
                    continue
                found = numbers(cells)
                wrong = int(found.corrupted.sum())
                if wrong:
                    where = frame.table.place(int(np.argmax(found.corrupted)))
                    text = one_line(found.example)[:40]
                    self._note(f"{where}: column {name!r}: {text!r} is no number; {wrong} such cells count as missing")

    def _note(self, text: str) -> None:
        self.notes.append(text)
        self._say(text)

    def result(self, advance: Advanced) -> Result:
        parts = list(cut(self.current.rows, self.time, self.size))
        compared = Columns(self.reference, self.current, self.truth, self.roles).compared(parts)
        found = None
        watch: ModelWatch | RankingWatch | None = None
        if self.roles.query is not None:
            watch = self._ranking(parts)
        else:
            found = outcome(self.reference, self.current, self.truth, self.roles)
            watch = None if found is None else self._watched(found, parts)
        which = which_moved(compared, watch if isinstance(watch, ModelWatch) else None, parts)
        segments = self._segments()
        chunks = []
        for k, part in enumerate(parts):
            performance = watch.chunk(part.rows) if watch is not None else None
            pieces = tuple(self._of_segments(watch, part, segments)) if watch is not None else ()
            chunks.append(_chunk(part, compared, which[k], performance, pieces))
            advance(k + 1, len(parts))
        unlike = [chunk for chunk in chunks if chunk.performance is not None and chunk.performance.few.unlike]
        if unlike:
            self._note(_unlike(unlike))
        errors = {} if watch is None else {name: (e.mean_absolute, e.chunks) for name, e in watch.errors.items()}
        return Result(
            self.wanted, self.roles, _task(found, self.roles),
            None if found is None else found.positive, self.reference.rows, self.current.rows,
            {} if watch is None else watch.reference, tuple(chunks), tuple(self.notes), self.joined, errors,
        )  # fmt: skip

    def _ranking(self, parts: Sequence[Part]) -> RankingWatch:
        reference, current = (
            Shown.of(frame, truth, self.roles)
            for frame, truth in (
                (self.reference, self.reference.columns.get(self.roles.target or "")),
                (self.current, self.truth),
            )
        )
        watch = RankingWatch(reference, current, int(np.median([part.rows.size for part in parts])))
        for note in watch.notes:
            self._note(note)
        return watch

    def _watched(self, found: Outcome, parts: Sequence[Part]) -> ModelWatch:
        for name, each in (("reference", found.reference), ("current file", found.current)):
            without = int(np.count_nonzero(~each.usable))
            if without:
                self._note(f"{without} rows without a prediction or score in the {name}; they count for features only")
        watch = ModelWatch(found, int(np.median([part.rows.size for part in parts])))
        for note in watch.notes:
            self._note(note)
        return watch

    def _segments(self) -> list[tuple[str, str, Mask, Mask]]:
        """Column, value, rows of the reference and of the current file, most frequent values first."""
        found = []
        for column in self.roles.segments:
            there, here = (frame.labels(column) for frame in (self.reference, self.current))
            counted = pc.value_counts(there.drop_null())
            order = np.argsort(-counted.field("counts").to_numpy(), kind="stable")
            names = [counted.field("values")[int(k)].as_py() for k in order[:MOST_SEGMENTS]]
            if len(order) > MOST_SEGMENTS:
                self._note(f"--segment {column}: {len(order)} values, the {MOST_SEGMENTS} most frequent are shown")
            found += [(column, name, _is(there, name), _is(here, name)) for name in names]
        return found

    @staticmethod
    def _of_segments(
        watch: ModelWatch | RankingWatch, part: Part, segments: Sequence[tuple[str, str, Mask, Mask]]
    ) -> list[SegmentResult]:
        found = []
        for column, value, there, here in segments:
            rows: I8 = part.rows[here[part.rows]]
            performance = watch.segment(rows, column, value, there, len(segments))
            found.append(SegmentResult(column, value, performance))
        return found


def _task(found: Outcome | None, roles: Roles) -> str | None:
    if roles.query is not None:
        return "ranking"
    return None if found is None else found.task.value


def _unlike(chunks: Sequence[ChunkResult]) -> str:
    first = chunks[0]
    said = first.performance.few.unlike if first.performance is not None else ""
    return (
        f"truth came for rows unlike the others in {len(chunks)} chunks, first of all in chunk {first.part.index}: {said}; "
        "what is realised holds for all rows only as far as the score tells them apart"
    )


def _is(cells: Any, value: str) -> Mask:
    same = pc.fill_null(pc.equal(cells, pa.scalar(value, cells.type)), False)
    return np.asarray(same.to_numpy(zero_copy_only=False), bool)


def _chunk(
    part: Part,
    compared: Compared,
    which: Moved,
    performance: Performance | None,
    segments: tuple[SegmentResult, ...],
) -> ChunkResult:
    """Whether somebody should look: performance, else the prediction; what is broken; features where no estimate answers for them."""
    features, prediction = compared.features[part.index], compared.said[part.index]
    broken = compared.broken[part.index]
    reasons = [] if performance is None else list(performance.reasons)
    reasons += [f"{s.column} {s.value}: {why}" for s in segments for why in s.performance.reasons]
    if prediction is not None and prediction.alarm:
        reasons.append(f"prediction {prediction.name}: {prediction.reason}")
    wrong = [each for each in broken if each.alarm and each.fault in BROKEN]
    reasons += [f"{each.feature}: {each.said}" for each in wrong]
    moved = [each for each in features if each.alarm and each.name not in {other.feature for other in wrong}]
    estimated = performance.estimated if performance is not None else None
    if moved and (estimated is None or estimated.unknown_share > MOST_UNKNOWN):
        if estimated is not None:
            share = f"{100 * estimated.unknown_share:.3g} %"
            reasons.append(f"no estimate answers for these rows, the reference knows nothing like {share} of them")
        reasons += [f"{each.name}: {each.reason}" for each in moved]
    return ChunkResult(
        part, tuple(features), prediction, compared.target[part.index], performance, segments,
        bool(reasons), tuple(reasons), which, tuple(broken), compared.parts[part.index],
    )  # fmt: skip
