"""What keeps a notice from whom, that it is written down as it would have been, and that it goes out afterwards."""

import json
from dataclasses import replace

import pytest

from incident_world import CART, MINUTE, SECOND, T0, World, finding
from tocsin.incident.holding import PhaseSaid, Rules, under_maintenance
from tocsin.incident.policy import Policy
from tocsin.model.incident import Cause, IncidentState, Severity
from tocsin.model.times import time_from_json
from tocsin.model.transition import Transition
from tocsin.spec.destination import RouteSpec
from tocsin.spec.routing import FlappingSpec, InhibitSpec, MaintenanceSpec, RolloutSpec, TicketSpec
from tocsin.spec.team import TeamSpec

HOOK = RouteSpec(to=["hook"])


def incident(labels=None, name="inc-a", **more):
    made = World().tick(T0 + MINUTE, finding(labels=labels))[0].incident
    return replace(made, id=name, dedup_key=name, **more)


class Told:
    """A policy and what it said: `sent` is what went out, `held` what was only written down."""

    def __init__(self, **rules):
        self.policy = Policy(Rules(**{"routes": [HOOK], **rules}))
        self.sent, self.held = [], []

    def fold(self, at, *steps, tick=True):
        steps = [Transition(action, each, at, 1) for action, each in steps]
        for message in self.policy.fold(steps, at, tick=tick):
            told = (message.incident.id, message.destination, message.action)
            (self.held if message.dry_run else self.sent).append(
                told if not message.dry_run else (*told, message.reason)
            )
        return self

    def took(self):
        found, self.sent = self.sent, []
        return found


DOWN = {"host.name": "n1", "service.name": "node"}
VICTIM = {"host.name": "n1", "service.name": "support-bot"}
OTHER = {"host.name": "n2", "service.name": "support-bot"}
RULE = InhibitSpec.model_validate(
    {"source": {"service.name": "node"}, "target": {"service.name": "support-bot"}, "equal": "host.name"}
)


def test_a_source_holds_back_its_targets_where_equal_labels_are_alike_until_it_is_over():
    node, here, there = incident(DOWN, "inc-n"), incident(VICTIM, "inc-h"), incident(OTHER, "inc-t")
    told = Told(inhibit=[RULE]).fold(T0, ("open", node)).fold(T0 + SECOND, ("open", here), ("open", there))
    assert told.took() == [("inc-n", "hook", "trigger"), ("inc-t", "hook", "trigger")]
    assert told.held == [("inc-h", "hook", "trigger", "held back while inc-n is open")]
    told.fold(T0 + MINUTE).fold(T0 + 2 * MINUTE, ("resolve", replace(node, state=IncidentState.RESOLVED)))
    assert told.took() == [("inc-n", "hook", "resolve"), ("inc-h", "hook", "trigger")]
    assert len(told.held) == 1


def test_labels_that_both_lack_are_alike_and_tenants_do_not_inhibit_each_other():
    rule = InhibitSpec.model_validate(
        {"source": {"service.name": "cart"}, "target": {"entity": "x"}, "equal": ["zone"]}
    )
    cart, x = incident(CART, "inc-c"), incident(name="inc-x", entities=("x",))
    assert Told(inhibit=[rule]).fold(T0, ("open", cart)).fold(T0 + SECOND, ("open", x)).held
    apart = replace(x, tenant="other")
    assert not Told(inhibit=[rule]).fold(T0, ("open", cart)).fold(T0 + SECOND, ("open", apart)).held


def test_what_is_source_and_target_is_not_held_back_by_its_like():
    rule = InhibitSpec.model_validate({"source": {"severity": ["error"]}, "target": {"service.name": "cart"}})
    one, two = incident(CART, "inc-1", severity=Severity.ERROR), incident(CART, "inc-2", severity=Severity.ERROR)
    assert not Told(inhibit=[rule]).fold(T0, ("open", one)).fold(T0 + SECOND, ("open", two)).held


NIGHTLY = {"name": "n", "match": {"service.name": "cart"}, "time_zone": "Europe/Berlin", "starts": "2026-10-01T23:00"}


@pytest.mark.parametrize(
    ("every", "at", "held"),
    [
        (None, "2026-10-01T21:00:00Z", True),
        (None, "2026-10-01T23:00:00Z", False),
        (None, "2026-10-02T21:00:00Z", False),
        ("day", "2026-09-30T21:30:00Z", False),
        ("day", "2026-10-24T21:00:00Z", True),  # 23:00 in summer time
        ("day", "2026-10-25T21:30:00Z", False),  # 22:30 in winter time: the clocks went back in the morning
        ("day", "2026-10-25T22:00:00Z", True),
        ("day", "2026-10-25T23:59:59Z", True),  # over midnight
        ("week", "2026-10-08T21:00:00Z", True),
        ("week", "2026-10-09T21:00:00Z", False),
    ],
)
def test_maintenance_keeps_its_time_of_day(every, at, held):
    spec = MaintenanceSpec.model_validate({**NIGHTLY, "lasts": "2h", "every": every})
    assert under_maintenance(spec, time_from_json(at)) is held


def test_maintenance_is_told_afterwards_if_it_is_still_open():
    start = time_from_json("2026-10-01T21:00:00Z")
    spec = MaintenanceSpec.model_validate({**NIGHTLY, "lasts": "1h"})
    told = Told(maintenance=[spec]).fold(start, ("open", incident(CART))).fold(start + MINUTE)
    assert (told.sent, told.held) == ([], [("inc-a", "hook", "trigger", "maintenance n")])
    assert told.fold(start + 60 * MINUTE).took() == [("inc-a", "hook", "trigger")]


def test_what_comes_and_goes_is_told_when_it_stays():
    told, it = Told(routes=[RouteSpec(to=["hook"], cooldown=0)], flapping=FlappingSpec(times=3, hold="15m")), incident()
    over = replace(it, state=IncidentState.RESOLVED)
    for k in range(2):
        told.fold(T0 + 2 * k * MINUTE, ("reopen" if k else "open", it)).fold(
            T0 + (2 * k + 1) * MINUTE, ("resolve", over)
        )
    assert [each[2] for each in told.took()] == ["trigger", "resolve"] * 2
    at = T0 + 4 * MINUTE
    told.fold(at, ("reopen", it)).fold(at + 14 * MINUTE)
    assert told.took() == []
    assert "it comes and goes (3 times)" in told.held[0][3]
    assert told.fold(at + 15 * MINUTE).took() == [("inc-a", "hook", "trigger")]


GPU = Cause("gpu", "gpu-1", "falls off the bus", 0.9)


def test_a_cause_at_the_bar_opens_one_ticket_that_outlives_the_incident():
    rule = TicketSpec.model_validate(
        {"name": "gpus", "match": {"cause": "gpu"}, "to": "jira", "confirmed_by": "score", "score": 0.8}
    )
    told = Told(tickets=[rule])
    told.fold(T0, ("open", incident(causes=(replace(GPU, score=0.7),))))
    assert ("inc-a", "jira", "trigger") not in told.took()
    told.fold(T0 + MINUTE, ("update", incident(causes=(GPU,)))).fold(
        T0 + 2 * MINUTE, ("update", incident(causes=(GPU,)))
    )
    told.fold(T0 + 3 * MINUTE, ("open", incident(CART, "inc-b", causes=(GPU,))))
    assert [each for each in told.took() if each[1] == "jira"] == [("inc-a", "jira", "trigger")]
    told.fold(T0 + 4 * MINUTE, ("resolve", incident(state=IncidentState.RESOLVED)))
    assert not [each for each in told.took() if each[1] == "jira"]


def test_a_persons_word_opens_a_ticket_also_for_what_is_over():
    rule = TicketSpec(name="gpus", to=["jira"])
    policy = Policy(Rules(tickets=[rule]))
    over = incident(causes=(GPU,), state=IncidentState.RESOLVED)
    [ticket] = policy.confirm(over, "ann", T0)
    assert (ticket.destination, ticket.reason) == ("jira", "ticket gpus: cause confirmed by ann: gpu gpu-1")
    assert ticket.dedup_key.startswith("ticket-")
    restored = Policy(Rules(tickets=[rule]))
    restored.restore(json.loads(json.dumps(policy.snapshot())))
    assert restored.confirm(over, "bob", T0 + MINUTE) == []
    assert restored.confirm(over, "bob", T0 + rule.again)
    assert policy.confirm(incident(), "ann", T0) == []  # no cause, no ticket


DAY_2, DAY_3 = time_from_json("2026-11-10T00:00:00Z"), time_from_json("2026-11-20T00:00:00Z")
DATED = RolloutSpec(second="2026-11-10", third="2026-11-20")


def phased(rollout=DATED, said=None):
    told = Told(routes=[RouteSpec(to=["pd", "hook"])], rollout=rollout, pagers=frozenset({"pd"}))
    told.policy.enter(said)
    return told


def test_a_rollout_begins_with_latency_errors_and_volume_then_the_rest_then_on_call():
    slow = World().tick(T0 + MINUTE, finding("p95-latency", "http.server.request.duration"))[0].incident
    thumbs = World().tick(T0 + MINUTE, finding("feedback-negative", "gen_ai.feedback.negative_ratio"))[0].incident
    slow, thumbs = replace(slow, id="inc-s", dedup_key="s"), replace(thumbs, id="inc-f", dedup_key="f")
    told = phased().fold(DAY_2 - SECOND, ("open", slow), ("open", thumbs))
    assert told.took() == [("inc-s", "hook", "trigger")]
    assert told.held == [
        ("inc-s", "pd", "trigger", "rollout: on-call is told from phase 3 on"),
        ("inc-f", "pd", "trigger", "rollout: told from phase 2 on"),
        ("inc-f", "hook", "trigger", "rollout: told from phase 2 on"),
    ]
    assert told.fold(DAY_2).took() == [("inc-f", "hook", "trigger")]
    assert told.held[3:] == [("inc-f", "pd", "trigger", "rollout: on-call is told from phase 3 on")]
    assert sorted(told.fold(DAY_3).took()) == [("inc-f", "pd", "trigger"), ("inc-s", "pd", "trigger")]


@pytest.mark.parametrize(
    ("rollout", "said", "at", "phase"),
    [
        (None, None, T0, 3),
        (RolloutSpec(), None, DAY_3, 1),
        (RolloutSpec(), PhaseSaid(2, T0), DAY_3, 2),
        (DATED, None, DAY_2 - 1, 1),
        (DATED, None, DAY_3, 3),
        (DATED, PhaseSaid(3, T0), T0, 3),
        (DATED, PhaseSaid(1, DAY_2), DAY_3 - 1, 1),  # taken back by a person after its day
        (DATED, PhaseSaid(1, DAY_2), DAY_3, 3),  # until a later day
    ],
)
def test_the_phase_is_that_of_the_day_or_a_persons_word(rollout, said, at, phase):
    assert Rules(rollout=rollout).phase(said, at) == phase


def test_escalation_waits_for_phase_3():
    route = RouteSpec.model_validate({"to": ["hook"], "escalate": {"after": "15m", "to": ["pd"]}})
    told = Told(routes=[route], rollout=RolloutSpec(first=["*"])).fold(T0, ("open", incident()))
    told.fold(T0 + 20 * MINUTE).fold(T0 + 21 * MINUTE)
    assert told.held == [("inc-a", "pd", "trigger", "rollout: escalation begins with phase 3")]
    told.policy.enter(PhaseSaid(3, T0))
    assert ("inc-a", "pd", "trigger") in told.fold(T0 + 22 * MINUTE).took()


def test_routes_choose_by_urgency_team_and_kind_and_the_board_is_nobody():
    graded = incident(impact={"quadrant": "low impact, low confidence", "urgency": "review"})
    bots = TeamSpec(name="bots", owns={"service.name": "support-*"})
    routes = [
        RouteSpec(match={"urgency": ["page"]}, to=["pd"]),
        RouteSpec(
            match={"team": ["bots"], "impact": ["low"], "confidence": ["low"], "kind": ["anomaly"]}, to=["review"]
        ),
        HOOK,
    ]
    told = Told(routes=routes, teams=[bots]).fold(T0, ("open", graded)).fold(T0 + MINUTE)
    assert (told.sent, told.held) == ([], [("inc-a", "review", "trigger", "for the review board")])


def test_a_window_that_people_planned_holds_back_their_tenant_alone_and_ends_when_they_say():
    start = time_from_json("2026-10-01T21:00:00Z")
    planned = {"main": [MaintenanceSpec.model_validate({**NIGHTLY, "lasts": "8h"})]}
    told = Told()
    told.policy.maintain(lambda tenant: planned.get(tenant, ()))
    told.fold(start, ("open", incident(CART)), ("open", incident(CART, name="inc-b", tenant="acme")))
    assert told.took() == [("inc-b", "hook", "trigger")]
    assert told.held == [("inc-a", "hook", "trigger", "maintenance n")]
    assert told.fold(start + MINUTE).took() == []
    planned.clear()
    assert told.fold(start + 2 * MINUTE).took() == [("inc-a", "hook", "trigger")]
