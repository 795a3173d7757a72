"""Actions of drift policies: once for an episode, when the policy is met, held back by silences and dry runs."""

import json
from dataclasses import replace

from incident_world import MINUTE, T0, World, finding
from tocsin.incident.policy import Policy
from tocsin.model.decision import Silence
from tocsin.model.incident import IncidentState
from tocsin.model.series import Series, Signal
from tocsin.model.transition import Transition
from tocsin.spec.destination import RouteSpec
from tocsin.spec.drift import DriftSpec

CHURN = DriftSpec.model_validate(
    {
        "model": "churn",
        "reference": "first 7d",
        "actions": [
            {"type": "webhook", "url": "https://pipelines.example/retrain"},
            {"type": "notify", "to": ["ml-oncall"]},
        ],
    }
)
CALL = CHURN.calls()[0].name
SERIES = Series.of("main", Signal("tocsin.model.drift", "1"), {"model": "churn", "version": "3"})


def incident(*, policy_met=1.0, model=SERIES, **changes):
    found = World().tick(T0 + MINUTE, finding())[0].incident
    drift = replace(
        found.findings[0], monitor="model-drift", series=model, evidence={"policy_met": policy_met}, direction="shape"
    )
    return replace(found, findings=(drift,), **changes)


def policy(**rest):
    return Policy([RouteSpec(match={}, to=["ops"])], drift=[CHURN], **rest)


def say(told, action, what, at, *, revision=1, tick=False, silences=()):
    return told.fold([Transition(action, what, at, revision)], at, tick=tick, silences=silences)


def brief(messages):
    return [(each.destination, each.action) for each in messages]


def test_a_policy_that_is_met_tells_and_calls_once():
    told = policy()
    opened = say(told, "open", incident(), T0)
    assert brief(opened) == [("ops", "trigger"), ("ml-oncall", "trigger"), (CALL, "trigger")]
    assert opened[-1].reason == "its drift policy is met"
    again = Policy(drift=[CHURN])
    again.restore(json.loads(json.dumps(told.snapshot())))
    later = [*say(again, "refresh", incident(), T0 + MINUTE, revision=2, tick=True)]
    later += again.fold([], T0 + 10 * MINUTE, tick=True)
    assert CALL not in [each.destination for each in later]


def test_an_early_warning_calls_nobody_until_the_policy_is_met():
    told = policy()
    assert brief(say(told, "open", incident(policy_met=0.0), T0)) == [("ops", "trigger")]
    assert brief(say(told, "refresh", incident(), T0 + MINUTE, revision=2)) == [
        ("ml-oncall", "trigger"),
        (CALL, "trigger"),
    ]


def test_who_was_told_hears_of_the_end_and_the_pipeline_does_not():
    told = policy()
    say(told, "open", incident(), T0)
    over = incident(state=IncidentState.RESOLVED)
    assert brief(say(told, "resolve", over, T0 + MINUTE, revision=2)) == [("ops", "resolve"), ("ml-oncall", "resolve")]
    # a finding that comes back is not called for again
    assert CALL not in dict(brief(say(told, "reopen", incident(), T0 + 2 * MINUTE, revision=3)))


def test_a_silence_holds_the_call_and_its_end_lets_it_go():
    told = policy()
    silence = Silence("s1", "main", {"model": "churn"}, T0, T0 + 5 * MINUTE, "ana", "")
    first = say(told, "open", incident(), T0, silences=[silence])
    assert all(each.dry_run for each in first)
    assert CALL not in dict(brief(first))
    assert (CALL, "trigger") in brief(told.fold([], T0 + 6 * MINUTE, tick=True, silences=[silence]))


def test_a_dry_run_records_the_call():
    (call,) = [each for each in say(policy(dry_run=True), "open", incident(), T0) if each.destination == CALL]
    assert call.dry_run


def test_other_models_and_late_incidents_ask_for_nothing():
    other = Series.of("main", Signal("tocsin.model.drift", "1"), {"model": "fraud"})
    assert brief(say(policy(), "open", incident(model=other), T0)) == [("ops", "trigger")]
    assert not say(policy(), "open", incident(late=True), T0)


def test_a_model_that_may_be_under_attack_is_not_retrained_until_that_is_over():
    routes = [RouteSpec(match={"kind": ["security"]}, to=["security"]), RouteSpec(match={}, to=["ops"])]
    told = Policy(routes, drift=[CHURN])
    (drift,) = incident().findings
    attack = replace(drift, monitor="model-poisoning", evidence={"kind": "security"})
    suspected = replace(incident(), id="inc-attack", dedup_key="attack", findings=(attack,))
    assert brief(say(told, "open", suspected, T0)) == [("security", "trigger")]
    assert brief(say(told, "open", incident(), T0)) == [("ops", "trigger"), ("ml-oncall", "trigger")]
    again = Policy(routes, drift=[CHURN])
    again.restore(json.loads(json.dumps(told.snapshot())))
    over = replace(suspected, state=IncidentState.RESOLVED)
    assert brief(say(again, "resolve", over, T0 + MINUTE, revision=2)) == [("security", "resolve")]
    assert brief(again.fold([], T0 + 2 * MINUTE, tick=True)) == [(CALL, "trigger")]
