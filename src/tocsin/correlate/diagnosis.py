"""Ranked causes of a symptom from requests, lines, metrics and changes of many entities; pure, the same every time.

Each sort of evidence gives an entity a strength in [0, 1]: how sure it is that anything changed, times the share of
the change that would not be there without that entity. Strengths of different sorts add up as chances of independent
reasons do. Then what neighbours show is taken off: who only waits for a callee that is out of line is a victim.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from tocsin.correlate.causes import CLOSENESS_NS, LOOKBACK_NS, SLACK_NS
from tocsin.correlate.evidence import Known, Scene, of_aspect, of_refutation, of_saying, of_shift
from tocsin.correlate.lead_lag import lag
from tocsin.correlate.metric_shift import Shift
from tocsin.correlate.statement import span
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
SECOND = 0.3
"""What a metric of another role adds to the strongest: metrics of one entity are not independent."""
VICTIM = 0.6
"""Share of a symptom that is taken off an entity whose callee is as far out of line."""
FOLLOWS = 0.8
CHANGED = 0.6
CHANGE_ALONE = 0.2
BESIDE = 0.35
"""What a change next to an entity that is out of line counts beside one on it."""
MOST_SHIFTS = 3
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
    _lead(scene, known)
    _changes(scene, known)
    found = [_cause(each) for each in known.values() if each.strength > 0]
    found.sort(key=lambda cause: (-cause.score, cause.entity))
    return Verdict(tuple(found), bool(found) and found[0].score >= BAR)


def _requests(scene: Scene, known: dict[str, Known]) -> None:
    graph = scene.graph
    if graph is None:
        return
    for aspect in (graph.latency(), graph.errors(), graph.shape()):
        for code, share in enumerate(aspect.share.tolist()):
            if share < LEAST_SHARE or aspect.sureness < LEAST_SURE:
                continue
            entity = known[graph.spans.entities[code]]
            entity.against.extend(of_refutation(graph, aspect, code))
            what = {"latency": "slow", "errors": "failing", "shape": "calls others than before"}[aspect.name]
            strength = ASPECT_WEIGHT[aspect.name] * aspect.sureness * share
            entity.add(strength, "dependency", what, of_aspect(graph, aspect, code))


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
        known[name].add(float(strength), "unknown", "logs other lines than before", said[:MOST_SHIFTS])
        if passed_on > 0.5:
            known[name].against.append("what it calls logs other lines too: it may pass on what it gets")


def _metrics(scene: Scene, known: dict[str, Known]) -> None:
    best: dict[str, dict[str, Shift]] = {}
    for each in scene.shifts:
        roles = best.setdefault(each.entity, {})
        if each.weight > (roles[each.role].weight if each.role in roles else 0.0):
            roles[each.role] = each
    path = _names(scene, scene.graph.on_path()) if scene.graph is not None else frozenset()
    linked = frozenset(name for edge in scene.edges for name in edge)
    linked |= _names(scene, scene.graph.seen()) if scene.graph is not None else frozenset()
    symptom = {name: _strength(roles, ("symptom", "flow")) for name, roles in best.items()}
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
        said = [(_own(each, factor, passed_on), each) for each in roles.values()]
        for rank, (strength, each) in enumerate(sorted(said, key=lambda one: (-one[0], one[1].role))):
            what = f"{each.metric} {'up' if each.up else 'down'}"
            entity.add(strength * (1.0 if rank == 0 else SECOND), _kind(each), what, [of_shift(each, scene.at)])


def _kind(each: Shift) -> str:
    """Kind of cause that a move is one of."""
    if each.role == "resource":
        return "gpu" if "gpu" in each.metric.lower() else "resource"
    if each.role == "flow":
        return "traffic" if each.up else "dependency"
    return "dependency" if each.role == "symptom" else "unknown"


def _own(each: Shift, factor: float, passed_on: float) -> float:
    """Strength of a move less what a callee explains of it."""
    waits = each.role in ("symptom", "flow")
    return each.weight * factor * ((1.0 - VICTIM * passed_on) if waits else 1.0)


def _linked(scene: Scene, name: str, linked: frozenset[str], path: frozenset[str]) -> tuple[float, str]:
    if scene.graph is None or name in path:
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
    for caller, callee in sorted(scene.edges):
        if caller not in best or callee not in best:
            continue
        one, other = best[callee], best[caller]
        found = lag(one.time, one.residual, other.time, other.residual)
        if found is None or not found.agreed:
            continue
        first, second = (callee, caller) if found.seconds > 0 else (caller, callee)
        text = f"by {span(int(abs(found.seconds) * 1e9))} (correlation {found.correlation:.2f}, warping agrees)"
        known[first].pro.append(f"its {best[first].metric} leads {best[second].metric} of {second} {text}")
        known[second].against.append(f"its {best[second].metric} follows {best[first].metric} of {first} {text}")
        known[second].strength *= FOLLOWS


def _changes(scene: Scene, known: dict[str, Known]) -> None:
    at_ns = scene.origin_ns + round(scene.at * 1e9)
    out_of_line = {name: each.strength for name, each in known.items()}
    for change in sorted(scene.changes, key=lambda each: (each.time, each.kind, each.entity, each.what)):
        since = at_ns - change.time
        if since > LOOKBACK_NS:
            continue
        name = _named(change.entity, known)
        if name is None:
            name = change.entity or "(no entity)"
            known[name] = Known(name)
            out_of_line[name] = 0.0
        entity = known[name]
        if since < -SLACK_NS:
            if entity.strength > 0 or change.entity:
                entity.against.append(f"{change.kind} {change.what!r} came {span(-since)} after the onset")
            continue
        near = 1.0 / (1.0 + max(0, since) / CLOSENESS_NS)
        around = max((out_of_line[each] for each in _neighbours(scene, name)), default=0.0)
        strength = near * max(CHANGE_ALONE, CHANGED * min(1.0, 2 * max(out_of_line[name], BESIDE * around)))
        said = f"{change.kind} {change.what!r} {span(max(0, since))} before the onset"
        entity.add(strength, change.kind, change.what, [said])
        entity.kinds[change.kind] += 2.0  # before any state of the entity
        if out_of_line[name] == 0:
            entity.against.append("nothing measured on it moved")


def _named(name: str, known: dict[str, Known]) -> str | None:
    """The entity that a change names: itself, or the only ones that its name begins (a service of pods)."""
    if name in known:
        return name
    pods = [each for each in known if name and each.startswith((f"{name}-", f"{name}.", f"{name}/", f"{name}:"))]
    return max(pods, key=lambda each: (known[each].strength, each)) if pods else None


def _neighbours(scene: Scene, name: str) -> set[str]:
    found = {callee for caller, callee in scene.edges if caller == name}
    return (found | {caller for caller, callee in scene.edges if callee == name}) & set(scene.entities)


def _cause(each: Known) -> Cause:
    kind, what = each.leading
    return Cause(kind, each.entity, what, round(each.strength, 4), tuple(each.pro), (*each.against, _test(kind)))


def _test(kind: str) -> str:
    """What would refute a cause of this kind, for what nothing measured says."""
    tests = {
        "traffic": "would be refuted if the symptom stayed when traffic is back at its level",
        "resource": "would be refuted if the symptom stayed when the resource is back at its level",
        "dependency": "would be refuted by requests that do not pass it and are as bad",
    }
    return tests.get(kind, "would be refuted if the symptom stayed after this is undone")
