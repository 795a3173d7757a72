"""The one sentence at the top of the page: how things are, in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from tocsin.api.ports import Learning
from tocsin.model.incident import Incident, IncidentState, Severity

HealthState = Literal["empty", "learning", "ok", "warning", "critical", "blind"]


@dataclass(frozen=True, slots=True)
class Health:
    """How things are: a state for the mark, a sentence for the reader."""

    state: HealthState
    sentence: str


def _count(n: int, one: str, many: str = "") -> str:
    return f"{n} {one if n == 1 else many or one + 's'}"


def _worst(incidents: Sequence[Incident]) -> Health:
    waiting = [each for each in incidents if each.state is IncidentState.OPEN]
    worst = max(
        incidents,
        key=lambda each: (each.severity, each.state is IncidentState.OPEN, len(each.findings), each.updated_at),
    )
    state: HealthState = "critical" if worst.severity >= Severity.ERROR else "warning"
    text = _count(len(incidents), "incident") + " open"
    if not waiting:
        text += ", all acknowledged"
    elif len(waiting) < len(incidents):
        text += f", {len(waiting)} not acknowledged"
    return Health(state, f"{text}; the worst is {worst.severity.name.lower()}: {worst.title}")


def health(
    incidents: Sequence[Incident], states: Mapping[str, int], learning: Learning, not_ready: Sequence[str] = ()
) -> Health:
    """How things are, the most pressing first.

    Parameters
    ----------
    incidents : those that are open or acknowledged
    states : number of series in each state
    not_ready : what of Tocsin itself does not work, in words

    >>> health([], {}, Learning()).state
    'empty'
    >>> health([], {"live": 3}, Learning(warm=2)).sentence
    'Nothing is out of line: 2 series are judged, 3 of 3 report.'
    """
    if incidents:
        return _worst(incidents)
    if not_ready:
        return Health("blind", "Tocsin itself is not well: " + "; ".join(not_ready))
    total = sum(states.values())
    live = states.get("live", 0) + states.get("zero", 0) + states.get("reset", 0) + states.get("late", 0)
    if not total:
        return Health("empty", "No telemetry has arrived yet.")
    if not live:
        return Health("blind", f"Nothing reports any more: all {_count(total, 'series', 'series')} have fallen silent.")
    if not learning.warm:
        watched = learning.learning or total  # the same number as where learning is shown
        return Health("learning", f"Learning what is normal for {_count(watched, 'series', 'series')}.")
    text = f"Nothing is out of line: {learning.warm} series are judged, {live} of {total} report"
    if learning.learning:
        text += f", {learning.learning} still learn"
    return Health("ok", text + ".")
