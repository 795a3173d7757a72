"""Which of P(x), P(y) and P(y|x) moved in each chunk, told by `tocsin.assess.moved`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from tocsin.app.drift_files.compared import Compared
from tocsin.app.drift_files.cut import Part
from tocsin.app.drift_files.model import ModelWatch
from tocsin.app.drift_files.outcome import Rows
from tocsin.assess.drift import DriftPolicy, compare
from tocsin.assess.estimate import Task
from tocsin.assess.moved import Alike, Group, Labelled, Moved, changed, tell
from tocsin.assess.reference import FeatureReference
from tocsin.model.arrays import I8

LEVEL: Final = DriftPolicy().level / 3
"""Of each of data, label and concept drift, over all chunks."""


def which_moved(compared: Compared, watch: ModelWatch | None, parts: Sequence[Part]) -> list[Moved]:
    """What moved in each chunk, decided over all of them."""
    asked = [] if watch is None or watch.estimator is None else _asked(watch)
    groups: list[list[Group]] = [[] for _ in parts]
    if watch is not None and asked:
        rows = watch.outcome.current
        for k, part in enumerate(parts):
            known = part.rows[rows.known[part.rows]]
            if known.size:
                weights = watch.weights(part.rows)
                groups[k] = [each for one in asked for each in one.groups(one.labelled(rows, known), weights)]
    differ = changed(groups, LEVEL) if parts else []
    unknown = FeatureReference.learn("truth", [])
    nothing = compare(unknown, unknown.own)
    found = []
    for k in range(len(parts)):
        said = compared.said[k]
        inputs = [*compared.features[k], *([said] if said is not None else [])]
        found.append(tell(inputs, compared.target[k] or nothing, groups[k], differ[k]))
    return found


class _Asked(Alike):
    """One question to the truth of rows with like predictions."""

    def __init__(self, rows: Rows, known: I8, labelled: Callable[[Rows, I8], Labelled], what: str = "") -> None:
        self.labelled = labelled
        reference = labelled(rows, known)
        super().__init__(reference, FeatureReference.learn("truth", reference.truth), what)


def _asked(watch: ModelWatch) -> list[_Asked]:
    """By score where there is one: did it come true; by number: were they off by more, and to which side; else by class."""
    rows, known = watch.outcome.reference, watch.known
    if watch.task is Task.NUMBERS:
        gap = float(np.asarray(_errors(rows, known).truth).mean())
        what = (f"are off by more than {gap:.3g}", "turned out above what was predicted")
        return [_Asked(rows, known, _errors, what[0]), _Asked(rows, known, _sides, what[1])]
    if watch.task is Task.BINARY and rows.said.score is not None:
        positive = watch.outcome.positive
        return [_Asked(rows, known, _scores, f"turned out {positive!r}" if positive else "")]
    return [_Asked(rows, known, _names)]


def _errors(rows: Rows, chosen: I8) -> Labelled:
    predicted = np.asarray(rows.said.predicted[chosen], "f8")
    return Labelled({}, predicted, np.abs(rows.truth[chosen] - predicted))


def _sides(rows: Rows, chosen: I8) -> Labelled:
    predicted = np.asarray(rows.said.predicted[chosen], "f8")
    return Labelled({}, predicted, (rows.truth[chosen] > predicted).astype("f8"))


def _scores(rows: Rows, chosen: I8) -> Labelled:
    assert rows.said.score is not None
    return Labelled({}, rows.said.score[chosen], np.asarray(rows.truth[chosen], "f8"))


def _names(rows: Rows, chosen: I8) -> Labelled:
    both = (np.asarray(each[chosen]).astype("i8").astype("U8") for each in (rows.said.predicted, rows.truth))
    predicted, truth = (np.char.add("class ", each) for each in both)
    return Labelled({}, predicted, truth)
