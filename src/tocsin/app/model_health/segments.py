"""Where a model does worse, and whether it treats groups alike."""

from __future__ import annotations

from typing import Any, Final, TypeAlias

import numpy as np

from tocsin.app.drift_files.outcome import Outcome
from tocsin.app.model_health.performance import losses
from tocsin.app.model_health.rows import NAME_CHARS, Span
from tocsin.assess.estimate import Task
from tocsin.assess.fairness import LEAST, FairnessReport, assess, tally
from tocsin.assess.segments import LEAST_ROWS, Slice, coded, drill_down, worst_slices
from tocsin.assess.slices import Tag
from tocsin.model.errors import BadInput
from tocsin.model.text import one_line
from tocsin.spec.problem import nearest

Json: TypeAlias = dict[str, Any]
MOST_SHOWN: Final = 20
MOST_GROUPS: Final = 20


def segments(found: Outcome, current: Span, by: str) -> Json:
    """The worst slices of a bounded search, and all values of one tag.

    Raises
    ------
    BadInput
        No record has the tag.
    """
    chosen = _tag(current, by) or next(iter(current.tags), "")
    loss, name = losses(found.task, found.current)
    known = int(np.isfinite(loss).sum())
    if not current.tags:
        return _nothing(name, "The records carry no tags; log them as tags={'region': 'eu'} to see segments.")
    if not known:
        return {**_nothing(name, "Segments are judged by truth, and none has come yet."), "by": chosen}
    tags = coded(current.tags)
    search = worst_slices(tags, loss)
    rows = drill_down(tags, loss, (), chosen)
    counts = {value: int((_of(tags, chosen).code == k).sum()) for k, value in enumerate(_of(tags, chosen).values)}
    return {
        "loss": name,
        "by": chosen,
        "rows": [{**_slice(each), "records": counts[each.where[-1][1]]} for each in rows[:MOST_SHOWN]],
        "more": max(0, len(rows) - MOST_SHOWN),
        "worst": [_slice(each) for each in search.found],
        "overall": search.overall.to_json(),
        "tested": search.tested,
        "left_out": list(search.left_out),
        "say": _say(search.found, search.tested, known),
    }


def _nothing(name: str, say: str) -> Json:
    empty: Json = {"loss": name, "by": "", "rows": [], "more": 0, "worst": [], "overall": None}
    return {**empty, "tested": 0, "left_out": [], "say": say}


def _tag(current: Span, name: str) -> str:
    if name and name not in current.tags:
        raise BadInput(f"no record has the tag {name[:80]!r}{nearest(name, current.tags) if current.tags else ''}")
    return name


def _of(tags: tuple[Tag, ...], name: str) -> Tag:
    return next(tag for tag in tags if tag.name == name)


def _slice(each: Slice) -> Json:
    return {
        "name": each.name,
        "where": [list(pair) for pair in each.where],
        "n": each.n,
        "mean": each.mean.to_json(),
        "rest": each.rest.to_json(),
        "excess": each.excess.to_json(),
        "p_value": each.p_value,
    }


def _say(worst: tuple[Slice, ...], tested: int, known: int) -> str:
    if worst:
        return f"Worst: {one_line(worst[0].name, 2 * NAME_CHARS)}, surely worse than the rest."
    if not tested:
        return f"Not enough truth to search: a slice needs {LEAST_ROWS} rows with truth, inside and outside; there are {known}."
    return f"None of {tested} slices is surely worse than the rest."


def fairness(found: Outcome, current: Span, group: str) -> Json:
    """Rates and gaps of the groups that a tag names.

    Raises
    ------
    BadInput
        No record has the tag.
    """
    chosen = _tag(current, group)
    if found.task is not Task.BINARY:
        return {
            "group": chosen,
            "able": False,
            "say": "Groups are compared where a model says yes or no; this one says something else.",
        }
    if not current.tags:
        return {"group": "", "say": "The records carry no tags that could name groups."}
    if not chosen:
        return {"group": "", "say": "Choose the tag that names the groups to compare."}
    tag = Tag.of(chosen, current.tags[chosen], MOST_GROUPS)
    names = [*tag.values, *([f"{tag.others} others"] if tag.others else [])]
    code = np.where(tag.code < 0, len(tag.values), tag.code).astype("i4")
    rows = found.current
    score = rows.said.score
    kept = rows.usable
    counts = tally(
        np.where(kept, code, -1).astype("i4"),
        len(names),
        np.asarray(rows.said.predicted, bool),
        np.where(rows.known, rows.truth.astype("f8"), np.nan),
        score,
    )
    report = assess(names, counts)
    return {
        "group": chosen,
        "positive": found.positive,
        "groups": [_group(report, k) for k in range(len(names))],
        "gaps": [
            {
                "criterion": gap.criterion,
                **gap.measure.to_json(),
                "limit": gap.limit,
                "judgement": gap.judgement,
                "lower_group": gap.lower_group,
                "higher_group": gap.higher_group,
                "reason": gap.reason,
            }
            for gap in report.gaps
        ],
        "too_small": list(report.too_small),
        "say": _judged(report),
    }


def _group(report: FairnessReport, k: int) -> Json:
    each = report.groups[k]
    names = ("selection_rate", "base_rate", "true_positive_rate", "false_positive_rate", "calibration")
    return {"group": each.group, "n": each.n, **{name: getattr(each, name).to_json() for name in names}}


def _judged(report: FairnessReport) -> str:
    broken = [gap.criterion.replace("_", " ") for gap in report.gaps if gap.judgement == "violated"]
    if broken:
        return f"Surely unequal: {', '.join(broken)}."
    if len(report.groups) - len(report.too_small) < 2:
        return f"Nothing is compared: fewer than two groups have {LEAST} rows."
    unclear = [gap.criterion.replace("_", " ") for gap in report.gaps if gap.judgement != "held"]
    if unclear:
        return f"No limit is surely broken; these rows can't tell about {', '.join(unclear)}."
    return "All limits are kept."
