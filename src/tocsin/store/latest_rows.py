"""`LatestRows`: the newest value of each series of some signals, and when each was last heard of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from tocsin.model.series import Kind, Series, Signal
from tocsin.store.database import Database
from tocsin.store.queries import Queries
from tocsin.store.schema import DATABASE

MOST_SERIES: Final = 20_000


@dataclass(frozen=True, slots=True)
class Latest:
    """A series with its newest value; `value` is None where it is older than asked for."""

    series: Series
    time: int
    value: float | None


class LatestRows:
    """Newest values in one telemetry store."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._queries = Queries(db)

    def signals(self, tenant: str) -> list[str]:
        """Names of all signals that have points."""
        sql = f"""SELECT DISTINCT toString(signal) AS name FROM {DATABASE}.series
            WHERE tenant = {{tenant:String}} AND origin = 'points' ORDER BY name LIMIT 100000"""
        return [str(name) for name in self._db.query(sql, {"tenant": tenant}).column("name").to_pylist()]

    def newest(self, tenant: str, signals: Sequence[str], fresh: int, seen: int) -> list[Latest]:
        """Series of these signals heard of since `seen` (ns), with their values where these came since `fresh`."""
        if not signals:
            return []
        chosen = "tenant = {tenant:String} AND signal IN {signals:Array(String)}"
        sql = f"""SELECT series, max(t) AS last, argMaxIf(v, t, live) AS value, toInt64(countIf(live)) AS n FROM (
              SELECT series, time AS t, value AS v, true AS live FROM {DATABASE}.points
                WHERE {chosen} AND time >= {{fresh:Int64}} AND isFinite(value)
              UNION ALL SELECT series, time AS t, last AS v, false AS live FROM {DATABASE}.points_1m
                WHERE {chosen} AND time >= {{seen:Int64}} AND time < {{fresh:Int64}})
            GROUP BY series ORDER BY last DESC, series LIMIT {MOST_SERIES}"""
        values = {"tenant": tenant, "signals": list(signals), "fresh": fresh, "seen": seen}
        rows = self._db.query(sql, values).to_pylist()
        known = self._queries.series_by_id(tenant, (row["series"] for row in rows))
        found = []
        for row in rows:
            if (series := known.get(row["series"])) is not None:
                signal = Signal(series.signal, series.unit, Kind(series.kind), series.monotonic, series.cumulative)
                made = Series(series.id, tenant, signal, tuple(sorted(series.labels.items())))
                found.append(Latest(made, int(row["last"]), float(row["value"]) if row["n"] else None))
        return found
