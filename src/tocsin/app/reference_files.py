"""Files that drift policies name as reference: read once when a configuration is loaded, as an even draw of their records."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import count, islice
from pathlib import Path
from typing import Any, Final

from tocsin.app.record_files import columns_of, rows_of
from tocsin.engine.record_counts import BATCH_ROWS, RecordCounts
from tocsin.engine.record_sample import Sample, arrivals
from tocsin.ingest.redact import Redactor, Rule
from tocsin.model.errors import BadInput
from tocsin.model.frame import Frame, FrameKind, frame_of
from tocsin.model.record import PREDICTION
from tocsin.model.series import MAIN_TENANT
from tocsin.model.times import time_from_json
from tocsin.spec.drift import FileRows
from tocsin.spec.explain import place
from tocsin.spec.load import Loaded
from tocsin.spec.problem import BadSpec, Problem
from tocsin.spec.tree import parse

LEAST_ROWS: Final = 100
MOST_ROWS: Final = 5_000_000
_SECOND: Final = 1_000_000_000


def with_references(loaded: Loaded, *, strict: bool, key: bytes = bytes(16)) -> Loaded:
    """The same with what the files of its drift policies hold; where one can't be read, a warning unless `strict`.

    What live records would not be kept with is taken out of those of files too; `key` is that of redaction tokens.

    Raises
    ------
    BadSpec
        A file can't be read, or holds no records, and `strict`.
    """
    policies, found = list(loaded.config.drift), []
    told = loaded.config.redaction
    rules = [Rule(rule.name, rule.pattern, rule.replacement) for rule in told.rules]
    for number, policy in enumerate(policies):
        if not policy.reference.file:
            continue
        try:
            given = read_reference(
                Path(loaded.file).absolute().parent / policy.reference.file, Redactor(rules, told.keep_content, key)
            )
        except BadInput as bad:
            found.append((number, str(bad)))
            continue
        policies[number] = policy.model_copy(update={"reference": replace(policy.reference, given=given)})
    problems = _placed(loaded, found)
    if problems and strict:
        raise BadSpec(problems)
    odd = [
        replace(each, message=f"{each.message}; what was read of it before holds", level="warning") for each in problems
    ]
    config = loaded.config.model_copy(update={"drift": policies})
    return replace(loaded, config=config, warnings=(*loaded.warnings, *odd))


def read_reference(path: Path, redactor: Redactor) -> FileRows:
    """An even draw of the records of a CSV or Parquet file, and what is counted of all of them.

    Raises
    ------
    BadInput
        It can't be read, or has too few records.
    """
    columns = columns_of(path, {}, ())
    sample, whole = Sample(), RecordCounts()
    most: dict[str, float] = {}
    records = (columns.record(row, {}) for row in rows_of(path))
    for first in count(0, BATCH_ROWS):
        piece = list(islice(records, BATCH_ROWS))
        if first + len(piece) > MOST_ROWS:
            raise BadInput(f"{path}: more than {MOST_ROWS:,} records; an even part of them is as good a reference")
        if not piece:
            break
        part = RecordCounts()
        for each in arrivals(redactor.frame(_frame(first, piece))):
            sample.add(each.row)
            part.add(each.row, None)
        part.settle(None)
        whole.merge(part)
        if part.rows >= LEAST_ROWS:
            for name, tally in part.tallies.items():
                most[name] = max(most.get(name, 0.0), tally.missing / part.rows)
    if sample.seen < LEAST_ROWS:
        raise BadInput(f"{path}: {sample.seen} records are no reference; {LEAST_ROWS} are needed")
    drawn = tuple((r.rank, r.time, r.prediction, r.score, r.features, r.truth) for r in sample.rows())
    tallies = {name: tally.snapshot() for name, tally in whole.tallies.items()}
    return FileRows(sample.seen, drawn, tallies, most)


def _frame(first: int, records: Sequence[Mapping[str, Any]]) -> Frame:
    """Records as the engine is given live ones."""
    return frame_of(
        FrameKind.RECORDS,
        MAIN_TENANT,
        "file",
        {
            "time": [_time_ns(each.get("time")) for each in records],
            "prediction_id": [str(first + k) for k in range(len(records))],
            "score": [_number(each.get("score")) for each in records],
            **{
                name: [json.dumps(each[name]) if name in each else "" for each in records]
                for name in ("prediction", "features", "truth")
            },
            **{name: [""] * len(records) for name in ("model", "version", "feedback", "attributions", "attention")},
            "kind": [PREDICTION] * len(records),
            "tags": [{}] * len(records),
            "embedding": [None] * len(records),
        },
    )


def _number(score: Any) -> float:
    return float(score) if isinstance(score, int | float) and not isinstance(score, bool) else math.nan


def _time_ns(time: Any) -> int:
    """Event time, ns; 0 where none can be read: only the order of rows counts then."""
    if isinstance(time, int | float) and not isinstance(time, bool):
        return int(time * _SECOND)
    try:
        return time_from_json(str(time)) if time else 0
    except ValueError:
        return 0


def _placed(loaded: Loaded, found: list[tuple[int, str]]) -> tuple[Problem, ...]:
    if not found:
        return ()
    root = parse(loaded.text, loaded.file)
    return tuple(Problem(loaded.file, *place(root, ("drift", number, "reference")), text) for number, text in found)
