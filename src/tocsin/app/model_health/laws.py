"""Which of P(x), P(y) and P(y|x) moved: what comes in, what comes true, and what follows from the same inputs."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import NormalDist
from typing import Any, Final, TypeAlias

import numpy as np
import pyarrow as pa

from tocsin.app.drift_files.outcome import Outcome, Rows
from tocsin.app.model_health.rows import NAME_CHARS, Span
from tocsin.assess.estimate import Task
from tocsin.assess.moved import CONCEPT, LABEL, LEAST_ROWS, Labelled, Moved, told_apart
from tocsin.assess.performance_alarm import FALSE_RATE, LEAST_FALL
from tocsin.model.arrays import Mask
from tocsin.model.errors import BadInput
from tocsin.model.text import one_line

Json: TypeAlias = dict[str, Any]
MOVED, STILL, UNKNOWN = "moved", "no move shown", "unknown"
_INPUTS: Final = ("feature", "embedding")


def laws(found: Outcome | None, before: Span, now: Span, rows: Sequence[Json], shown: Json | None) -> list[Json]:
    """Each law with its state and reason; `rows` are the decisions on columns, `shown` is the performance.

    What follows from the same inputs has moved if groups of like predictions say so, or if truth as a whole is off
    what inputs and scores let expect.
    """
    inputs, label, follows = _inputs(rows), *_truths(found, before, now)
    said = "" if shown is None or follows["state"] == MOVED else _off(shown)
    if said:
        follows = {**follows, "state": MOVED, "said": said}
    return [inputs, label, follows]


def _off(shown: Json) -> str:
    """How truth is off what inputs and scores let expect, by more than chance; empty: it is not."""
    name = "mae" if shown["task"] == Task.NUMBERS.value else "accuracy"
    real, expected = (dict(shown[side].get(name) or {}) for side in ("realised", "estimated"))
    if None in (real.get("value"), expected.get("value"), expected.get("low"), expected.get("high")):
        return ""
    if real["n"] < max(LEAST_ROWS, expected["n"] / 2):
        return ""
    gap = abs(real["value"] - expected["value"])
    sure = NormalDist().inv_cdf(1 - FALSE_RATE / 2) / NormalDist().inv_cdf(0.975)
    least = LEAST_FALL.get(name, 0.1 * expected["value"])
    if gap <= max(least, sure * (expected["high"] - expected["low"]) / 2):
        return ""
    return (
        f"truth is off what inputs and scores let expect: {name} is {real['value']:.3g},"
        f" {expected['value']:.3g} was to be expected"
    )


def _law(law: str, name: str, state: str, said: str) -> Json:
    return {"law": law, "name": name, "state": state, "said": said}


def _inputs(rows: Sequence[Json]) -> Json:
    judged = [row for row in rows if row["part"] in _INPUTS]
    moved = [row for row in judged if row["alarm"]]
    if not judged:
        return _law("P(x)", "what comes in", UNKNOWN, "no feature can be compared")
    if moved:
        return _law(
            "P(x)",
            "what comes in",
            MOVED,
            f"{len(moved)} of {len(judged)} inputs, first of all {one_line(moved[0]['name'], NAME_CHARS)}",
        )
    if all(str(row["reason"]).startswith("not decided") for row in judged):
        return _law("P(x)", "what comes in", UNKNOWN, str(judged[0]["reason"]))
    return _law("P(x)", "what comes in", STILL, f"none of {len(judged)} inputs")


def _truths(found: Outcome | None, before: Span, now: Span) -> list[Json]:
    names = (("P(y)", "what comes true"), ("P(y|x)", "what follows from the same inputs"))
    why = "the records hold no predictions to compare truth with"
    if found is not None:
        known = [int(np.count_nonzero(side.known)) for side in (found.reference, found.current)]
        why = f"truth is known of {known[0]:,} rows of the reference and of {known[1]:,} now; {LEAST_ROWS} of each are needed"
        if before.rows and min(known) >= LEAST_ROWS:
            try:
                return _told(told_apart(*_sides(found, before, now)), names)
            except BadInput as error:
                why = str(error)
    return [_law(law, name, UNKNOWN, why) for law, name in names]


def _told(moved: Moved, names: Sequence[tuple[str, str]]) -> list[Json]:
    reasons = {
        kind: said.removeprefix(f"{kind}: ")
        for said in moved.said
        for kind in (LABEL, CONCEPT)
        if said.startswith(kind)
    }
    label = _law(*names[0], MOVED if moved.label else STILL, reasons.get(LABEL, moved.truth.reason))
    if not moved.groups:
        return [label, _law(*names[1], UNKNOWN, "no group of like predictions has enough truth on both sides")]
    still = f"none of {len(moved.groups)} groups of like predictions came true more or less often than before"
    return [label, _law(*names[1], MOVED if moved.concept else STILL, reasons.get(CONCEPT, still))]


def _sides(found: Outcome, before: Span, now: Span) -> tuple[Labelled, Labelled]:
    return _side(found.task, found.reference, before), _side(found.task, found.current, now)


def _side(task: Task, rows: Rows, span: Span) -> Labelled:
    known = rows.known
    if task is Task.CLASSES:
        return Labelled({}, _texts(span, "prediction", known), _texts(span, "truth", known))
    said = rows.said.predicted if rows.said.score is None or task is Task.NUMBERS else rows.said.score
    return Labelled({}, np.asarray(said, "f8")[known], np.asarray(rows.truth, "f8")[known])


def _texts(span: Span, name: str, known: Mask) -> Any:
    return span.frame.labels(name).filter(pa.array(known))
