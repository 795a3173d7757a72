"""Versions of a model side by side: what each has, and which ran beside each other and can be compared."""

from __future__ import annotations

import math
from typing import Any, Final, TypeAlias

import numpy as np

from tocsin.api.model_ports import ModelAsked
from tocsin.app.drift_files.outcome import Outcome
from tocsin.app.model_health.performance import losses
from tocsin.app.model_health.rows import Row, Span
from tocsin.assess.estimate import Task
from tocsin.assess.intervals import mean_of
from tocsin.model.arrays import F8
from tocsin.model.errors import BadInput
from tocsin.model.times import time_to_json
from tocsin.spec.problem import nearest

Json: TypeAlias = dict[str, Any]
LEAST_TOGETHER: Final = 100
"""Rows of each version, in the time when all ran, from which on they count as side by side."""
MOST_ARMS: Final = 8
MOST_METRICS: Final = 20


def metrics_of(found: Outcome | None, current: Span) -> dict[str, F8]:
    """What versions can be compared by, (n,) each, NaN where not known; the first is taken if none is named."""
    metrics: dict[str, F8] = {}
    if found is not None:
        loss, _ = losses(found.task, found.current)
        if np.isfinite(loss).any():
            metrics.update({"absolute error": loss} if found.task is Task.NUMBERS else {"accuracy": 1 - loss})
    metrics.update(_of_feedback(current))
    if found is not None:
        said = found.current
        if found.task is Task.BINARY:
            yes = np.asarray(said.said.predicted, bool).astype("f8")
            metrics["positive predictions"] = np.where(said.usable, yes, np.nan)
        if said.said.score is not None:
            metrics["score"] = np.asarray(said.said.score, "f8")
    return {name: values for name, values in metrics.items() if np.isfinite(values).any()}


def _of_feedback(current: Span) -> dict[str, F8]:
    keys = {str(key) for each in current.feedback if isinstance(each, dict) for key in each}
    told = {
        f"feedback.{key}": _numbers([each.get(key) if isinstance(each, dict) else None for each in current.feedback])
        for key in sorted(keys)[:MOST_METRICS]
    }
    return {**told, "feedback": _numbers([None if isinstance(each, dict) else each for each in current.feedback])}


def _numbers(cells: list[Any]) -> F8:
    return np.array([float(each) if isinstance(each, bool | int | float) else math.nan for each in cells], "f8")


def versions(found: Outcome | None, current: Span, listed: list[Row], ever: list[Row], asked: ModelAsked) -> Json:
    """Each version with its metric; `arms` are those that ran side by side, the oldest first; `ever`: of all time.

    Raises
    ------
    BadInput
        A metric that is asked for is not there.
    """
    metrics = metrics_of(found, current)
    if asked.metric and asked.metric not in metrics:
        raise BadInput(f"no metric {asked.metric[:80]!r}{nearest(asked.metric, metrics) if metrics else ''}")
    metric = asked.metric or next(iter(metrics), "")
    value = metrics.get(metric, np.full(current.rows, np.nan))
    version = np.array(current.version, object)
    rows = [
        {
            **each,
            "first_time": time_to_json(each["first_time"]),
            "last_time": time_to_json(each["last_time"]),
            "value": mean_of(value[(version == each["version"]) & np.isfinite(value)], 0.95).to_json(),
        }
        for each in listed
    ]
    names = [str(each["version"]) for each in listed if each["version"]]
    arms: list[str] = []
    if len(names) >= 2 and metric:
        first = {str(each["version"]): int(each["first_time"]) for each in (*listed, *ever)}
        arms = sorted(_side_by_side(current, names), key=lambda name: (first[name], name))
    return {"rows": rows, "metric": metric, "metrics": list(metrics), "arms": arms, "say": _say(rows, metric, arms)}


def _say(rows: list[Json], metric: str, arms: list[str]) -> str:
    if len(rows) < 2:
        return "One version ran in this time; log a second one to compare them."
    if not metric:
        return "There is nothing to compare versions by: no truth, score or feedback has come yet."
    return f"{len(rows)} versions ran in this time, {len(arms)} of them to be compared."


def _side_by_side(current: Span, names: list[str]) -> list[str]:
    """Versions that run beside the newest records of another one; the two with most rows where none do."""
    version = np.array(current.version, object)
    times = {name: current.time[version == name] for name in names[:MOST_ARMS]}
    held = [name for name, time in times.items() if time.size >= LEAST_TOGETHER]
    while len(held) > 2:
        low = max(int(times[name][0]) for name in held)
        high = min(int(times[name][-1]) for name in held)
        inside = {name: int(np.count_nonzero((times[name] >= low) & (times[name] <= high))) for name in held}
        if min(inside.values()) >= LEAST_TOGETHER:
            return held
        # the one that ended first, or has least of the time they share, was not beside the others
        held.remove(min(held, key=lambda name: (int(times[name][-1]), inside[name])))
    return held if len(held) == 2 else names[:2]
