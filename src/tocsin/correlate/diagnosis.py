"""Ranked causes of a symptom from requests, lines, metrics and changes of many entities; pure, the same every time.

Each sort of evidence gives an entity a strength in [0, 1]: how sure it is that anything changed, times the share of
the change that would not be there without that entity. Strengths of different sorts add up as chances of independent
reasons do. Then what neighbours show is taken off: who only waits for a callee that is out of line is a victim.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from tocsin.correlate.beside import beside
from tocsin.correlate.changes import changes
from tocsin.correlate.evidence import Known, Scene, link, of_aspect, of_edges, of_refutation, of_saying, of_shift
from tocsin.correlate.lead_lag import lag
from tocsin.correlate.metric_shift import Shift
from tocsin.correlate.statement import Symptom, sentence, span
from tocsin.correlate.states import SECOND, VICTIM, carried, discount, ordered, states
from tocsin.model.arrays import Mask
from tocsin.model.incident import Cause

BAR = 0.35
"""Score below which a candidate is shown and not called the cause."""
ASPECT_WEIGHT = {"latency": 0.95, "errors": 0.95, "shape": 0.6}
LOG_WEIGHT = 0.7
OFF_PATH = 0.3
"""What metrics of an entity count that requests pass otherwise, and none of those that were looked at."""
UNLINKED = 0.5
"""What they count where requests are known, and neither a request nor an edge leads to it."""
UNCALLED = 0.5
"""What a metric counts beside an incident's findings that no monitor called out of line."""
FOLLOWS = 0.8
EDGES_TOLD = 0.1
"""Strength from requests from which the edges of an entity are told."""
MOST_PAIRS = 100
"""Edges along which who leads is looked at: those between what moved most."""
MOST_SHIFTS = 3
MAX_CAUSES = 10
LEAST_SHARE = 0.005
LEAST_SURE = 0.02


@dataclass(frozen=True, slots=True)
class Verdict:
    """The causes, best first, and whether the first is above the bar."""

    causes: tuple[Cause, ...]
    above_bar: bool


def diagnose(scene: Scene) -> Verdict:
    """Rank every entity for which there is any evidence."""
    known = {name: Known(name) for name in scene.entities}
    _requests(scene, known)
    _lines(scene, known)
    _metrics(scene, known)
    beside(scene, known)
    states(scene, known)
    _lead(scene, known)
    carried(scene, known)
    others, leading = changes(scene, known)
    if leading is not None and leading.strength >= BAR:
        change = leading.event.change
        discount(scene, known, change.kind, leading.name, change.what)
    found = [_cause(each) for each in (*known.values(), *others) if each.strength > 0 or each.refuted]
    found.sort(key=lambda cause: (-cause.score, cause.entity, cause.kind, cause.what))
    return Verdict(tuple(found), bool(found) and found[0].score >= BAR)


def named(scene: Scene, verdict: Verdict) -> tuple[Cause, ...]:
    """Causes as an incident tells them, at most `MAX_CAUSES`: `unknown` leads when none is above the bar."""
    best = verdict.causes[:MAX_CAUSES]
    symptoms = ordered(scene)
    if not symptoms or verdict.above_bar:
        return best
    entity = symptoms[0].entities[0] if symptoms[0].entities else ""
    looked = f"{len(verdict.causes)} candidate(s) looked at, the best reaches {best[0].score:.2f}" if best else ""
    evidence = (f"no cause above the bar of {BAR}: {looked or 'nothing changed'}", sentence(symptoms[0]))
    return (Cause("unknown", entity, "no cause above the bar", BAR, evidence), *best[: MAX_CAUSES - 1])


def lead(scene: Scene, causes: Sequence[Cause]) -> Symptom | None:
    """The symptom on the likeliest cause's own entity that it acts on most directly; None: none is."""
    if not causes or causes[0].kind == "unknown":
        return None
    best = causes[0]
    reached = [
        (-path.strength, symptom.finding.start, symptom.finding.id, symptom)
        for symptom in scene.symptoms
        if best.entity in symptom.entities
        and (path := scene.causal.path(best.kind, symptom.finding.series.signal.name)) is not None
    ]
    return min(reached, key=lambda each: each[:3])[3] if reached else None


def _requests(scene: Scene, known: dict[str, Known]) -> None:
    graph = scene.graph
    if graph is None:
        return
    for aspect in graph.aspects:
        for code, share in enumerate(aspect.share.tolist()):
            if share < LEAST_SHARE or aspect.sureness < LEAST_SURE:
                continue
            entity = known[graph.spans.entities[code]]
            entity.against.extend(of_refutation(graph, aspect, code))
            what = {"latency": "slow", "errors": "failing", "shape": "calls others than before"}[aspect.name]
            strength = ASPECT_WEIGHT[aspect.name] * aspect.sureness * share
            seen = link("traces", service=entity.entity)
            entity.add(strength, "dependency", what, of_aspect(graph, aspect, code), seen)
    for name in (each.entity for each in known.values() if each.strength >= EDGES_TOLD):
        known[name].pro.extend(of_edges(graph, name))


def _lines(scene: Scene, known: dict[str, Known]) -> None:
    if scene.logs is None:
        return
    share = scene.logs.share
    for code in np.flatnonzero(share >= LEAST_SHARE).tolist():
        name = scene.entities[code]
        below = [share[scene.entities.index(callee)] for caller, callee in scene.edges if caller == name]
        passed_on = min(1.0, max(below, default=0.0) / share[code])
        strength = LOG_WEIGHT * scene.logs.sureness * share[code] * (1.0 - VICTIM * passed_on)
        said = [of_saying(each) for each in scene.logs.sayings if each.entity == code]
        if not said:
            continue
        known[name].add(
            float(strength), "unknown", "logs other lines than before", said[:MOST_SHIFTS], link("logs", service=name)
        )
        if passed_on > 0.5:
            known[name].against.append("what it calls logs other lines too: it may pass on what it gets")


def _metrics(scene: Scene, known: dict[str, Known]) -> None:
    best: dict[str, dict[str, Shift]] = {}
    for each in _as_told(scene):
        roles = best.setdefault(each.entity, {})
        if each.weight > (roles[each.role].weight if each.role in roles else 0.0):
            roles[each.role] = each
    path = _names(scene, scene.graph.on_path()) if scene.graph is not None else frozenset()
    linked = frozenset(name for edge in scene.edges for name in edge)
    linked |= _names(scene, scene.graph.seen()) if scene.graph is not None else frozenset()
    symptom = {name: _strength(roles, ("symptom", "flow")) for name, roles in best.items()}
    waits = _waits(scene)
    for name, roles in sorted(best.items()):
        entity = known[name]
        below = {callee: symptom.get(callee, 0.0) for caller, callee in scene.edges if caller == name}
        worst = max(below, key=lambda callee: (below[callee], callee), default="")
        passed_on = min(1.0, below[worst] / symptom[name]) if worst and symptom[name] > 0 else 0.0
        factor, why = _linked(scene, name, linked, path)
        if why:
            entity.against.append(why)
        if passed_on > 0:
            entity.against.append(f"{worst}, which it calls, is out of line too: it may only wait for it")
        passed_on = max(passed_on, waits.get(name, 0.0))
        said = [(_own(each, factor, passed_on), each) for each in roles.values()]
        for rank, (strength, each) in enumerate(sorted(said, key=lambda one: (-one[0], one[1].role))):
            what = f"{each.metric} {'up' if each.up else 'down'}"
            entity.add(
                strength * (1.0 if rank == 0 else SECOND),
                _kind(each),
                what,
                [of_shift(each, scene.at)],
                link("signals", signal=each.metric),
            )


def _as_told(scene: Scene) -> list[Shift]:
    """Moves of metrics; of an incident with what its findings say of them.

    What was found on a state is told by the finding. What was found on anything else is a symptom, and what no
    monitor called out of line says less. One entity alone that shows a symptom says nothing of whose fault it is.
    """
    if not scene.symptoms:
        return list(scene.shifts)
    told = {(each.entities[0], each.finding.series.signal.name) for each in scene.symptoms if each.entities}
    several = len({each.entity for each in scene.shifts}) > 1
    called = frozenset(name for edge in scene.edges for name in edge)
    found = []
    for each in scene.shifts:
        if (each.entity, each.metric) not in told:
            found.append(replace(each, strength=each.strength * UNCALLED))
        elif several and not scene.causal.kinds_of(each.metric):
            placed = 1.0 if each.entity in called else UNLINKED
            found.append(replace(each, role="symptom", strength=each.strength * placed))
    return found


def _kind(each: Shift) -> str:
    """Kind of cause that a move is one of."""
    if each.role == "resource":
        return "gpu" if "gpu" in each.metric.lower() else "resource"
    if each.role == "flow":
        return "traffic" if each.up else "dependency"
    return "dependency" if each.role == "symptom" else "unknown"


def _waits(scene: Scene) -> dict[str, float]:
    """How surely requests show that who takes part in them owes no time of its own to what is slow, in [0, 1]."""
    if scene.graph is None:
        return {}
    latency = scene.graph.aspects[0]
    names = scene.graph.spans.entities
    path = scene.graph.on_path().tolist()
    return {
        names[code]: latency.sureness * (1.0 - share) for code, share in enumerate(latency.share.tolist()) if path[code]
    }


def _own(each: Shift, factor: float, passed_on: float) -> float:
    """Strength of a move less what a callee explains of it."""
    waits = each.role in ("symptom", "flow")
    return each.weight * factor * ((1.0 - VICTIM * passed_on) if waits else 1.0)


def _linked(scene: Scene, name: str, linked: frozenset[str], path: frozenset[str]) -> tuple[float, str]:
    if scene.graph is None or name in path or any(name in pair for pair in scene.relations):
        return 1.0, ""
    if name in linked:
        return OFF_PATH, "no request after the onset passes it"
    return UNLINKED, "neither a request nor an edge is known that leads to it"


def _names(scene: Scene, picked: Mask) -> frozenset[str]:
    return frozenset(name for name, each in zip(scene.entities, picked.tolist(), strict=True) if each)


def _strength(roles: dict[str, Shift], which: Iterable[str]) -> float:
    return max((roles[role].weight for role in which if role in roles), default=0.0)


def _lead(scene: Scene, known: dict[str, Known]) -> None:
    """Who follows along an edge is less of a candidate; who leads has one reason more."""
    best: dict[str, Shift] = {}
    for each in scene.shifts:
        if each.weight > (best[each.entity].weight if each.entity in best else 0.1):
            best[each.entity] = each
    pairs = sorted(pair for pair in scene.edges | scene.relations if pair[0] in best and pair[1] in best)
    pairs.sort(key=lambda pair: -min(best[pair[0]].weight, best[pair[1]].weight))
    for caller, callee in pairs[:MOST_PAIRS]:
        one, other = best[callee], best[caller]
        found = lag(one.time, one.residual, other.time, other.residual)
        if found is None or not found.agreed:
            continue
        first, second = (callee, caller) if found.seconds > 0 else (caller, callee)
        text = f"by {span(int(abs(found.seconds) * 1e9))} (correlation {found.correlation:.2f}, warping agrees)"
        known[first].pro.append(f"its {best[first].metric} leads {best[second].metric} of {second} {text}")
        known[second].against.append(f"its {best[second].metric} follows {best[first].metric} of {first} {text}")
        known[second].strength *= FOLLOWS


def _cause(each: Known) -> Cause:
    kind, what = each.leading
    refuted = (*each.against, _test(kind))
    return Cause(kind, each.entity, what, round(each.strength, 4), tuple(each.pro), refuted, tuple(each.links))


def _test(kind: str) -> str:
    """What would refute a cause of this kind, for what nothing measured says."""
    tests = {
        "traffic": "would be refuted if the symptom stayed when traffic is back at its level",
        "resource": "would be refuted if the symptom stayed when the resource is back at its level",
        "dependency": "would be refuted by requests that do not pass it and are as bad",
    }
    return tests.get(kind, "would be refuted if the symptom stayed after this is undone")
