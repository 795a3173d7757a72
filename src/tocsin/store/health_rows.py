"""`HealthRows`: what a day was like, by what the engine saw in its windows and by stored points."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from tocsin.store.database import Database
from tocsin.store.queries import Queries, Where
from tocsin.store.schema import DATABASE

MOST_SERIES: Final = 5_000
"""Series of monitors, and of a term of one's own, that a day is made of; of more those with most windows."""
_OF_POINTS: Final[Mapping[str, str]] = {
    "mean": "avg(value)",
    "min": "min(value)",
    "max": "max(value)",
    "sum": "sum(value)",
    "count": "toFloat64(count())",
    "last": "argMax(value, time)",
    "p50": "quantile(0.5)(value)",
    "p95": "quantile(0.95)(value)",
    "p99": "quantile(0.99)(value)",
}


@dataclass(frozen=True, slots=True)
class WindowMean:
    """The windows of one series of a monitor in a span: their mean by samples, their number, their samples."""

    monitor: str
    labels: Mapping[str, str]
    value: float
    windows: int
    samples: int


class HealthRows:
    """Sums over a span of time in the telemetry store; times ns in [start, end)."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._queries = Queries(db)

    def tenants(self) -> list[str]:
        """Tenants that ever had a series."""
        found = self._db.query(f"SELECT DISTINCT toString(tenant) AS tenant FROM {DATABASE}.series ORDER BY tenant")
        return [str(name) for name in found.column("tenant").to_pylist()]

    def windows(self, tenant: str, monitors: Sequence[str], start: int, end: int) -> list[WindowMean]:
        """Means of the closed windows of monitors, by series."""
        sql = f"""SELECT toString(monitor) AS monitor, series, sum(value * samples) / sum(samples) AS value,
            toInt64(count()) AS windows, toInt64(sum(samples)) AS samples FROM {DATABASE}.panes
            WHERE tenant = {{tenant:String}} AND monitor IN {{monitors:Array(String)}}
            AND time >= {{start:Int64}} AND time < {{end:Int64}} AND samples > 0 AND isFinite(value)
            GROUP BY monitor, series ORDER BY windows DESC, monitor, series LIMIT {MOST_SERIES}"""
        values = {"tenant": tenant, "monitors": list(monitors), "start": start, "end": end}
        rows = self._db.query(sql, values).to_pylist()
        known = self._queries.series_by_id(tenant, (row["series"] for row in rows))
        return [
            WindowMean(row["monitor"], known[row["series"]].labels, row["value"], row["windows"], row["samples"])
            for row in rows
            if row["series"] in known
        ]

    def points(self, tenant: str, signal: str, where: Where, aggregate: str, start: int, end: int) -> tuple[float, int]:
        """One number of all points of a signal with these labels, and how many there were.

        Cumulative counters and points that say "no value" take no part.
        """
        series = self._queries.series(tenant, signal, where, limit=MOST_SERIES)
        ids = [each.id.hex() for each in series if not each.cumulative]
        if not ids:
            return float("nan"), 0
        sql = f"""SELECT {_OF_POINTS[aggregate]} AS value, toInt64(count()) AS n FROM {DATABASE}.points
            WHERE tenant = {{tenant:String}} AND signal = {{signal:String}} AND series IN
            (SELECT toFixedString(unhex(arrayJoin({{ids:Array(String)}})), 16))
            AND time >= {{start:Int64}} AND time < {{end:Int64}} AND isFinite(value)"""
        values = {"tenant": tenant, "signal": signal, "ids": ids, "start": start, "end": end}
        row = self._db.query(sql, values).to_pylist()[0]
        return (float(row["value"]), int(row["n"])) if row["n"] else (float("nan"), 0)
