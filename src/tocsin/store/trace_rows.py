"""`TraceRows`: traces by what one of their spans is like, the spans of one, and how long its operations usually take."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

from tocsin.model.errors import BadInput
from tocsin.model.message import ROLES, TraceExample
from tocsin.store.database import Database
from tocsin.store.graph_rows import PEERS, Between, calls_between
from tocsin.store.queries import rows_of
from tocsin.store.schema import DATABASE

Row: TypeAlias = dict[str, Any]
Order: TypeAlias = Literal["newest", "slowest", "costliest"]

MOST_TRACES: Final = 200
MOST_SPANS: Final = 10_000
"""Spans of one trace that are read; the page says how many there are."""
MOST_NAMES: Final = 200
_MOST_HISTORIES: Final = 500
_SECOND_NS: Final = 10**9
_DAY_NS: Final = 86_400 * _SECOND_NS
_FAR: Final = 2**63 - 1
_HEX = frozenset("0123456789abcdef")

_ENTRY: Final = "(parent_id = toFixedString('', 8) OR kind IN ('server', 'consumer'))"
_ORDERS: Final[Mapping[str, str]] = {
    "newest": "matched_at DESC, id",
    "slowest": "matched_ns DESC, id",
    "costliest": "cost DESC, matched_ns DESC, id",
}


@dataclass(frozen=True, slots=True)
class TraceAsked:
    """Which traces: one of their spans is like all of this; times ns in [start, end), durations ns, empty = any.

    Where only times, status and durations are given, a duration is that of a span at which a trace enters a service.
    """

    start: int
    end: int
    service: str = ""
    operation: str = ""
    status: str = ""
    model: str = ""
    prompt_version: str = ""
    error_class: str = ""
    customer: str = ""
    least_ns: int = 0
    most_ns: int = 0
    order: Order = "newest"
    limit: int = 50


@dataclass(frozen=True, slots=True)
class Usual:
    """How long an operation took on a day: how often, median and 95th percentile in s."""

    count: int
    p50_s: float
    p95_s: float


def trace_key(text: str, digits: int = 32) -> str:
    """The id of a trace (or of a span, 16 digits) in lower case.

    Raises
    ------
    BadInput
        It is none.
    """
    key = text.lower()
    if len(key) != digits or not _HEX.issuperset(key):
        what = "trace" if digits == 32 else "span"
        raise BadInput(f"{text[:40]!r} is no {what} id; it has {digits} hexadecimal digits")
    return key


class TraceRows:
    """Traces of one telemetry store; the tenant is always the first argument, every answer is bounded."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def search(self, tenant: str, asked: TraceAsked) -> list[Row]:
        """Traces with a span that fits, rolled up: `trace_id, start, end, spans, errors, services, models, cost_usd, ...`."""
        clauses, values = _conditions(asked)
        limit = min(max(1, asked.limit), MOST_TRACES)
        sql = f"""SELECT lower(hex(trace_id)) AS id, min(start) AS matched_at, max(time - start) AS matched_ns,
              toString(argMax(name, time - start)) AS matched_name, toString(argMax(service, time - start)) AS matched_service,
              toInt64(uniqExact(span_id)) AS matched, sum(ifNull(cost_usd, 0)) AS cost
            FROM {DATABASE}.spans WHERE {" AND ".join(clauses)} GROUP BY trace_id
            ORDER BY {_ORDERS[asked.order]} LIMIT {limit}"""
        found = rows_of(self._db.query(sql, {"tenant": tenant, **values}))
        whole = self._rolled_up(tenant, [row["id"] for row in found], asked.start, asked.end)
        return [{**row, **whole[row["id"]]} for row in found if row["id"] in whole]

    def _rolled_up(self, tenant: str, ids: Sequence[str], start: int, end: int) -> dict[str, Row]:
        if not ids:
            return {}
        sql = f"""SELECT lower(hex(trace_id)) AS id, min(start) AS start, max(time) AS end, toInt64(count()) AS spans,
              toInt64(countIf(status = 'error')) AS errors, toInt64(uniqExact(service)) AS services,
              toString(argMin(name, tuple(parent_id != toFixedString('', 8), start))) AS root_name,
              toString(argMin(service, tuple(parent_id != toFixedString('', 8), start))) AS root_service,
              toInt64(countIf(counted)) AS calls, sumIf(input_tokens, counted) AS input_tokens,
              sumIf(output_tokens, counted) AS output_tokens, sumIf(cost_usd, counted) AS cost_usd,
              arraySort(groupUniqArrayIf(5)(toString(request_model), request_model != '')) AS models,
              arraySort(groupUniqArrayIf(5)(toString(error_class), error_class != '')) AS error_classes
            FROM (SELECT * FROM {DATABASE}.spans WHERE tenant = {{tenant:String}} AND trace_id IN {_ids(ids)}
              AND time >= {{start:Int64}} AND time < {{end:Int64}} LIMIT 1 BY trace_id, span_id, service, kind)
            GROUP BY trace_id"""
        values = {"tenant": tenant, "start": start - _DAY_NS, "end": min(end + _DAY_NS, _FAR)}
        return {row["id"]: row for row in rows_of(self._db.query(sql, values))}

    def names(self, tenant: str, start: int, end: int) -> Row:
        """What can be asked for in [start, end): lists `services, operations, models, prompt_versions, error_classes, customers`."""
        lists = ", ".join(
            f"arraySort(groupUniqArrayIf({MOST_NAMES})(toString({column}), {column} != '')) AS {name}"
            for name, column in _NAMED.items()
        )
        sql = f"""SELECT {lists} FROM {DATABASE}.spans WHERE tenant = {{tenant:String}}
            AND time >= {{start:Int64}} AND time < {{end:Int64}}"""
        return rows_of(self._db.query(sql, {"tenant": tenant, "start": start, "end": end}))[0]

    def spans(self, tenant: str, trace_id: str, limit: int = MOST_SPANS) -> tuple[int, list[Row]]:
        """How many spans of a trace are stored, and the first of them by their start; times ns, `peer` whom it calls."""
        key = trace_key(trace_id)
        where = f"tenant = {{tenant:String}} AND trace_id = unhex('{key}')"
        peer = ", ".join(f"nullIf(attributes['{name}'], '')" for name in PEERS)
        texts = ", ".join(f"toString({name}) AS {name}" for name in _TEXTS)
        sql = f"""SELECT lower(hex(span_id)) AS span_id, if(parent_id = toFixedString('', 8), '', lower(hex(parent_id))) AS parent_id,
              {texts}, substringUTF8(status_message, 1, 500) AS status_message, start, time AS end, counted AS call,
              {", ".join(_NUMBERS)}, toInt64(toUnixTimestamp64Milli(stored)) AS stored_ms,
              substringUTF8(coalesce({peer}, ''), 1, 200) AS peer
            FROM {DATABASE}.spans WHERE {where} ORDER BY start, time DESC, span_id LIMIT {min(max(1, limit), MOST_SPANS)}"""
        found = rows_of(self._db.query(sql, {"tenant": tenant}))
        if len(found) < limit:
            return len(found), found
        counted = self._db.query(
            f"SELECT toInt64(count()) AS n FROM {DATABASE}.spans WHERE {where}", {"tenant": tenant}
        )
        return int(counted.column("n")[0].as_py()), found

    def span(self, tenant: str, trace_id: str, span_id: str) -> list[Row]:
        """Everything that was sent of one span, `attributes`, `resource` and `events`; more rows where it was sent more often."""
        where = f"tenant = {{tenant:String}} AND trace_id = unhex('{trace_key(trace_id)}')"
        texts = ", ".join(f"toString({name}) AS {name}" for name in _TEXTS)
        sql = f"""SELECT {texts}, status_message, start, time AS end, toString(scope) AS scope, {", ".join(_NUMBERS)},
              CAST(attributes, 'Map(String, String)') AS attributes, CAST(resource, 'Map(String, String)') AS resource, events
            FROM {DATABASE}.spans WHERE {where} AND span_id = unhex('{trace_key(span_id, 16)}') ORDER BY start, time DESC LIMIT 10"""
        found = rows_of(self._db.query(sql, {"tenant": tenant}))
        for row in found:
            row["events"] = json.loads(row["events"] or "[]")
        return found

    def calls_between(self, tenant: str, start: int, end: int) -> Between:
        """Who called whom in [start, end) ns, and in as long a time before."""
        return calls_between(self._db, tenant, start, end)

    def telling(self, tenant: str, trace_id: str, names: Sequence[str]) -> list[Row]:
        """Spans and log records of a trace of which an attribute, or one of an event, has a name that begins like this.

        Rows `span_id, parent_id` ("" for none), `name, service, operation, time` (ns), `attributes` and `events`; at most 500.
        """
        where = f"tenant = {{tenant:String}} AND trace_id = unhex('{trace_key(trace_id)}')"
        named = "arrayExists(k -> arrayExists(n -> startsWith(k, n), {names:Array(String)}), mapKeys(attributes))"
        within = "arrayExists(n -> position(events, concat('\"', n)) > 0, {names:Array(String)})"
        told = "toString(service) AS service, time, CAST(attributes, 'Map(String, String)') AS attributes"
        sql = f"""SELECT lower(hex(span_id)) AS span_id, if(parent_id = toFixedString('', 8), '', lower(hex(parent_id))) AS parent_id,
              toString(name) AS name, {told}, toString(operation) AS operation, events
            FROM {DATABASE}.spans WHERE {where} AND ({named} OR {within})
            ORDER BY start, span_id LIMIT 1 BY span_id LIMIT {_MOST_TELLING}"""
        found = rows_of(self._db.query(sql, {"tenant": tenant, "names": list(names)}))
        sql = f"""SELECT if(span_id = toFixedString('', 8), '', lower(hex(span_id))) AS span_id, '' AS parent_id,
              toString(event_name) AS name, {told}, '' AS operation, '[]' AS events
            FROM {DATABASE}.logs WHERE {where} AND {named} ORDER BY time LIMIT {_MOST_TELLING}"""
        found += rows_of(self._db.query(sql, {"tenant": tenant, "names": list(names)}))
        for row in found:
            row["events"] = json.loads(row["events"] or "[]")
        return found

    def usual(
        self, tenant: str, operations: Iterable[tuple[str, str]], before: int, span_ns: int = _DAY_NS
    ) -> dict[tuple[str, str], Usual]:
        """How long spans of these (service, name) took that ended in the day before a time, ns."""
        wanted = sorted(set(operations))[:_MOST_HISTORIES]
        if not wanted:
            return {}
        sql = f"""SELECT toString(service) AS service, toString(name) AS name, toInt64(count()) AS n,
              quantiles(0.5, 0.95)((time - start) / {_SECOND_NS}) AS q FROM {DATABASE}.spans
            WHERE tenant = {{tenant:String}} AND service IN {{services:Array(String)}} AND name IN {{names:Array(String)}}
              AND time >= {{start:Int64}} AND time < {{end:Int64}} GROUP BY service, name"""
        values = {
            "tenant": tenant,
            "services": sorted({service for service, _ in wanted}),
            "names": sorted({name for _, name in wanted}),
            "start": before - span_ns,
            "end": before,
        }
        chosen = set(wanted)
        return {
            (row["service"], row["name"]): Usual(row["n"], float(row["q"][0]), float(row["q"][1]))
            for row in rows_of(self._db.query(sql, values))
            if (row["service"], row["name"]) in chosen
        }

    def examples(self, tenant: str, services: Sequence[str], start: int, end: int, before: int) -> list[TraceExample]:
        """Traces of what these services are asked for most: slowest, failing and typical in [start, end), typical in [before, start), ns."""
        among = "tenant = {tenant:String} AND service IN {services:Array(String)} AND trace_id != toFixedString('', 16)"
        during = "start >= {start:Int64} AND start < {end:Int64} AND time >= {start:Int64}"
        values: dict[str, object] = {"tenant": tenant, "services": list(services), "start": start, "end": end}
        sql = f"""SELECT toString(service) AS service, toString(name) AS operation, toInt64(count()) AS n, {_ENTRY} AS entry
            FROM {DATABASE}.spans WHERE {among} AND {during} GROUP BY service, name, entry
            ORDER BY entry DESC, n DESC, service, name LIMIT 1"""
        most = rows_of(self._db.query(sql, values))
        if not most:
            return []
        chosen = f"{among} AND service = {{service:String}} AND name = {{operation:String}}"
        values |= {"service": most[0]["service"], "operation": most[0]["operation"]}
        found = self._pick(f"{chosen} AND {during}", values, {"slowest": _SLOWEST, "typical": _TYPICAL})
        found += self._pick(f"{among} AND {during} AND status = 'error'", values, {"failing": "argMax({}, start)"})
        past = {**values, "start": before, "end": start}
        found += self._pick(f"{chosen} AND {during}", past, {"typical_before": _TYPICAL})
        order = list(ROLES)
        return sorted(found, key=lambda each: order.index(each.role))

    def _pick(self, where: str, values: Mapping[str, object], roles: Mapping[str, str]) -> list[TraceExample]:
        """For each role the span of those that fit which its expression picks."""
        told = "tuple(lower(hex(trace_id)), toString(service), toString(name), start, time - start)"
        picks = ", ".join(f"{pick.replace('{}', told)} AS {role}" for role, pick in roles.items())
        sql = f"""WITH (SELECT quantile(0.5)(time - start) FROM {DATABASE}.spans WHERE {where}) AS middle
            SELECT toInt64(count()) AS n, {picks} FROM {DATABASE}.spans WHERE {where}"""
        [row] = rows_of(self._db.query(sql, values))
        return [TraceExample(role, *_told(row[role])) for role in roles] if row["n"] else []


_SLOWEST: Final = "argMax({}, time - start)"
_TYPICAL: Final = "argMin({}, tuple(status = 'error', abs(time - start - middle)))"


def _told(found: Any) -> tuple[str, str, str, int, int]:
    """A tuple of the engine, which comes as a mapping by place."""
    trace_id, service, operation, start, took = found.values() if isinstance(found, dict) else found
    return str(trace_id), str(service), str(operation), int(start), int(took)


_MOST_TELLING: Final = 500
_NAMED: Final[Mapping[str, str]] = {
    "services": "service",
    "operations": "name",
    "models": "request_model",
    "prompt_versions": "prompt_version",
    "error_classes": "error_class",
    "customers": "customer",
}
_TEXTS: Final = (
    "name",
    "service",
    "kind",
    "status",
    "operation",
    "provider",
    "request_model",
    "response_model",
    "finish_reason",
    "error_class",
    "prompt_version",
)
_NUMBERS: Final = ("input_tokens", "output_tokens", "total_tokens", "cost_usd", "time_to_first_token_s", "retries")


_NAMING: Final = ("service", "operation", "model", "prompt_version", "error_class", "customer")
"""What says which spans are meant; without any of it a duration is that of a span at which a trace enters a service."""


def _conditions(asked: TraceAsked) -> tuple[list[str], dict[str, object]]:
    clauses = [
        "tenant = {tenant:String}",
        "start >= {start:Int64}",
        "start < {end:Int64}",
        "time >= {start:Int64}",
        "time < {last:Int64}",
        "trace_id != toFixedString('', 16)",
    ]
    # a span that lasts over a day is not found: only so are parts of the store passed over
    values: dict[str, object] = {"start": asked.start, "end": asked.end, "last": min(asked.end + _DAY_NS, _FAR)}
    for name, column in (
        ("service", "service"),
        ("operation", "name"),
        ("status", "status"),
        ("prompt_version", "prompt_version"),
        ("error_class", "error_class"),
        ("customer", "customer"),
    ):
        if found := getattr(asked, name):
            clauses.append(f"{column} = {{{name}:String}}")
            values[name] = found
    if asked.model:
        clauses.append("(request_model = {model:String} OR response_model = {model:String})")
        values["model"] = asked.model
    by_duration = asked.least_ns or asked.most_ns or asked.order == "slowest"
    if by_duration and not any(getattr(asked, name) for name in _NAMING):
        clauses.append(_ENTRY)
    if asked.least_ns:
        clauses.append("time - start >= {least:Int64}")
        values["least"] = asked.least_ns
    if asked.most_ns:
        clauses.append("time - start <= {most:Int64}")
        values["most"] = asked.most_ns
    return clauses, values


def _ids(ids: Iterable[str]) -> str:
    return "(" + ", ".join(f"unhex('{trace_key(each)}')" for each in ids) + ")"
