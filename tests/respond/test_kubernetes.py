"""Restart, scale, cordon and weights of an HTTPRoute, on an API server that refuses what the real one refuses."""

import pytest

from incident_world import T0
from kubernetes_peer import APPS, CORE, GATEWAY, RESTARTED, TOKEN, KubernetesPeer, deployment, node, route
from remedy_world import NEW, incident, play
from ticket_peers import served
from tocsin.model.errors import Refused, Retryable
from tocsin.notify.guard import GuardedClient
from tocsin.respond.kubernetes import Kubernetes
from tocsin.respond.ports import Order
from tocsin.respond.weights import Gateway, Shift
from tocsin.respond.workloads import Cordon, Restart, Scale
from tocsin.spec.playbook import CordonAction, KubernetesSpec, RestartAction, ScaleAction, TrafficWeightAction

LLM = f"{APPS}/namespaces/serving/deployments/llm"
CHAT = f"{GATEWAY}/namespaces/serving/httproutes/chat"
ACTS = {
    RestartAction: Restart,
    ScaleAction: Scale,
    CordonAction: Cordon,
    TrafficWeightAction: lambda api: Shift(Gateway(api)),
}
RESTART = RestartAction(type="rolling_restart", namespace="serving", name="${k8s.deployment.name}")
SCALE = ScaleAction(type="scale", namespace="serving", name="llm", by=2, most=6)
CORDON = CordonAction(type="cordon", node="${host.name}")
SHIFT = TrafficWeightAction(
    type="traffic_weight", via="gateway", namespace="serving", route="chat", variant="${gen_ai.request.model}", factor=0.5, fallback="stable"
)  # fmt: skip


def cluster():
    nodes = [node(f"gpu-{n}") for n in range(4)]
    return KubernetesPeer().add(deployment(), route(), *nodes)


def acting(spec, story, peer=None, labels=None, token=TOKEN, namespaces=("serving",)):
    peer = peer or cluster()

    async def run():
        async with served(peer):
            config = KubernetesSpec(url=peer.url, namespaces=list(namespaces), nodes=True)
            client = GuardedClient(["127.0.0.0/8"])
            try:
                act = ACTS[type(spec)](Kubernetes(client, config, lambda: token))
                told = {**NEW, "host.name": "gpu-1", **(labels or {})}
                await story(act, Order("act-1", spec, told, incident(), {}, T0), peer)
            finally:
                await client.close()

    play(run())


def replicas(peer):
    return peer.objects[LLM]["spec"]["replicas"]


def weights(peer):
    return [ref["weight"] for ref in peer.objects[CHAT]["spec"]["rules"][0]["backendRefs"]]


def test_a_rolling_restart_is_planned_dry_and_made_once_however_often_it_is_run():
    async def story(act, order, peer):
        plan = await act.plan(order)
        assert (plan.target, plan.undo, peer.writes, peer.dry_runs) == ("serving/llm", False, [], 1)
        assert "being restarted" in await act.run(order, plan)
        assert "restarted already" in await act.run(order, plan)
        ((path, _),) = peer.writes
        found = peer.objects[path]
        assert found["spec"]["template"]["metadata"]["annotations"][RESTARTED] == plan.after["restarted_at"]
        with pytest.raises(Refused, match="under way"):
            await act.plan(order)
        peer.roll(LLM)
        await act.plan(order)
        with pytest.raises(Refused, match="can't be taken back"):
            await act.undo(order, plan)

    acting(RESTART, story)


@pytest.mark.parametrize(
    ("there", "why"),
    [
        (deployment(ready=1), "1 of 3 pods of serving/llm are ready, and 2 must be"),
        (deployment(strategy="Recreate"), "its pods would all be gone at once"),
        (deployment("other"), "not found"),
    ],
)
def test_a_restart_that_would_hurt_is_not_begun(there, why):
    async def story(act, order, peer):
        with pytest.raises(Refused, match=why):
            await act.plan(order)
        assert peer.writes == []

    acting(RESTART, story, KubernetesPeer().add(there))


def test_replicas_are_set_within_bounds_and_put_back():
    async def story(act, order, peer):
        plan = await act.plan(order)
        assert (plan.before, plan.after, peer.dry_runs) == ({"replicas": 3}, {"replicas": 5}, 1)
        for _ in range(2):
            await act.run(order, plan)
        assert (replicas(peer), len(peer.writes)) == (5, 1)
        again = await act.plan(order)
        assert again.after == {"replicas": 6}, "no more than `most`"
        await act.undo(order, plan)
        assert replicas(peer) == 3

    acting(SCALE, story)


def test_what_somebody_else_changed_is_left_so():
    async def story(act, order, peer):
        plan = await act.plan(order)
        await act.run(order, plan)
        peer.touch(LLM, {"spec": {"replicas": 9}})
        with pytest.raises(Refused, match="has 9 replicas, not 5: somebody else has changed it"):
            await act.undo(order, plan)
        assert replicas(peer) == 9

    acting(SCALE, story)


def test_a_conflict_is_read_anew_and_a_lasting_one_is_told():
    async def story(act, order, peer):
        plan = await act.plan(order)
        conflicts = iter([True, True, False])
        peer.meddle = lambda found, path: found.touch(path, {"status": {}}) if next(conflicts) else None
        await act.run(order, plan)
        assert (replicas(peer), len(peer.writes)) == (5, 1)
        peer.meddle = lambda found, path: found.touch(path, {"status": {}})
        with pytest.raises(Retryable, match="409"):
            await act.undo(order, plan)

    acting(SCALE, story)


@pytest.mark.parametrize(("token", "why"), [("stolen", "401"), (TOKEN, 'cannot get resource "deployments/scale"')])
def test_rights_are_the_servers_to_give(token, why):
    peer = cluster()
    peer.rights -= {("get", "deployments/scale")}

    async def story(act, order, peer):
        with pytest.raises(Refused, match=why):
            await act.plan(order)

    acting(SCALE, story, peer, token=token)


def test_a_server_that_is_not_well_is_asked_again_later():
    peer = cluster()
    peer.down = 1

    async def story(act, order, peer):
        with pytest.raises(Retryable, match="leader changed"):
            await act.plan(order)
        await act.plan(order)

    acting(SCALE, story, peer)


def test_only_namespaces_that_may_be_touched_are():
    async def story(act, order, peer):
        with pytest.raises(Refused, match="not among"):
            await act.plan(order)
        assert peer.asked == []

    acting(SCALE, story, namespaces=("other",))


@pytest.mark.parametrize("name", ["../../secrets/x", "a/b", "llm?x", "%2e%2e", "LLM", ""])
def test_a_hostile_label_names_nothing(name):
    async def story(act, order, peer):
        with pytest.raises(Refused):
            await act.plan(order)
        assert peer.asked == []

    acting(RESTART, story, labels={"k8s.deployment.name": name})


def test_a_node_is_cordoned_while_few_are_out_and_opened_again():
    async def story(act, order, peer):
        path = f"{CORE}/nodes/gpu-1"
        plan = await act.plan(order)
        assert "1 of 4 are out" in plan.said
        for _ in range(2):
            await act.run(order, plan)
        assert (peer.objects[path]["spec"]["unschedulable"], len(peer.writes)) == (True, 1)
        other = Order("act-2", order.spec, {"host.name": "gpu-2"}, order.incident, {}, T0)
        with pytest.raises(Refused, match="2 of 4 nodes would be out, and 25% may be"):
            await act.plan(other)
        await act.undo(order, plan)
        assert peer.objects[path]["spec"]["unschedulable"] is False

    acting(CORDON, story)


def test_an_http_route_gives_half_of_a_variants_weight_to_the_fallback_and_takes_it_back():
    async def story(act, order, peer):
        plan = await act.plan(order)
        assert (weights(peer), peer.dry_runs) == ([80, 20], 1)
        assert plan.said == "move traffic of llama-new to stable: 80% becomes 40%"
        for _ in range(2):
            await act.run(order, plan)
        assert (weights(peer), len(peer.writes)) == ([40, 60], 1)
        assert "metrics" in str(peer.objects[CHAT]["spec"]["rules"][1]), "the other rules stay"
        await act.undo(order, plan)
        assert weights(peer) == [80, 20]
        peer.add(route(weights=(("llama-new", 10), ("stable", 90))))
        with pytest.raises(Refused, match="somebody else has changed them"):
            await act.run(order, plan)

    acting(SHIFT, story)


def test_a_variant_that_no_rule_has_is_no_place_to_shift_from():
    async def story(act, order, peer):
        with pytest.raises(Refused, match="no rule of the route sends to both"):
            await act.plan(order)

    acting(SHIFT, story, labels={"gen_ai.request.model": "gone"})
