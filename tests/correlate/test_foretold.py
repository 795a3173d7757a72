"""Drift of a model and the fall of its accuracy that truth shows weeks later are one incident."""

from incident_world import MINUTE, SECOND, T0, World, finding

DAY = 86_400 * SECOND
CHURN = {"model": "churn", "version": "3"}


def drift(**changes):
    given = {
        "monitor": "model-drift", "signal": "tocsin.model.drift", "labels": CHURN, "unit": "1", "direction": "shape",
        "time": T0 + 3 * DAY, "evidence": {"deviation": "in score (PSI 0.4, limit 0.2)"},
    }  # fmt: skip
    return finding(**(given | changes))


def fall(at, labels=None, signal="tocsin.model.accuracy_ratio"):
    return finding(
        monitor="model-accuracy", signal=signal, labels=labels or CHURN, unit="1", direction="down", start=at,
        value=0.7, expected=(0.8, 0.85),
    )  # fmt: skip


def test_what_drift_let_fear_joins_its_incident_weeks_later():
    world = World()
    (opened,) = world.tick(T0 + 3 * DAY, drift())
    assert opened.incident.title == "churn: model drift in score (PSI 0.4, limit 0.2) since 12:26 UTC"
    at = T0 + 24 * DAY
    (later,) = world.tick(at + MINUTE, fall(at))
    assert later.incident.id == opened.incident.id
    assert {each.monitor for each in later.incident.findings} == {"model-drift", "model-accuracy"}


def test_other_models_versions_and_signals_are_incidents_of_their_own():
    at = T0 + 24 * DAY
    for strange in (
        fall(at, {"model": "fraud", "version": "1"}),
        fall(at, {"model": "churn", "version": "4"}),
        fall(at, signal="tocsin.model.predictions"),
    ):
        world = World()
        (opened,) = world.tick(T0 + 3 * DAY, drift())
        (other,) = world.tick(at + MINUTE, strange)
        assert other.incident.id != opened.incident.id


def test_a_fall_that_drift_tells_at_the_end_of_its_chunk_joins_the_incident_of_that_fall():
    world = World()
    (opened,) = world.tick(T0 + MINUTE, fall(T0, {**CHURN, "segment": "eu"}))
    told = {"deviation": "with realised accuracy 0.7", "confirmed": 1.0}
    (later,) = world.tick(T0 + DAY, drift(start=T0 - DAY, time=T0 + DAY, evidence=told))
    assert later.incident.id == opened.incident.id


def test_drift_that_truth_does_not_speak_of_and_other_models_keep_to_themselves():
    for strange in (
        drift(start=T0 - DAY),
        drift(start=T0 - DAY, labels={"model": "fraud"}, evidence={"confirmed": 1.0}),
    ):
        world = World()
        (opened,) = world.tick(T0 + MINUTE, fall(T0))
        (other,) = world.tick(T0 + DAY, strange)
        assert other.incident.id != opened.incident.id
