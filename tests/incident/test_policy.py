import json
from dataclasses import replace

import pytest

from incident_world import CART, MINUTE, SECOND, T0, World, finding, latency
from tocsin.incident.policy import Policy
from tocsin.model.decision import Silence
from tocsin.model.incident import IncidentState, Severity
from tocsin.model.transition import Transition
from tocsin.spec.destination import RouteSpec


def opened(late=False, severity=Severity.ERROR, labels=None):
    incident = World().tick(T0 + MINUTE, finding(labels=labels))[0].incident
    return replace(incident, late=late, severity=severity)


class Story:
    """One incident told to a policy step by step."""

    def __init__(self, *routes, **rest):
        self.policy = Policy(routes, **rest)
        self.incident = opened()
        self.revision = 0

    def say(self, action, at, silences=(), tick=False, **changes):
        self.incident = replace(self.incident, **changes)
        self.revision += 1
        step = Transition(action, self.incident, at, self.revision)
        return brief(self.policy.fold([step], at, tick=tick, silences=silences))

    def tick(self, at, silences=()):
        return brief(self.policy.fold([], at, tick=True, silences=silences))


def brief(messages):
    return [(each.destination, each.action) for each in messages]


HOOK = RouteSpec(to=["hook"])


def test_without_routes_it_goes_to_the_console():
    assert Story().say("open", T0) == [("console", "trigger")]


def test_the_first_matching_route_wins():
    story = Story(
        RouteSpec(match={"service.name": ["cart"]}, to=["cart"]),
        RouteSpec(match={"severity": ["error", "critical"], "service.name": "support-bot"}, to=["pd", "mail"]),
        HOOK,
    )
    assert story.say("open", T0) == [("pd", "trigger"), ("mail", "trigger")]


@pytest.mark.parametrize(
    "match",
    [
        {"monitor": ["input-tokens"]},
        {"entity": ["support-bot"]},
        {"signal": ["gen_ai.client.token.usage"]},
        {"tenant": ["main"]},
    ],
)
def test_what_routes_can_match(match):
    assert Story(RouteSpec(match=match, to=["x"])).say("open", T0) == [("x", "trigger")]


def test_life_of_an_incident():
    story = Story(HOOK)
    assert story.say("open", T0) == [("hook", "trigger")]
    assert story.say("refresh", T0 + SECOND) == []
    assert story.say("acknowledge", T0 + MINUTE, state=IncidentState.ACKNOWLEDGED) == [("hook", "acknowledge")]
    assert story.say("update", T0 + 20 * MINUTE) == []  # somebody is on it
    assert story.say("update", T0 + 21 * MINUTE, severity=Severity.CRITICAL) == [("hook", "update")]
    assert story.say("resolve", T0 + 30 * MINUTE) == [("hook", "resolve")]
    assert story.tick(T0 + 60 * MINUTE) == []


def test_cool_down_holds_updates_back_and_tells_the_latest_when_it_is_over():
    story = Story(HOOK)
    story.say("open", T0)
    assert story.say("update", T0 + MINUTE) == []
    assert story.say("update", T0 + 2 * MINUTE, title="newest") == []
    assert story.tick(T0 + 4 * MINUTE) == []
    said = story.policy.fold([], T0 + 5 * MINUTE, tick=True)
    assert [(each.action, each.incident.title) for each in said] == [("update", "newest")]
    assert story.tick(T0 + 11 * MINUTE) == []


def test_what_gets_worse_does_not_wait_for_the_cool_down():
    story = Story(HOOK)
    story.say("open", T0)
    assert story.say("update", T0 + SECOND, severity=Severity.CRITICAL) == [("hook", "update")]


def test_reopening_within_the_cool_down_pages_after_it():
    story = Story(HOOK)
    story.say("open", T0)
    story.say("resolve", T0 + MINUTE)
    assert story.say("reopen", T0 + 2 * MINUTE) == []
    assert story.tick(T0 + 5 * MINUTE) == [("hook", "trigger")]


def test_reopened_and_resolved_within_the_cool_down_pages_nobody():
    story = Story(HOOK)
    story.say("open", T0)
    story.say("resolve", T0 + MINUTE)
    story.say("reopen", T0 + 2 * MINUTE)
    assert story.say("resolve", T0 + 3 * MINUTE) == []
    assert story.tick(T0 + 10 * MINUTE) == []


def test_late_incidents_page_nobody_until_they_still_hold():
    story = Story(HOOK)
    assert story.say("open", T0, late=True) == []
    assert story.tick(T0 + 10 * MINUTE) == []
    assert story.say("update", T0 + 11 * MINUTE, late=False) == [("hook", "trigger")]


def test_late_incidents_resolve_in_silence():
    story = Story(HOOK)
    story.say("open", T0, late=True)
    assert story.say("resolve", T0 + MINUTE) == []


def silence(matchers, tenant="main", until=T0 + 10 * MINUTE):
    return Silence("s1", tenant, matchers, T0 - MINUTE, until)


def test_silences_record_what_they_held_back_and_end():
    story, quiet = Story(HOOK), [silence({"service.name": "support-bot"})]
    [held] = story.policy.fold([Transition("open", story.incident, T0, 1)], T0, tick=False, silences=quiet)
    assert (held.dry_run, held.reason) == (True, "silenced by s1")
    assert story.tick(T0 + MINUTE, quiet) == []
    assert story.tick(T0 + 10 * MINUTE, quiet) == [("hook", "trigger")]


@pytest.mark.parametrize(
    "other", [silence({"service.name": "cart"}), silence({}, tenant="other"), silence({}, until=T0)]
)
def test_silences_of_others_hold_nothing(other):
    assert Story(HOOK).say("open", T0, silences=[other]) == [("hook", "trigger")]


def escalating():
    return Story(RouteSpec.model_validate({"to": ["hook"], "escalate": {"after": "15m", "to": ["mail", "hook"]}}))


def test_nobody_acknowledging_escalates_once():
    story = escalating()
    story.say("open", T0)
    assert story.tick(T0 + 14 * MINUTE) == []
    assert story.tick(T0 + 15 * MINUTE) == [("mail", "trigger")]
    assert story.tick(T0 + 40 * MINUTE) == []
    assert story.say("resolve", T0 + 50 * MINUTE) == [("hook", "resolve"), ("mail", "resolve")]


def test_acknowledging_stops_the_escalation():
    story = escalating()
    story.say("open", T0)
    story.say("acknowledge", T0 + MINUTE, state=IncidentState.ACKNOWLEDGED)
    assert story.tick(T0 + 60 * MINUTE) == []


def test_destinations_that_forget_are_told_again():
    story = Story(RouteSpec(to=["am", "hook"]), resend_ns={"am": 5 * MINUTE})
    story.say("open", T0)
    assert story.tick(T0 + 4 * MINUTE) == []
    assert story.tick(T0 + 5 * MINUTE) == [("am", "update")]
    assert story.tick(T0 + 6 * MINUTE) == []
    story.say("resolve", T0 + 7 * MINUTE)
    assert story.tick(T0 + 20 * MINUTE) == []


def test_dry_run_is_recorded_on_every_message():
    policy = Policy([HOOK], dry_run=True)
    [message] = policy.fold([Transition("open", opened(), T0, 1)], T0, tick=False)
    assert (message.dry_run, message.reason) == (True, "dry run")


def test_a_merged_incident_is_ended_where_it_was_told():
    policy = Policy([HOOK])
    incident = opened()
    policy.fold([Transition("open", incident, T0, 1)], T0, tick=False)
    [message] = policy.fold([Transition("merge", incident, T0, 2, into="inc-other")], T0 + MINUTE, tick=True)
    assert (message.action, message.reason) == ("resolve", "merged into inc-other")


def test_replay_and_restore_give_the_same_messages():
    def run(cut):
        policy, said = Policy([HOOK], resend_ns={"hook": 5 * MINUTE}), []
        world = World()
        steps = [(finding(),), (latency(),), (), (finding(labels=CART),), (), (), (), ()]
        for number, findings in enumerate(steps):
            if number == cut:
                fresh = Policy([HOOK], resend_ns={"hook": 5 * MINUTE})
                fresh.restore(json.loads(json.dumps(policy.snapshot())))
                policy = fresh
            at = T0 + (number + 1) * 2 * MINUTE
            said += policy.fold(world.tick(at, *findings), at, tick=True)
        return said

    whole = run(None)
    assert len({each.id for each in whole}) == len(whole) > 3
    assert all(run(cut) == whole for cut in range(8))


def test_whose_silences_a_tick_needs():
    story = Story(HOOK)
    assert story.policy.tenants() == set()
    story.say("open", T0)
    assert story.policy.tenants() == {"main"}
    story.say("resolve", T0 + MINUTE)
    assert story.policy.tenants() == set()
