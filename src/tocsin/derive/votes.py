"""Votes: what people and judges say of one answer - thumbs, sentiment, verdicts - from spans and from records."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Final, NamedTuple

import numpy as np

from tocsin.derive.fields import Fields, coded, joined
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
)
WORSE: Final = frozenset({"hallucination"})
"""Evaluations, by canonical name, of which a yes is bad."""
_TAGS: Final = ("prompt_version", "tenant")
_LONGEST: Final = 100
_OPINIONS: Final = ("*thumb*", "*helpful*", "*sentiment*", "*rating*", "*like*", "*vote*", "*satisf*", "*feedback*")
"""Names of a record's feedback that say what people think of an answer; a click or a sale is an outcome, and seldom."""


class Vote(NamedTuple):
    """A yes or no about an answer; texts that are not told are ""."""

    time: int
    trace: str
    id: str
    name: str
    bad: bool
    service: str
    model: str
    version: str
    customer: str


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
    for place, time, trace, span, name, label, score, *of in zip(number, times, traces, ids, *texts, strict=True):
        bad = _bad(label, score)
        if bad is not None:
            found[place].append(Vote(time, trace, span, name or FEEDBACK, bad != (name in WORSE), *of))
    return found


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
    of = ("", str(row["model"])[:_LONGEST], version[:_LONGEST], tags.get(_TAGS[1], "")[:_LONGEST])
    time, name_of = row["time"], str(row["prediction_id"])
    assert isinstance(time, int)
    return [
        Vote(time, "", name_of, name[:_LONGEST], number <= 0, *of)
        for name, number in verdicts(str(row["feedback"])).items()
        if number in (-1.0, 0.0, 1.0) and any(fnmatchcase(name.lower(), glob) for glob in _OPINIONS)
    ]


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
