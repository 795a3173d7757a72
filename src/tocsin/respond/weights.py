"""Weights of traffic, moved from a variant to a fallback: by an HTTPRoute, by Envoy's runtime, by nginx's API.

References: https://gateway-api.sigs.k8s.io/reference/spec/ (HTTPBackendRef.weight, 1 where none is given),
https://www.envoyproxy.io/docs/envoy/latest/operations/admin (runtime, runtime_modify),
https://nginx.org/en/docs/http/ngx_http_api_module.html (upstream servers).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final, Protocol
from urllib.parse import quote

from tocsin.model.errors import Refused, Retryable
from tocsin.model.text import one_line
from tocsin.respond.call import accepted
from tocsin.respond.kubernetes import Kubernetes, settle
from tocsin.respond.matching import filled
from tocsin.respond.ports import Http, Order, Plan

SCALES: Final = (1, 10, 100)
GATEWAY: Final = "gateway.networking.k8s.io/v1"
Weights = dict[str, int]
"""By the name of each backend."""


def moved(weights: Mapping[str, int], variant: str, fallback: str, factor: float) -> Weights:
    """Weights after a variant's is taken times `factor`, the rest given to the fallback; the sum keeps its share.

    Raises
    ------
    Refused
        One of them is not there, or the variant has no traffic.

    >>> moved({"a": 1, "b": 1}, "a", "b", 0.5)
    {'a': 5, 'b': 15}
    >>> moved({"a": 90, "b": 10, "c": 3}, "a", "b", 0.5)
    {'a': 45, 'b': 55, 'c': 3}
    """
    for name in (variant, fallback):
        if name not in weights:
            there = ", ".join(one_line(each, 60) for each in sorted(weights)[:8])
            raise Refused(f"no backend is called {one_line(name, 60)!r}; there are {there or 'none'}")
    if variant == fallback:
        raise Refused(f"{variant} is the fallback itself")
    if weights[variant] <= 0:
        raise Refused(f"{variant} has no traffic to take")
    scale = next((s for s in SCALES if (weights[variant] * s * factor).is_integer()), SCALES[-1])
    found = {name: weight * scale for name, weight in weights.items()}
    kept = round(found[variant] * factor)
    found[fallback] += found[variant] - kept
    found[variant] = kept
    return found


class Splitter(Protocol):
    """A place that holds weights."""

    async def read(self, order: Order) -> list[Weights]:
        """The weights as they are now, of each rule that splits between the two."""

    async def write(self, order: Order, old: Sequence[Weights], new: Sequence[Weights], *, dry_run: bool) -> None:
        """Set them, if they are still `old`."""


class Shift:
    """Takes traffic from a variant and gives it to a fallback, at a place that holds weights."""

    def __init__(self, place: Splitter) -> None:
        self._place = place

    async def plan(self, order: Order) -> Plan:
        """Read the weights and reckon the new ones."""
        variant, fallback = filled(order.spec.variant, order.labels), order.spec.fallback
        before = await self._place.read(order)
        after = [moved(each, variant, fallback, order.spec.factor) for each in before]
        await self._place.write(order, before, after, dry_run=True)
        said = f"move traffic of {variant} to {fallback}: {_words(before, variant)} becomes {_words(after, variant)}"
        return Plan(
            variant, said, {"weights": before}, {"weights": after, "factor": order.spec.factor, "fallback": fallback}
        )

    async def run(self, order: Order, plan: Plan) -> str:
        """Set the new weights."""
        return await settle(partial(self._set, order, plan.before["weights"], plan.after["weights"]))

    async def undo(self, order: Order, plan: Plan) -> str:
        """Set the weights of before."""
        return await settle(partial(self._set, order, plan.after["weights"], plan.before["weights"]))

    async def _set(self, order: Order, old: Sequence[Weights], new: Sequence[Weights]) -> str:
        now = await self._place.read(order)
        shown = "; ".join(", ".join(f"{name} {weight}" for name, weight in each.items()) for each in new)
        if now == list(new):
            return f"the weights are {shown}"
        if now != list(old) and not _between(now, old, new):
            raise Refused(
                "the weights are others than were found: somebody else has changed them, and they are left so"
            )
        await self._place.write(order, now, new, dry_run=False)
        return f"the weights are {shown}"


def _between(now: Sequence[Weights], old: Sequence[Weights], new: Sequence[Weights]) -> bool:
    """Whether each weight is an old or a new one: a change that was cut off half-way."""
    if [list(each) for each in now] != [list(each) for each in old]:
        return False
    return all(w[k] in (o[k], n[k]) for w, o, n in zip(now, old, new, strict=True) for k in w)


def _words(weights: Sequence[Weights], variant: str) -> str:
    return ", ".join(f"{each[variant] / sum(each.values()):.0%}" for each in weights)


class Gateway:
    """The weights of the backends of an HTTPRoute."""

    def __init__(self, api: Kubernetes) -> None:
        self._api = api

    async def read(self, order: Order) -> list[Weights]:
        """Weights of each rule that sends to both."""
        return [_weights(rule) for rule in self._split(await self._route(order), order)]

    async def write(self, order: Order, old: Sequence[Weights], new: Sequence[Weights], *, dry_run: bool) -> None:
        """Patch the rules of the version that was read."""
        route = await self._route(order)
        rules = self._split(route, order)
        if [_weights(rule) for rule in rules] != list(old):
            raise Retryable("the route was changed while it was read")
        for rule, weights in zip(rules, new, strict=True):
            for ref in rule["backendRefs"]:
                ref["weight"] = weights[ref["name"]]
        version = str(route["metadata"]["resourceVersion"])
        await self._api.patch(self._path(order), version, {"spec": {"rules": route["spec"]["rules"]}}, dry_run=dry_run)

    def _path(self, order: Order) -> str:
        return self._api.path(GATEWAY, "httproutes", filled(order.spec.route, order.labels), order.spec.namespace)

    async def _route(self, order: Order) -> dict[str, Any]:
        return await self._api.get(self._path(order))

    @staticmethod
    def _split(route: Mapping[str, Any], order: Order) -> list[dict[str, Any]]:
        wanted = {filled(order.spec.variant, order.labels), order.spec.fallback}
        rules = route.get("spec", {}).get("rules", [])
        found = [rule for rule in rules if wanted <= {ref["name"] for ref in rule.get("backendRefs", [])}]
        if not found:
            raise Refused(f"no rule of the route sends to both of {', '.join(sorted(wanted))}")
        return found


def _weights(rule: Mapping[str, Any]) -> Weights:
    return {ref["name"]: int(ref.get("weight", 1)) for ref in rule["backendRefs"]}


class Envoy:
    """The runtime keys of weighted clusters, by the admin interface."""

    def __init__(self, http: Http) -> None:
        self._http = http

    async def read(self, order: Order) -> list[Weights]:
        """The two weights as the runtime has them."""
        reply = accepted(
            await self._http.ask("GET", f"{order.spec.url.rstrip('/')}/runtime?format=json", None, {}), "the runtime"
        )
        entries = _json(reply.body, "the runtime").get("entries", {})
        found: Weights = {}
        for name in (filled(order.spec.variant, order.labels), order.spec.fallback):
            value = str(entries.get(f"{order.spec.prefix}.{name}", {}).get("final_value", ""))
            if not value.isdigit():
                raise Refused(
                    f"the runtime has no weight {order.spec.prefix}.{one_line(name, 60)}; give it one in a layer"
                )
            found[name] = int(value)
        return [found]

    async def write(self, order: Order, old: Sequence[Weights], new: Sequence[Weights], *, dry_run: bool) -> None:
        """Set both in one call."""
        if dry_run or list(old) == list(new):
            return
        pairs = "&".join(f"{quote(f'{order.spec.prefix}.{name}', safe='')}={weight}" for name, weight in new[0].items())
        url = f"{order.spec.url.rstrip('/')}/runtime_modify?{pairs}"
        accepted(await self._http.ask("POST", url, b"", {}), "the runtime")


class Nginx:
    """The weights of the servers of an upstream; they are whole and at least 1."""

    def __init__(self, http: Http) -> None:
        self._http = http

    async def read(self, order: Order) -> list[Weights]:
        """The weights of all servers of the upstream."""
        return [{server: weight for server, (_, weight) in (await self._servers(order)).items()}]

    async def write(self, order: Order, old: Sequence[Weights], new: Sequence[Weights], *, dry_run: bool) -> None:
        """Set what is another, one server after the other."""
        if min(new[0].values()) < 1:
            raise Refused("a server's weight would be below 1; give weights in hundreds")
        servers = await self._servers(order)
        for name, weight in new[0].items():
            number, _ = servers[name]
            if old[0].get(name) == weight or dry_run:
                continue
            body, headers = json.dumps({"weight": weight}).encode(), {"content-type": "application/json"}
            url = f"{order.spec.url.rstrip('/')}/{number}"
            accepted(await self._http.ask("PATCH", url, body, headers), "the upstream")

    async def _servers(self, order: Order) -> dict[str, tuple[int, int]]:
        reply = accepted(await self._http.ask("GET", order.spec.url, None, {}), "the upstream")
        found = _json(reply.body, "the upstream")
        if not isinstance(found, list):
            raise Refused("the address gives no list of servers; it ends in /upstreams/NAME/servers")
        return {str(each["server"]): (int(each["id"]), int(each.get("weight", 1))) for each in found}


def _json(body: bytes, what: str) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        raise Refused(f"{what} does not answer with JSON") from None
