"""Causes by what the service graph found: who is out of line by itself ranks over those that it explains."""

import pytest

from incident_world import T0, finding
from tocsin.correlate.beside import beside
from tocsin.correlate.diagnosis import BAR, diagnose, named
from tocsin.correlate.evidence import Known, Scene
from tocsin.correlate.statement import Symptom

EDGES = frozenset({("web", "shop"), ("shop", "bank"), ("bank", "ledger")})
NAMES = ("bank", "ledger", "shop", "web")


def symptom(service, monitor="service-latency-p95", **evidence):
    graph = {"detector": "graph", **evidence} if monitor != "service-latency-p95" else {"detector": "baseline"}
    signal = (
        "service_graph.latency" if "detector" in graph and graph["detector"] == "graph" else "service.request.duration"
    )
    told = finding(
        monitor, signal, {"service.name": service}, T0, value=2.0, expected=(0.1, 0.2), evidence=graph, unit="s"
    )
    return Symptom(told, (service,))


def verdict(*symptoms, edges=EDGES):
    scene = Scene(0.0, 300.0, T0, NAMES, edges=edges, symptoms=symptoms)
    return diagnose(scene)


VICTIMS = [symptom(name) for name in ("web", "shop", "bank")]
OWN = symptom("bank", "service-own-latency", **{"own.share": 0.9, "explains.1": "shop", "explains.1.share": 0.97})


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 2, 1, 0), (1, 3, 0, 2)])
def test_who_shows_more_than_its_neighbours_explain_ranks_first_whatever_was_seen_first(order):
    symptoms = [*VICTIMS, OWN]
    causes = named(Scene(0.0, 300.0, T0, NAMES, edges=EDGES, symptoms=tuple(symptoms[k] for k in order)),
                   verdict(*(symptoms[k] for k in order)))  # fmt: skip
    first = causes[0]
    assert (first.entity, first.kind) == ("bank", "dependency")
    assert first.score > BAR
    assert any("90% of the excess is its own" in said for said in first.evidence)
    assert any("bank explains the excess of shop (97%)" in said for said in first.evidence)


def after(*symptoms):
    """What is known of each entity, of which all had been as suspect as any."""
    known = {name: Known(name, strength=0.5) for name in NAMES}
    beside(Scene(0.0, 300.0, T0, NAMES, edges=EDGES, symptoms=symptoms), known)
    return known


def test_victims_and_their_callers_lose_strength_and_are_told_why():
    known = after(*VICTIMS, OWN)
    assert {name: round(known[name].strength, 2) for name in NAMES} == {
        "bank": 0.54,
        "ledger": 0.5,
        "shop": 0.2,
        "web": 0.2,
    }
    assert "explained by bank" in known["shop"].against[0]
    assert "explained by bank" in known["web"].against[0], "who calls a victim is one"
    assert not known["bank"].against


def test_who_has_a_finding_of_its_own_is_no_victim():
    known = after(*VICTIMS, OWN, symptom("shop", "service-own-errors", **{"own.share": 1.0}))
    assert not known["shop"].against
    assert known["shop"].strength > 0.5


def test_of_who_stands_alone_a_residual_names_no_cause():
    alone = symptom("bank", "service-own-latency", **{"own.share": 1.0})
    assert not verdict(alone, edges=frozenset()).above_bar


def test_odd_evidence_does_no_harm():
    odd = symptom("bank", "service-own-latency", **{"own.share": "much", "explains.1": 3.0, "explains.2": "x" * 500})
    assert verdict(odd, *VICTIMS).causes[0].entity == "bank"
