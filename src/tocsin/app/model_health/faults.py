"""Data quality: what the reference promises of features, how the records of now break it, and whether any still come."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, TypeAlias

from tocsin.app.model_health.rows import NAME_CHARS, Span
from tocsin.assess.quality import Violation, check, freshness
from tocsin.assess.reference import FeatureReference
from tocsin.model.errors import BadInput
from tocsin.model.text import one_line

Json: TypeAlias = dict[str, Any]
MOST_SHOWN: Final = 50
LEAST_ROWS: Final = 30
USUAL_GAPS: Final = 100
"""Records are stale when none came for so many times the usual gap between two, and a quarter of an hour at least."""
LEAST_WAIT_NS: Final = 900_000_000_000
_PREFIX: Final = "feature "


def quality(before: Span, now: Span, learned: Mapping[str, FeatureReference], end: int) -> Json:
    """Violations, alarms first; `end` is the end of the span looked at, ns."""
    found = [] if before.rows < LEAST_ROWS or not now.rows else _violations(before, now, learned)
    found += _stale(before, now, end)
    alarms = [each for each in found if each.alarm]
    return {
        "rows": [{**each.to_json(), "feature": each.feature.removeprefix(_PREFIX)} for each in found[:MOST_SHOWN]],
        "alarms": len(alarms),
        "more": max(0, len(found) - MOST_SHOWN),
        "checked": len(before.features),
        "say": _say(found, alarms, before),
    }


def _violations(before: Span, now: Span, learned: Mapping[str, FeatureReference]) -> list[Violation]:
    references = {full: each for full, each in learned.items() if full.startswith(_PREFIX)}
    for name in before.features:
        full = f"{_PREFIX}{name}"
        if full not in references and name not in now.features:
            try:
                references[full] = FeatureReference.learn(full, before.frame.columns[full])
            except BadInput:
                continue  # what can't be learned is named among what drift leaves out
    columns = {f"{_PREFIX}{name}": now.frame.columns[f"{_PREFIX}{name}"] for name in now.features}
    known = {
        full: cells
        for full, cells in columns.items()
        if full in references or full[len(_PREFIX) :] not in before.features
    }
    return check(references, known) if references or known else []


def _stale(before: Span, now: Span, end: int) -> list[Violation]:
    """Whether records stopped coming, by how often they came."""
    some = now if now.rows > 1 else before
    if some.rows < LEAST_ROWS:
        return []
    gap = int(some.time[-1] - some.time[0]) // max(some.taken.of - 1, 1)
    within = max(USUAL_GAPS * gap, LEAST_WAIT_NS)
    return [
        each for each in freshness(some.time, end, within_ns=within, feature="records") if each.fault.value == "stale"
    ]


def _say(found: list[Violation], alarms: list[Violation], before: Span) -> str:
    if alarms:
        names = list(dict.fromkeys(one_line(each.feature.removeprefix(_PREFIX), NAME_CHARS) for each in alarms))
        more = f" and {len(names) - 3} more" if len(names) > 3 else ""
        return f"Promises of the reference are broken: {', '.join(names[:3])}{more}."
    if before.rows < LEAST_ROWS:
        return f"There is no reference to learn promises from: {LEAST_ROWS} older records are needed."
    if not before.features:
        return "The records hold no features to check."
    return "No promise of the reference is broken" + ("; what is odd may be chance." if found else ".")
