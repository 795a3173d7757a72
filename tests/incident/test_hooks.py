"""Hooks: once for a finding, not sooner than their cool-down, for whom they are, and never about an attack."""

import json
from dataclasses import replace

from incident_world import MINUTE, T0, World, finding
from tocsin.incident.policy import Policy
from tocsin.model.decision import Silence
from tocsin.model.finding import Phase
from tocsin.model.incident import IncidentState
from tocsin.model.series import Series, Signal
from tocsin.model.transition import Transition
from tocsin.spec.destination import RouteSpec
from tocsin.spec.hook import HookSpec

HOOK = HookSpec.model_validate(
    {
        "monitor": "rag-*",
        "where": {"service.name": "docs-*"},
        "url": "https://indexer.example/reindex/${gen_ai.data_source.id}",
        "cooldown": "1h",
    }
)
HOUR = 60 * MINUTE


def stale(*, monitor="rag-stale", service="docs-bot", number=0, **rest):
    series = Series.of(
        "main",
        Signal("gen_ai.retrieval.knowledge_base_age", "s"),
        {"service.name": service, "gen_ai.data_source.id": "handbook"},
    )
    (first,) = World().tick(T0 + MINUTE, finding())[0].incident.findings
    return replace(first, id=bytes([number] * 16), monitor=monitor, series=series, **rest)


def incident(*findings, **changes):
    found = World().tick(T0 + MINUTE, finding())[0].incident
    return replace(found, findings=findings or (stale(),), **changes)


def policy(**rest):
    return Policy([RouteSpec(match={}, to=["ops"])], hooks=[HOOK], **rest)


def say(told, action, what, at, *, revision=1, tick=False, silences=()):
    return told.fold([Transition(action, what, at, revision)], at, tick=tick, silences=silences)


def calls(messages):
    return [each for each in messages if each.destination == HOOK.name]


def test_it_is_called_once_and_after_a_restart_as_well():
    told = policy()
    (call,) = calls(say(told, "open", incident(), T0))
    assert (call.action, call.reason, call.dry_run) == ("trigger", "a hook of rag-stale", False)
    again = policy()
    again.restore(json.loads(json.dumps(told.snapshot())))
    later = say(again, "refresh", incident(), T0 + 2 * HOUR, revision=2, tick=True)
    assert not calls([*later, *again.fold([], T0 + 3 * HOUR, tick=True)])


def test_what_it_is_about_stands_first():
    other = stale(monitor="rag-retrieval-latency-by-region", service="shop", number=7)
    (call,) = calls(say(policy(), "open", incident(other, stale()), T0))
    assert [each.monitor for each in call.incident.findings] == ["rag-stale", other.monitor]


def test_the_same_series_is_not_mended_again_within_the_cool_down():
    told = policy()
    assert len(calls(say(told, "open", incident(stale(), stale(number=1)), T0))) == 1
    back = replace(incident(stale(number=2)), id="inc-2", dedup_key="again")
    assert not calls(say(told, "open", back, T0 + 30 * MINUTE))
    assert len(calls(told.fold([], T0 + HOUR, tick=True))) == 1


def test_other_series_findings_that_are_over_and_attacks_call_nobody():
    for none in (
        stale(service="shop"), stale(monitor="cpu"), stale(phase=Phase.CLOSE), stale(evidence={"kind": "security"}),
    ):  # fmt: skip
        assert not calls(say(policy(), "open", incident(none), T0))
    assert not calls(say(policy(), "open", incident(late=True), T0))
    assert not calls(say(policy(), "resolve", incident(state=IncidentState.RESOLVED), T0))


def test_a_silence_holds_it_and_a_dry_run_only_records_it():
    told = policy()
    silence = Silence("s1", "main", {"monitor": "rag-stale"}, T0, T0 + 5 * MINUTE, "ana", "")
    assert not calls(say(told, "open", incident(), T0, silences=[silence]))
    assert len(calls(told.fold([], T0 + 6 * MINUTE, tick=True, silences=[silence]))) == 1
    assert [each.dry_run for each in calls(say(policy(dry_run=True), "open", incident(), T0))] == [True]
