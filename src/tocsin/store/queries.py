"""Questions to the telemetry store; the tenant is always the first argument, every answer is bounded."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa

from tocsin.model.arrays import F8, I8
from tocsin.model.series import Kind
from tocsin.store.database import Database
from tocsin.store.schema import DATABASE, TABLES

Where: TypeAlias = Mapping[str, str] | Sequence[tuple[str, str]]
"""Labels that must have these values."""

Row: TypeAlias = dict[str, Any]
_HOUR_NS = 3600 * 10**9
_MINUTE_NS = 60 * 10**9
_SECOND_NS = 10**9
_DAY_NS = 24 * _HOUR_NS
_FAR = 2**63 - 1
_MAX_ROWS = 10_000
_ORIGINS = "('points', 'distributions')"


@dataclass(frozen=True, slots=True)
class SeriesRow:
    """A stored series: what its identity stands for."""

    id: bytes
    signal: str
    unit: str
    kind: str
    monotonic: bool
    cumulative: bool
    labels: dict[str, str]
    first_seen: int


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """A down-sampled series, columns (n,): time is the begin of each bucket in ns, `step_ns` its width."""

    series: SeriesRow
    step_ns: int
    time: I8
    low: F8
    mean: F8
    high: F8
    samples: I8


@dataclass(frozen=True, slots=True, eq=False)
class PaneCurve:
    """Closed windows of one group of a monitor, columns (n,); in each bucket the least `log10_p`, the most `score`."""

    monitor: str
    series: SeriesRow
    time: I8
    value: F8
    lower: F8
    upper: F8
    score: F8
    log10_p: F8


@dataclass(frozen=True, slots=True, eq=False)
class Strip:
    """How unusual each entity was: per name the most -log10 p of each bucket, shape (buckets,), NaN = no window."""

    start: int
    step_ns: int
    rows: dict[str, F8]


class Queries:
    """What the API and the command line ask; times are ns, `start` included, `end` excluded."""

    def __init__(self, database: Database) -> None:
        self.db = database

    def signals(self, tenant: str, search: str = "", limit: int = 200) -> list[Row]:
        """Signals by name: `name, unit, kind, monotonic, cumulative, series` (how many) and `last_time` (ns).

        `search` is a part of the name; `last_time` is 0 for what sent nothing in the last day of data.
        """
        recent = " UNION ALL ".join(
            f"""SELECT signal, max(time) AS t FROM {DATABASE}.{table} WHERE tenant = {{tenant:String}}
            AND time >= (SELECT max(time) - {_DAY_NS} FROM {DATABASE}.{table}) GROUP BY signal"""
            for table in ("points", "distributions")
        )
        sql = f"""SELECT toString(s.signal) AS name, unit, kind, monotonic, cumulative, series, l.t AS last_time FROM (
              SELECT signal, any(unit) AS unit, any(kind) AS kind, any(monotonic) AS monotonic,
                any(cumulative) AS cumulative, uniqExact(id) AS series
              FROM {DATABASE}.series WHERE tenant = {{tenant:String}} AND origin IN {_ORIGINS}
                AND positionCaseInsensitive(signal, {{search:String}}) > 0
              GROUP BY signal ORDER BY signal LIMIT {{limit:UInt32}}) AS s
            ANY LEFT JOIN (SELECT signal, max(t) AS t FROM ({recent}) GROUP BY signal) AS l ON s.signal = l.signal
            ORDER BY s.signal"""
        return rows_of(self.db.query(sql, {"tenant": tenant, "search": search, "limit": bounded(limit)}))

    def series(self, tenant: str, signal: str | None = None, where: Where = (), limit: int = 200) -> list[SeriesRow]:
        """Series of a signal (or of all) whose labels match, by labels."""
        clause, values = _labels_clause("labels", where)
        picked = "AND signal = {signal:String}" if signal is not None else ""
        sql = f"""SELECT id, signal, any(unit) AS unit, any(kind) AS kind, any(monotonic) AS monotonic,
              any(cumulative) AS cumulative, any(labels) AS labels, min(first_seen) AS first_seen
            FROM {DATABASE}.series WHERE tenant = {{tenant:String}} {picked} AND origin IN {_ORIGINS} {clause}
            GROUP BY signal, id ORDER BY signal, toString(any(labels)), id LIMIT {{limit:UInt32}}"""
        found = self.db.query(sql, {"tenant": tenant, "signal": signal or "", "limit": bounded(limit), **values})
        return [_series_row(row) for row in rows_of(found)]

    def series_by_id(self, tenant: str, ids: Iterable[bytes]) -> dict[bytes, SeriesRow]:
        """Series of these identities, groups of monitors included."""
        wanted = set(ids)
        if not wanted:
            return {}
        sql = f"""SELECT id, signal, any(unit) AS unit, any(kind) AS kind, any(monotonic) AS monotonic,
              any(cumulative) AS cumulative, any(labels) AS labels, min(first_seen) AS first_seen
            FROM {DATABASE}.series WHERE tenant = {{tenant:String}} AND id IN {_ids(wanted)} GROUP BY signal, id"""
        return {row["id"]: _series_row(row) for row in rows_of(self.db.query(sql, {"tenant": tenant}))}

    def points(
        self,
        tenant: str,
        signal: str,
        where: Where = (),
        start: int = 0,
        end: int = _FAR,
        max_points: int = 500,
        max_series: int = 50,
        series_id: bytes | None = None,
    ) -> list[Curve]:
        """Points of a signal's series, each down-sampled to at most `max_points` buckets of min, mean and max.

        With a `series_id` of this one only, whatever the others are labelled; of a histogram the means of what came.
        Ranges over a day are read from the minutes of the rollup, but for the latest hours.
        """
        if series_id is not None:
            chosen = {k: each for k, each in self.series_by_id(tenant, [series_id]).items() if each.signal == signal}
        else:
            chosen = {each.id: each for each in self.series(tenant, signal, where, limit=max_series)}
        if end <= start:
            return []
        shapes = {key: each for key, each in chosen.items() if each.kind == Kind.HISTOGRAM.value}
        means = self._means(tenant, signal, shapes, start, end, max_points) if shapes else []
        rest = {key: each for key, each in chosen.items() if key not in shapes}
        return means + (self._values(tenant, signal, rest, start, end, max_points) if rest else [])

    def _values(
        self, tenant: str, signal: str, chosen: Mapping[bytes, SeriesRow], start: int, end: int, max_points: int
    ) -> list[Curve]:
        """Points, from the minutes of the rollup where the buckets are no finer."""
        step = max(1, -(-(self._span(tenant, signal, chosen, start, end)) // max(1, max_points)))
        frontier = self._rolled() if step >= _MINUTE_NS else 0
        if frontier > start:  # whole minutes: a part of one can't be told from the rollup
            step = -(-step // _MINUTE_NS) * _MINUTE_NS
            start, end = start // _MINUTE_NS * _MINUTE_NS, min(-(-end // _MINUTE_NS) * _MINUTE_NS, _FAR)
        elif step >= _SECOND_NS:
            step = -(-step // _SECOND_NS) * _SECOND_NS
        keys = {
            "tenant": tenant,
            "signal": signal,
            "start": start,
            "end": min(end, _FAR),
            "step": step,
            "front": frontier,
        }
        minutes = "low, high, total, samples" if frontier else ""
        parts = [
            f"""SELECT series, time, value AS low, value AS high, value AS total, 1 AS samples FROM {DATABASE}.points
            WHERE {_KEY} AND time >= {{front:Int64}} AND isFinite(value) AND series IN {_ids(chosen)}"""
        ]
        if minutes:
            parts.append(
                f"""SELECT series, time, {minutes} FROM {DATABASE}.points_1m FINAL
                WHERE {_KEY} AND time < {{front:Int64}} AND series IN {_ids(chosen)}"""
            )
        sql = f"""SELECT series, intDiv(time, {{step:Int64}}) * {{step:Int64}} AS t, min(low) AS l, max(high) AS h,
              sum(total) / sum(samples) AS m, toInt64(sum(samples)) AS n
            FROM ({" UNION ALL ".join(parts)}) GROUP BY series, t ORDER BY series, t"""
        return [
            Curve(chosen[key], step, *(_numpy(part, name) for name in ("t", "l", "m", "h", "n")))
            for key, part in _by(self.db.query(sql, keys), "series")
        ]

    def _means(
        self, tenant: str, signal: str, chosen: Mapping[bytes, SeriesRow], start: int, end: int, max_points: int
    ) -> list[Curve]:
        """Means of histograms: of what came between two readings where they add up, else of each reading."""
        step = max(1, -(-self._span(tenant, signal, chosen, start, end) // max(1, max_points)))
        adding = [key for key, each in chosen.items() if each.cumulative]
        again = f"series IN {_ids(adding)} AND count >= count0" if adding else "0"
        sql = f"""SELECT series, intDiv(time, {{step:Int64}}) * {{step:Int64}} AS t, min(s / n) AS l, max(s / n) AS h,
              sum(s) / sum(n) AS m, toInt64(count()) AS k
            FROM (SELECT series, time, count - if({again}, count0, 0) AS n, sum - if({again}, sum0, 0) AS s
              FROM (SELECT series, time, count, sum, lagInFrame(count, 1, 0) OVER w AS count0, lagInFrame(sum, 1, 0) OVER w AS sum0
                FROM {DATABASE}.distributions WHERE {_KEY} AND isFinite(count) AND isFinite(sum) AND series IN {_ids(chosen)}
                WINDOW w AS (PARTITION BY series ORDER BY time ROWS BETWEEN 1 PRECEDING AND CURRENT ROW)))
            WHERE n > 0 GROUP BY series, t ORDER BY series, t"""
        keys = {"tenant": tenant, "signal": signal, "start": start, "end": min(end, _FAR), "step": step}
        return [
            Curve(chosen[key], step, *(_numpy(part, name) for name in ("t", "l", "m", "h", "k")))
            for key, part in _by(self.db.query(sql, keys), "series")
        ]

    def _span(self, tenant: str, signal: str, chosen: Iterable[bytes], start: int, end: int) -> int:
        """Length of what there is between `start` and `end`, so that open ranges get fine buckets too."""
        if end < _FAR and start > 0:
            return end - start
        found = []
        for table in ("points", "points_1m", "distributions"):
            sql = f"""SELECT min(time) AS a, max(time) AS b, count() AS n FROM {DATABASE}.{table}
                WHERE {_KEY} AND series IN {_ids(chosen)}"""
            row = rows_of(self.db.query(sql, {"tenant": tenant, "signal": signal, "start": start, "end": end}))[0]
            found.extend([row["a"], row["b"]] if row["n"] else [])
        return max(found) - min(found) + 1 if found else 1

    def _rolled(self) -> int:
        """Up to which time the rollup is complete."""
        sql = f"SELECT max(next) AS n FROM {DATABASE}.ledger WHERE log = 'rollup'"
        return int(rows_of(self.db.query(sql))[0]["n"] or 0)

    def panes(
        self,
        tenant: str,
        monitor: str | None = None,
        series_id: bytes | None = None,
        start: int = 0,
        end: int = _FAR,
        max_points: int = 500,
        max_series: int = 50,
    ) -> list[PaneCurve]:
        """Closed windows with their band and p-value, per monitor and group; the least likely groups first."""
        picked = "AND monitor = {monitor:String}" if monitor is not None else ""
        if series_id is not None:
            picked += f" AND series IN {_ids([series_id])}"
        keys = {"tenant": tenant, "monitor": monitor or "", "start": start, "end": end}
        where = f"tenant = {{tenant:String}} AND time >= {{start:Int64}} AND time < {{end:Int64}} {picked}"
        groups = f"""SELECT monitor, series, min(time) AS a, max(time) AS b FROM {DATABASE}.panes WHERE {where}
            GROUP BY monitor, series ORDER BY minIf(log10_p, NOT isNaN(log10_p)), monitor, series LIMIT {bounded(max_series)}"""
        found = rows_of(self.db.query(groups, keys))
        if not found:
            return []
        length = max(row["b"] for row in found) - min(row["a"] for row in found) + 1
        step = max(1, -(-length // max(1, max_points)))
        sql = f"""SELECT monitor, series, intDiv(time, {step}) AS bucket, max(time) AS t, avgIf(value, isFinite(value)) AS v,
              avgIf(lower, isFinite(lower)) AS l, avgIf(upper, isFinite(upper)) AS u,
              maxIf(score, isFinite(score)) AS s, minIf(log10_p, isFinite(log10_p)) AS p,
              countIf(isFinite(score)) AS ns, countIf(isFinite(log10_p)) AS np
            FROM {DATABASE}.panes WHERE {where} AND series IN {_ids({row["series"] for row in found})}
            GROUP BY monitor, series, bucket ORDER BY monitor, series, bucket"""
        curves = dict(_by(self.db.query(sql, keys), "monitor", "series"))
        rows = self.series_by_id(tenant, (row["series"] for row in found))
        keyed = [(row["monitor"], row["series"]) for row in found]
        return [_pane_curve(key, curves[key], rows.get(key[1])) for key in keyed if key in curves]

    def strip(
        self, tenant: str, start: int, end: int, buckets: int = 60, by: Sequence[str] = ("service.name", "host.name")
    ) -> Strip:
        """The anomaly strip: entities are named by the first of the label keys `by` that a group has."""
        count = min(max(1, buckets), 1000)
        step = max(1, -(-(end - start) // count))
        names = ", ".join(f"nullIf(labels[{{k{i}:String}}], '')" for i in range(len(by)))
        keys: dict[str, object] = {f"k{i}": key for i, key in enumerate(by)}
        keys.update({"tenant": tenant, "start": start, "end": end, "step": step})
        sql = f"""SELECT coalesce({names}, '') AS name, bucket, max(worst) AS worst FROM (
              SELECT series, intDiv(time - {{start:Int64}}, {{step:Int64}}) AS bucket, -min(log10_p) AS worst
              FROM {DATABASE}.panes WHERE tenant = {{tenant:String}} AND time >= {{start:Int64}} AND time < {{end:Int64}}
                AND NOT isNaN(log10_p) GROUP BY series, bucket) AS p
            INNER JOIN (SELECT id, any(labels) AS labels FROM {DATABASE}.series WHERE tenant = {{tenant:String}} GROUP BY id) AS s
              ON p.series = s.id
            GROUP BY name, bucket ORDER BY name, bucket LIMIT 100000"""
        rows: dict[str, F8] = {}
        for row in rows_of(self.db.query(sql, keys)):
            line = rows.setdefault(row["name"], np.full(count, np.nan))
            line[min(row["bucket"], count - 1)] = row["worst"]
        return Strip(start, step, rows)

    def counts(self) -> dict[str, dict[str, int]]:
        """Per table its rows and bytes on disk, and per log the next offset to store and rows in dead letters."""
        sql = f"""SELECT replaceRegexpOne(table, '_local$', '') AS table, toInt64(sum(rows)) AS rows,
            toInt64(sum(bytes_on_disk)) AS bytes FROM {self.db.system("parts")}
            WHERE active AND database = '{DATABASE}' GROUP BY table"""
        found = {table.name: {"rows": 0, "bytes": 0} for table in TABLES}
        for row in rows_of(self.db.query(sql)):
            found[row["table"]] = {"rows": row["rows"], "bytes": row["bytes"]}
        ledger = f"SELECT log, max(next) AS n, argMax(dead, stamp) AS d FROM {DATABASE}.ledger WHERE log != 'layout' GROUP BY log"
        for row in rows_of(self.db.query(ledger)):
            found[f"log:{row['log']}"] = {"next": int(row["n"]), "dead_rows": int(row["d"])}
        return found


_KEY = "tenant = {tenant:String} AND signal = {signal:String} AND time >= {start:Int64} AND time < {end:Int64}"


def rows_of(table: pa.Table) -> list[Row]:
    """Rows as dictionaries, maps as dictionaries too."""
    found: list[Row] = table.to_pylist()
    for name in table.column_names:
        if pa.types.is_map(table.schema.field(name).type):
            for row in found:
                row[name] = dict(row[name])
    return found


def _by(table: pa.Table, *keys: str) -> Iterable[tuple[Any, pa.Table]]:
    """Runs of rows with equal keys; the table is ordered by them."""
    columns = [table.column(key).to_pylist() for key in keys]
    tuples = list(zip(*columns, strict=True))
    begin = 0
    for at in range(1, len(tuples) + 1):
        if at == len(tuples) or tuples[at] != tuples[begin]:
            yield (tuples[begin] if len(keys) > 1 else tuples[begin][0]), table.slice(begin, at - begin)
            begin = at


def _numpy(table: pa.Table, name: str) -> Any:
    return table.column(name).combine_chunks().to_numpy(zero_copy_only=False)


def _pane_curve(key: tuple[str, bytes], part: pa.Table, series: SeriesRow | None) -> PaneCurve:
    score, log10_p = _numpy(part, "s").copy(), _numpy(part, "p").copy()
    score[_numpy(part, "ns") == 0] = np.nan
    log10_p[_numpy(part, "np") == 0] = np.nan
    known = series or SeriesRow(key[1], "", "", "gauge", False, False, {}, 0)
    time, value, lower, upper = (_numpy(part, name) for name in ("t", "v", "l", "u"))
    return PaneCurve(key[0], known, time, value, lower, upper, score, log10_p)


def _series_row(row: Row) -> SeriesRow:
    return SeriesRow(
        id=row["id"],
        signal=row["signal"],
        unit=row["unit"],
        kind=row["kind"],
        monotonic=bool(row["monotonic"]),
        cumulative=bool(row["cumulative"]),
        labels=row["labels"],
        first_seen=row["first_seen"],
    )


def _ids(ids: Iterable[bytes]) -> str:
    return "(" + ", ".join(f"unhex('{each.hex()}')" for each in sorted(ids)) + ")"


def _labels_clause(column: str, where: Where) -> tuple[str, dict[str, object]]:
    clauses, values = [], {}
    for i, (key, value) in enumerate(dict(where).items()):
        clauses.append(f"AND {column}[{{w{i}:String}}] = {{v{i}:String}}")
        values.update({f"w{i}": key, f"v{i}": value})
    return " ".join(clauses), dict(values)


def bounded(limit: int) -> int:
    """A limit that no caller can put too high."""
    return min(max(1, limit), _MAX_ROWS)
