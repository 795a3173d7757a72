"""Versions of a model side by side: a test that may be looked at, and stopped, at any time."""

from __future__ import annotations

import math
from typing import Any, Final, TypeAlias

import numpy as np

from tocsin.api.model_ports import ModelAsked
from tocsin.app.comparison import reason, verdict_json
from tocsin.app.drift_files.outcome import Outcome
from tocsin.app.model_health.performance import losses
from tocsin.app.model_health.rows import Row, Span
from tocsin.assess.ab import Design, Experiment, Verdict
from tocsin.assess.estimate import Task
from tocsin.assess.intervals import mean_of
from tocsin.model.arrays import F8, I4
from tocsin.model.errors import BadInput
from tocsin.model.times import time_to_json
from tocsin.spec.problem import nearest

Json: TypeAlias = dict[str, Any]
LOOKS: Final = 30
LEAST_TOGETHER: Final = 100
"""Rows of each version, in the time when both ran, from which on they count as side by side."""
MOST_METRICS: Final = 20
NEVER: Final = -1.0
LOWER: Final = ("absolute error",)


def metrics_of(found: Outcome | None, current: Span) -> dict[str, F8]:
    """What versions can be compared by, (n,) each, NaN where not known; the first is taken if none is named."""
    metrics: dict[str, F8] = {}
    if found is not None:
        loss, _ = losses(found.task, found.current)
        if np.isfinite(loss).any():
            metrics.update({"absolute error": loss} if found.task is Task.NUMBERS else {"accuracy": 1 - loss})
        said = found.current
        if found.task is Task.BINARY:
            yes = np.asarray(said.said.predicted, bool).astype("f8")
            metrics["positive predictions"] = np.where(said.usable, yes, np.nan)
        if said.said.score is not None:
            metrics["score"] = np.asarray(said.said.score, "f8")
    keys = {str(key) for each in current.feedback if isinstance(each, dict) for key in each}
    for key in sorted(keys)[:MOST_METRICS]:
        cells = [each.get(key) if isinstance(each, dict) else None for each in current.feedback]
        metrics[f"feedback.{key}"] = _numbers(cells)
    metrics["feedback"] = _numbers([None if isinstance(each, dict) else each for each in current.feedback])
    return {name: values for name, values in metrics.items() if np.isfinite(values).any()}


def _numbers(cells: list[Any]) -> F8:
    return np.array([float(each) if isinstance(each, bool | int | float) else math.nan for each in cells], "f8")


def versions(found: Outcome | None, current: Span, listed: list[Row], ever: list[Row], asked: ModelAsked) -> Json:
    """Each version with its metric, and two of them compared; `ever` are the versions of all time.

    Raises
    ------
    BadInput
        A metric or a version that is asked for is not there.
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
    base = {"rows": rows, "metric": metric, "metrics": list(metrics), "comparison": None}
    if len(listed) < 2:
        return {**base, "say": "One version ran in this time; log a second one to compare them."}
    if not metric:
        return {**base, "say": "There is nothing to compare versions by: no truth, score or feedback has come yet."}
    control, treatment = _two(listed, ever, asked)
    return {**base, **_compared(current, value, (control, treatment), metric, asked)}


def _two(listed: list[Row], ever: list[Row], asked: ModelAsked) -> tuple[str, str]:
    """Control and treatment: as asked, else the two with most rows, the older one the control."""
    names = [str(each["version"]) for each in listed]
    for name in (asked.control, asked.treatment):
        if name is not None and name not in names:
            raise BadInput(f"no version {name[:80]!r} ran in this time{nearest(name, names)}")
    first = {str(each["version"]): int(each["first_time"]) for each in (*listed, *ever)}
    left = [name for name in names if name not in (asked.control, asked.treatment)]
    if asked.control is None and asked.treatment is None:
        control, treatment = sorted(left[:2], key=lambda name: (first[name], name))
        return control, treatment
    control = asked.control if asked.control is not None else left[0]
    treatment = asked.treatment if asked.treatment is not None else left[0]
    if control == treatment:
        raise BadInput(f"control and treatment are both {control[:80]!r}; name two versions")
    return control, treatment


def _compared(current: Span, value: F8, arms: tuple[str, str], metric: str, asked: ModelAsked) -> Json:
    version = np.array(current.version, object)
    masks = [version == name for name in arms]
    if not all(mask.any() for mask in masks):
        return {"say": "Of one of the two versions no record is in the sample; name others."}
    spans = [(int(current.time[mask].min()), int(current.time[mask].max())) for mask in masks]
    low, high = max(span[0] for span in spans), min(span[1] for span in spans)
    shared = (current.time >= low) & (current.time <= high)
    together = min(int((mask & shared).sum()) for mask in masks) >= LEAST_TOGETHER
    kept = (masks[0] | masks[1]) & (shared if together else np.ones(current.rows, bool))
    arm: I4 = np.where(masks[1][kept], 1, 0).astype("i4")
    rows = (int((arm == 0).sum()), int((arm == 1).sum()))
    known = value[kept][np.isfinite(value[kept])]
    bounds = (0.0, 1.0) if np.isin(known, (0.0, 1.0)).all() else None
    design = Design(
        tuple(name or "(no version)" for name in arms),
        asked.shares or _shares(rows),
        "clt" if bounds is None else "exact",
        bounds,
        ratio_level=0.01 if asked.shares else NEVER,
        lower_is_better=metric in LOWER,
    )
    run, verdict, looks = _looked(design, arm, value[kept])
    said = reason(verdict, design)
    return {
        "comparison": {
            "control": arms[0],
            "treatment": arms[1],
            "metric": metric,
            "method": design.method,
            "level": design.level,
            "concurrent": together,
            **verdict_json(verdict),
            "reason": said,
            "ratio": {
                "planned": list(asked.shares) if asked.shares else None,
                "rows": list(rows),
                "p_value": run.ratio_p_value if asked.shares else None,
                "mismatch": run.mismatched,
            },
            "looks": looks,
        },
        "say": f"{said}." if verdict.outcome in ("better", "worse") else f"{said[:1].upper()}{said[1:]}.",
        "caution": _cautions(together, current.taken.sampled, bool(asked.shares)),
    }


def _looked(design: Design, arm: I4, value: F8) -> tuple[Experiment, Verdict, list[Json]]:
    """The experiment as it was seen after every batch, and its last verdict."""
    run, looks = Experiment(design), []
    (verdict,) = run.look()
    batch = max(1, -(-arm.size // LOOKS))
    for at in range(0, arm.size, batch):
        run.add(arm[at : at + batch], value[at : at + batch])
        (verdict,) = run.look()
        looks.append({"rows": min(at + batch, arm.size), **verdict_json(verdict)})
    return run, verdict, looks


def _shares(rows: tuple[int, int]) -> tuple[int, int]:
    """The nearest whole ratio of rows, for pairing only."""
    a, b = rows
    return (max(1, min(100, round(a / max(b, 1)))), 1) if a >= b else (1, max(1, min(100, round(b / max(a, 1)))))


def _cautions(together: bool, sampled: bool, planned: bool) -> list[str]:
    said = []
    if not together:
        said.append("The versions followed one another, so what else changed with time is part of the difference.")
    if sampled:
        said.append("This is of a sample of the records; decide by `tocsin ab` over an export of all.")
    if not planned:
        said.append("The split is not checked: say how traffic is split, like 9:1, to have it tested.")
    return said
