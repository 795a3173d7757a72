"""`ModelMoved`: which of P(x), P(y) and P(y|x) moved, of a model whose truth comes late; before that, what can't be told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from tocsin.assess.drift import DriftPolicy, FeatureDrift, compare_all
from tocsin.assess.moved import CONCEPT, DATA, LABEL, Alike, Labelled, changed, tell
from tocsin.assess.reference import FeatureReference
from tocsin.derive.sayings import saying
from tocsin.engine.model_reference import LEVEL
from tocsin.engine.record_sample import RecordRow
from tocsin.model.errors import BadInput
from tocsin.model.text import one_line

LEAST_ROWS: Final = 100
"""Truths of the reference, and of a chunk, below which nothing is told apart."""
_TEXT_CHARS: Final = 200


class Truths(NamedTuple):
    """What was right when all was well, and groups of rows that the model took for alike."""

    truth: FeatureReference
    alike: Alike


@dataclass(slots=True)
class ModelMoved:
    """State of one version: `rows` of truth that the last verdict is about, and what it said, by law."""

    looks: int = 0
    rows: int = 0
    said: dict[str, str] = field(default_factory=dict)

    def judge(self, rows: Sequence[RecordRow], known: Truths | None, min_effect: float) -> None:
        """Compare the truths of a chunk with the reference's; few or strange ones leave what was said."""
        side = labelled(rows)
        if known is None or len(side.truth) < LEAST_ROWS:
            return
        self.looks += 1
        level = LEVEL / 3 / (self.looks * (self.looks + 1))
        try:
            sketch = known.truth.sketch(side.truth)
            groups = known.alike.groups(side)
        except BadInput:
            return
        truth = compare_all({"truth": known.truth}, {"truth": sketch}, DriftPolicy(level=level, min_effect=min_effect))[
            0
        ]
        moved = tell([], truth, groups, changed([groups], level)[0])
        self.rows = len(side.truth)
        self.said = {
            law: text.partition(": ")[2] for law in (LABEL, CONCEPT) for text in moved.said if text.startswith(law)
        }

    def evidence(self, features: Sequence[FeatureDrift]) -> dict[str, float | str]:
        """What a finding tells: of P(x) by the features of this chunk, of the others by the last truth."""
        adrift = [row for row in features if row.alarm]
        found: dict[str, float | str] = {"moved.data": float(bool(adrift))}
        said = [f"{DATA} ({len(adrift)} of {len(features)} features, first of all {adrift[0].name})"] if adrift else []
        if self.rows:
            found |= {"moved.label": float(LABEL in self.said), "moved.concept": float(CONCEPT in self.said)}
            found |= {f"moved.{law.split()[0]}.reason": one_line(text, _TEXT_CHARS) for law, text in self.said.items()}
            found["moved.rows"] = float(self.rows)
            said += list(self.said)
            text = ", ".join(said) or "neither data nor truth nor what follows from the same inputs"
        else:
            text = ", ".join([*said, "whether P(y) and P(y|x) moved can't be told before truth comes"])
        return {**found, "moved": one_line(text, 300)}

    def snapshot(self) -> list[Any]:
        """All state, as a tree."""
        return [self.looks, self.rows, dict(self.said)]

    @staticmethod
    def of(state: Sequence[Any]) -> ModelMoved:
        """A state back from a snapshot."""
        return ModelMoved(state[0], state[1], dict(state[2]))


def labelled(rows: Sequence[RecordRow]) -> Labelled:
    """Predictions and truths of outcomes: the score of two classes and numbers as numbers, other classes by name."""
    said = [(saying(row.prediction), saying(row.truth), row.score) for row in rows]
    said = [(p, t, s) for p, t, s in said if t.label is not None or t.number is not None]
    ordered = bool(said) and all(t.number is not None for _, t, _ in said)
    prediction: list[Any]
    if ordered:
        two = all(t.two for _, t, _ in said)
        prediction = [s if two and s is not None else p.number for p, _, s in said]
        return Labelled({}, prediction, [t.number for _, t, _ in said])
    prediction = [p.label for p, _, _ in said]
    return Labelled({}, prediction, [t.label for _, t, _ in said])


def truths_of(rows: Sequence[RecordRow]) -> Truths | None:
    """What a reference's outcomes teach; None of too few, or of such that can't be compared."""
    side = labelled(rows)
    if len(side.truth) < LEAST_ROWS:
        return None
    try:
        truth = FeatureReference.learn("truth", side.truth)
        return Truths(truth, Alike(side, truth))
    except BadInput:
        return None
