"""What the service graph found, as it was watched: who shows more than its neighbours explain, and whose victims are whose."""

from __future__ import annotations

from collections import deque
from typing import Final

from tocsin.correlate.evidence import Known, Scene, link
from tocsin.correlate.statement import Symptom, sentence, trouble
from tocsin.correlate.states import VICTIM, ordered

DETECTOR: Final = "graph"
LEAST: Final = 0.6
"""Strength that an entity has at least that shows an excess which is all its own."""
NAMED: Final = 5


def beside(scene: Scene, known: dict[str, Known]) -> None:
    """Let findings of the service graph speak for their entity, and against those whose excess it explains.

    What requests around the onset say already is not counted twice: a finding lifts its entity to `LEAST` times its own
    share. Who calls a victim is a victim as well, unless it has a finding of its own. Of who stands alone it says nothing:
    that nobody else explains it is no cause.
    """
    found = [each for each in ordered(scene) if each.finding.evidence.get("detector") == DETECTOR and each.entities]
    linked = {name for edge in scene.edges for name in edge}
    found = [each for each in found if each.entities[0] in linked or _named(each, "explains")]
    culprits = {each.entities[0] for each in found}
    explained: dict[str, str] = {}
    for each in found:
        name, share = each.entities[0], _share(each, "own.share")
        entity = known.setdefault(name, Known(name))
        raised = LEAST * share
        what = trouble(each.name, each.finding.direction)
        strength = max((raised - entity.strength) / (1.0 - entity.strength) if entity.strength < 1.0 else 0.0, 1e-3)
        entity.add(strength, "dependency", what, _said(each, share), link("traces", service=name))
        for victim in _named(each, "explains"):
            explained.setdefault(victim, name)
    for victim, culprit in _upward(scene, explained).items():
        if victim in culprits or victim not in known:
            continue
        known[victim].strength *= 1.0 - VICTIM
        known[victim].against.append(f"what it shows is explained by {culprit}, down the calls it makes")


def _said(each: Symptom, share: float) -> list[str]:
    name = each.entities[0]
    said = [sentence(each), f"{share:.0%} of the excess is its own: what its callees and callers show explains no more"]
    victims = [
        f"{victim} ({_share(each, f'explains.{n}.share'):.0%})" for n, victim in enumerate(_named(each, "explains"), 1)
    ]
    return [*said, f"{name} explains the excess of {', '.join(victims)}"] if victims else said


def _named(each: Symptom, what: str) -> list[str]:
    told = (each.finding.evidence.get(f"{what}.{n}") for n in range(1, NAMED + 1))
    return [name for name in told if isinstance(name, str)]


def _share(each: Symptom, key: str) -> float:
    value = each.finding.evidence.get(key)
    return min(max(float(value), 0.0), 1.0) if isinstance(value, float | int) else 1.0


def _upward(scene: Scene, explained: dict[str, str]) -> dict[str, str]:
    """Victims, and all that call them at whatever distance, each with its culprit."""
    callers: dict[str, list[str]] = {}
    for caller, callee in sorted(scene.edges):
        callers.setdefault(callee, []).append(caller)
    found, queue = dict(explained), deque(explained)
    while queue:
        victim = queue.popleft()
        for caller in callers.get(victim, ()):
            if caller not in found:
                found[caller] = found[victim]
                queue.append(caller)
    return found
