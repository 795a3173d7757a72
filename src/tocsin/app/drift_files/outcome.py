"""What the model said and what came true, out of the columns of two files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tocsin.app.drift_files.frame import Frame
from tocsin.app.drift_files.roles import Roles
from tocsin.assess.column import FeatureKind, numbers, texts
from tocsin.assess.estimate import Said, Task
from tocsin.assess.grid import MISSING, UNSEEN
from tocsin.assess.performance import auc
from tocsin.model.arrays import F8, I8, Array, Mask
from tocsin.model.errors import BadInput
from tocsin.model.text import one_line

POSITIVE: Final = ("1", "true", "yes", "y", "t", "positive", "pos")
NEGATIVE: Final = ("0", "false", "no", "n", "f", "negative", "neg")
MOST_NAMES: Final = 1_000
MOST_CLASSES: Final = 20
"""A prediction of whole numbers with more different values is a number, not a class."""


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Rows of one file: what was said, what came true where it is known, and where anything was said at all.

    Attributes
    ----------
    truth : (n,) of the kind of `said.predicted`
    known : (n,) whether the truth is known
    usable : (n,) whether there is a prediction, and a score if the model gives some
    """

    said: Said
    truth: Array
    known: Mask
    usable: Mask


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """What kind of model it is, and the rows of reference and current file."""

    task: Task
    positive: str | None
    notes: tuple[str, ...]
    reference: Rows
    current: Rows


def features_of(reference: Frame, current: Frame, roles: Roles) -> tuple[tuple[Array, ...], tuple[Array, ...]]:
    """Features as numbers, or as categories numbered by the reference, for both files; vectors take no part."""
    here: list[Array] = []
    there: list[Array] = []
    for name in roles.features:
        kind = roles.kinds[name]
        if kind is FeatureKind.NUMERIC:
            pair: tuple[Array, ...] = tuple(numbers(each.columns[name]).value for each in (reference, current))
        elif kind is FeatureKind.TEXT:
            pair = tuple(_length(each.labels(name)) for each in (reference, current))
        elif kind is FeatureKind.EMBEDDING:
            continue
        else:
            known = pc.unique(reference.labels(name).drop_null())
            pair = tuple(_codes(each.labels(name), known) for each in (reference, current))
        here.append(pair[0])
        there.append(pair[1])
    return tuple(here), tuple(there)


def _length(cells: Any) -> F8:
    found: F8 = pc.cast(pc.utf8_length(cells), pa.float64()).to_numpy(zero_copy_only=False)
    return found


def _codes(cells: Any, known: Any) -> I8:
    """Numbers of texts among the known ones."""
    found = pc.index_in(cells, value_set=known)
    codes = np.array(pc.fill_null(found, UNSEEN).to_numpy(zero_copy_only=False), "i8")
    codes[pc.is_null(cells).to_numpy(zero_copy_only=False)] = MISSING
    return codes


def outcome(reference: Frame, current: Frame, truth: Any, roles: Roles) -> Outcome | None:
    """Kind of model and rows, or None if the files hold neither predictions nor scores.

    `truth` are the current rows' cells of the target, null where not known, or None.

    Raises
    ------
    BadInput
        A cell of a score, or of a number to predict, is text.
    """
    if roles.prediction is None and roles.score is None:
        return None
    features = features_of(reference, current, roles)
    target = reference.columns.get(roles.target) if roles.target is not None else None
    cells = (target, truth)
    if roles.prediction is not None and _is_number(reference, roles.prediction):
        return _of_numbers(reference, current, cells, roles, features)
    return _Classes(reference, current, cells, roles, features).outcome()


def _is_number(frame: Frame, name: str) -> bool:
    found = numbers(frame.columns[name])
    value = found.value[~np.isnan(found.value)]
    if not value.size or found.corrupted.mean() > 0.1:
        return False
    whole = bool(np.all(value == np.round(value)))
    return not whole or np.unique(value).size > MOST_CLASSES


def _of_numbers(
    reference: Frame, current: Frame, truth: tuple[Any, Any], roles: Roles, features: Sequence[tuple[Array, ...]]
) -> Outcome:
    assert roles.prediction is not None
    made = []
    for frame, cells, columns in zip((reference, current), truth, features, strict=True):
        predicted = frame.numbers(roles.prediction)
        known = numbers(cells).value if cells is not None else np.full(frame.rows, np.nan)
        usable = np.isfinite(predicted)
        made.append(Rows(Said(columns, predicted), known, np.isfinite(known) & usable, usable))
    return Outcome(Task.NUMBERS, None, (), made[0], made[1])


class _Classes:
    """Models that give classes, or the score of one."""

    def __init__(
        self,
        reference: Frame,
        current: Frame,
        truth: tuple[Any, Any],
        roles: Roles,
        features: Sequence[tuple[Array, ...]],
    ) -> None:
        self.frames, self.roles, self.features = (reference, current), roles, features
        self.truth = tuple(None if cells is None else _whole(texts(cells)) for cells in truth)
        self.score = tuple(None if roles.score is None else frame.numbers(roles.score) for frame in self.frames)
        self.predicted = tuple(
            None if roles.prediction is None else _whole(frame.labels(roles.prediction)) for frame in self.frames
        )
        self.notes: list[str] = []
        self._same_names()

    def _same_names(self) -> None:
        """Predictions and truths that say yes and no in other words are made to say it in the same.

        Raises
        ------
        BadInput
            No class is both predicted and true, and the words tell nothing.
        """
        predicted, truth = ([_distinct(cells) for cells in pair] for pair in (self.predicted, self.truth))
        said, true = (set().union(*each) for each in (predicted, truth))
        if not said or not true or said & true:
            return
        words = {name for name in said | true if name.lower() in (*POSITIVE, *NEGATIVE)}
        shown = [", ".join(map(repr, sorted(each)[:4])) for each in (said, true)]
        if words != said | true:
            raise BadInput(
                f"{self.frames[0].table.path}: predictions say {shown[0]} and truths {shown[1]}, which are never the "
                "same; write both in the same words, or name the right columns with --prediction and --target"
            )
        self.predicted, self.truth = (tuple(map(_yes_or_no, pair)) for pair in (self.predicted, self.truth))
        self.notes.append(f"predictions say {shown[0]}, truths {shown[1]}: both are read as no (0) and yes (1)")

    def outcome(self) -> Outcome:
        names = self._names()
        if len(names) > 2:
            return self._many(names)
        positive = self._positive(names)
        made = [self._rows(k, positive) for k in range(2)]
        made = self._scored(made)
        return Outcome(Task.BINARY, positive, tuple(self.notes), made[0], made[1])

    def _names(self) -> list[str]:
        sets = [cells for cells in (self.predicted[0], self.truth[0]) if cells is not None]
        if not sets:
            return ["0", "1"]
        found = sorted({name for cells in sets for name in pc.unique(cells.drop_null()).to_pylist()})
        return [str(name) for name in found]

    def _positive(self, names: list[str]) -> str:
        usual = [name for name in names if name.lower() in POSITIVE]
        if usual:
            return usual[-1]
        if not names:
            raise BadInput(f"{self.frames[0].table.path}: the column {self.roles.prediction!r} is empty")
        higher = self._scored_higher(names)
        positive, why = names[-1], "for it sorts last"
        if higher is not None:
            positive, why = higher, "for scores are higher where it is predicted"
        self.notes.append(f"{one_line(positive)[:40]!r} is taken as the positive class, {why}")
        return positive

    def _scored_higher(self, names: list[str]) -> str | None:
        """The class of two that a score speaks for; None where it may be how sure the model is of either."""
        predicted, score = self.predicted[0], self.score[0]
        if predicted is None or score is None or len(names) != 2:
            return None
        said = [_equal(predicted, name)[0] & np.isfinite(score) for name in names]
        if not all(mask.any() for mask in said) or min(float(score[mask].min()) for mask in said) >= 0.5:
            return None
        means = [float(score[mask].mean()) for mask in said]
        return names[int(means[1] > means[0])] if means[0] != means[1] else None

    def _rows(self, k: int, positive: str) -> Rows:
        n, predicted, score = self.frames[k].rows, self.predicted[k], self.score[k]
        usable = np.ones(n, bool)
        if score is not None:
            usable &= np.isfinite(score)
        if predicted is not None:
            said, there = _equal(predicted, positive)
            usable &= there
        else:
            assert score is not None
            said = score >= 0.5
        truth, known = _equal(self.truth[k], positive) if self.truth[k] is not None else (said, np.zeros(n, bool))
        return Rows(Said(self.features[k], said, score), truth, known & usable, usable)

    def _scored(self, made: list[Rows]) -> list[Rows]:
        """Scores made those of the positive class: as found in the reference, the same way in both files."""
        if self.predicted[0] is None:
            self.notes.append("no column of predictions: a score of 0.5 or more is taken as a yes")
        first = made[0]
        score, said = first.said.score, first.said.predicted.astype(bool)
        if score is None:
            return made
        sure = score[first.usable]
        if sure.size and (sure.min() < 0 or sure.max() > 1):
            self.notes.append("the score lies outside 0 to 1: it is squeezed into it by its rank in the reference")
            ordered = np.sort(sure)
            return [_with_score(each, _ranked(each, ordered)) for each in made]
        made = [self._inside(each) for each in made]
        if sure.size and sure.min() >= 0.5 and not said[first.usable].all() and _turned_is_better(first):
            self.notes.append("the score is how sure the model is of its prediction, not that of the positive class")
            return [_with_score(each, _turned(each)) for each in made]
        return made

    def _inside(self, rows: Rows) -> Rows:
        """Without the rows whose score is none, where those of the reference lie between 0 and 1."""
        score = rows.said.score
        assert score is not None
        inside = (score >= 0) & (score <= 1)
        outside = int(np.count_nonzero(rows.usable & ~inside))
        if outside:
            self.notes.append(f"{outside} scores lie outside 0 to 1, unlike the reference's; they count as missing")
        return Rows(rows.said, rows.truth, rows.known & inside, rows.usable & inside)

    def _many(self, names: list[str]) -> Outcome:
        known = pa.array(names, pa.large_string())
        made = []
        for k, frame in enumerate(self.frames):
            predicted = self.predicted[k]
            if predicted is None:
                raise BadInput(
                    f"{frame.table.path}:1: the truth has {len(names)} classes, and a score alone says nothing of which "
                    "was predicted; name the column with --prediction"
                )
            codes = _codes(predicted, known)
            score = self.score[k]
            usable = (codes != MISSING) & (True if score is None else np.isfinite(score))
            truth = _codes(self.truth[k], known) if self.truth[k] is not None else np.full(frame.rows, MISSING, "i8")
            there = (truth != MISSING) & usable
            made.append(Rows(Said(self.features[k], codes, score), truth, there, usable))
        return Outcome(Task.CLASSES, None, tuple(self.notes), made[0], made[1])


def _whole(cells: Any) -> Any:
    """Texts with whole numbers written as such: 1.0 is 1."""
    return pc.replace_substring_regex(cells, r"^([+-]?[0-9]+)\.0+$", r"\1")


def _distinct(cells: Any) -> set[str]:
    return set() if cells is None else set(pc.unique(cells.drop_null()).to_pylist()[:MOST_NAMES])


def _yes_or_no(cells: Any) -> Any:
    if cells is None:
        return None
    yes = pc.is_in(pc.utf8_lower(cells), value_set=pa.array(POSITIVE, cells.type))
    return pc.if_else(pc.is_null(cells), pa.scalar(None, cells.type), pc.if_else(yes, "1", "0").cast(cells.type))


def _equal(cells: Any, name: str) -> tuple[Mask, Mask]:
    """Where texts are the name, and where there are any."""
    there = pc.is_valid(cells).to_numpy(zero_copy_only=False)
    same = pc.fill_null(pc.equal(cells, pa.scalar(name, cells.type)), False).to_numpy(zero_copy_only=False)
    return np.asarray(same, bool), np.asarray(there, bool)


def _turned(rows: Rows) -> F8:
    assert rows.said.score is not None
    return np.where(rows.said.predicted, rows.said.score, 1 - rows.said.score)


def _ranked(rows: Rows, ordered: F8) -> F8:
    assert rows.said.score is not None
    return np.asarray((np.searchsorted(ordered, rows.said.score) + 0.5) / (ordered.size + 1), "f8")


def _with_score(rows: Rows, score: F8) -> Rows:
    return Rows(Said(rows.said.features, rows.said.predicted, score), rows.truth, rows.known, rows.usable)


def _turned_is_better(rows: Rows) -> bool:
    """Whether the prediction follows the score better once it is read as confidence."""
    assert rows.said.score is not None
    kept = rows.usable
    said = rows.said.predicted[kept].astype(bool)
    return auc(said, _turned(rows)[kept]).value > auc(said, rows.said.score[kept]).value
