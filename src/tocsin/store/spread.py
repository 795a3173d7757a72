"""`Spread`: how the values of a signal were spread between two times, from points, histograms or spans of model calls."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

from tocsin.model.series import Kind
from tocsin.store.database import Database
from tocsin.store.queries import Queries, SeriesRow
from tocsin.store.schema import DATABASE

QUANTILES: Final = (0.5, 0.75, 0.9, 0.95, 0.99)
MOST_SERIES: Final = 200
_COLUMNS: Final = {
    "service.name": "service",
    "gen_ai.request.model": "request_model",
    "gen_ai.response.model": "response_model",
    "gen_ai.operation.name": "operation",
}
"""Labels of model calls that have a column of their own; the others are among attributes and resource."""


class Spread:
    """Quantiles out of one telemetry store."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._queries = Queries(db)

    def of(self, tenant: str, signal: str, labels: Mapping[str, str], since: int, until: int) -> dict[str, float]:
        """`count` and quantiles `p50` to `p99` of what carries these labels in [since, until) ns; empty: nothing came.

        A signal without rows of its own is one that was made of spans: there the lengths of model calls, in seconds.
        """
        if until <= since:
            return {}
        series = {each.id: each for each in self._queries.series(tenant, signal, labels, limit=MOST_SERIES)}
        keys = {"tenant": tenant, "signal": signal, "since": since, "until": until}
        if any(each.kind == Kind.HISTOGRAM.value for each in series.values()):
            return self._of_histograms(series, keys)
        return self._of_points(series, keys) if series else self._of_calls(labels, keys)

    def _of_points(self, series: Mapping[bytes, SeriesRow], keys: Mapping[str, Any]) -> dict[str, float]:
        sql = f"""SELECT toInt64(count()) AS n, quantilesExact({_levels()})(value) AS q FROM {DATABASE}.points
            WHERE {_WHERE} AND signal = {{signal:String}} AND series IN ({_ids(series)}) AND isFinite(value)"""
        return _named(self._db.query(sql, dict(keys)).to_pylist()[0])

    def _of_calls(self, labels: Mapping[str, str], keys: Mapping[str, Any]) -> dict[str, float]:
        clauses, values = [], dict(keys)
        for i, (key, value) in enumerate(labels.items()):
            own = _COLUMNS.get(key)
            clauses.append(
                f"{own} = {{v{i}:String}}"
                if own
                else f"(attributes[{{k{i}:String}}] = {{v{i}:String}} OR resource[{{k{i}:String}}] = {{v{i}:String}})"
            )
            values |= {f"k{i}": key, f"v{i}": value}
        sql = f"""SELECT toInt64(count()) AS n, quantilesExact({_levels()})((time - start) / 1e9) AS q FROM {DATABASE}.spans
            WHERE {_WHERE} AND model_call AND {" AND ".join(["1", *clauses])}"""
        return _named(self._db.query(sql, values).to_pylist()[0])

    def _of_histograms(self, series: Mapping[bytes, SeriesRow], keys: Mapping[str, Any]) -> dict[str, float]:
        sql = f"""SELECT series, bounds, counts FROM {DATABASE}.distributions
            WHERE {_WHERE} AND signal = {{signal:String}} AND series IN ({_ids(series)}) AND notEmpty(bounds)
            ORDER BY series, time LIMIT 10000"""
        counted: dict[tuple[float, ...], list[float]] = {}
        last: dict[bytes, list[float]] = {}
        for row in self._db.query(sql, dict(keys)).to_pylist():
            counts, bounds = list(row["counts"]), tuple(row["bounds"])
            fresh = counts
            if series[row["series"]].cumulative:
                before = last.get(row["series"])
                last[row["series"]] = counts
                if before is None or len(before) != len(counts):
                    continue  # what came before the first reading is of no known time
                less = any(new < old for new, old in zip(counts, before, strict=True))
                fresh = counts if less else [new - old for new, old in zip(counts, before, strict=True)]
            total = counted.setdefault(bounds, [0.0] * len(fresh))
            counted[bounds] = [a + b for a, b in zip(total, fresh, strict=True)]
        if not counted:
            return {}
        bounds, counts = max(counted.items(), key=lambda each: sum(each[1]))
        return _of_buckets(bounds, counts)


_WHERE: Final = "tenant = {tenant:String} AND time >= {since:Int64} AND time < {until:Int64}"


def _levels() -> str:
    return ", ".join(map(str, QUANTILES))


def _ids(series: Mapping[bytes, SeriesRow]) -> str:
    return ", ".join(f"unhex('{each.hex()}')" for each in sorted(series))


def _named(row: Mapping[str, Any]) -> dict[str, float]:
    if not row["n"]:
        return {}
    found = {f"p{level * 100:g}": float(value) for level, value in zip(QUANTILES, row["q"], strict=True)}
    return {"count": float(row["n"]), **{name: value for name, value in found.items() if math.isfinite(value)}}


def _of_buckets(bounds: tuple[float, ...], counts: list[float]) -> dict[str, float]:
    """Quantiles of a histogram, even within a bucket; above the last bound, that bound."""
    total = sum(counts)
    if total <= 0:
        return {}
    found = {"count": total}
    for level in QUANTILES:
        wanted, seen = level * total, 0.0
        for i, count in enumerate(counts):
            if seen + count >= wanted and count > 0:
                low, high = (bounds[i - 1] if i else min(0.0, bounds[0])), bounds[min(i, len(bounds) - 1)]
                found[f"p{level * 100:g}"] = low + (high - low) * (wanted - seen) / count if i < len(bounds) else high
                break
            seen += count
    return found
