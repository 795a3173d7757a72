"""Ranked candidate causes of an incident: what changed before it, and which resources ran out of line first.

Score of a change = relation x (0.3 closeness + 0.5 explained + 0.2 share), each in [0, 1]: how near its entity
is to those of the symptoms, how shortly before them it happened, which weight of the symptoms the causal edges
lead to, and what share of the excess the findings themselves put down to it (0.5 where they don't say).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tocsin.correlate.edges import CausalGraph, Path
from tocsin.correlate.statement import Symptom, clock, full_clock, sentence, span, trouble
from tocsin.correlate.topology import Topology
from tocsin.model.incident import Cause, Change

LOOKBACK_NS = 6 * 3600 * 10**9
CLOSENESS_NS = 15 * 60 * 10**9
"""A change this long before the onset counts half as close as one right before it."""
SLACK_NS = 60 * 10**9
"""The start of a finding is known to about a window: a change this much later may still be before it."""
BAR = 0.45
RELATION = (1.0, 0.6, 0.35)
UNPLACED = 0.5
MAX_CAUSES = 10
MAX_SYMPTOMS = 50
EXPLAINED = 0.6
MISSES_FIRST = 0.7


@dataclass(frozen=True, slots=True)
class Event:
    """A change event with the attributes it came with."""

    change: Change
    attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Case:
    """All that ranking looks at; `slack_ns` gives by monitor how vague the start of its findings is."""

    symptoms: Sequence[Symptom]
    events: Sequence[Event]
    graph: CausalGraph
    topology: Topology
    slack_ns: Mapping[str, int] = field(default_factory=dict)

    def onset(self, symptom: Symptom) -> int:
        """Latest time (ns) at which the cause of a symptom can have happened."""
        return symptom.finding.start + max(SLACK_NS, self.slack_ns.get(symptom.finding.monitor, 0))


@dataclass(frozen=True, slots=True)
class _Reach:
    """Which symptoms a candidate leads to: weight in [0, 1], those reached, and the way to the first of them."""

    weight: float
    reached: tuple[Symptom, ...]
    path: Path | None


def rank(case: Case) -> tuple[Cause, ...]:
    """Candidate causes, best first; `unknown` leads when none is above the bar."""
    symptoms = sorted(case.symptoms, key=lambda each: (each.finding.start, each.finding.id))[:MAX_SYMPTOMS]
    if not symptoms:
        return ()
    changes = [cause for event in case.events if (cause := _of_change(case, symptoms, event)) is not None]
    leading = max(changes, key=lambda cause: cause.score, default=None)
    states = _of_states(case, symptoms, leading if leading is not None and leading.score >= BAR else None)
    found = sorted([*changes, *states], key=lambda cause: (-cause.score, cause.kind, cause.entity, cause.what))
    best = found[:MAX_CAUSES]
    if best and best[0].score >= BAR:
        return tuple(best)
    entity = symptoms[0].entities[0] if symptoms[0].entities else ""
    tried = f"{len(found)} candidate(s) looked at, the best reaches {best[0].score:.2f}" if best else "nothing changed"
    evidence = (f"no cause above the bar of {BAR}: {tried}", sentence(symptoms[0]))
    return (Cause("unknown", entity, "no cause above the bar", BAR, evidence), *best[: MAX_CAUSES - 1])


def lead(case: Case, causes: Sequence[Cause]) -> Symptom | None:
    """The symptom on the likeliest cause's own entity that it acts on most directly; None: none is."""
    if not causes or causes[0].kind == "unknown":
        return None
    best = causes[0]
    reached = [
        (-path.strength, symptom.finding.start, symptom.finding.id, symptom)
        for symptom in case.symptoms
        if best.entity in symptom.entities
        and (path := case.graph.path(best.kind, symptom.finding.series.signal.name)) is not None
    ]
    return min(reached, key=lambda each: each[:3])[3] if reached else None


def _weights(symptoms: Sequence[Symptom]) -> list[float]:
    first = symptoms[0].finding.start
    # what came first tells most about the cause; what follows may be its echo
    return [max(0.2, math.exp(-(each.finding.start - first) / CLOSENESS_NS)) for each in symptoms]


def _reach(case: Case, symptoms: Sequence[Symptom], cause: str, near: bool, time: int) -> _Reach:
    total, got = 0.0, 0.0
    reached: list[Symptom] = []
    first: Path | None = None
    for symptom, weight in zip(symptoms, _weights(symptoms), strict=True):
        total += weight
        path = case.graph.path(cause, symptom.finding.series.signal.name)
        if path is None or not (near or path.anywhere) or time > case.onset(symptom):
            continue
        got += weight * path.strength
        reached.append(symptom)
        first = first or path
    weight = got / total if total else 0.0
    missed = symptoms and symptoms[0] not in reached
    # squared: a cause that explains half of what is seen is much less than half as likely to be the one
    return _Reach((weight * (MISSES_FIRST if missed else 1.0)) ** 2, tuple(reached), first)


def _relation(case: Case, entity: str, symptoms: Sequence[Symptom]) -> tuple[float, str]:
    if not entity:
        return UNPLACED, "it names no entity"
    around = case.topology.around([entity], len(RELATION) - 1)
    distances = [around[each] for symptom in symptoms for each in symptom.entities if each in around]
    if not distances:
        return 0.0, f"nothing known links {entity} to {_affected(symptoms)}"
    nearest = min(distances)
    where = f"on {entity} itself" if nearest == 0 else f"on {entity}, {nearest} step(s) from {_affected(symptoms)}"
    return RELATION[nearest], where


def _affected(symptoms: Sequence[Symptom]) -> str:
    names = list(dict.fromkeys(symptom.entities[0] for symptom in symptoms if symptom.entities))
    return ", ".join(names[:3]) or "what is affected"


def _share(symptoms: Sequence[Symptom], event: Event) -> tuple[float, list[str]]:
    new = event.attributes.get("new", "")
    shares = [
        float(share)
        for each in symptoms
        if new
        and str(each.finding.evidence.get("explained_by", "")).endswith(f"={new}")
        and isinstance(share := each.finding.evidence.get("explained_share"), int | float)
    ]
    if not shares:
        return 0.5, []
    share = min(1.0, max(0.0, *shares))
    return share, [f"{share:.0%} of the excess is in what carries {new}"]


def _of_change(case: Case, symptoms: Sequence[Symptom], event: Event) -> Cause | None:
    change = event.change
    first = symptoms[0]
    if change.time < first.finding.start - LOOKBACK_NS:
        return None
    relation, where = _relation(case, change.entity, symptoms)
    reach = _reach(case, symptoms, change.kind, relation > 0, change.time)
    if relation == 0 and reach.reached:
        relation = UNPLACED
    since = first.finding.start - change.time
    closeness = 1 / (1 + max(0, since) / CLOSENESS_NS)
    share, shares = _share(symptoms, event)
    pro, against = _reasons(case, symptoms, change, reach, shares)
    (pro if relation > 0 else against).append(where)
    if count := event.attributes.get("seen"):
        pro.append(f"seen {count} times from {full_clock(change.time)} UTC on")
    score = relation * (0.3 * closeness + 0.5 * reach.weight + 0.2 * share)
    if change.time > case.onset(first):
        score = 0.0
    return Cause(change.kind, change.entity, change.what, round(score, 4), tuple(pro), tuple(against))


def _reasons(
    case: Case, symptoms: Sequence[Symptom], change: Change, reach: _Reach, shares: list[str]
) -> tuple[list[str], list[str]]:
    first = symptoms[0]
    since = first.finding.start - change.time
    pro: list[str] = []
    against: list[str] = []
    if change.time > case.onset(first):
        against.append(
            f"it came {span(-since)} after the first symptom ({first.name}, {clock(first.finding.start)} UTC)"
        )
    elif since >= 0:
        pro.append(f"{span(since)} before the first symptom ({first.name}, {clock(first.finding.start)} UTC)")
    else:
        pro.append(f"with the first symptom ({first.name}), within the {span(-since)} to which its start is known")
    if reach.path is not None:
        way = " -> ".join(reach.path.steps)
        pro.append(f"{way} is a known way; it leads to {len(reach.reached)} of {len(symptoms)} symptoms")
    if first not in reach.reached:
        against.append(f"no known way from a {change.kind} to {first.name}, the first symptom")
    return pro + shares, against


def _of_states(case: Case, symptoms: Sequence[Symptom], leading: Cause | None) -> list[Cause]:
    found: dict[tuple[str, str, str], Cause] = {}
    for symptom in symptoms:
        for kind in case.graph.kinds_of(symptom.finding.series.signal.name)[:1]:
            cause = _of_state(case, symptoms, symptom, kind, leading)
            found.setdefault((cause.kind, cause.entity, symptom.finding.monitor), cause)
    return list(found.values())


def _of_state(case: Case, symptoms: Sequence[Symptom], symptom: Symptom, kind: str, leading: Cause | None) -> Cause:
    signal = symptom.finding.series.signal.name
    others = [each for each in symptoms if each.finding.series.signal.name != signal]
    reach = _reach(case, others, signal, near=True, time=symptom.finding.start) if others else _Reach(0.6, (), None)
    lag = max(0, symptom.finding.start - symptoms[0].finding.start)
    lead = 1 / (1 + 4 * lag / CLOSENESS_NS)
    score = 0.3 * lead + 0.5 * reach.weight + 0.1 * _part(symptoms, symptom)
    pro, against = [sentence(symptom)], []
    if symptom is symptoms[0]:
        pro.append("it was out of line first")
    elif lag:
        against.append(f"{symptoms[0].name} was out of line {span(lag)} earlier")
    if reach.reached:
        pro.append(f"it is known to lead to {', '.join(dict.fromkeys(each.name for each in reach.reached))}")
    if leading is not None and case.graph.path(leading.kind, signal) is not None:
        score *= EXPLAINED
        against.append(f"itself explained by the {leading.kind}: {leading.what}")
    entity = symptom.entities[0] if symptom.entities else ""
    what = trouble(symptom.name, symptom.finding.direction)
    return Cause(kind, entity, what, round(min(1.0, score), 4), tuple(pro), tuple(against))


def _part(symptoms: Sequence[Symptom], symptom: Symptom) -> float:
    """How much of the greatest that its monitor found this is, in [0, 1]: of several hogs the greatest comes first."""
    monitor, value = symptom.finding.monitor, abs(symptom.finding.value)
    values = [abs(each.finding.value) for each in symptoms if each.finding.monitor == monitor]
    most = max((each for each in values if math.isfinite(each)), default=0.0)
    return value / most if most > 0 and math.isfinite(value) else 1.0
