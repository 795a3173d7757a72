"""Versions of a model side by side: a test that may be looked at, and stopped, at any time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final, TypeAlias

import numpy as np

from tocsin.api.model_ports import ModelAsked
from tocsin.app.comparison import reason, verdict_json
from tocsin.app.drift_files.outcome import Outcome
from tocsin.app.model_health.performance import losses
from tocsin.app.model_health.rows import NAME_CHARS, Row, Span
from tocsin.assess.ab import Design, Experiment, Verdict
from tocsin.assess.estimate import Task
from tocsin.assess.intervals import mean_of
from tocsin.model.arrays import F8, I4
from tocsin.model.errors import BadInput
from tocsin.model.text import one_line
from tocsin.model.times import time_to_json
from tocsin.spec.problem import nearest

Json: TypeAlias = dict[str, Any]
LOOKS: Final = 30
LEAST_TOGETHER: Final = 100
"""Rows of each version, in the time when all ran, from which on they count as side by side."""
MOST_ARMS: Final = 8
MOST_METRICS: Final = 20
NEVER: Final = -1.0
LOWER: Final = ("absolute error",)
_SHOWN: Final = ("difference", "lower", "upper", "outcome")


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
    """Each version with its metric, and those that run side by side compared; `ever` are the versions of all time.

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
    arms = _arms(current, listed, ever, asked)
    if asked.shares and len(asked.shares) != len(arms):
        shown = ", ".join(one_line(each, 40) or "(no version)" for each in arms)
        raise BadInput(f"ratio has {len(asked.shares)} parts for {len(arms)} versions: {shown}")
    return {**base, **_compared(current, value, arms, metric, asked)}


def _arms(current: Span, listed: list[Row], ever: list[Row], asked: ModelAsked) -> tuple[str, ...]:
    """The control first, the treatments by name: as asked, else all that run side by side, the oldest the control."""
    names = [str(each["version"]) for each in listed]
    for name in (asked.control, *asked.treatments):
        if name is not None and name not in names:
            raise BadInput(f"no version {name[:80]!r} ran in this time{nearest(name, names)}")
    if asked.control is not None and asked.control in asked.treatments:
        raise BadInput(f"control and treatment are both {asked.control[:80]!r}; name two versions")
    first = {str(each["version"]): int(each["first_time"]) for each in (*listed, *ever)}
    by_age = sorted(names, key=lambda name: (first[name], name))
    if asked.treatments:
        control = asked.control if asked.control is not None else _not_in(by_age, asked.treatments)
        return (control, *sorted(set(asked.treatments)))
    together = _side_by_side(current, names)
    if asked.control is not None:
        others = sorted(name for name in together if name != asked.control)
        return (asked.control, *(others or [_not_in(names, (asked.control,))]))
    control = next(name for name in by_age if name in together)
    return (control, *sorted(name for name in together if name != control))


def _not_in(names: list[str], taken: Sequence[str]) -> str:
    left = [name for name in names if name not in taken]
    if not left:
        raise BadInput("all versions of this time are treatments; leave one for the control")
    return left[0]


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


def _compared(current: Span, value: F8, arms: tuple[str, ...], metric: str, asked: ModelAsked) -> Json:
    version = np.array(current.version, object)
    number = {name: k for k, name in enumerate(arms)}
    arm: I4 = np.array([number.get(each, -1) for each in version.tolist()], "i4")
    masks = [arm == k for k in range(len(arms))]
    if not all(mask.any() for mask in masks):
        return {"say": "Of one of the versions no record is in the sample; name others."}
    low = max(int(current.time[mask].min()) for mask in masks)
    high = min(int(current.time[mask].max()) for mask in masks)
    shared = (current.time >= low) & (current.time <= high)
    together = min(int((mask & shared).sum()) for mask in masks) >= LEAST_TOGETHER
    kept = (arm >= 0) & (shared if together else np.ones(current.rows, bool))
    arm, value = arm[kept], value[kept]
    rows = tuple(int((arm == k).sum()) for k in range(len(arms)))
    known = value[np.isfinite(value)]
    bounds = (0.0, 1.0) if np.isin(known, (0.0, 1.0)).all() else None
    design = Design(
        tuple(one_line(name, NAME_CHARS) or "(no version)" for name in arms),
        asked.shares or _shares(rows),
        "clt" if bounds is None else "exact",
        bounds,
        ratio_level=0.01 if asked.shares else NEVER,
        lower_is_better=metric in LOWER,
    )
    run, verdicts, looks = _looked(design, arm, value)
    return {
        "comparison": {
            "control": arms[0],
            "metric": metric,
            "method": design.method,
            "level": design.level,
            "lower_is_better": design.lower_is_better,
            "concurrent": together,
            "treatments": [
                {**verdict_json(each), "treatment": name, "reason": reason(each, design)}
                for name, each in zip(arms[1:], verdicts, strict=True)
            ],
            "ratio": {
                "planned": list(asked.shares) if asked.shares else None,
                "rows": list(rows),
                "p_value": run.ratio_p_value if asked.shares else None,
                "mismatch": run.mismatched,
            },
            "looks": looks,
        },
        "say": _say(verdicts, design),
        "caution": _cautions(together, current.taken.sampled, bool(asked.shares)),
    }


def _say(verdicts: Sequence[Verdict], design: Design) -> str:
    """The verdict in words; of several treatments first how many are better, then each that was decided."""
    if len(verdicts) == 1 or verdicts[0].outcome == "ratio_mismatch":
        said = reason(verdicts[0], design)
        return f"{said}." if verdicts[0].outcome in ("better", "worse") else f"{said[:1].upper()}{said[1:]}."
    decided = [each for each in verdicts if each.outcome in ("better", "worse")]
    if not decided:
        return f"None of {len(verdicts)} treatments is shown to differ from {design.arms[0]}."
    told = [f"{each.treatment} is {each.outcome} than {design.arms[0]}" for each in decided]
    left = len(verdicts) - len(decided)
    more = f"; {left} of {len(verdicts)} not decided" if left else ""
    return f"{'; '.join(told)}{more}."


def _looked(design: Design, arm: I4, value: F8) -> tuple[Experiment, tuple[Verdict, ...], list[Json]]:
    """The experiment as it was seen after every batch, and its last verdicts."""
    run, looks = Experiment(design), []
    verdicts = run.look()
    batch = max(1, -(-arm.size // LOOKS))
    for at in range(0, arm.size, batch):
        run.add(arm[at : at + batch], value[at : at + batch])
        verdicts = run.look()
        shown = [{name: verdict_json(each)[name] for name in _SHOWN} for each in verdicts]
        looks.append({"rows": min(at + batch, arm.size), "treatments": shown})
    return run, verdicts, looks


def _shares(rows: Sequence[int]) -> tuple[int, ...]:
    """The nearest whole ratio of rows, for pairing only."""
    least = max(min(rows), 1)
    return tuple(max(1, min(100, round(each / least))) for each in rows)


def _cautions(together: bool, sampled: bool, planned: bool) -> list[str]:
    said = []
    if not together:
        said.append("The versions followed one another, so what else changed with time is part of the difference.")
    if sampled:
        said.append("This is of a sample of the records; decide by `tocsin ab` over an export of all.")
    if not planned:
        said.append("The split is not checked: say how traffic is split, like 9:1, to have it tested.")
    return said
