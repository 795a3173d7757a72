"""Findings of an incident as its causes: resources and states that ran out of line, by onset, reach and size."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from tocsin.correlate.edges import Path
from tocsin.correlate.evidence import Known, Scene, link
from tocsin.correlate.statement import Symptom, sentence, span, trouble

CLOSENESS_NS = 15 * 60 * 10**9
"""A change this long before the onset counts half as close as one right before it."""
SLACK_NS = 60 * 10**9
"""The start of a finding is known to about a window: a change this much later may still be before it."""
MAX_SYMPTOMS = 50
MISSES_FIRST = 0.7
ALONE = 0.6
"""What a state reaches that nothing else went out of line with."""
SECOND = 0.3
"""What a metric of another role adds to the strongest: metrics of one entity are not independent."""
REQUESTS = "request.duration"
CARRIED = 0.7
"""What a state gets of the strength of who suffers from it."""
VICTIM = 0.6
"""Share of a symptom that is taken off an entity which depends on another that is out of line."""
EXPLAINED = 0.6
"""What is left of a state that a likelier change explains."""


@dataclass(frozen=True, slots=True)
class Reach:
    """Which symptoms a candidate leads to: weight in [0, 1], those reached, and the way to the first of them."""

    weight: float
    reached: tuple[Symptom, ...]
    path: Path | None


def ordered(scene: Scene) -> tuple[Symptom, ...]:
    """Symptoms by their onset, the first `MAX_SYMPTOMS`."""
    return tuple(sorted(scene.symptoms, key=lambda each: (each.finding.start, each.finding.id))[:MAX_SYMPTOMS])


def leading(symptoms: Sequence[Symptom]) -> Symptom | None:
    """The first of ordered symptoms that opens an incident by itself; what only supports may have begun by chance."""
    return next((each for each in symptoms if not each.support), symptoms[0] if symptoms else None)


def onset(scene: Scene, symptom: Symptom) -> int:
    """Latest time (ns) at which the cause of a symptom can have happened."""
    return symptom.finding.start + max(SLACK_NS, scene.slack_ns.get(symptom.finding.monitor, 0))


def reach(scene: Scene, symptoms: Sequence[Symptom], cause: str, *, near: bool, time: int) -> Reach:
    """What a kind of change, or a signal, at a time (ns) leads to along causal edges."""
    total, got = 0.0, 0.0
    reached: list[Symptom] = []
    first: Path | None = None
    for symptom, weight in zip(symptoms, _weights(symptoms), strict=True):
        total += weight
        path = scene.causal.path(cause, symptom.finding.series.signal.name)
        if path is None or not (near or path.anywhere) or time > onset(scene, symptom):
            continue
        got += weight * path.strength
        reached.append(symptom)
        first = first or path
    weight = got / total if total else 0.0
    missed = symptoms and leading(symptoms) not in reached
    # squared: a cause that explains half of what is seen is much less than half as likely to be the one
    return Reach((weight * (MISSES_FIRST if missed else 1.0)) ** 2, tuple(reached), first)


def _weights(symptoms: Sequence[Symptom]) -> list[float]:
    first = symptoms[0].finding.start if symptoms else 0
    # what came first tells most about the cause; what follows may be its echo
    return [max(0.2, math.exp(-(each.finding.start - first) / CLOSENESS_NS)) for each in symptoms]


def states(scene: Scene, known: dict[str, Known]) -> None:
    """Take in every finding that is itself a state: what is known to lead from it to the other findings counts."""
    symptoms = ordered(scene)
    found: dict[str, list[tuple[float, Symptom, str, list[str]]]] = {}
    for symptom in symptoms:
        kinds = scene.causal.kinds_of(symptom.finding.series.signal.name)
        name = symptom.entities[0] if symptom.entities else ""
        seen = {each.finding.monitor for _, each, _, _ in found.get(name, ())}
        if not kinds or symptom.finding.monitor in seen:
            continue
        strength, pro, against = _of_state(scene, symptoms, symptom)
        known.setdefault(name, Known(name)).against.extend(each for each in against if each not in known[name].against)
        found.setdefault(name, []).append((strength, symptom, kinds[0], pro))
    for name, rows in found.items():
        rows.sort(key=lambda row: (-row[0], row[1].finding.start, row[1].finding.id))
        for rank, (strength, symptom, kind, pro) in enumerate(rows):
            what = trouble(symptom.name, symptom.finding.direction)
            series = symptom.finding.series
            place = link("signals", signal=series.signal.name, series=series.id.hex())
            known[name].add(strength * (SECOND if rank else 1.0), kind, what, pro, place)


def _of_state(scene: Scene, symptoms: Sequence[Symptom], symptom: Symptom) -> tuple[float, list[str], list[str]]:
    signal = symptom.finding.series.signal.name
    others = [each for each in symptoms if each.finding.series.signal.name != signal]
    start = symptom.finding.start
    leads = reach(scene, others, signal, near=True, time=start) if others else Reach(ALONE, (), None)
    lag = max(0, start - symptoms[0].finding.start)
    early = 1 / (1 + 4 * lag / CLOSENESS_NS)
    strength = 0.3 * early + 0.5 * leads.weight + 0.1 * _part(symptoms, symptom)
    pro, against = [sentence(symptom)], []
    if symptom is symptoms[0]:
        pro.append("it was out of line first")
    elif lag:
        against.append(f"{symptoms[0].name} was out of line {span(lag)} earlier")
    if leads.reached:
        names = ", ".join(dict.fromkeys(each.name for each in leads.reached))
        pro.append(f"it is known to lead to {names}: {len(leads.reached)} of {len(others)} other symptoms")
    return min(1.0, strength), pro, against


def carried(scene: Scene, known: dict[str, Known]) -> None:
    """Let a state answer for who is slow or fails on top of it, where it was out of line no later.

    A service is the victim of the machine that it runs on, as a caller is of whom it waits for.
    """
    for symptom in ordered(scene):
        signal = symptom.finding.series.signal.name
        kinds = scene.causal.kinds_of(signal)
        if not kinds or scene.causal.path(signal, REQUESTS) is None or not symptom.entities:
            continue
        state = known[symptom.entities[0]]
        for name in _on_top(scene, symptom.entities):
            victim = known.get(name)
            if victim is None or set(victim.kinds) - {"dependency"} or not _first(scene, symptom, name):
                continue
            moved = victim.strength
            if moved > 0 and victim is not state:
                what = trouble(symptom.name, symptom.finding.direction)
                said = [f"{name}, which belongs to it, is {_how(victim)} since"]
                state.add(CARRIED * moved, kinds[0], what, said, next(iter(victim.links), ""))
                victim.strength *= 1.0 - VICTIM
                victim.against.append(f"it belongs to {state.entity}, where {what}: it may only suffer from it")


def _on_top(scene: Scene, entities: Sequence[str]) -> list[str]:
    """Entities that belong to these within two relations."""
    found = set(entities)
    for _ in range(2):
        found |= {b if a in found else a for a, b in scene.relations if (a in found) != (b in found)}
    return sorted(found - set(entities))


def _first(scene: Scene, symptom: Symptom, name: str) -> bool:
    starts = [each.finding.start for each in scene.symptoms if name in each.entities]
    return symptom.finding.start <= min(starts, default=scene.at_ns) + SLACK_NS


def _how(victim: Known) -> str:
    return max(victim.what.values())[1]


def _part(symptoms: Sequence[Symptom], symptom: Symptom) -> float:
    """How much of the greatest that its monitor found this is, in [0, 1]: of several hogs the greatest comes first."""
    monitor, value = symptom.finding.monitor, abs(symptom.finding.value)
    values = [abs(each.finding.value) for each in symptoms if each.finding.monitor == monitor]
    most = max((each for each in values if math.isfinite(each)), default=0.0)
    return value / most if most > 0 and math.isfinite(value) else 1.0


def discount(scene: Scene, known: dict[str, Known], kind: str, entity: str, what: str) -> None:
    """Take off from states elsewhere that the leading change explains."""
    explained: dict[str, bool] = {}
    for symptom in ordered(scene):
        signal = symptom.finding.series.signal.name
        name = symptom.entities[0] if symptom.entities else ""
        if scene.causal.kinds_of(signal):
            explained[name] = explained.get(name, True) and scene.causal.path(kind, signal) is not None
    for name, all_of_it in explained.items():
        if all_of_it and name != entity:
            known[name].strength *= EXPLAINED
            known[name].against.append(f"itself explained by the {kind}: {what}")
