"""Rows that pages list: spans, traces, logs, events, states; newest first, times in ns, never more than a limit."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import pyarrow as pa

from tocsin.model.errors import BadInput
from tocsin.store.database import Database
from tocsin.store.exported import KINDS
from tocsin.store.queries import Where, bounded, rows_of
from tocsin.store.schema import DATABASE

Row: TypeAlias = dict[str, Any]
_FAR = 2**63 - 1
_SPAN = """t.time - t.start AS duration_ns, t.status_message AS status_message, toString(t.service) AS service,
    toString(t.scope) AS scope, t.model_call AS model_call, t.start AS start_ns, t.time AS end_ns"""


@dataclass(frozen=True, slots=True)
class Learning:
    """Groups of monitors that give verdicts, groups that still learn, and when the oldest of those began (ns)."""

    warm: int
    learning: int
    first_at: int | None


class Lists:
    """Listings of one telemetry store."""

    db: Database

    def spans(self, tenant: str, where: Where = (), start: int = 0, end: int = _FAR, limit: int = 100) -> list[Row]:
        """Spans that began in [start, end), newest first: the fields of an export, `service, start_ns, duration_ns` and more.

        `where` may name `name, kind, status`, the canonical fields of model calls, or any attribute.
        """
        return self._listed("spans", tenant, where, start, end, limit, extra=_SPAN)

    def trace(self, tenant: str, trace_id: str | bytes, limit: int = 5000) -> list[Row]:
        """Spans of one trace in order of their start, with `attributes`, `resource` and `events`."""
        key = trace_id.hex() if isinstance(trace_id, bytes) else trace_id.lower()
        if len(key) != 32 or not all(letter in "0123456789abcdef" for letter in key):
            raise BadInput(f"{key[:40]!r} is no trace id; it has 32 hexadecimal digits")
        exported = KINDS["spans"]
        columns = ", ".join(f"{expression} AS {name}" for name, expression, _ in exported.columns)
        extra = f"{_SPAN}, t.resource AS resource, t.attributes AS attributes, t.events AS events"
        sql = f"""SELECT {columns}, {extra} FROM {DATABASE}.spans AS t
            WHERE t.tenant = {{tenant:String}} AND t.trace_id = unhex('{key}')
            ORDER BY t.start, t.time DESC, t.span_id LIMIT {bounded(limit)}"""
        found = rows_of(self.db.query(sql, {"tenant": tenant}))
        for row in found:
            row["events"] = json.loads(row["events"] or "[]")
        return found

    def logs(
        self,
        tenant: str,
        where: Where = (),
        start: int = 0,
        end: int = _FAR,
        limit: int = 100,
        search: str = "",
        least: int = 0,
    ) -> list[Row]:
        """Log lines in [start, end), newest first; `search` is a part of the body, case ignored.

        `where` may name `service, severity, template` (its id or text), `trace_id` or any attribute; `least` is the
        lowest severity number.
        """
        extra = "toString(t.service) AS service, t.severity_number AS level, m.template AS template_id"
        clauses = ["positionCaseInsensitiveUTF8(body, {search:String}) > 0"] if search else []
        clauses += [f"severity_number >= {int(least)}"] if least else []
        clause = " AND ".join(clauses)
        return self._listed(
            "logs", tenant, where, start, end, limit, extra=extra, clause=clause, values={"search": search}
        )

    def events(self, tenant: str, start: int = 0, end: int = _FAR, limit: int = 100) -> list[Row]:
        """Change events in [start, end), newest first: `time` (ns), `kind, entity, what, source`."""
        sql = f"""SELECT time, toString(kind) AS kind, entity, what, toString(source) AS source FROM {DATABASE}.events
            WHERE tenant = {{tenant:String}} AND time >= {{start:Int64}} AND time < {{end:Int64}}
            ORDER BY time DESC, kind, entity LIMIT {bounded(limit)}"""
        return rows_of(self.db.query(sql, {"tenant": tenant, "start": start, "end": end}))

    def states(self, tenant: str) -> dict[str, int]:
        """How many series are in each state (live, absent, zero, late, stale, reset)."""
        sql = f"""SELECT state, toInt64(count()) AS n FROM (SELECT series, argMax(state, (time, tick)) AS state
            FROM {DATABASE}.states WHERE tenant = {{tenant:String}} GROUP BY series) GROUP BY state ORDER BY state"""
        return {row["state"]: row["n"] for row in rows_of(self.db.query(sql, {"tenant": tenant}))}

    def series_states(self, tenant: str, signal: str | None = None, limit: int = 1000) -> list[Row]:
        """The latest state of each series: `series, signal, labels, state, time, since, cadence`; the worst first."""
        picked = "AND signal = {signal:String}" if signal is not None else ""
        sql = f"""SELECT l.series AS series, toString(l.signal) AS signal, CAST(s.labels, 'Map(String, String)') AS labels,
              toString(l.now) AS state, l.at AS time, l.since AS since, l.cadence AS cadence
            FROM (SELECT series, any(signal) AS signal, argMax(state, (time, tick)) AS now, max(time) AS at,
                argMax(since, (time, tick)) AS since, argMax(cadence, (time, tick)) AS cadence
              FROM {DATABASE}.states WHERE tenant = {{tenant:String}} {picked} GROUP BY series
              ORDER BY now = 'live', at DESC, series LIMIT {bounded(limit)}) AS l
            ANY LEFT JOIN (SELECT id, any(labels) AS labels FROM {DATABASE}.series WHERE tenant = {{tenant:String}} GROUP BY id)
              AS s ON l.series = s.id ORDER BY l.now = 'live', l.at DESC, l.series"""
        return rows_of(self.db.query(sql, {"tenant": tenant, "signal": signal or ""}))

    def latest(self, tenant: str, signal: str, where: Where = (), limit: int = 200) -> list[Row]:
        """Series of a signal as a list shows them: `id` (hex), `labels, last_time, last_value, state, since, cadence`.

        The last value of a histogram is NaN.
        """
        chosen = KINDS["points"].select(tenant, signal, where, 0, _FAR)
        sql = f"""SELECT lower(hex(p.series)) AS id, CAST(s.labels, 'Map(String, String)') AS labels, p.last_time AS last_time,
              p.last_value AS last_value, toString(x.state) AS state, x.since AS since, x.cadence AS cadence
            FROM (SELECT series, max(time) AS last_time, argMax(value, time) AS last_value FROM (
                SELECT series, time, value FROM {DATABASE}.points WHERE {chosen.conditions} UNION ALL
                SELECT series, time, nan AS value FROM {DATABASE}.distributions WHERE {chosen.conditions})
              GROUP BY series ORDER BY series LIMIT {bounded(limit)}) AS p
            ANY LEFT JOIN (SELECT id, any(labels) AS labels FROM {DATABASE}.series WHERE tenant = {{tenant:String}}
              AND signal = {{signal:String}} GROUP BY id) AS s ON p.series = s.id
            ANY LEFT JOIN (SELECT series, argMax(state, (time, tick)) AS state, argMax(since, (time, tick)) AS since,
              argMax(cadence, (time, tick)) AS cadence FROM {DATABASE}.states WHERE tenant = {{tenant:String}}
              AND signal = {{signal:String}} GROUP BY series) AS x ON p.series = x.series
            ORDER BY toString(labels), id"""
        return rows_of(self.db.query(sql, chosen.parameters))

    def learning(self, tenant: str) -> Learning:
        """How many groups of monitors give a p-value yet."""
        sql = f"""SELECT toInt64(countIf(warm > 0)) AS w, toInt64(countIf(warm = 0)) AS l, minIf(begun, warm = 0) AS b
            FROM (SELECT monitor, series, countIf(isFinite(log10_p)) AS warm, min(time) AS begun FROM {DATABASE}.panes
              WHERE tenant = {{tenant:String}} GROUP BY monitor, series)"""
        row = rows_of(self.db.query(sql, {"tenant": tenant}))[0]
        return Learning(row["w"], row["l"], row["b"] if row["l"] else None)

    def _listed(
        self,
        kind: str,
        tenant: str,
        where: Where,
        start: int,
        end: int,
        limit: int,
        *,
        extra: str,
        clause: str = "",
        values: Mapping[str, object] | None = None,
    ) -> list[Row]:
        exported = KINDS[kind]
        chosen = exported.select(tenant, None, where, start, end)
        columns = ", ".join(f"{expression} AS {name}" for name, expression, _ in exported.columns)
        conditions = chosen.conditions + (f" AND {clause}" if clause else "")
        source = f"{DATABASE}.{exported.table} WHERE {conditions} ORDER BY {exported.time} DESC LIMIT {bounded(limit)}"
        rows = (exported.rows or "(SELECT * FROM %source%) AS t").replace("%source%", source)
        sql = f"SELECT {columns}, {extra} FROM {rows} ORDER BY t.{exported.time} DESC"
        found: pa.Table = self.db.query(sql, {**chosen.parameters, **(values or {})})
        return rows_of(found)
