"""What is counted of an incident: the names that it is about, and from which duration on a request is hit."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final

from tocsin.model.incident import Incident
from tocsin.spec.loss import ObjectiveSpec, about

MOST_NAMES: Final = 50
_NS: Final[Mapping[str, float]] = {"s": 1e9, "ms": 1e6, "us": 1e3, "ns": 1.0, "min": 60e9}


def scope_of(incident: Incident, objectives: Sequence[ObjectiveSpec]) -> tuple[tuple[str, ...], dict[str, int]]:
    """Names of services or models of an incident, and limits of duration (ns) by name.

    A limit is that of an objective, else the upper end of what was expected of a duration that is too long.
    """
    names = incident.entities[:MOST_NAMES]
    return names, {name: limit for name in names if (limit := _limit_ns(name, incident, objectives)) is not None}


def _limit_ns(name: str, incident: Incident, objectives: Sequence[ObjectiveSpec]) -> int | None:
    mine = [each for each in incident.findings if name in dict(each.series.labels).values()]
    asked = [each.within for each in objectives if each.within is not None and about(each.match, mine)]
    if asked:
        return min(asked)
    expected = [
        finding.expected[1] * _NS[finding.series.signal.unit]
        for finding in mine
        if finding.direction == "up" and finding.series.signal.unit in _NS and math.isfinite(finding.expected[1])
    ]
    return round(min(expected)) if expected and min(expected) > 0 else None
