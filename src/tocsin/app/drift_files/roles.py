"""What the columns of two files are: taken from the command line, else inferred where only one reading is left."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tocsin.app.drift_files.frame import Frame, filled, near
from tocsin.app.score.cells import is_text
from tocsin.assess.column import FeatureKind, kind_of, numbers
from tocsin.model.errors import BadInput
from tocsin.model.text import one_line

PREDICTION: Final = (
    "prediction", "predicted", "y_pred", "pred", "predicted_label", "predicted_class", "prediction_label", "yhat", "y_hat",
)  # fmt: skip
SCORE: Final = (
    "score", "probability", "predicted_probability", "prediction_score", "prediction_probability", "y_score", "proba",
    "y_pred_proba", "y_proba", "y_prob", "pred_proba", "confidence", "prediction_confidence",
)  # fmt: skip
TARGET: Final = ("target", "truth", "actual", "label", "y_true", "ground_truth", "y")
IDENTITY: Final = ("prediction_id", "id", "row_id", "record_id", "request_id", "uuid", "index", "identifier")
NAMELESS: Final = ("", "unnamed:_0")
"""What a table's own count of its rows is called."""
MOST_NUMBERED: Final = 100
QUERY: Final = ("query_id", "qid", "search_id", "impression_id", "list_id", "slate_id")
TIME: Final = ("timestamp", "time", "datetime", "date", "ts", "event_time", "created_at", "predicted_at")


@dataclass(frozen=True, slots=True)
class Asked:
    """Columns named on the command line: None is to be inferred, "" is none."""

    time: str | None = None
    prediction: str | None = None
    score: str | None = None
    target: str | None = None
    identity: str | None = None
    segments: tuple[str, ...] = ()
    query: str | None = None


@dataclass(frozen=True, slots=True)
class Roles:
    """Columns by their part; `left_out` says why a column takes part in nothing."""

    features: tuple[str, ...]
    kinds: dict[str, FeatureKind]
    time: str | None = None
    prediction: str | None = None
    score: str | None = None
    target: str | None = None
    identity: str | None = None
    segments: tuple[str, ...] = ()
    inferred: tuple[str, ...] = ()
    left_out: dict[str, str] = field(default_factory=dict)
    query: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The public JSON: names of columns by part."""
        return {
            "id": self.identity, "time": self.time, "prediction": self.prediction, "score": self.score,
            "target": self.target, "query": self.query, "segments": list(self.segments), "features": list(self.features),
            "inferred": list(self.inferred), "left_out": dict(self.left_out),
        }  # fmt: skip


def infer(reference: Frame, current: Frame, truth: Frame | None, asked: Asked) -> Roles:
    """The part of each column.

    Raises
    ------
    BadInput
        A named column is missing, a column of the reference is missing from the current file, or several columns
        could have the same part.
    """
    return _Inference(reference, current, truth, asked).roles()


class _Inference:
    def __init__(self, reference: Frame, current: Frame, truth: Frame | None, asked: Asked) -> None:
        self.reference, self.current, self.truth, self.asked = reference, current, truth, asked
        self.inferred: list[str] = []
        self.used: set[str] = set()
        self.left: dict[str, str] = {}

    def roles(self) -> Roles:
        asked = self.asked
        identity = self._identity()
        target = self._target(identity)
        prediction = self._one("prediction", asked.prediction, PREDICTION)
        score = self._one("score", asked.score, SCORE)
        time = self._one("time", asked.time, TIME, only_current=True)
        if time is not None and asked.time is None and not _times_of(self.current, time):
            self._no_time(time)
            time = None
            self.inferred.remove("time")
        segments = tuple(self._named(name, "--segment") for name in asked.segments)
        if target is not None and target in (prediction, score):
            raise BadInput(
                f"--target: {target!r} is what the model said; name the column of what came true, which is another one"
            )
        query = self._query(prediction, score, target)
        taken = {identity, target, prediction, score, time, query}
        features, kinds, left = self._features({name for name in taken if name is not None})
        return Roles(
            features, kinds, time, prediction, score, target, identity, segments, tuple(self.inferred), left, query
        )  # fmt: skip

    def _query(self, prediction: str | None, score: str | None, target: str | None) -> str | None:
        """The column that tells lists apart, of a model that ranks: named, or where a score of items has a truth."""
        asked = self.asked.query
        if asked:
            if score is None or target is None:
                raise BadInput(
                    "--query: a ranking is judged by a score and what each item gained; name them with --score and --target"
                )
            return self._named(asked, "--query")
        if asked is not None or prediction is not None or score is None or target is None:
            return None
        found = self._one("query", None, QUERY)
        if found is None:
            return None
        cells = self.reference.columns[found]
        if pa.types.is_nested(cells.type) or 2 * pc.count_distinct(cells).as_py() > len(cells):
            self.inferred.remove("query")
            return None
        return found

    def _no_time(self, name: str) -> None:
        """Texts that are called a time, each another one, are no categories either: why they are no times is told."""
        cells = filled(self.current.columns[name])
        if not is_text(cells) or 2 * pc.count_distinct(cells).as_py() < len(cells):
            return
        try:
            self.current.times(name)
        except BadInput as error:
            self.left[name] = (
                f"it is called like a time, and {one_line(str(error).split(f'column {name!r}')[-1].lstrip(': '), 200)}"
            )

    def _named(self, name: str, option: str, *, only_current: bool = False) -> str:
        if not only_current:
            self.reference.column(name, option)
        return self.current.column(name, option)

    def _one(self, part: str, asked: str | None, known: Sequence[str], *, only_current: bool = False) -> str | None:
        if asked is not None:
            return self._named(asked, f"--{part}", only_current=only_current) if asked else None
        there = self.current.names
        both = there if only_current else [name for name in there if name in self.reference.names]
        found = [name for name in both if _plain(name) in known and name not in self.used]
        if len(found) > 1:
            raise BadInput(
                f"{self.current.table.path}:1: {' and '.join(map(repr, found))} could both be the {part}; "
                f'name one with --{part}, or none with --{part} ""'
            )
        if found:
            self.inferred.append(part)
            self.used.add(found[0])
        return found[0] if found else None

    def _identity(self) -> str | None:
        asked = self.asked.identity
        if asked:
            if self.truth is not None:
                self.truth.column(asked, "--id")
            return self.current.column(asked, "--id")
        there = self.current.names
        found = [name for name in there if _plain(name) in IDENTITY and _distinct(self.current, name)]
        if self.truth is not None:
            shared = [
                name
                for name in self.truth.names
                if name in there and name != self.asked.target and _plain(name) not in (*TARGET, *TIME)
            ]
            found = [name for name in found if name in shared] or shared
            if len(found) != 1:
                what = f"{' and '.join(map(repr, found))} could be" if found else "no column is in both, to be"
                raise BadInput(f"{self.truth.table.path}:1: {what} the id that joins truth; name it with --id")
        if len(found) != 1:
            return None
        self.inferred.append("id")
        self.used.add(found[0])
        return found[0]

    def _target(self, identity: str | None) -> str | None:
        asked = self.asked.target
        if asked is not None:
            if not asked:
                return None
            where = self.truth if self.truth is not None else self.reference
            return where.column(asked, "--target")
        if self.truth is not None:
            rest = [name for name in self.truth.names if name != identity]
            shared = [name for name in rest if name in self.reference.names and _plain(name) not in TIME]
            found = shared or [name for name in rest if _plain(name) in TARGET]
        else:
            names = self.reference.names
            found = [name for name in names if _plain(name) in TARGET]
            absent = [name for name in names if name not in self.current.names]
            found = found or (absent if len(absent) == 1 else [])
        if len(found) > 1:
            raise BadInput(
                f"{self.reference.table.path}:1: {' and '.join(map(repr, found))} could each be the truth; "
                "name one with --target"
            )
        if found:
            self.inferred.append("target")
            self.used.add(found[0])
        return found[0] if found else None

    def _features(self, taken: set[str]) -> tuple[tuple[str, ...], dict[str, FeatureKind], dict[str, str]]:
        kinds: dict[str, FeatureKind] = {}
        left = self.left
        for name in self.reference.names:
            if name in taken or name in left:
                continue
            if _plain(name) in (*IDENTITY, *NAMELESS) and _distinct(self.reference, name):
                left[name] = "its values tell rows apart, nothing else"
                continue
            if name not in self.current.columns:
                raise BadInput(
                    f"{self.current.table.path}:1: no column {name!r}, which the reference has: "
                    f"{near(name, self.current.names)}; add it, or take it out of the reference"
                )
            try:
                kinds[name] = self._kind(name)
            except BadInput as error:
                left[name] = one_line(str(error))
        for name in self.current.names:
            if name not in self.reference.columns and name not in taken:
                left[name] = "the reference has no such column"
        return tuple(kinds), kinds, left

    def _kind(self, name: str) -> FeatureKind:
        """As the cells look; but numbers that a file keeps as text are names of categories, if they are few."""
        cells = self.reference.columns[name]
        kind = kind_of(cells, name)
        coded = kind is FeatureKind.NUMERIC and name in self.reference.typed_text and _few(cells)
        return FeatureKind.CATEGORICAL if coded else kind


def _few(cells: Any) -> bool:
    return bool(pc.count_distinct(cells).as_py() <= MOST_NUMBERED)


def _plain(name: str) -> str:
    return name.strip().lower().replace(" ", "_").replace("-", "_").replace(".", "_")


def _distinct(frame: Frame, name: str) -> bool:
    """Whether each row has a value of its own."""
    cells = frame.columns[name]
    if pa.types.is_floating(cells.type) or pa.types.is_nested(cells.type) or pa.types.is_null(cells.type):
        return False
    return bool(pc.count_distinct(cells).as_py() >= 0.99 * len(cells))


def _times_of(frame: Frame, name: str) -> bool:
    """Whether a column that is called like a time holds times (a lone year or an age in days is none)."""
    cells = filled(frame.columns[name])
    if not len(cells):
        return False
    kind = cells.type
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        return True
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        return bool(np.nanmin(numbers(cells).value) > 1e8)
    try:
        frame.times(name)
    except BadInput:
        return False
    return True
