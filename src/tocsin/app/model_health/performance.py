"""Performance of a model by buckets of time: realised where truth came, estimated where a score lets one."""

from __future__ import annotations

from typing import Any, Final, TypeAlias

import numpy as np

from tocsin.app.drift_files.model import ModelWatch, Performance, measured
from tocsin.app.drift_files.outcome import Outcome, Rows
from tocsin.app.model_health.rows import Span
from tocsin.assess.estimate import Task
from tocsin.assess.intervals import Measure
from tocsin.model.arrays import F8
from tocsin.model.times import time_to_json

Json: TypeAlias = dict[str, Any]
NS: Final = 1_000_000_000
STEPS_S: Final = (60, 300, 900, 1800, 3600, 3 * 3600, 6 * 3600, 12 * 3600, 86400, 7 * 86400, 28 * 86400)
MOST_BUCKETS: Final = 48
LEAST_BUCKETS: Final = 4
ROWS_PER_BUCKET: Final = 100
FEW_TRUTH: Final = 30


def step_ns(span_ns: int, rows: int) -> int:
    """How wide buckets are: the finest step with few enough buckets, each of about 100 rows where there are so many.

    >>> step_ns(86_400 * NS, 100_000) // NS, step_ns(86_400 * NS, 600) // NS
    (1800, 21600)
    """
    kept = [step * NS for step in STEPS_S if span_ns <= MOST_BUCKETS * step * NS]
    coarse = [step for step in kept if span_ns >= LEAST_BUCKETS * step] or kept[:1] or [span_ns]
    dense = [step for step in coarse if rows * step >= ROWS_PER_BUCKET * span_ns]
    return dense[0] if dense else coarse[-1]


def performance(found: Outcome, current: Span) -> Json:
    """Of the whole span and of each bucket of it, against the reference."""
    step = step_ns(int(current.time[-1] - current.time[0]) + 1, current.rows)
    bucket = current.time // step
    numbers = np.unique(bucket)
    watch = ModelWatch(found, current.rows // max(numbers.size, 1))
    buckets = [_bucket(watch.chunk(np.flatnonzero(bucket == k).astype("i8")), int(k) * step, step) for k in numbers]
    known = int(np.count_nonzero(found.current.known))
    together = watch.chunk(np.arange(current.rows, dtype="i8"))
    whole = dict(together.realised or {})
    estimated = {} if together.estimated is None else dict(together.estimated.measures)
    names = list(whole) or list(estimated)
    return {
        "task": found.task.value,
        "positive": found.positive,
        "measures": names,
        "step_s": step // NS,
        "rows": current.rows,
        "truth": known,
        "coverage": known / max(current.rows, 1),
        "realised": _measures(whole),
        "estimated": _measures(estimated),
        "reference": _measures(watch.reference or _of_reference(found)),
        "buckets": buckets,
        "reasons": list(together.reasons),
        "worse": [{"from": each["from"], "reasons": each["reasons"]} for each in buckets if each["reasons"]],
        "say": _say(known, current.rows, bool(estimated)),
        "notes": watch.notes,
    }


def _of_reference(found: Outcome) -> dict[str, Measure]:
    known = np.flatnonzero(found.reference.known)
    return measured(found.task, found.reference, known) if known.size else {}


def _measures(found: dict[str, Measure]) -> Json:
    return {name: each.to_json() for name, each in found.items()}


def _bucket(found: Performance, start: int, step: int) -> Json:
    estimated = {} if found.estimated is None else {**found.estimated.measures, **found.corrected}
    return {
        "from": time_to_json(start),
        "to": time_to_json(start + step),
        "rows": found.n,
        "coverage": found.coverage,
        "realised": _measures(dict(found.realised or {})),
        "estimated": _measures(estimated),
        "corrected": bool(found.corrected),
        "reasons": list(found.reasons),
    }


def _say(known: int, rows: int, estimated: bool) -> str:
    share = f"{100 * known / max(rows, 1):.0f} %"
    guess = "the estimate stands in for it" if estimated else "and nothing can be estimated without it yet"
    if not known:
        return f"No truth has come for these {rows:,} predictions yet; {guess}."
    if known < FEW_TRUTH:
        return f"Truth came for only {known} of {rows:,} predictions: not enough to judge by; {guess}."
    return f"Truth came for {known:,} of {rows:,} predictions ({share})."


def losses(task: Task, rows: Rows) -> tuple[F8, str]:
    """What was lost by each row (n,), NaN where the truth is not known, and its name in words."""
    if task is Task.NUMBERS:
        lost = np.abs(np.asarray(rows.truth, "f8") - np.asarray(rows.said.predicted, "f8"))
        return np.where(rows.known, lost, np.nan), "mean absolute error"
    wrong = (rows.truth != rows.said.predicted).astype("f8")
    return np.where(rows.known, wrong, np.nan), "share wrong"
