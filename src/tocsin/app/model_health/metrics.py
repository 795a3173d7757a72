"""Metrics that live versions and prompts are compared by, read from what records and outcomes hold."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

import numpy as np

from tocsin.derive.sayings import right, saying, verdicts
from tocsin.model.arrays import F8
from tocsin.model.errors import BadInput
from tocsin.spec.ab import METRICS
from tocsin.spec.problem import nearest

Part: TypeAlias = Literal["accuracy", "absolute error", "feedback", "score", "prediction", "tags", "features"]
_PLAIN: Final[dict[str, Part]] = {
    "accuracy": "accuracy",
    "absolute error": "absolute error",
    "score": "score",
    "positive predictions": "prediction",
}
_KEYED: Final[dict[str, Part]] = {"feedback": "feedback", "tags": "tags", "features": "features"}


@dataclass(frozen=True, slots=True)
class Metric:
    """A number of a prediction: known with it, or later from truth or feedback."""

    name: str
    part: Part
    key: str = ""

    @staticmethod
    def parse(name: str) -> Metric:
        """Read a metric's name.

        Raises
        ------
        BadInput
            Nothing is called so.

        >>> Metric.parse("feedback.resolved").column, Metric.parse("score").column
        ('feedback', '')
        """
        if name in _PLAIN:
            return Metric(name, _PLAIN[name])
        if name == "feedback":
            return Metric(name, "feedback", "feedback")
        head, _, key = name.partition(".")
        part = _KEYED.get(head)
        if key and part is not None:
            return Metric(name, part, key)
        forms = ", ".join(METRICS)
        raise BadInput(f"no metric {name[:80]!r}{nearest(name, METRICS)}; it is one of {forms}")

    @property
    def column(self) -> str:
        """Where it comes from later (truth or feedback), nothing for what is known at once."""
        if self.part in ("accuracy", "absolute error"):
            return "truth"
        return "feedback" if self.part == "feedback" else ""

    @property
    def bounds(self) -> tuple[float, float] | None:
        """Least and greatest value that it can have, None where that is not known."""
        return (0.0, 1.0) if self.part in ("accuracy", "prediction") else None

    @property
    def lower_is_better(self) -> bool:
        """Whether less of it is better, as far as its name tells."""
        return self.part == "absolute error"

    def values(self, predictions: Sequence[str], raws: Sequence[str]) -> F8:
        """Numbers of rows (n,), NaN for what is none."""
        return np.array([self._value(each, raw) for each, raw in zip(predictions, raws, strict=True)], "f8")

    def _value(self, prediction: str, raw: str) -> float:
        found: float | None
        if self.part == "accuracy":
            found = right(saying(prediction), saying(raw))
        elif self.part == "absolute error":
            said, truth = saying(prediction).number, saying(raw).number
            found = None if said is None or truth is None else abs(said - truth)
        elif self.part == "prediction":
            told = saying(prediction)
            found = told.number if told.two else None
        elif self.part == "feedback":
            found = verdicts(raw).get(self.key)
        elif self.part == "tags":
            found = verdicts(_quoted(raw)).get("feedback")
        else:
            found = verdicts(raw).get("feedback")
        return math.nan if found is None else found


def _quoted(raw: str) -> str:
    """A tag as JSON: numbers as they are, all else a text."""
    try:
        return str(float(raw))
    except ValueError:
        return f'"{raw}"' if '"' not in raw and "\\" not in raw else ""
