"""`TollRows`: how many requests and users something hit, and what they used, from the spans and records of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from tocsin.model.record import OUTCOME
from tocsin.model.toll import Spent, Told, Toll
from tocsin.spec.pack import PackSpec
from tocsin.store.database import Database
from tocsin.store.queries import rows_of
from tocsin.store.schema import DATABASE

_ENTRY: Final = "(parent_id = toFixedString('', 8) OR kind IN ('server', 'consumer'))"
_TOOK: Final = "(time - start)"
_NO_LIMIT: Final = 2**62
_HOUR_NS: Final = 3600 * 10**9


@dataclass(frozen=True, slots=True)
class TollAsked:
    """What is counted: requests in [start, end) ns through what bears one of `names`; `before` begins what precedes it.

    `limits_ns` says from which duration on a request of a service (or, without services, of a model) is hit.
    """

    names: tuple[str, ...]
    start: int
    end: int
    before: int
    limits_ns: Mapping[str, int] = field(default_factory=dict)


class TollRows:
    """Tolls from one telemetry store; the tenant is always the first argument, every query is bounded.

    `packs` say which attributes of a span name its user.
    """

    def __init__(self, db: Database, packs: Iterable[PackSpec]) -> None:
        self._db = db
        names = [name for pack in packs for each in pack.mappings if each.field == "user" for name in each.names]
        told = ["nullIf(user, '')", *(_attribute(each) for each in names)]
        self._user = f"coalesce({', '.join(told)})"

    def toll(self, tenant: str, asked: TollAsked) -> Toll | None:
        """Counts of the services of these names, else of the models called, else of predictions; None: there are none.

        A request is a trace: one that passes several of the services counts once.
        """
        if not asked.names or asked.start >= asked.end:
            return None
        by_service = "service IN {names:Array(String)}"
        by_model = "counted AND if(request_model != '', request_model, response_model) IN {names:Array(String)}"
        return (
            self._spans(tenant, asked, "requests", f"{by_service} AND {_ENTRY}", by_service, "toString(service)")
            or self._spans(tenant, asked, "calls", f"{by_service} AND counted", by_service, "toString(service)")
            or self._spans(
                tenant,
                asked,
                "calls",
                by_model,
                by_model,
                "toString(if(request_model != '', request_model, response_model))",
            )
            or self._records(tenant, asked)
        )

    def _spans(self, tenant: str, asked: TollAsked, told: Told, request: str, chosen: str, limited: str) -> Toll | None:
        names, limits = list(asked.limits_ns), list(asked.limits_ns.values())
        values: dict[str, object] = {
            "tenant": tenant,
            "names": list(asked.names),
            "limit_names": names,
            "limits": limits,
        }
        # one row a trace: a user named on any of its spans is the request's, and no span counts it twice
        slow = f"{_TOOK} > transform({limited}, {{limit_names:Array(String)}}, {{limits:Array(Int64)}}, {_NO_LIMIT})"
        sql = f"""SELECT toInt64(countIf(request)) AS requests, toInt64(countIf(request AND failed)) AS failed,
              toInt64(countIf(request AND slow)) AS slow, toInt64(countIf(request AND (failed OR slow))) AS hit,
              toInt64(uniqExactIf(who, request AND who != '')) AS users,
              toInt64(uniqExactIf(who, request AND who != '' AND (failed OR slow))) AS users_hit,
              {_sums("", "")}, {_sums("_failed", "request AND failed")} FROM
              (SELECT max({request}) AS request, max({request} AND status = 'error') AS failed, max({request} AND {slow}) AS slow,
                ifNull(any({self._user}), '') AS who, countIf(counted) AS n,
                countIf(counted AND isNotNull(cost_usd)) AS n_priced,
                sumIf(ifNull(total_tokens, ifNull(input_tokens, 0) + ifNull(output_tokens, 0)), counted) AS n_tokens,
                sumIf(ifNull(cost_usd, 0), counted) AS n_usd
              FROM {DATABASE}.spans WHERE tenant = {{tenant:String}} AND {chosen} AND start >= {{start:Int64}} AND start < {{end:Int64}}
                AND time >= {{start:Int64}} AND time < {{last:Int64}}
              GROUP BY trace_id, if(trace_id = toFixedString('', 16), span_id, toFixedString('', 8)))"""
        found = self._one(sql, values, asked.start, asked.end)
        if not found["requests"]:
            return None
        past = self._one(sql, values, asked.before, asked.start) if asked.before < asked.start else None
        return Toll(
            told=told,
            names=asked.names,
            start=asked.start,
            end=asked.end,
            spent=_spent(found, found["requests"], ""),
            failed=found["failed"],
            slow=found["slow"] if names else None,
            hit=found["hit"],
            users=found["users"] or None,
            users_hit=found["users_hit"] if found["users"] else None,
            failed_spent=_spent(found, found["failed"], "_failed"),
            before=Spent() if past is None else _spent(past, past["requests"], ""),
        )

    def _one(self, sql: str, values: Mapping[str, object], start: int, end: int) -> Mapping[str, Any]:
        # a span that lasts over an hour is not found: only so are parts of the store passed over
        span = {"start": start, "end": end, "last": end + _HOUR_NS}
        return rows_of(self._db.query(sql, {**values, **span}))[0]

    def _records(self, tenant: str, asked: TollAsked) -> Toll | None:
        sql = f"""SELECT toInt64(count()) AS n FROM {DATABASE}.records WHERE tenant = {{tenant:String}}
            AND model IN {{names:Array(String)}} AND time >= {{start:Int64}} AND time < {{end:Int64}} AND kind != '{OUTCOME}'"""
        values = {"tenant": tenant, "names": list(asked.names), "start": asked.start, "end": asked.end}
        n = rows_of(self._db.query(sql, values))[0]["n"]
        return Toll("records", asked.names, asked.start, asked.end, Spent(requests=n)) if n else None


def _attribute(name: str) -> str:
    # names come from packs, never from a caller
    quoted = name.replace("\\", "\\\\").replace("'", "\\'")
    return f"nullIf(attributes['{quoted}'], '')"


def _sums(suffix: str, where: str) -> str:
    sums: Sequence[tuple[str, str]] = (("calls", "n"), ("priced", "n_priced"), ("tokens", "n_tokens"), ("usd", "n_usd"))
    added = {name: f"sumIf({column}, {where})" if where else f"sum({column})" for name, column in sums}
    return ", ".join(
        f"{each if name == 'usd' else f'toInt64({each})'} AS {name}{suffix}" for name, each in added.items()
    )


def _spent(row: Mapping[str, Any], requests: int, suffix: str) -> Spent:
    calls, priced, tokens, usd = (row[f"{name}{suffix}"] for name in ("calls", "priced", "tokens", "usd"))
    return Spent(requests, calls, priced, tokens, float(usd))
