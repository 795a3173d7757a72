"""Who called whom: requests between services, and from services to what sends no spans, by stored spans."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from tocsin.store.database import Database
from tocsin.store.queries import rows_of
from tocsin.store.schema import DATABASE

Row: TypeAlias = dict[str, Any]

PEERS: Final = ("peer.service", "db.system.name", "db.system", "messaging.system", "server.address", "net.peer.name")
"""Attributes that name whom a span calls, the first that is there."""
LEVELS: Final = (0.5, 0.9, 0.93, 0.95, 0.97, 0.99)
"""Quantiles of durations; those around 0.95 tell how sure it is."""
MOST_SPANS: Final = 200_000
"""Spans that are joined; of more, every n-th trace is read."""
MOST_ROWS: Final = 20_000
_HOUR_NS: Final = 3600 * 10**9
_DAY_NS: Final = 24 * _HOUR_NS
_FAR: Final = 2**63 - 1
_NO_SPAN: Final = "toFixedString('', 8)"


@dataclass(frozen=True, slots=True)
class Between:
    """Calls of two spans of time, as long.

    `rows` are `caller, callee, own, is_node, now, requests, errors, strays, took` (ms at `LEVELS`): of each edge, and with
    `is_node` of each callee; `own` says that the callee sent spans of it. `every`: of every n-th trace.
    """

    rows: list[Row]
    every: int


def calls_between(db: Database, tenant: str, start: int, end: int, most_spans: int = MOST_SPANS) -> Between:
    """Calls that began in [start, end) ns, and in as long a time before."""
    values: dict[str, object] = {
        "tenant": tenant,
        "before": max(0, 2 * start - end),
        "start": start,
        "end": end,
        "first": max(0, 2 * start - end - _HOUR_NS),
        "last": min(end + _DAY_NS, _FAR),
    }
    held = f"SELECT toInt64(count()) AS n FROM {DATABASE}.spans WHERE {_AROUND}"
    every = max(1, -(-int(rows_of(db.query(held, values))[0]["n"]) // most_spans))
    return Between(rows_of(db.query(_SQL, {**values, "every": every})), every)


_AROUND: Final = """tenant = {tenant:String} AND time >= {first:Int64} AND time < {last:Int64}
    AND trace_id != toFixedString('', 16)"""
# a trace is read whole or not at all
_AMONG: Final = f"{_AROUND} AND cityHash64(trace_id) % {{every:UInt64}} = 0"
_BEGAN: Final = "start >= {before:Int64} AND start < {end:Int64}"
_ENTRY: Final = "kind IN ('server', 'consumer')"
_CALL: Final = "kind IN ('client', 'producer')"
_PEER: Final = ", ".join([*(f"nullIf(attributes['{name}'], '')" for name in PEERS), "nullIf(toString(provider), '')"])
_ONCE: Final = "LIMIT 1 BY trace_id, span_id, service, kind"
_CALLED: Final = f"""SELECT if(known AND (p.service != c.service OR p.calls), p.service, '') AS caller, c.service AS callee, true AS own,
      c.start >= {{start:Int64}} AS now, c.failed OR (p.calls AND p.failed) AS failed, has_parent AND NOT known AS stray, c.took AS took
    FROM (SELECT trace_id, parent_id, parent_id != {_NO_SPAN} AS has_parent, toString(service) AS service, {_ENTRY} AS entry,
        status = 'error' AS failed, start, (time - start) / 1000000 AS took
      FROM {DATABASE}.spans WHERE {_AMONG} AND {_BEGAN} {_ONCE}) AS c
    ANY LEFT JOIN (SELECT trace_id, span_id, true AS known, argMax(toString(service), tuple({_ENTRY}, service)) AS service,
        argMax({_CALL}, tuple({_ENTRY}, service)) AS calls, argMax(status = 'error', tuple({_ENTRY}, service)) AS failed
      FROM {DATABASE}.spans WHERE {_AMONG} GROUP BY trace_id, span_id) AS p
      ON c.trace_id = p.trace_id AND c.parent_id = p.span_id
    WHERE NOT has_parent OR (known AND p.service != c.service) OR (entry AND (NOT known OR p.calls))"""
_PEERED: Final = f"""SELECT l.service AS caller, l.peer AS callee, false AS own, l.start >= {{start:Int64}} AS now, l.failed AS failed,
      false AS stray, l.took AS took
    FROM (SELECT trace_id, span_id, toString(service) AS service, substringUTF8(coalesce({_PEER}, ''), 1, 200) AS peer,
        status = 'error' AS failed, start, (time - start) / 1000000 AS took
      FROM {DATABASE}.spans WHERE {_AMONG} AND {_BEGAN} AND {_CALL} AND peer != '' {_ONCE}) AS l
    ANY LEFT JOIN (SELECT trace_id, parent_id, true AS known, max({_ENTRY}) AS entered, min(toString(service)) AS first,
        max(toString(service)) AS other FROM {DATABASE}.spans WHERE {_AMONG} AND parent_id != {_NO_SPAN} GROUP BY trace_id, parent_id) AS k
      ON l.trace_id = k.trace_id AND l.span_id = k.parent_id
    WHERE NOT (known AND (entered OR first != l.service OR other != l.service))"""
_SQL: Final = f"""SELECT caller, callee, own, toBool(grouping(caller)) AS is_node, toBool(now) AS now, toInt64(count()) AS requests,
      toInt64(countIf(failed)) AS errors, toInt64(countIf(stray)) AS strays, quantiles({", ".join(map(str, LEVELS))})(took) AS took
    FROM ({_CALLED} UNION ALL {_PEERED})
    GROUP BY GROUPING SETS ((caller, callee, own, now), (callee, own, now))
    ORDER BY is_node DESC, requests DESC, caller, callee, own, now LIMIT {MOST_ROWS}"""
