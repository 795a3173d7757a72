"""Actions that ask another program: traffic weight, re-index, retrain and plain webhooks, signed, with one key."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from tocsin.model.clock import SECOND
from tocsin.model.errors import Refused, Retryable
from tocsin.model.times import time_to_json
from tocsin.respond.matching import filled, in_address
from tocsin.respond.ports import Http, Order, Plan, Reply
from tocsin.spec.playbook import action_fields

_AGAIN: Final = frozenset({408, 409, 425, 429})
Sign = Callable[[str, str, bytes], Mapping[str, str]]
"""From secret, time stamp and body to headers."""


def accepted(reply: Reply, what: str) -> Reply:
    """An answer that says yes.

    Raises
    ------
    Retryable
        It says: later.
    Refused
        It says no.
    """
    if 200 <= reply.status < 300:
        return reply
    text = f"{what} answered {reply.status}: {reply.text()}"
    if reply.status in _AGAIN or reply.status >= 500:
        raise Retryable(text)
    raise Refused(text)


class Call:
    """Posts what to do; who is asked takes an `idempotency-key` it has seen for done."""

    def __init__(self, http: Http, sign: Sign) -> None:
        self._http = http
        self._sign = sign

    async def plan(self, order: Order) -> Plan:
        """What would be asked, and of whom."""
        url = filled(order.spec.url, order.labels, in_address)
        after = {name: self._value(value, order) for name, value in action_fields(order.spec).items()}
        if after.get("variant") and after["variant"] == after["fallback"]:
            raise Refused(f"{after['variant']} is the fallback itself")
        target = next((str(after[name]) for name in ("variant", "model", "collection") if after.get(name)), "")
        undo = getattr(order.spec, "undo", None)
        if undo:
            filled(undo, order.labels, in_address)
        return Plan(
            target=target or _place(url),
            said=f"ask {_place(url)} for {_words(after)}",
            before={},
            after=after,
            undo=order.spec.type == "traffic_weight" or bool(undo),
        )

    @staticmethod
    def _value(value: Any, order: Order) -> Any:
        return filled(value, order.labels) if isinstance(value, str) else value

    async def run(self, order: Order, plan: Plan) -> str:
        """Ask for it."""
        return await self._post(order, plan, order.spec.url, "apply")

    async def undo(self, order: Order, plan: Plan) -> str:
        """Ask to take it back."""
        return await self._post(order, plan, getattr(order.spec, "undo", None) or order.spec.url, "undo")

    async def _post(self, order: Order, plan: Plan, url: str, operation: str) -> str:
        url = filled(url, order.labels, in_address)
        told = {
            "action": order.spec.type,
            "operation": operation,
            "key": order.key,
            "time": time_to_json(order.at),
            "incident": {"id": order.incident.id, "title": order.incident.title},
            **{name: value for name, value in plan.after.items() if name not in ("type", "via")},
            "context": dict(order.context),
        }
        body = json.dumps(told, allow_nan=False, separators=(",", ":")).encode()
        key = order.key if operation == "apply" else f"{order.key}-undo"
        headers = {"content-type": "application/json", "user-agent": "tocsin", "idempotency-key": key}
        if order.spec.secret:
            headers |= self._sign(order.spec.secret, str(order.at // SECOND), body)
        reply = accepted(await self._http.ask("POST", url, body, headers), _place(url))
        return f"{_place(url)} answered {reply.status}"


def _place(url: str) -> str:
    return "/".join(url.split("/", 3)[:3])


def _words(after: Mapping[str, Any]) -> str:
    if after["type"] == "traffic_weight":
        return f"the traffic of {after['variant']} times {after['factor']:g}, the rest to {after['fallback']}"
    what = next((str(after[name]) for name in ("model", "collection") if after.get(name)), "")
    return {"reindex": f"a new index {what}", "retrain": f"training {what} anew"}.get(
        after["type"], "its action"
    ).strip()
