"""Votes: what people and judges say of one answer - thumbs, sentiment, verdicts, stars - from spans and from records."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Final, NamedTuple

import numpy as np

from tocsin.derive.fields import Fields, coded, joined
from tocsin.derive.grades import Grade, grade_of
from tocsin.derive.sayings import verdicts
from tocsin.model.frame import Frame
from tocsin.model.record import OUTCOME, PREDICTION

FEEDBACK: Final = "feedback"
_FIELDS: Final = (
    "evaluation_name",
    "evaluation_label",
    "evaluation_score",
    "service.name",
    "request_model",
    "prompt_version",
    "tenant",
    "topic",
    "region",
    "evaluation_low",
    "evaluation_high",
)
WORSE: Final = frozenset({"hallucination"})
"""Evaluations, by canonical name, of which a yes is bad."""
_TAGS: Final = ("prompt_version", "tenant")
_TOPICS: Final = ("topic", "intent")
_LONGEST: Final = 100
_OPINIONS: Final = (
    "*thumb*",
    "*helpful*",
    "*sentiment*",
    "*rating*",
    "*like*",
    "*vote*",
    "*satisf*",
    "*feedback*",
    "*stars*",
    "*csat*",
)
"""Names that say what people think of an answer; a click or a sale is an outcome, and seldom, other scores are a judge's."""


class Vote(NamedTuple):
    """A yes or no about an answer, or a grade; texts that are not told are "".

    `graded` is for a `grade` that people give, on a scale from `low` to `high` (both 0 if it is not told). What may be either, a 1
    of five stars or a yes, is `both`.
    """

    time: int
    trace: str
    id: str
    name: str
    bad: bool
    service: str
    model: str
    version: str
    customer: str
    topic: str = ""
    region: str = ""
    graded: bool = False
    both: bool = False
    grade: float = 0.0
    low: float = 0.0
    high: float = 0.0


def votes_of_spans(frames: Sequence[Frame], fields: Fields) -> list[list[Vote]]:
    """Votes in frames of spans of one tenant (evaluations are such rows), by frame."""
    found: list[list[Vote]] = [[] for _ in frames]
    columns = [fields[name] for name in _FIELDS]
    at = np.flatnonzero((columns[1].code >= 0) | (columns[2].code >= 0))
    if not len(at):
        return found
    number = np.repeat(np.arange(len(frames)), [len(frame) for frame in frames])[at].tolist()
    times = np.concatenate([frame.i8("time") for frame in frames])[at].tolist()
    traces, ids = ([raw.hex() for raw in joined(frames, name).take(at).to_pylist()] for name in ("trace_id", "span_id"))
    texts = [[([*each.texts, ""])[code][:_LONGEST] for code in each.code[at].tolist()] for each in columns]
    for place, time, trace, span, name, label, score, *of, low, high in zip(
        number, times, traces, ids, *texts, strict=True
    ):
        named = name or FEEDBACK
        grade = grade_of(score, low or None, high or None) if score and _opinion(named) else None
        found[place] += _votes(_bad(label, score), grade, time, trace, span, named, *of)
    return found


def _votes(bad: bool | None, grade: Grade | None, time: int, trace: str, of: str, name: str, *about: str) -> list[Vote]:
    """A vote, if it is one; of a name of which a yes is bad, a yes."""
    if grade is not None and grade.low < grade.high:
        bad = None
    if bad is None and grade is None:
        return []
    told = bad is not None and bad != (name in WORSE)
    service, model, version, customer, topic, region = about
    vote = Vote(time, trace, of, name, told, service, model, version, customer, topic, region)
    if grade is None:
        return [vote]
    both = bad is not None
    return [vote._replace(graded=True, both=both, grade=grade.value, low=grade.low, high=grade.high)]


def votes_of_records(frames: Sequence[Frame]) -> list[list[Vote]]:
    """Votes in frames of records: their feedback, once it is joined to what it is about."""
    found: list[list[Vote]] = [[] for _ in frames]
    for place, frame in enumerate(frames):
        told = coded(frame.batch.column("feedback"))
        if not any(told.texts):
            continue
        for row in frame.rows():
            if row["feedback"] and row["kind"] in (OUTCOME, PREDICTION):
                found[place] += _of_record(row)
    return found


def _of_record(row: dict[str, object]) -> list[Vote]:
    tags = dict(row["tags"] or ())  # type: ignore[call-overload]  # rows are of any kind
    version = tags.get(_TAGS[0]) or str(row["version"])
    topic = next((tags[tag] for tag in _TOPICS if tags.get(tag)), "")
    texts = (str(row["model"]), version, tags.get(_TAGS[1], ""), topic, tags.get("region", ""))
    of = ("", *(text[:_LONGEST] for text in texts))
    time, name_of = row["time"], str(row["prediction_id"])
    assert isinstance(time, int)
    said = str(row["feedback"])
    numbers, found = verdicts(said), []
    for name, value in _told(said).items():
        if not _opinion(name):
            continue
        number = numbers.get(name)
        bad = number <= 0 if number in (-1.0, 0.0, 1.0) else None
        found += _votes(bad, grade_of(value), time, "", name_of, name[:_LONGEST], *of)
    return found


def _told(text: str) -> dict[str, object]:
    """Feedback by name, "feedback" for one without."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {FEEDBACK: found}


def _opinion(name: str) -> bool:
    return any(fnmatchcase(name.lower(), glob) for glob in _OPINIONS)


def _bad(label: str, score: str) -> bool | None:
    """Whether it is a no; None for what is neither yes nor no.

    >>> _bad("thumbs_down", ""), _bad("", "1"), _bad("", "0.7"), _bad("neutral", "")
    (True, False, None, None)
    """
    said = verdicts(json.dumps({FEEDBACK: label})).get(FEEDBACK) if label else None
    if said is None and score:
        try:
            said = float(score)
        except ValueError:
            said = math.nan
    return None if said not in (-1.0, 0.0, 1.0) else said <= 0
