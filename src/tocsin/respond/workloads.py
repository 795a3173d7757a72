"""Actions on Kubernetes: rolling restart, scale, cordon; each states absolutely what is to be, so twice is once."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, Final

from tocsin.model.errors import Refused
from tocsin.model.times import time_to_json
from tocsin.respond.kubernetes import Kubernetes, settle
from tocsin.respond.matching import filled
from tocsin.respond.ports import Order, Plan

RESTARTED: Final = "kubectl.kubernetes.io/restartedAt"
_KINDS: Final = {"deployment": "deployments", "statefulset": "statefulsets"}


def _version(found: dict[str, Any]) -> str:
    return str(found["metadata"]["resourceVersion"])


def _workload(api: Kubernetes, order: Order, part: str = "") -> tuple[str, str]:
    """What is meant, in words, and its path."""
    spec = order.spec
    name = filled(spec.name, order.labels)
    return f"{spec.namespace}/{name}", api.path("apps/v1", _KINDS[spec.kind], name, spec.namespace, part)


class Restart:
    """A new pod template by its `restartedAt`, as `kubectl rollout restart` does it; it can't be taken back."""

    def __init__(self, api: Kubernetes) -> None:
        self._api = api

    async def plan(self, order: Order) -> Plan:
        """Look whether the pods can be replaced one by one, and have the server check the change."""
        target, path = _workload(self._api, order)
        found = await self._api.get(path)
        spec, status = found.get("spec", {}), found.get("status", {})
        ready, wanted = int(status.get("readyReplicas", 0)), int(spec.get("replicas", 1))
        kind = spec.get("strategy", spec.get("updateStrategy", {})).get("type", "RollingUpdate")
        if kind != "RollingUpdate":
            raise Refused(f"{target} is replaced by {kind}: its pods would all be gone at once")
        if spec.get("paused"):
            raise Refused(f"the rollout of {target} is paused")
        if ready < order.spec.least_ready:
            raise Refused(f"{ready} of {wanted} pods of {target} are ready, and {order.spec.least_ready} must be")
        if int(status.get("observedGeneration", 0)) < int(found["metadata"].get("generation", 0)):
            raise Refused(f"a rollout of {target} is under way")
        if int(status.get("updatedReplicas", wanted)) < wanted:
            raise Refused(
                f"a rollout of {target} is under way: {status.get('updatedReplicas')} of {wanted} pods are new"
            )
        after = {"restarted_at": time_to_json(order.at)}
        await self._api.patch(path, _version(found), self._change(after), dry_run=True)
        before = {"restarted_at": _restarted(found), "ready": ready, "replicas": wanted}
        return Plan(target, f"restart {target}, {wanted} pods one after another", before, after, undo=False)

    @staticmethod
    def _change(after: Any) -> dict[str, Any]:
        return {"spec": {"template": {"metadata": {"annotations": {RESTARTED: after["restarted_at"]}}}}}

    async def run(self, order: Order, plan: Plan) -> str:
        """Restart, unless that was done."""
        return await settle(partial(self._restart, order, plan))

    async def _restart(self, order: Order, plan: Plan) -> str:
        target, path = _workload(self._api, order)
        found = await self._api.get(path)
        if _restarted(found) == plan.after["restarted_at"]:
            return f"{target} was restarted already"
        await self._api.patch(path, _version(found), self._change(plan.after))
        return f"{target} is being restarted"

    async def undo(self, order: Order, plan: Plan) -> str:
        """Not possible."""
        raise Refused(f"the restart of {plan.target} of {order.incident.id} can't be taken back")


def _restarted(found: dict[str, Any]) -> str:
    annotations = found.get("spec", {}).get("template", {}).get("metadata", {}).get("annotations") or {}
    return str(annotations.get(RESTARTED, ""))


class Scale:
    """Another number of replicas; undone only while nobody else has changed it."""

    def __init__(self, api: Kubernetes) -> None:
        self._api = api

    async def plan(self, order: Order) -> Plan:
        """Look how many there are, and have the server check the new number."""
        target, path = _workload(self._api, order, "/scale")
        found = await self._api.get(path)
        now = int(found.get("spec", {}).get("replicas", 0))
        then = max(order.spec.least, min(order.spec.most, now + order.spec.by))
        if then == now or (then > now) != (order.spec.by > 0):
            raise Refused(
                f"{target} has {now} replicas; between {order.spec.least} and {order.spec.most} it goes no further"
            )
        await self._api.patch(path, _version(found), {"spec": {"replicas": then}}, dry_run=True)
        return Plan(target, f"scale {target} from {now} to {then} replicas", {"replicas": now}, {"replicas": then})

    async def run(self, order: Order, plan: Plan) -> str:
        """Set the number."""
        return await settle(partial(self._set, order, int(plan.before["replicas"]), int(plan.after["replicas"])))

    async def undo(self, order: Order, plan: Plan) -> str:
        """Set the number that was before."""
        return await settle(partial(self._set, order, int(plan.after["replicas"]), int(plan.before["replicas"])))

    async def _set(self, order: Order, old: int, new: int) -> str:
        target, path = _workload(self._api, order, "/scale")
        found = await self._api.get(path)
        now = int(found.get("spec", {}).get("replicas", 0))
        if now == new:
            return f"{target} has {new} replicas"
        if now != old:
            raise Refused(f"{target} has {now} replicas, not {old}: somebody else has changed it, and it is left so")
        await self._api.patch(path, _version(found), {"spec": {"replicas": new}})
        return f"{target} is scaled from {old} to {new} replicas"


class Cordon:
    """Puts no new pods on a node."""

    def __init__(self, api: Kubernetes) -> None:
        self._api = api

    async def plan(self, order: Order) -> Plan:
        """Look how many nodes are out already, and have the server check the change."""
        name = filled(order.spec.node, order.labels)
        path = self._api.path("core/v1", "nodes", name, None)
        found = await self._api.get(path)
        if found.get("spec", {}).get("unschedulable"):
            raise Refused(f"the node {name} is cordoned already")
        nodes = (await self._api.get(path.rsplit("/", 1)[0])).get("items", [])
        out = sum(bool(each.get("spec", {}).get("unschedulable")) for each in nodes) + 1
        if out > order.spec.most_share * len(nodes):
            raise Refused(f"{out} of {len(nodes)} nodes would be out, and {order.spec.most_share:.0%} may be")
        await self._api.patch(path, _version(found), {"spec": {"unschedulable": True}}, dry_run=True)
        said = f"cordon the node {name}, then {out} of {len(nodes)} are out"
        return Plan(name, said, {"unschedulable": False}, {"unschedulable": True})

    async def run(self, order: Order, plan: Plan) -> str:
        """Cordon it."""
        return await settle(partial(self._set, order, plan.after))

    async def undo(self, order: Order, plan: Plan) -> str:
        """Take pods again."""
        return await settle(partial(self._set, order, plan.before))

    async def _set(self, order: Order, to: Mapping[str, Any]) -> str:
        wanted, name = bool(to["unschedulable"]), filled(order.spec.node, order.labels)
        path = self._api.path("core/v1", "nodes", name, None)
        found = await self._api.get(path)
        words = f"the node {name} is {'cordoned' if wanted else 'open to pods again'}"
        if bool(found.get("spec", {}).get("unschedulable")) != wanted:
            await self._api.patch(path, _version(found), {"spec": {"unschedulable": wanted}})
        return words
