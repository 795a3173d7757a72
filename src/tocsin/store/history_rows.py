"""Stored history as the engine would take it in: windows that a monitor judged, and points as they came."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import pyarrow as pa

from tocsin.model.frame import SCHEMAS, FrameKind
from tocsin.model.series import MAIN_TENANT, Kind, Series, Signal
from tocsin.store.database import Database
from tocsin.store.schema import DATABASE

SLICE_ROWS: Final = 500_000
SLICE_FRAMES: Final = 50_000
_WITHIN: Final = "tenant = {tenant:String} AND time >= {start:Int64} AND time < {end:Int64}"
_COLUMNS: Final = {"panes": "time, series, value, log10_p", "points": "time, series, value, start"}
FRAMES: Final = {
    each.value: each for each in (FrameKind.DISTRIBUTIONS, FrameKind.SPANS, FrameKind.LOGS, FrameKind.RECORDS)
}
"""Tables whose rows are read back as the frames that they came in, by name."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """A span of time of a tenant, [start, end) ns."""

    tenant: str
    start: int
    end: int

    @property
    def values(self) -> dict[str, object]:
        """Parameters of a query."""
        return {"tenant": self.tenant, "start": self.start, "end": self.end}


class HistoryRows:
    """Reads windows and points of a span, in order of time."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def first(self, tenant: str) -> int:
        """Time of the first window that is stored (ns), 0 without any."""
        sql = f"SELECT toInt64(min(time)) AS t, toInt64(count()) AS n FROM {DATABASE}.panes WHERE tenant = {{tenant:String}}"
        (row,) = self._db.query(sql, {"tenant": tenant}).to_pylist()
        return int(row["t"]) if row["n"] else 0

    def last(self, tenant: str) -> int:
        """Time behind the last window that is stored (ns), 0 without any."""
        sql = f"SELECT toInt64(max(time)) AS t, toInt64(count()) AS n FROM {DATABASE}.panes WHERE tenant = {{tenant:String}}"
        (row,) = self._db.query(sql, {"tenant": tenant}).to_pylist()
        return int(row["t"]) + 1 if row["n"] else 0

    def monitors(self, stretch: Stretch) -> dict[str, int]:
        """How many series each monitor judged."""
        sql = f"""SELECT toString(monitor) AS monitor, toInt64(uniqExact(series)) AS n FROM {DATABASE}.panes
            WHERE {_WITHIN} GROUP BY monitor ORDER BY monitor"""
        return {row["monitor"]: row["n"] for row in self._db.query(sql, stretch.values).to_pylist()}

    def signals(self, tenant: str) -> dict[str, set[str]]:
        """Where the series of each signal come from: points, distributions, engine."""
        sql = f"""SELECT toString(signal) AS signal, groupUniqArray(toString(origin)) AS origins
            FROM {DATABASE}.series WHERE tenant = {{tenant:String}} GROUP BY signal"""
        return {row["signal"]: set(row["origins"]) for row in self._db.query(sql, {"tenant": tenant}).to_pylist()}

    def series(self, tenant: str, signals: Sequence[str] = ()) -> Mapping[bytes, Series]:
        """Series by identity, of some signals or of all."""
        wanted = "AND signal IN {signals:Array(String)}" if signals else ""
        sql = f"""SELECT id, toString(any(signal)) AS signal, toString(any(unit)) AS unit, toString(any(kind)) AS kind,
            any(monotonic) AS monotonic, any(cumulative) AS cumulative, CAST(any(labels), 'Map(String, String)') AS labels
            FROM {DATABASE}.series WHERE tenant = {{tenant:String}} {wanted} GROUP BY id"""
        values: dict[str, object] = {"tenant": tenant, "signals": list(signals)}
        found = {}
        for row in self._db.query(sql, values).to_pylist():
            signal = Signal(
                row["signal"],
                row["unit"],
                Kind(row["kind"] or "gauge"),
                bool(row["monotonic"]),
                bool(row["cumulative"]),
            )
            found[row["id"]] = Series(row["id"], tenant, signal, tuple(sorted(dict(row["labels"]).items())))
        return found

    def levels(self, signal: str, label: str) -> dict[str, float]:
        """The latest value of each series of a signal of the server's own, by one of its labels; the least of several."""
        sql = f"""SELECT series, argMax(value, time) AS value FROM {DATABASE}.points
            WHERE tenant = {{tenant:String}} AND signal = {{signal:String}} GROUP BY series"""
        known = self.series(MAIN_TENANT, [signal])
        found: dict[str, float] = {}
        for row in self._db.query(sql, {"tenant": MAIN_TENANT, "signal": signal}).to_pylist():
            name = known[row["series"]].label(label) if row["series"] in known else ""
            found[name] = min(found.get(name, 0.0), float(row["value"]))
        return found

    def rows(self, table: str, stretch: Stretch, **chosen: Sequence[str] | Sequence[bytes]) -> int:
        """How many rows a selection has; `chosen` as for `read`."""
        where, values = _where(stretch, chosen)
        sql = f"SELECT toInt64(count()) AS n FROM {DATABASE}.{table} WHERE {where}"
        return int(self._db.query(sql, values).column("n").to_pylist()[0])

    def read(self, table: str, stretch: Stretch, **chosen: Sequence[str] | Sequence[bytes]) -> Iterator[pa.Table]:
        """Rows of `panes` or `points` in order of time, so many at a time; only where each column is one of `chosen`."""
        yield from self._sliced(table, _COLUMNS[table], "time, series", SLICE_ROWS, stretch, chosen)

    def frames(self, table: str, stretch: Stretch, **chosen: Sequence[str] | Sequence[bytes]) -> Iterator[pa.Table]:
        """Rows of one of `FRAMES` with the columns of its frames, but `series` are identities; as `read`."""
        schema = SCHEMAS[FRAMES[table]]
        columns = ", ".join(_read_back(field) for field in schema)
        order = "time, series" if "series" in schema.names else "time"
        yield from self._sliced(table, columns, order, SLICE_FRAMES, stretch, chosen)

    def _sliced(
        self, table: str, columns: str, order: str, most: int, stretch: Stretch,
        chosen: Mapping[str, Sequence[str] | Sequence[bytes]],
    ) -> Iterator[pa.Table]:  # fmt: skip
        where, values = _where(stretch, chosen)
        total = self.rows(table, stretch, **chosen)
        step = -(-(stretch.end - stretch.start) // max(1, -(-total // most)))
        for start in range(stretch.start, stretch.end, max(step, 1)):
            sql = f"SELECT {columns} FROM {DATABASE}.{table} WHERE {where} ORDER BY {order}"
            yield self._db.query(sql, {**values, "start": start, "end": min(start + step, stretch.end)})


def _read_back(field: pa.Field) -> str:
    """A column as Arrow has it in a frame."""
    if field.name != "series" and pa.types.is_string(field.type):
        return f"toString({field.name}) AS {field.name}"
    if pa.types.is_map(field.type):
        return f"CAST({field.name}, 'Map(String, String)') AS {field.name}"
    return f"`{field.name}`"


def _where(stretch: Stretch, chosen: Mapping[str, Sequence[str] | Sequence[bytes]]) -> tuple[str, dict[str, object]]:
    clauses, values = [_WITHIN], stretch.values
    for name, among in chosen.items():
        if name == "series":
            clauses.append("hex(series) IN {series:Array(String)}")
            values[name] = [bytes(each).hex().upper() for each in among if isinstance(each, bytes)]
        else:
            clauses.append(f"{name} IN {{{name}:Array(String)}}")
            values[name] = [str(each) for each in among]
    return " AND ".join(clauses), values
