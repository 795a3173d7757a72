"""From a matched incident to a proven action: approval, limits, switches, proof and taking back."""

import json
from dataclasses import replace

import pytest

from incident_world import MINUTE
from notify_server import http_server
from remedy_world import MONITOR, NEW, OTHER, STABLE, World, incident, play, slow, windows
from tocsin.model.errors import BadInput
from tocsin.model.finding import Phase
from tocsin.model.incident import IncidentState
from tocsin.model.security import KIND, SECURITY

CONFIG = """
remediation: {{enabled: true, {main}}}
playbooks:
  - name: shift
    when: {{monitor: variant-p95, rise: 200%, cause: model}}
    require:
      - {{signal: system.cpu.utilization, below: 85%}}
      - {{signal: system.memory.utilization, below: 90%}}
      - {{provider: acme}}
    conclusion: model-specific degradation
    approved: {approved}
    action: {{type: traffic_weight, url: "{url}/weights", secret: s3cret, allow: [127.0.0.0/8], variant: "${{gen_ai.request.model}}", factor: 0.5, fallback: stable}}
    verify: {{after: 10m, {verify}}}
context: [{{name: acme, type: status_page, url: "https://status.example/summary.json"}}]
"""


def scenario(database, story, *, approved="true", main="per_hour: 6", verify="else: rollback", answers=()):
    async def run():
        async with http_server(*answers) as server:
            text = CONFIG.format(url=server.url, approved=approved, main=main, verify=verify)
            world = World(database, text)
            try:
                await story(world, server)
            finally:
                await world.close()

    play(run())


def posted(server):
    return [(json.loads(each.body)["operation"], each.headers["idempotency-key"]) for each in server.got]


def test_a_preapproved_shift_is_made_once_and_proven(database):
    async def story(world, server):
        world.put(incident())
        await world.step()
        remedy = world.only()
        assert (remedy.state, remedy.target, remedy.conclusion) == (
            "verifying",
            "llama-new",
            "model-specific degradation",
        )
        (got,) = server.got
        body = json.loads(got.body)
        assert (body["variant"], body["factor"], body["fallback"], body["operation"]) == (
            "llama-new",
            0.5,
            "stable",
            "apply",
        )
        assert (body["context"]["model"], body["context"]["endpoint"]) == ("llama-new", "gw-1")
        assert body["context"]["distribution"]["now"]["p95"] == 3.1
        assert {each["signal"] for each in body["context"]["platform"]} == {
            "system.cpu.utilization",
            "system.memory.utilization",
        }
        assert got.headers["idempotency-key"] == remedy.id
        assert got.headers["x-tocsin-signature"].startswith("v1=")
        for _ in range(5):
            await world.step(30)
        assert len(server.got) == 1
        assert world.only().state == "verifying"
        world.close_finding(slow())
        await world.step(30)
        assert world.only().state == "succeeded"
        assert "no control was named" in world.only().log[-1].what
        assert [name for name, _ in world.told()] == ["ops", "ops"]
        assert world.state.verify_audit() == len(world.only().log)
        kinds = [each.kind for each in world.state.incident_events("main", remedy.incident_id)]
        assert kinds == ["remedy"] * len(world.only().log)

    scenario(database, story)


def test_one_that_does_not_help_is_taken_back(database):
    async def story(world, server):
        world.put(incident())
        await world.step()
        await world.step(601)
        remedy = world.only()
        assert remedy.state == "rolled_back"
        assert posted(server) == [("apply", remedy.id), ("undo", f"{remedy.id}-undo")]
        assert "still out of line" in remedy.log[-2].what
        await world.step(3600)
        assert len(world.remedies()) == 1
        assert len(server.got) == 2

    scenario(database, story)


@pytest.mark.parametrize(
    ("control", "end", "said"),
    [((3.0, 3.0), "succeeded", "untouched 1.00 times"), ((3.0, 0.9), "rolled_back", "not the action's doing"), (None, "rolled_back", "no proof")],
)  # fmt: skip
def test_an_untouched_control_must_not_have_done_as_well(database, control, end, said):
    async def story(world, server):
        world.put(incident())
        await world.step()
        begun = world.only().begun_at
        await world.step(590)
        world.close_finding(slow())
        world.evidence.panes = [
            windows(NEW, 3.1, 0.9, begun),
            windows(STABLE, 1.0, 5.0, begun),  # takes the traffic: no control
            *([windows(OTHER, *control, begun)] if control else []),
        ]
        await world.step(11)
        assert world.only().state == end
        assert any(said in each.what for each in world.only().log)

    scenario(database, story, verify='else: rollback, control: {gen_ai.request.model: "*"}')


def test_what_ends_on_the_other_side_of_what_is_usual_is_judged_by_the_side_that_it_was_on(database):
    async def story(world, server):
        world.put(incident())
        await world.step()
        begun = world.only().begun_at
        await world.step(590)
        world.close_finding(slow(), value=0.7, direction="down")
        world.evidence.panes = [windows(NEW, 3.1, 0.7, begun), windows(OTHER, 1.0, 1.0, begun)]
        await world.step(11)
        assert world.only().state == "succeeded"

    scenario(database, story, verify='else: rollback, control: {gen_ai.request.model: "*"}')


def test_a_fallback_that_gets_slow_in_turn_is_no_help(database):
    async def story(world, server):
        first = slow()
        world.put(incident(first))
        await world.step()
        worse = slow(STABLE, start=world.clock.now() + MINUTE)
        (kept,) = world.state.incidents("main")
        world.put(replace(kept, findings=(*kept.findings, worse)))
        world.close_finding(first)
        await world.step(601)
        of = {each.target: each for each in world.remedies()}
        assert (of["llama-new"].state, "is out of line for" in of["llama-new"].log[-2].what) == ("rolled_back", True)
        assert "stable is the fallback itself" in of[""].log[-1].what

    scenario(database, story)


def test_what_is_not_known_to_be_normal_holds_it_back(database):
    async def story(world, server):
        world.evidence.values["system.memory.utilization"] = []
        world.put(incident())
        await world.step()
        assert world.only().state == "held"
        assert "what isn't known is not normal" in world.only().log[-1].what
        world.evidence.values["system.memory.utilization"] = [0.95]
        await world.step(11)
        assert len(world.only().log) == 1, "the same conditions stand against it: nothing new is written"
        world.evidence.values["system.memory.utilization"] = [0.5]
        world.evidence.green = (False, "API: degraded_performance")
        await world.step(11)
        assert "API: degraded_performance" in world.only().log[-1].what
        assert not server.got
        world.evidence.green = (True, "all is well")
        await world.step(11)
        assert world.only().state == "verifying"

    scenario(database, story)


def test_without_approval_nothing_is_done_and_the_proposer_cant_give_it(database):
    async def story(world, server):
        world.put(incident())
        await world.step()
        remedy = world.only()
        assert remedy.state == "waiting"
        assert world.told() == [("ops", f"shift: {remedy.log[-1].what}"[:399] + "…")] or world.told()[0][0] == "ops"
        world.responding.say("main", remedy.id, "reject", by="key-ann", note="not now")
        again = world.responding.propose("main", remedy.incident_id, "shift", by="key-ann", note="now")
        await world.step(11)
        with pytest.raises(BadInput, match="somebody else has to approve"):
            world.responding.say("main", again.id, "approve", by="key-ann", note="")
        await world.step(11)
        assert not server.got
        world.responding.say("main", again.id, "approve", by="key-bob", note="")
        await world.step(1)
        done = world.state.remedy("main", again.id)
        assert (done.state, done.approver, len(server.got)) == ("verifying", "key-bob", 1)
        with pytest.raises(BadInput, match="take it back with undo"):
            world.responding.say("main", again.id, "reject", by="key-bob", note="")

    scenario(database, story, approved="false")


def test_what_nobody_approves_in_time_is_over(database):
    async def story(world, server):
        world.put(incident())
        await world.step()
        await world.step(3601)
        assert world.only().state == "expired"

    scenario(database, story, approved="false")


def test_the_kill_switch_holds_all_but_what_a_person_takes_back(database):
    async def story(world, server):
        world.responding.stop(stopped=True, by="ann", note="game day")
        world.put(incident())
        await world.step()
        assert (world.only().state, world.only().checks[0].name) == ("held", "kill switch")
        await world.close()
        world.__init__(database, world.config.model_dump(by_alias=True))
        assert world.responding.switch().stopped, "it survives a restart"
        await world.step(60)
        assert not server.got
        world.responding.stop(stopped=False, by="ann", note="")
        await world.step(60)
        assert world.only().state == "verifying"
        world.responding.stop(stopped=True, by="ann", note="")
        await world.step(900)
        assert (world.only().state, len(server.got)) == ("undoing", 1), "judged, but not acted on"
        await world.step(60)
        assert len(server.got) == 1
        assert [each.action for each in world.state.audit_trail("main") if "remediation" in each.action] == [
            "remediation.stop",
            "remediation.resume",
            "remediation.stop",
        ]

    scenario(database, story)


def test_a_person_takes_back_whatever_is_stopped(database):
    async def story(world, server):
        world.put(incident())
        await world.step()
        world.responding.stop(stopped=True, by="ann", note="")
        world.responding.say("main", world.only().id, "undo", by="ann", note="enough")
        await world.step(1)
        assert (world.only().state, [each for each, _ in posted(server)]) == ("rolled_back", ["apply", "undo"])

    scenario(database, story)


def test_an_attack_is_never_answered(database):
    async def story(world, server):
        attack = slow(OTHER, monitor="client-coverage", evidence={KIND: SECURITY})
        world.put(incident(slow(), attack))
        await world.step()
        assert world.remedies() == []

    scenario(database, story)


def test_rate_and_blast_radius_are_held(database):
    async def story(world, server):
        two = [incident(slow({**NEW, "gen_ai.request.model": f"m-{n}"}), dedup_key=f"i{n}") for n in range(2)]
        world.put(*two)
        await world.step()
        states = {each.state for each in world.remedies()}
        assert states == {"held", "verifying"}
        held = next(each for each in world.remedies() if each.state == "held")
        assert "1 actions not settled, at most 1 at once" in held.log[-1].what
        first = next(each for each in world.remedies() if each.state == "verifying")
        (kept,) = [each for each in world.state.incidents("main") if each.id == first.incident_id]
        world.put(replace(kept, state=IncidentState.RESOLVED))
        await world.step(601)
        await world.step(11)
        assert "1 actions in the last hour, at most 1" in world.state.remedy("main", held.id).log[-1].what

    scenario(database, story, main="per_hour: 1")


def test_a_dry_run_says_what_it_would_do_and_does_nothing(database):
    async def story(world, server):
        world.put(incident())
        await world.step()
        assert world.only().state == "dry_run"
        assert "dry run: would ask http://127.0.0.1" in world.only().log[-1].what
        await world.step(900)
        assert (len(world.remedies()), server.got) == (1, [])

    scenario(database, story, main="dry_run: true")


def test_nothing_is_proposed_while_remediation_is_off(database):
    async def story(world, server):
        off = {"enabled": False}
        world.responding.adopt(world.config.model_copy(update={"remediation": type(world.config.remediation)(**off)}))
        world.put(incident())
        await world.step()
        assert world.remedies() == []

    scenario(database, story)


def test_a_peer_that_is_down_is_asked_again_with_the_same_key_and_then_put_back(database):
    async def story(world, server):
        world.put(incident())
        await world.step()
        for _ in range(7):
            await world.step(70)
        remedy = world.only()
        keys = {key for operation, key in posted(server) if operation == "apply"}
        assert keys == {remedy.id}
        assert remedy.state == "rolled_back"

    scenario(database, story, answers=[(503, {}, b"later")] * 6 + [(200, {}, b"ok")])


def test_one_that_is_refused_failed_and_people_are_told(database):
    async def story(world, server):
        world.put(incident())
        await world.step()
        assert world.only().state == "failed"
        assert "answered 403: no" in world.told()[-1][1]

    scenario(database, story, answers=[(403, {}, b"no")])


def test_it_is_for_what_the_playbook_says(database):
    async def story(world, server):
        less = slow(evidence={"times_expected": 2.9})
        other = slow(monitor="p95-latency")
        elsewhere = replace(incident(slow(start=1)), causes=())
        for each in (incident(less), incident(other), elsewhere, replace(incident(), tenant="acme")):
            world.put(each)
        await world.step()
        assert world.remedies() == []
        assert MONITOR == "variant-p95"

    scenario(database, story)


def test_a_playbook_acts_for_the_tenants_that_it_names_and_one_tenants_findings_prove_nothing_for_another(database):
    theirs = replace(incident(), tenant="acme", id="inc-acme")

    async def story(world, server):
        world.put(incident(), theirs)
        await world.step()
        assert world.remedies() == [], "main is not named"
        (remedy,) = world.state.remedies("acme")
        assert (remedy.state, len(server.got)) == ("verifying", 1)
        # theirs is over; the same series of the same monitor of the other tenant is still out of line
        closed = tuple(replace(each, phase=Phase.CLOSE, value=0.9) for each in theirs.findings)
        world.put(replace(theirs, findings=closed, updated_at=world.clock.now()))
        await world.step(30)
        (remedy,) = world.state.remedies("acme")
        assert (remedy.state, len(server.got)) == ("succeeded", 1)
        with pytest.raises(BadInput, match=r"no playbook is called 'shift'; there are: none"):
            world.responding.propose("main", incident().id, "shift", by="ann", note="")
        assert world.responding.propose("main", "inc-acme", "shift", by="ann", note="") is None, "not theirs to see"
        assert [[each.name for each in world.responding.playbooks(name)] for name in ("main", "acme")] == [
            [],
            ["shift"],
        ]

    scenario(database, story, approved="true\n    tenants: [acme]")


def test_a_tenant_that_is_taken_out_of_a_playbook_is_no_longer_acted_for(database):
    async def story(world, server):
        world.put(replace(incident(), tenant="acme", id="inc-acme"))
        await world.step()
        assert world.state.remedies("acme")[0].state == "waiting"
        config = world.config.model_copy(deep=True)
        config.playbooks[0].tenants[:] = ["main"]
        world.responding.adopt(config)
        world.responding.say("acme", world.state.remedies("acme")[0].id, "approve", by="bob", note="")
        await world.step(30)
        assert (world.state.remedies("acme")[0].state, server.got) == ("over", [])

    scenario(database, story, approved="false\n    tenants: [acme]")


def test_what_lay_for_over_a_day_is_for_people(database):
    async def story(world, server):
        world.put(incident())
        await world.step()
        await world.step(26 * 3600)
        assert (world.only().state, len(server.got)) == ("failed", 1)
        assert "look whether something has to be put back" in world.told()[-1][1]

    scenario(database, story)


def test_a_later_finding_of_the_same_incident_is_acted_on_in_its_turn(database):
    async def story(world, server):
        first, second = slow(), slow(OTHER, start=slow().start + MINUTE)
        world.put(incident(first, second))
        await world.step()
        assert world.only().target == "llama-new"
        world.close_finding(first)
        await world.step(30)
        await world.step(30)
        assert {each.target: each.state for each in world.remedies()} == {
            "llama-new": "succeeded",
            "llama-old": "verifying",
        }

    scenario(database, story)
