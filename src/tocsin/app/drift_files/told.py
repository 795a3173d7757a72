"""A result as JSON, and as rows for a terminal."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

from tocsin.app.drift_files.model import intervals, values
from tocsin.app.drift_files.run import ChunkResult, Result, SegmentResult
from tocsin.app.drift_files.summed import broken, laws, numbers_said
from tocsin.assess.drift import LN10, FeatureDrift
from tocsin.assess.intervals import Measure, number
from tocsin.assess.moved import Group
from tocsin.model.text import one_line

MOST_REASONS: Final = 6
"""Reasons of a chunk that people are told; the JSON has all."""


def to_json(result: Result) -> dict[str, Any]:
    """The public JSON."""
    shown: dict[str, Any] = {
        "columns": {**result.roles.to_json(), "task": result.task, "positive": result.positive},
        "reference": {
            "file": str(result.wanted.reference), "rows": result.reference_rows, **values(result.reference),
            "interval": intervals(result.reference),
        },
        "current": {"file": str(result.wanted.current), "rows": result.current_rows},
        "chunks": [chunk_json(chunk) for chunk in result.chunks],
        "estimate_error": {
            name: {"mean_absolute": number(error), "chunks": chunks}
            for name, (error, chunks) in result.estimate_error.items()
        },
        "notes": list(result.notes),
    }  # fmt: skip
    if result.joined is not None:
        shown["truth"] = {"file": str(result.wanted.truth), **result.joined.counted}
    return shown


def chunk_json(chunk: ChunkResult) -> dict[str, Any]:
    """One chunk of the public JSON."""
    performance = chunk.performance
    return {
        "index": chunk.part.index,
        "start": chunk.part.start,
        "end": chunk.part.end,
        "n": int(chunk.part.rows.size),
        "alarm": chunk.alarm,
        "reasons": list(chunk.reasons),
        "estimated": performance.estimated_json() if performance is not None else None,
        "realised": performance.realised_json() if performance is not None else None,
        "performance_alarm": performance.alarm if performance is not None else False,
        "features": [_feature_json(chunk, each) for each in chunk.features],
        "prediction": drift_json(chunk.prediction) if chunk.prediction is not None else None,
        "target": drift_json(chunk.target) if chunk.target is not None else None,
        "moved": list(chunk.moved),
        "moved_said": list(chunk.which.said),
        "groups": [group_json(each) for each in chunk.which.groups],
        "quality": [each.to_json() for each in chunk.broken],
        "quality_alarm": chunk.quality_alarm,
        "segments": [_segment_json(each) for each in chunk.segments],
    }


def drift_json(found: FeatureDrift) -> dict[str, Any]:
    """The drift of one column; null for what is no finite number."""
    return {name: number(value) if isinstance(value, float) else value for name, value in found.to_json().items()}


def _feature_json(chunk: ChunkResult, found: FeatureDrift) -> dict[str, Any]:
    """A feature; of texts and vectors also the distances of each part."""
    shown = drift_json(found)
    parts = chunk.parts.get(found.name)
    if parts is not None:
        shown["parts"] = {
            part: {name: _number(getattr(each, name)) for name in ("psi", "js", "wasserstein", "ks", "tv")}
            for part, each in parts.items()
        }
    return shown


def _number(value: float | None) -> float | None:
    return None if value is None else number(value)


def group_json(group: Group) -> dict[str, Any]:
    """Rows with like predictions: the share whose truth is high (or as predicted), in the reference and now."""
    return {
        "name": group.name, "what": group.what, "reference_n": group.reference_n, "n": group.n,
        "reference_share": group.reference_share, "share": group.share, "log10_e": group.log_e / LN10,
    }  # fmt: skip


def _segment_json(segment: SegmentResult) -> dict[str, Any]:
    performance = segment.performance
    return {
        "column": segment.column, "value": segment.value, "n": performance.n,
        "estimated": performance.estimated_json(), "realised": performance.realised_json(),
        "performance_alarm": performance.alarm, "reasons": list(performance.reasons),
    }  # fmt: skip


def heads(result: Result) -> list[str]:
    """Heads of the table of chunks."""
    main = main_measure(result)
    shown = ["chunk", "start", "rows"]
    if main:
        shown += [f"estimated {main}", "interval", "realised", "its interval", "truth of"]
    return [*shown, "features that moved", "alarm"]


def rows(result: Result) -> list[list[object]]:
    """One row for each chunk."""
    return [_row(result, chunk) for chunk in result.chunks]


def _row(result: Result, chunk: ChunkResult) -> list[object]:
    main = main_measure(result)
    start = chunk.part.start
    shown: list[object] = [chunk.part.index, start[:16].replace("T", " ") if isinstance(start, str) else start]
    shown.append(chunk.part.rows.size)
    performance = chunk.performance
    if main and performance is not None:
        guess = performance.estimated.measures[main] if performance.estimated is not None else None
        real = performance.realised.get(main) if performance.realised is not None else None
        shown += [
            "" if guess is None else f"{guess.value:.4g}",
            "" if guess is None else interval_said(guess),
            "" if real is None else f"{real.value:.4g}",
            "" if real is None else interval_said(real),
            f"{100 * performance.coverage:.3g} %",
        ]
    return [*shown, moved_names(chunk), "alarm" if chunk.alarm else ""]


def interval_said(found: Measure) -> str:
    """An interval in words, empty if there is none."""
    return f"{found.low:.3g} to {found.high:.3g}" if math.isfinite(found.low) and math.isfinite(found.high) else ""


def reasons(result: Result) -> list[list[object]]:
    """One row for each of the first reasons of an alarm: the chunk, and why."""
    return [[chunk.part.index, reason] for chunk in result.chunks for reason in first_reasons(chunk.reasons)]


def first_reasons(reasons: Sequence[str], most: int = MOST_REASONS) -> list[str]:
    """The first reasons, and how many more there are.

    >>> first_reasons(["a", "b", "c"], 2)
    ['a', 'and 2 more']
    """
    if len(reasons) <= most:
        return list(reasons)
    return [*reasons[: most - 1], f"and {len(reasons) - most + 1} more"]


def broken_rows(result: Result) -> list[list[object]]:
    """One row for each fault of a column that is more than chance."""
    return [
        [each.worst.fault.value.replace("_", " "), each.worst.feature, numbers_said(each.chunks), each.worst.said]
        for each in broken(result)
        if each.alarm
    ]


def law_rows(result: Result) -> list[list[object]]:
    """One row for each kind of drift that was shown, in the words of the chunk where it is clearest."""
    return [[each.kind, numbers_said(each.chunks), each.said] for each in laws(result)]


def moved_names(chunk: ChunkResult) -> str:
    """How many features moved, and the names of some."""
    moved = [each.name for each in chunk.features if each.alarm]
    some = ", ".join(one_line(name)[:24] for name in moved[:3])
    return f"{len(moved)}: {some}{', ...' if len(moved) > 3 else ''}" if moved else "0"


def main_measure(result: Result) -> str | None:
    """The measure that tables and charts show."""
    if result.task is None:
        return None
    return {"regression": "mae", "ranking": "ndcg"}.get(result.task, "accuracy")


def summary(result: Result) -> str:
    """One sentence on all chunks."""
    alarms = [chunk.part.index for chunk in result.chunks if chunk.alarm]
    some = ", ".join(str(k) for k in alarms[:20]) + (", ..." if len(alarms) > 20 else "")
    said = f"{len(result.chunks)} chunks, {len(alarms)} with an alarm" + (f" ({some})" if alarms else "")
    main = main_measure(result)
    if main is not None and main in result.estimate_error:
        error, chunks = result.estimate_error[main]
        said += f"; estimated {main} is off the realised one by {error:.4g} on average of {chunks} chunks"
    return said


def columns_said(result: Result) -> str:
    """Which column is what, in one sentence."""
    roles = result.roles
    parts = (
        ("id", roles.identity),
        ("time", roles.time),
        ("prediction", roles.prediction),
        ("score", roles.score),
        ("target", roles.target),
        ("query", roles.query),
    )
    guessed = set(roles.inferred)
    said = [f"{part} {name!r}{' (inferred)' if part in guessed else ''}" for part, name in parts if name is not None]
    if result.task is not None:
        said.append(f"a model of {result.task}" + (f", positive is {result.positive!r}" if result.positive else ""))
    return one_line(f"columns: {', '.join([*said, f'{len(roles.features)} features'])}", 1000)
