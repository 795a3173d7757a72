import itertools
import json
import math
import time
from dataclasses import replace

import pytest

from incident_world import (
    BOT,
    CART,
    MINUTE,
    SECOND,
    T0,
    World,
    event,
    finding,
    gpu_memory,
    kv_cache,
    latency,
    prompt_change,
)
from tocsin.correlate import group
from tocsin.correlate.diagnosis import BAR
from tocsin.correlate.reducer import Reducer, human_action
from tocsin.model.codec import incident_to_json
from tocsin.model.errors import BadInput, Corrupt
from tocsin.model.finding import Phase
from tocsin.model.incident import IncidentState
from tocsin.model.log import Control
from tocsin.model.series import Catalog
from tocsin.selfmon.metrics import REGISTRY
from tocsin.spec.monitor import MonitorSpec

CART_ERRORS = {"monitor": "errors", "signal": "cart.errors", "labels": CART}


def close(found, at):
    return replace(found, phase=Phase.CLOSE, time=at, end=at)


def story():
    """The chatbot story as arguments of `World.output`, tick by tick."""
    tokens, slow = finding(), latency(start=T0 + MINUTE)
    cache, memory = kv_cache(start=T0 + 2 * MINUTE), gpu_memory(start=T0 + 3 * MINUTE)
    decoys = [
        event("deploy", "cart", "cart 1.2 -> 1.3", T0 - 6 * MINUTE),
        event("flag", "support-bot", "new-greeting on", T0 - 4 * MINUTE),
    ]
    return [
        ((), {"events": decoys, "at": T0 - 3 * MINUTE}),
        ((), {"events": [prompt_change(T0 - 30 * SECOND)], "at": T0}),
        ((tokens,), {"at": T0 + MINUTE, "tick": True}),
        ((slow,), {"at": T0 + 2 * MINUTE, "tick": True}),
        ((memory, cache), {"at": T0 + 4 * MINUTE, "tick": True}),
        ((close(tokens, T0 + 9 * MINUTE),), {"at": T0 + 9 * MINUTE, "tick": True}),
        ((close(slow, T0 + 9 * MINUTE), close(cache, T0 + 9 * MINUTE)), {"at": T0 + 9 * MINUTE}),
        ((close(memory, T0 + 10 * MINUTE),), {"at": T0 + 10 * MINUTE, "tick": True}),
        ((), {"at": T0 + 11 * MINUTE, "tick": True}),
        ((), {"at": T0 + 13 * MINUTE, "tick": True}),
    ]


def told(transitions):
    return [(each.action, each.revision, each.at, each.into, incident_to_json(each.incident)) for each in transitions]


def test_the_chatbot_story_is_one_incident_caused_by_the_prompt():
    world = World()
    said = [each for findings, rest in story() for each in world.fold(*findings, **rest)]
    assert len({each.incident.id for each in said}) == 1
    assert [each.action for each in said] == ["open", "update", "update", "refresh", "refresh", "resolve"]
    opened, full, last = said[0].incident, said[2].incident, said[-1].incident
    assert opened.causes[0].kind == "prompt"
    assert {each.monitor for each in full.findings} == {"input-tokens", "p95-latency", "kv-cache", "gpu-memory"}
    assert full.causes[0].kind == "prompt"
    assert full.causes[0].what == "prompt_version v1 -> v2"
    assert full.causes[0].score > 1.5 * max(c.score for c in full.causes if c.kind in ("deploy", "flag"))
    assert "support-bot" in full.entities
    assert full.title == (
        "support-bot: input tokens 3.1x above expected since 12:26 UTC, with p95 latency, kv cache and gpu memory"
    )
    assert last.state is IncidentState.RESOLVED
    assert last.resolved_at == T0 + 13 * MINUTE


def test_the_unrelated_deploy_is_refuted_by_its_place():
    world = World()
    for findings, rest in story()[:5]:
        said = world.fold(*findings, **rest)
    deploy = next(cause for cause in said[-1].incident.causes if cause.kind == "deploy")
    assert deploy.score < BAR
    assert any("nothing known links cart" in each for each in deploy.refuted_by)


def test_an_unrelated_fault_at_the_same_time_is_its_own_incident():
    world = World()
    said = world.fold(finding(), finding(**CART_ERRORS), at=T0 + MINUTE, tick=True)
    assert sorted(each.incident.entities[0] for each in said) == ["cart", "support-bot"]


def test_a_related_fault_an_hour_later_is_its_own_incident():
    world = World()
    world.fold(finding())
    said = world.fold(latency(start=T0 + 60 * MINUTE))
    assert [each.action for each in said] == ["open"]


def test_findings_of_one_output_in_any_order_give_the_same():
    rows = [finding(), kv_cache(), gpu_memory(), finding(**CART_ERRORS)]
    seen = set()
    for order in itertools.permutations(rows):
        world = World()
        seen.add(json.dumps(told(world.tick(T0 + MINUTE, *order)), sort_keys=True))
    assert len(seen) == 1


@pytest.mark.parametrize("cut", range(1, 10))
def test_restore_in_between_changes_nothing(cut):
    whole, first, second = World(), World(), World(catalog=Catalog())
    expected = [told(whole.fold(*findings, **rest)) for findings, rest in story()]
    got = [told(first.fold(*findings, **rest)) for findings, rest in story()[:cut]]
    second.reducer.restore(first.reducer.snapshot())
    second.cause = first.cause
    got += [told(second.fold(*findings, **rest)) for findings, rest in story()[cut:]]
    assert got == expected
    assert json.loads(second.reducer.snapshot()) == json.loads(whole.reducer.snapshot())


@pytest.mark.parametrize("state", [b"", b"{}", b'{"version":99,"tenants":{}}', b'{"version":1,"tenants":{"a":{}}}'])
def test_a_broken_snapshot_is_corrupt(state):
    with pytest.raises(Corrupt):
        World().reducer.restore(state)


def test_a_finding_that_joins_two_incidents_merges_them_into_the_smaller_id():
    world = World()
    first = world.tick(T0 + MINUTE, finding())[0].incident
    second = world.tick(T0 + 2 * MINUTE, gpu_memory(start=T0 + MINUTE))[0].incident
    assert first.id != second.id
    said = world.tick(T0 + 3 * MINUTE, kv_cache(start=T0 + 2 * MINUTE))
    small, large = sorted([first.id, second.id])
    assert {each.action: each.incident.id for each in said} == {"update": small, "merge": large}
    merge = next(each for each in said if each.action == "merge")
    assert merge.into == small
    assert merge.incident.state is IncidentState.RESOLVED
    survivor = next(each.incident for each in said if each.action == "update")
    assert len(survivor.findings) == 3
    assert survivor.opened_at == min(first.opened_at, second.opened_at)


def test_a_supporting_finding_opens_nothing_and_joins_later():
    support = MonitorSpec(name="p95-latency", signal="*", role="support")
    world = World([support])
    assert world.tick(T0 + MINUTE, latency()) == []
    said = world.tick(T0 + 2 * MINUTE, finding(start=T0 + MINUTE))
    assert [each.action for each in said] == ["open"]
    assert {each.monitor for each in said[0].incident.findings} == {"p95-latency", "input-tokens"}


def test_resolved_only_after_everything_was_quiet_for_a_while():
    world, one, two = World(), finding(), latency()
    world.tick(T0 + MINUTE, one, two)
    world.tick(T0 + 2 * MINUTE, close(one, T0 + 2 * MINUTE))
    assert all(each.action != "resolve" for each in world.tick(T0 + 20 * MINUTE))
    world.tick(T0 + 21 * MINUTE, close(two, T0 + 21 * MINUTE))
    assert world.tick(T0 + 22 * MINUTE) == []
    assert [each.action for each in world.tick(T0 + 23 * MINUTE)] == ["resolve"]


def test_silence_resolves_nothing():
    world, one = World(), finding()
    world.tick(T0 + MINUTE, one)
    world.tick(T0 + 2 * MINUTE, close(one, T0 + 2 * MINUTE), states=[(one.series, "absent")])
    assert world.tick(T0 + 60 * MINUTE) == []
    said = world.tick(T0 + 61 * MINUTE, states=[(one.series, "live")])
    assert [each.action for each in said] == ["resolve"]


def test_what_returns_reopens_the_same_incident_and_counts():
    world, one = World(), finding()
    opened = world.tick(T0 + MINUTE, one)[0].incident
    world.tick(T0 + 2 * MINUTE, close(one, T0 + 2 * MINUTE))
    assert world.tick(T0 + 5 * MINUTE)[0].action == "resolve"
    said = world.tick(T0 + 10 * MINUTE, finding(start=T0 + 9 * MINUTE))
    assert [(each.action, each.incident.id, each.incident.reopened) for each in said] == [("reopen", opened.id, 1)]
    assert said[0].incident.state is IncidentState.OPEN
    assert said[0].incident.resolved_at is None


def test_what_returns_much_later_is_news():
    world, one = World(), finding()
    opened = world.tick(T0 + MINUTE, one)[0].incident
    world.tick(T0 + 2 * MINUTE, close(one, T0 + 2 * MINUTE))
    world.tick(T0 + 5 * MINUTE)
    world.tick(T0 + 60 * MINUTE)
    said = world.tick(T0 + 62 * MINUTE, finding(start=T0 + 61 * MINUTE))
    assert [each.action for each in said] == ["open"]
    assert said[0].incident.id != opened.id


def test_late_findings_open_late_and_stop_being_late_when_they_still_hold():
    world, one = World(), finding()
    said = world.tick(T0 + 60 * MINUTE, one)
    assert said[0].incident.late
    again = world.tick(T0 + 61 * MINUTE, replace(one, phase=Phase.UPDATE, time=T0 + 60 * MINUTE))
    assert [(each.action, each.incident.late) for each in again] == [("update", False)]


def test_late_findings_that_are_over_stay_late_and_resolve():
    world, one = World(), finding()
    world.fold(one, at=T0 + 60 * MINUTE)
    said = world.tick(T0 + 60 * MINUTE, close(one, T0 + 2 * MINUTE))
    assert [(each.action, each.incident.late) for each in said] == [("resolve", True)]


def test_people_acknowledge_and_resolve():
    world, one = World(), finding()
    opened = world.tick(T0 + MINUTE, one)[0].incident
    ack = human_action("main", opened.id, "ack", by="ann", at=T0 + 2 * MINUTE)
    said = world.reducer.fold(ack, world.catalog)
    assert [(each.action, each.by, each.incident.state) for each in said] == [
        ("acknowledge", "ann", IncidentState.ACKNOWLEDGED)
    ]
    assert world.reducer.fold(ack, world.catalog) == []
    done = world.reducer.fold(human_action("main", opened.id, "resolve", by="bob", at=T0 + 3 * MINUTE), world.catalog)
    assert [(each.action, each.incident.resolved_at) for each in done] == [("resolve", T0 + 3 * MINUTE)]
    later = world.tick(T0 + 4 * MINUTE, replace(one, phase=Phase.UPDATE, time=T0 + 4 * MINUTE))
    assert [each.action for each in later] == ["refresh"]
    assert world.reducer.fold(human_action("main", "inc-none", "ack", by="x", at=0), world.catalog) == []


def test_bad_actions_are_refused():
    with pytest.raises(BadInput):
        human_action("main", "i", "explode", by="x", at=0)
    with pytest.raises(BadInput):
        World().reducer.fold(Control.of("incident", b"[]"), Catalog())


def test_tenants_never_meet():
    world = World()
    said = world.tick(T0 + MINUTE, finding(), latency(tenant="other"))
    assert sorted((each.incident.tenant, len(each.incident.findings)) for each in said) == [("main", 1), ("other", 1)]


def test_a_new_spec_takes_effect():
    world = World()
    support = MonitorSpec(name="p95-latency", signal="*", role="support")
    spec = world.spec.model_copy(update={"monitors": [support]})
    world.reducer.fold(spec.control(), world.catalog)
    assert world.tick(T0 + MINUTE, latency()) == []


def test_hostile_text_is_stripped_and_bounded():
    world = World()
    labels = {"service.name": "bad\x1b[31m\n\u202e" + "x" * 5000}
    said = world.tick(
        T0 + MINUTE, finding(labels=labels), events=[event("deploy", labels["service.name"], "\x00" * 9999, T0)]
    )
    incident = said[0].incident
    texts = [incident.title, incident.statement, *incident.entities, *(c.what for c in incident.causes)]
    assert all("\x1b" not in text and "\n" not in text and "\u202e" not in text for text in texts)
    assert len(incident.title) <= 160
    assert len(incident.entities[0]) <= 200


def storm(n):
    return [
        finding("errors", f"signal-{i % 50}", {"service.name": f"service-{i}"}, start=T0 + i * SECOND // 1000)
        for i in range(n)
    ]


def test_a_storm_of_unrelated_findings_is_a_handful_of_incidents_quickly():
    world = World()
    rows = storm(10_000)
    outputs = [
        world.output(*rows[i : i + 50], at=T0 + i * SECOND // 1000, tick=i % 1000 == 0) for i in range(0, 10_000, 50)
    ]
    began = time.process_time()
    said = [each for output in outputs for each in world.reducer.fold(output, world.catalog)]
    spent = time.process_time() - began
    incidents = {each.incident.id: each.incident for each in said}
    assert len(incidents) <= 10
    biggest = max(incidents.values(), key=lambda each: each.impact["findings"])
    assert biggest.title.startswith("Many things at once")
    assert len(biggest.findings) <= 200
    assert spent < 20  # a guard against quadratic growth; the figure itself is a benchmark's
    assert len(world.reducer.snapshot()) < 3_000_000


def test_what_is_beyond_all_bounds_is_counted_not_kept(monkeypatch):
    monkeypatch.setattr(group, "MAX_MEMBERS", 5)
    monkeypatch.setattr(group, "MAX_OTHERS", 5)
    world = World()
    rows = [finding(f"m-{i}", f"s-{i}", BOT, start=T0 + i) for i in range(20)]
    before = REGISTRY.get_sample_value("tocsin_correlate_findings_unkept_total")
    said = world.tick(T0 + MINUTE, *rows)
    assert REGISTRY.get_sample_value("tocsin_correlate_findings_unkept_total") - before == 10
    assert (len(said[0].incident.findings), said[0].incident.impact["findings"]) == (5, 10)


def test_a_storm_on_one_host_is_one_incident():
    world = World()
    rows = [finding(f"m-{i}", f"s-{i}", BOT, start=T0 + i * 1_000_000) for i in range(1000)]
    said = [each for row in rows for each in world.fold(row, at=T0 + MINUTE)]
    said += world.tick(T0 + 2 * MINUTE)
    assert len({each.incident.id for each in said}) == 1
    assert said[-1].incident.impact["findings"] == 1000


def test_replay_gives_the_same_ids():
    one, two = World(), World()
    first = [told(one.fold(*findings, **rest)) for findings, rest in story()]
    assert first == [told(two.fold(*findings, **rest)) for findings, rest in story()]
    assert isinstance(one.reducer, Reducer)


def test_a_finding_that_got_milder_still_tells_its_worst():
    world = World()
    first = finding(value=3100.0)
    worst = replace(first, phase=Phase.UPDATE, value=9000.0, log10_p=-40.0, time=T0 + 2 * MINUTE)
    milder = replace(first, phase=Phase.UPDATE, value=1090.0, log10_p=-1.0, time=T0 + 3 * MINUTE)
    for minute, news in enumerate((first, worst, milder), start=1):
        said = world.fold(news, at=T0 + minute * MINUTE, tick=True)
    incident = said[-1].incident
    assert "(now 1,090 tokens, at worst 9,000 tokens, expected 900 to 1,100 tokens)" in incident.statement
    (kept,) = incident.findings
    assert kept.value == 1090.0
    assert (kept.evidence["worst.value"], kept.evidence["worst.log10_p"]) == (9000.0, -40.0)


def test_a_finding_at_its_worst_says_one_value_and_one_without_a_rank_says_no_worst():
    world = World()
    first = finding(value=3100.0)
    worse = replace(first, phase=Phase.UPDATE, value=9000.0, log10_p=-40.0, time=T0 + 2 * MINUTE)
    for minute, news in enumerate((first, worse), start=1):
        said = world.fold(news, at=T0 + minute * MINUTE, tick=True)
    assert "at worst" not in said[-1].incident.statement
    fixed = replace(finding(monitor="limit"), log10_p=math.nan)
    again = replace(fixed, phase=Phase.UPDATE, time=T0 + 2 * MINUTE)
    world = World()
    for minute, news in enumerate((fixed, again), start=1):
        said = world.fold(news, at=T0 + minute * MINUTE, tick=True)
    assert "worst.value" not in said[-1].incident.findings[0].evidence
