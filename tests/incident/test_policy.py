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


def escalating(**rest):
    levels = [
        {"after": "15m", "to": ["mail", "hook"]},
        {"after": "30m", "to": ["lead"]},
        {"after": "1h", "to": ["boss"], "every": "20m"},
    ]
    return Story(RouteSpec.model_validate({"to": ["hook"], "escalate": levels}), **rest)


def test_nobody_acknowledging_escalates_level_by_level_and_the_last_again_and_again():
    story = escalating()
    story.say("open", T0)
    assert story.tick(T0 + 14 * MINUTE) == []
    assert story.tick(T0 + 15 * MINUTE) == [("mail", "trigger"), ("hook", "update")]
    assert story.tick(T0 + 29 * MINUTE) == []
    assert story.tick(T0 + 30 * MINUTE) == [("lead", "trigger")]
    assert story.tick(T0 + 60 * MINUTE) == [("boss", "trigger")]
    assert [story.tick(T0 + minute * MINUTE) for minute in (79, 80, 99, 100)] == [
        [], [("boss", "update")], [], [("boss", "update")],
    ]  # fmt: skip
    # whom a level told hears of later news as those do whom the route names
    worse = story.say("update", T0 + 101 * MINUTE, severity=Severity.CRITICAL)
    assert {name for name, _ in worse} == {"hook", "mail", "lead", "boss"}
    ended = story.say("resolve", T0 + 110 * MINUTE)
    assert sorted(ended) == sorted((name, "resolve") for name in ("hook", "mail", "lead", "boss"))


@pytest.mark.parametrize("at", [1, 16, 45, 70])
def test_acknowledging_stops_the_escalation_at_every_level(at):
    story = escalating()
    story.say("open", T0)
    for minute in range(at):
        story.tick(T0 + minute * MINUTE)
    # in the same step as the tick that would have told the next level: the person's word comes first
    story.say("acknowledge", T0 + at * MINUTE, state=IncidentState.ACKNOWLEDGED, tick=True)
    assert [story.tick(T0 + minute * MINUTE) for minute in range(at, 300, 5)] == [[]] * len(range(at, 300, 5))


def test_a_clock_that_jumps_leaves_people_the_time_between_two_levels():
    story = escalating()
    story.say("open", T0)
    jump = T0 + 600 * MINUTE
    assert story.tick(jump) == [("mail", "trigger"), ("hook", "update")]
    assert story.tick(jump + SECOND) == []
    assert story.tick(jump + 14 * MINUTE) == []
    assert story.tick(jump + 15 * MINUTE) == [("lead", "trigger")]
    assert story.tick(jump + 44 * MINUTE) == []
    assert story.tick(jump + 45 * MINUTE) == [("boss", "trigger")]


def test_a_silence_stops_the_levels_and_its_end_does_not_call_them_all_at_once():
    story = escalating()
    story.say("open", T0)
    silence = Silence("s", "main", {"monitor": "input-tokens"}, T0, T0 + 300 * MINUTE)
    assert story.tick(T0 + 200 * MINUTE, [silence]) == []
    assert story.tick(T0 + 300 * MINUTE) == [("mail", "trigger"), ("hook", "update")]
    assert story.tick(T0 + 301 * MINUTE) == []
    assert story.tick(T0 + 315 * MINUTE) == [("lead", "trigger")]


def test_a_restart_in_the_middle_of_an_escalation_changes_nothing():
    def run(cuts):
        story, said = escalating(), []
        for minute in range(130):
            if minute in cuts:
                kept = json.loads(json.dumps(story.policy.snapshot()))
                story.policy = escalating().policy
                story.policy.restore(kept)
            at = T0 + minute * MINUTE
            said.append(story.tick(at) if minute else story.say("open", at))
        return said

    whole = run(())
    assert sum(map(len, whole)) == 8
    assert run({1, 15, 16, 30, 31, 60, 61, 80, 81}) == whole


def test_a_snapshot_of_before_is_taken_and_whoever_it_told_is_not_told_again():
    story = escalating()
    story.say("open", T0)
    story.tick(T0 + 15 * MINUTE)
    kept = story.policy.snapshot()
    for case in kept["cases"]:
        del case["ladder"]
        case["escalated"] = True
    story.policy.restore(kept)
    assert story.tick(T0 + 16 * MINUTE) == [("lead", "trigger")]
    assert "mail" not in {name for name, _ in story.tick(T0 + 31 * MINUTE)}


def test_an_incident_that_takes_another_route_climbs_that_one_from_its_first_level():
    story = Story(
        RouteSpec.model_validate(
            {"match": {"severity": "critical"}, "to": ["pd"], "escalate": {"after": "5m", "to": ["lead"]}}
        ),
        RouteSpec.model_validate({"to": ["hook"], "escalate": {"after": "15m", "to": ["mail"]}}),
    )
    story.say("open", T0)
    assert story.tick(T0 + 15 * MINUTE) == [("mail", "trigger")]
    assert story.say("update", T0 + 20 * MINUTE, severity=Severity.CRITICAL, tick=True) == [("pd", "trigger")]
    assert story.tick(T0 + 24 * MINUTE) == []
    assert story.tick(T0 + 25 * MINUTE) == [("lead", "trigger")]


def test_two_tenants_with_the_same_names_climb_each_by_itself():
    policy = escalating().policy
    one = opened()
    other = replace(one, id="inc-other", tenant="acme", dedup_key=one.dedup_key)
    policy.fold([Transition("open", each, T0, 1) for each in (one, other)], T0, tick=True)
    seen = replace(other, state=IncidentState.ACKNOWLEDGED)
    policy.fold([Transition("acknowledge", seen, T0 + MINUTE, 2)], T0 + MINUTE, tick=True)
    told = policy.fold([], T0 + 15 * MINUTE, tick=True)
    assert {(each.tenant, each.destination) for each in told} == {("main", "mail"), ("main", "hook")}


def test_who_is_told_next_is_known():
    story = escalating()
    assert story.policy.next_level(story.incident) is None
    story.say("open", T0)
    found = story.policy.next_level(story.incident)
    assert (found.number, found.of, found.spec.to, found.at) == (1, 3, ["mail", "hook"], T0 + 15 * MINUTE)
    story.tick(T0 + 15 * MINUTE)
    assert story.policy.next_level(story.incident).spec.to == ["lead"]
    story.say("acknowledge", T0 + 16 * MINUTE, state=IncidentState.ACKNOWLEDGED)
    assert story.policy.next_level(story.incident) is None


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
