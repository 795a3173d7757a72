"""Counted impact in incidents: at once where the count is quick, later where it is slow, never a guess."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import replace

import pytest

from incident_world import MINUTE, SECOND, T0, World, finding, latency
from tocsin.app.weighing import Weighing
from tocsin.model.errors import Unreachable
from tocsin.model.incident import IncidentState, Severity
from tocsin.model.toll import Spent, Toll
from tocsin.model.transition import Transition
from tocsin.spec.loss import LossSpec

HARMLESS = Toll("requests", ("support-bot",), T0, T0 + MINUTE, Spent(requests=1000), slow=0)
OUTAGE = replace(HARMLESS, failed=300, hit=300, users=90, users_hit=40)


class Clerk:
    """Counts what it is told to, when it is told to; also the executor that it counts in."""

    def __init__(self, *answers, quick=True):
        self.answers, self.asked, self.waiting, self.quick = list(answers), [], [], quick

    def submit(self, work, *given):
        future: Future = Future()
        self.waiting.append((future, work, given))
        if self.quick:
            self.run()
        return future

    def run(self):
        for future, work, given in self.waiting:
            try:
                future.set_result(work(*given))
            except Unreachable as error:
                future.set_exception(error)
        self.waiting = []

    def toll(self, tenant, asked):
        self.asked.append((tenant, asked))
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def opening(found=None):
    incident = World().tick(T0 + MINUTE, found or finding())[0].incident
    return Transition("open", replace(incident, impact={"findings": 1.0}), T0 + MINUTE, 1)


def weighing(clerk, **more):
    return Weighing(clerk, LossSpec.model_validate(more), executor=clerk)


def test_what_was_counted_is_in_the_first_news():
    clerk = Clerk(OUTAGE)
    [step] = weighing(clerk).fold([opening()], T0 + MINUTE, tick=True)
    assert step.incident.severity is Severity.CRITICAL
    assert "300 of 1,000 requests hit, 30 %: 3" in step.incident.severity_arithmetic
    assert step.incident.impact["users_hit"] == 40.0
    [(tenant, asked)] = clerk.asked
    assert (tenant, asked.start, asked.end) == ("main", T0, T0 + MINUTE)
    assert "support-bot" in asked.names


def test_a_slow_store_delays_nobody_and_its_count_is_news_when_it_matters():
    clerk = Clerk(OUTAGE, quick=False)
    scale = weighing(clerk)
    [step] = scale.fold([opening()], T0 + MINUTE, tick=False)
    assert "not counted yet" in step.incident.severity_arithmetic
    assert scale.fold([], T0 + MINUTE + SECOND, tick=True) == []
    clerk.run()
    [news] = scale.fold([], T0 + MINUTE + 2 * SECOND, tick=True)
    assert (news.action, news.incident.severity) == ("update", Severity.CRITICAL)
    assert scale.fold([], T0 + MINUTE + 3 * SECOND, tick=True) == []


def test_it_is_counted_again_while_it_lasts_and_tells_people_only_of_another_severity():
    more = replace(HARMLESS, spent=Spent(requests=2000))
    clerk = Clerk(HARMLESS, more, OUTAGE)
    scale = weighing(clerk)
    scale.fold([opening()], T0 + MINUTE, tick=True)
    assert scale.fold([], T0 + MINUTE + 10 * SECOND, tick=True) == []
    assert [each.action for each in scale.fold([], T0 + 2 * MINUTE, tick=True)] == ["refresh"]
    assert [each.action for each in scale.fold([], T0 + 4 * MINUTE, tick=True)] == ["update"]


def test_it_is_counted_again_also_while_there_is_news_of_it_at_each_tick():
    clerk = Clerk(HARMLESS, OUTAGE)
    scale = weighing(clerk)
    first = opening()
    scale.fold([first], T0 + MINUTE, tick=True)
    news = replace(first, action="refresh", revision=2)
    assert [each.action for each in scale.fold([news], T0 + MINUTE + SECOND, tick=True)] == ["refresh"]
    [step] = scale.fold([news], T0 + 2 * MINUTE, tick=True)
    assert (step.action, step.incident.severity) == ("update", Severity.CRITICAL)


@pytest.mark.parametrize(
    ("answer", "words"),
    [(None, "no request, call or record of it was sent"), (Unreachable("gone"), "the store did not answer")],
)
def test_what_is_not_known_is_said_and_not_taken_for_low(answer, words):
    [step] = weighing(Clerk(answer)).fold([opening()], T0 + MINUTE, tick=True)
    assert words in step.incident.severity_arithmetic
    assert (step.incident.impact["weight"], step.incident.impact["urgency"]) == (2.0, "page")
    assert "requests" not in step.incident.impact


def test_an_objective_and_the_worth_of_a_request_are_reckoned():
    scale = weighing(
        Clerk(OUTAGE),
        severity={"worth": [{"match": {"service.name": "support-*"}, "usd_per_request": 0.4}]},
        objectives=[{"name": "chat", "match": {"service.name": "support-bot"}, "target": "99%", "within": "2s"}],
    )
    [step] = scale.fold([opening()], T0 + MINUTE, tick=True)
    assert step.incident.impact["objective.chat.burn_rate"] == pytest.approx(30.0)
    assert step.incident.impact["objective.chat.budget_spent_ratio"] == pytest.approx(30 / (30 * 24 * 60), abs=1e-6)
    assert step.incident.impact["revenue_at_risk_usd"] == pytest.approx(120.0)
    assert "objective chat burns 30x its budget" in step.incident.severity_arithmetic


def test_the_limit_is_that_of_the_objective_else_what_was_expected():
    clerk = Clerk(HARMLESS, HARMLESS)
    slow = latency(value=9.0, expected=(0.2, 1.5), unit="s")
    weighing(clerk).fold([opening(slow)], T0 + MINUTE, tick=True)
    chat = {"name": "chat", "match": {"service.name": "support-bot"}, "target": "99%", "within": "2s"}
    weighing(clerk, objectives=[chat]).fold([opening(slow)], T0 + MINUTE, tick=True)
    assert [each.limits_ns["support-bot"] for _, each in clerk.asked] == [1_500_000_000, 2_000_000_000]


def test_compliance_tags_make_the_impact_high_and_are_named():
    scale = weighing(Clerk(None), severity={"compliance": [{"tag": "gdpr", "match": {"service.name": "support-*"}}]})
    [step] = scale.fold([opening()], T0 + MINUTE, tick=True)
    assert step.incident.impact["quadrant"] == "high impact, high confidence"
    assert "compliance high (gdpr)" in step.incident.severity_arithmetic


def test_what_is_over_is_counted_no_more():
    clerk = Clerk(OUTAGE)
    scale = weighing(clerk)
    first = opening()
    scale.fold([first], T0 + MINUTE, tick=True)
    over = replace(first.incident, state=IncidentState.RESOLVED)
    [end] = scale.fold([Transition("resolve", over, T0 + 2 * MINUTE, 2)], T0 + 2 * MINUTE, tick=True)
    assert end.incident.impact["requests_hit"] == 300.0
    assert scale.fold([], T0 + 10 * MINUTE, tick=True) == []


def test_what_its_monitor_states_stays_when_it_is_weighed_again():
    stated = opening()
    stated = replace(stated, incident=replace(stated.incident, impact={"users": "high"}))
    [once] = weighing(Clerk(OUTAGE)).fold([stated], T0 + MINUTE, tick=True)
    restarted = Weighing(Clerk(HARMLESS), LossSpec(), [once.incident], executor=Clerk())
    [again] = restarted.fold([replace(once, action="refresh")], T0 + 2 * MINUTE, tick=True)
    assert again.incident.impact["users"] == "high"
    assert "impact 3 (users high" in again.incident.severity_arithmetic
