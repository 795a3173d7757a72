"""Change events as causes: how near in place and time, what they are known to lead to, and what moved where they were.

Strength of a change = relation x (0.3 closeness + 0.5 reach + 0.2 share), each in [0, 1]: how near its entity is to
those of the findings, how shortly before them it happened, what of them causal edges lead to or how far its entity is
out of line, and what share of the excess the findings themselves put down to it (0.5 where they don't say).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tocsin.correlate.evidence import Event, Known, Scene
from tocsin.correlate.statement import Symptom, clock, full_clock, span
from tocsin.correlate.states import CLOSENESS_NS, SLACK_NS, Reach, leading, onset, ordered, reach

LOOKBACK_NS = 6 * 3600 * 10**9
RELATION = (1.0, 0.6, 0.35)
UNPLACED = 0.5
"""Relation of a change that names no entity, or one that nothing else is known of."""
BESIDE = 0.35
"""What a change next to an entity that is out of line counts beside one on it."""
UNMOVED = 0.5
"""What is left of a change where nothing known follows from it and nothing moved."""


@dataclass(frozen=True, slots=True)
class Judged:
    """A change with how strongly it is the cause, and why."""

    event: Event
    name: str
    strength: float
    pro: tuple[str, ...]
    against: tuple[str, ...]


def changes(scene: Scene, known: dict[str, Known]) -> tuple[list[Known], Judged | None]:
    """Add to each entity its likeliest change; the other changes as candidates of their own, and the leading one."""
    out_of_line = {name: each.strength for name, each in known.items()}
    symptoms = ordered(scene)
    judged = [
        found
        for event in sorted(scene.events, key=lambda each: (each.change.time, each.change.kind, each.change.what))
        if (found := _judge(scene, symptoms, event, out_of_line)) is not None
    ]
    judged.sort(key=lambda each: (-each.strength, each.event.change.kind, each.name, each.event.change.what))
    others: list[Known] = []
    taken: set[str] = set()
    for each in judged:
        change = each.event.change
        alone = each.strength == 0 or each.name in taken or not change.entity
        entity = Known(change.entity) if alone else known.setdefault(each.name, Known(each.name))
        if alone:
            others.append(entity)
        else:
            taken.add(each.name)
        _add(entity, each)
        if each.strength == 0 and each.name in known:
            known[each.name].against.append(f"{change.kind} {change.what!r} {each.against[0].removeprefix('it ')}")
    return others, judged[0] if judged and judged[0].strength > 0 else None


def _add(entity: Known, each: Judged) -> None:
    change = each.event.change
    states = list(entity.pro)
    entity.add(each.strength, change.kind, change.what, each.pro)
    entity.pro = [*each.pro, *(said for said in states if said not in each.pro)]
    entity.against[:0] = each.against
    if each.strength > 0:
        entity.kinds[change.kind] += 2.0  # before any state of the entity
    else:
        entity.refuted, entity.pro = True, list(each.pro)
        entity.kinds[change.kind], entity.what[change.kind] = 1.0, (1.0, change.what)


def _judge(scene: Scene, symptoms: Sequence[Symptom], event: Event, out_of_line: Mapping[str, float]) -> Judged | None:
    change = event.change
    first = leading(symptoms)
    since = (scene.at_ns if first is None else first.finding.start) - change.time
    if since > LOOKBACK_NS:
        return None
    name = _named(change.entity, out_of_line)
    latest = onset(scene, first) if first is not None else scene.at_ns + SLACK_NS
    relation, where = _relation(scene, symptoms, name)
    leads = reach(scene, symptoms, change.kind, near=relation > 0, time=change.time)
    if relation == 0 and leads.reached:
        relation = UNPLACED
    around = max((out_of_line.get(each, 0.0) for each in _neighbours(scene, name)), default=0.0)
    moved = min(1.0, 2 * max(out_of_line.get(name, 0.0), BESIDE * around))
    share, shares = _share(symptoms, event)
    pro, against = _reasons(scene, symptoms, event, leads, since)
    if where:
        (against if where.startswith("nothing") else pro).append(where)
    closeness = 1 / (1 + max(0, since) / CLOSENESS_NS)
    # of an incident it is known what a kind of change leads to; of a folder only what moved
    likely = leads.weight if symptoms else moved
    strength = relation * (0.3 * closeness + 0.5 * likely + 0.2 * share)
    if likely == 0:
        strength *= UNMOVED
        if moved == 0 and (scene.shifts or scene.graph is not None):
            against.append("nothing measured on it moved")
    if count := event.attributes.get("seen"):
        pro.append(f"seen {count} times from {full_clock(change.time)} UTC on")
    strength = 0.0 if change.time > latest else min(strength, 0.95)
    return Judged(event, name, strength, (*pro, *shares), tuple(against))


def _named(name: str, known: Mapping[str, float]) -> str:
    """The entity that a change names: itself, or the only ones that its name begins (a service of pods)."""
    if name in known:
        return name
    pods = [each for each in known if name and each.startswith((f"{name}-", f"{name}.", f"{name}/", f"{name}:"))]
    return max(pods, key=lambda each: (known[each], each)) if pods else name


def _relation(scene: Scene, symptoms: Sequence[Symptom], entity: str) -> tuple[float, str]:
    if not symptoms:
        return 1.0, ""
    if not entity:
        return UNPLACED, "it names no entity"
    around = scene.near([entity])
    distances = [around[each] for symptom in symptoms for each in symptom.entities if each in around]
    if distances:
        nearest = min(*distances, len(RELATION) - 1)
        steps = f"on {entity}, {nearest} step(s) from {_affected(symptoms)}"
        return RELATION[nearest], f"on {entity} itself" if nearest == 0 else steps
    known = len(around) > 1 or entity in scene.entities
    return 0.0 if known else UNPLACED, f"nothing known links {entity} to {_affected(symptoms)}"


def _affected(symptoms: Sequence[Symptom]) -> str:
    names = list(dict.fromkeys(symptom.entities[0] for symptom in symptoms if symptom.entities))
    return ", ".join(names[:3]) or "what is affected"


def _neighbours(scene: Scene, name: str) -> set[str]:
    pairs = scene.edges | scene.relations
    return {b if a == name else a for a, b in pairs if name in (a, b)}


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


def _reasons(
    scene: Scene, symptoms: Sequence[Symptom], event: Event, leads: Reach, since: int
) -> tuple[list[str], list[str]]:
    change = event.change
    first = leading(symptoms)
    what = f"the first symptom ({first.name}, {clock(first.finding.start)} UTC)" if first is not None else "the onset"
    pro: list[str] = []
    against: list[str] = []
    said = f"{change.kind} {change.what!r} " if first is None else ""
    if change.time > (onset(scene, first) if first is not None else scene.at_ns + SLACK_NS):
        against.append(f"it came {span(-since)} after {what}")
    elif since >= 0:
        pro.append(f"{said}{span(since)} before {what}")
    else:
        pro.append(f"{said}with {what}, within the {span(-since)} to which its start is known")
    sooner = [each for each in symptoms if each.support and change.time > onset(scene, each)]
    if sooner:
        gap = span(change.time - sooner[0].finding.start)
        against.append(f"{sooner[0].name} was out of line {gap} before it, which may be by chance")
    if leads.path is not None:
        way = " -> ".join(leads.path.steps)
        pro.append(f"{way} is a known way; it leads to {len(leads.reached)} of {len(symptoms)} symptoms")
    if first is not None and first not in leads.reached:
        against.append(f"no known way from a {change.kind} to {first.name}, the first symptom")
    return pro, against
