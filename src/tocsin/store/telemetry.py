"""`TelemetryStore`: the sole owner of chDB - layout, ledger, inserts, rollups - and the queries over it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pyarrow as pa

from tocsin.model.errors import Corrupt
from tocsin.store.database import Database
from tocsin.store.export import Exports, Form
from tocsin.store.lists import Lists
from tocsin.store.log_rows import LogTemplates
from tocsin.store.queries import Queries, Where
from tocsin.store.schema import BY_NAME, DATABASE, TABLES, VERSION, retention_seconds, ttl

_LAYOUT = "layout.json"
HOUR_NS = 3600 * 10**9
MINUTE_NS = 60 * 10**9


class TelemetryStore(Queries, Lists, LogTemplates):
    """All telemetry of one data directory; one process opens it, one thread writes.

    Parameters
    ----------
    path : directory of the store, made if absent
    retention : ns by table, over the defaults of `schema.RETENTION_DAYS`
    memory_bytes : most memory of one query
    read_only : make no table and change no row, whatever the retention; the directory must hold a store

    Raises
    ------
    BadConfig
        A retention names no table.
    Unreachable
        Another process has the store open.
    Corrupt
        The directory is damaged or written by a newer program.
    """

    def __init__(
        self,
        path: Path,
        *,
        retention: Mapping[str, int] | None = None,
        memory_bytes: int = 1 << 30,
        read_only: bool = False,
    ) -> None:
        self._kept_s = retention_seconds(retention or {})
        self.path = path
        self._check_layout()
        super().__init__(Database(path / "chdb", memory_bytes=memory_bytes))
        if read_only:
            self._grow()  # of an older program's store: nothing is written but what its columns are
        else:
            self._create()
        self.exports = Exports(self.db)

    def export(
        self,
        kind: str,
        tenant: str,
        form: Form = "jsonl",
        *,
        signal: str | None = None,
        where: Where = (),
        start: int | None = None,
        end: int | None = None,
    ) -> Iterator[bytes]:
        """Everything stored of one kind in [start, end) ns, as a file in pieces; see `store.export`.

        Raises
        ------
        BadInput
            The kind is unknown, or it has no signals and one is asked for.
        """
        return self.exports.chunks(kind, tenant, form, signal or None, where, start, end)

    def _check_layout(self) -> None:
        file = self.path / _LAYOUT
        if not file.exists():
            return
        try:
            found = int(json.loads(file.read_text())["version"])
        except (ValueError, KeyError, TypeError) as error:
            raise Corrupt(f"{file}: not the layout of a telemetry store ({error}); restore a backup") from error
        if found > VERSION:
            raise Corrupt(f"{file}: layout {found} is newer than this program's {VERSION}; upgrade tocsin")

    def _create(self) -> None:
        self.db.command(f"CREATE DATABASE IF NOT EXISTS {DATABASE}")
        for table in TABLES:
            kept_s = self._kept_s.get(table.name) if table.kept else None
            self.db.command(table.ddl(kept_s))
        self._grow()
        self._apply_retention()
        (self.path / _LAYOUT).write_text(json.dumps({"version": VERSION}) + "\n")

    def _grow(self) -> None:
        """Give tables of an older program the columns and indexes that came since."""
        names = f"SELECT table, name FROM system.columns WHERE database = '{DATABASE}'"
        indexes = f"SELECT table, name FROM system.data_skipping_indices WHERE database = '{DATABASE}'"
        have = {(row["table"], row["name"]) for row in self.db.write_query(names).to_pylist()}
        have |= {(row["table"], row["name"]) for row in self.db.write_query(indexes).to_pylist()}
        there = {table for table, _ in have}
        for table in TABLES:
            if table.name not in there:
                continue
            for name, kind, codec in table.columns:
                if (table.name, name) not in have:
                    self.db.command(f"ALTER TABLE {DATABASE}.{table.name} ADD COLUMN `{name}` {kind} CODEC({codec})")
            for index in table.indexes:  # of parts that are there already it knows nothing until they are merged
                if (table.name, index.split(" ", 1)[0]) not in have:
                    self.db.command(f"ALTER TABLE {DATABASE}.{table.name} ADD INDEX {index}")

    def _apply_retention(self) -> None:
        sql = f"SELECT name, create_table_query AS made FROM system.tables WHERE database = '{DATABASE}'"
        made = {row["name"]: row["made"] for row in self.db.write_query(sql).to_pylist()}
        for name, kept_s in self._kept_s.items():
            # the engine prints the expression its own way: compare the number of seconds only
            if f"toIntervalSecond({kept_s})" not in made[name]:
                self.db.command(
                    f"ALTER TABLE {DATABASE}.{name} MODIFY TTL {ttl(kept_s)} SETTINGS materialize_ttl_after_modify = 1"
                )

    def insert(self, table: str, rows: pa.Table, token: str) -> None:
        """Insert rows laid out as `schema.BY_NAME[table]`; the same token again inserts nothing."""
        self.db.insert(table, rows, token)

    def partitions_with(self, table: str, stamp: int) -> set[int]:
        """Partitions (as `schema` numbers them) that hold rows of the batch stamped `stamp` (ms)."""
        days = BY_NAME[table].partition_days
        key = f"intDiv({BY_NAME[table].partition_by}, {days}*86400000000000)" if days else "0"
        sql = f"SELECT DISTINCT toInt64({key}) AS p FROM {DATABASE}.{table} WHERE stored = fromUnixTimestamp64Milli({{s:Int64}}, 'UTC')"
        return set(self.db.write_query(sql, {"s": stamp}).column("p").to_pylist())

    def applied(self, log: str) -> tuple[int, int, int]:
        """Of a log: the next offset to store, the stamp (ms) of the last batch, rows in dead letters."""
        sql = (
            f"SELECT max(next) AS n, max(stamp) AS s, argMax(dead, stamp) AS d, count() AS c"
            f" FROM {DATABASE}.ledger WHERE log = {{log:String}}"
        )
        row = self.db.write_query(sql, {"log": log}).to_pylist()[0]
        return (row["n"], row["s"], row["d"]) if row["c"] else (0, 0, 0)

    def record(self, log: str, following: int, rows: int, dead: int, stamp: int) -> None:
        """Write into the ledger that all records of `log` below `following` are stored."""
        row = {"log": [log], "next": [following], "rows": [rows], "dead": [dead], "stamp": [stamp]}
        self.db.insert("ledger", pa.table(row), f"{log}:{following}:{stamp}")

    def roll(self, upto: int) -> int:
        """Recompute the minutes of all hours that batches stamped after the last roll, up to `upto` (ms), touched.

        Returns the number of hours; doing it twice changes nothing.
        """
        _, last, _ = self.applied("rollup")
        between = "stored > fromUnixTimestamp64Milli({last:Int64}, 'UTC') AND stored <= fromUnixTimestamp64Milli({upto:Int64}, 'UTC')"
        sql = f"SELECT DISTINCT intDiv(time, {HOUR_NS}) AS h FROM {DATABASE}.points WHERE {between} ORDER BY h"
        hours: Sequence[int] = self.db.write_query(sql, {"last": last, "upto": upto}).column("h").to_pylist()
        for hour in hours:
            self.db.command(
                f"""INSERT INTO {DATABASE}.points_1m (tenant, signal, series, time, low, high, total, samples, last, stored)
                SELECT tenant, signal, series, intDiv(time, {MINUTE_NS}) * {MINUTE_NS} AS minute, min(value), max(value),
                  sum(value), count(), argMax(value, time), fromUnixTimestamp64Milli({{upto:Int64}}, 'UTC')
                FROM {DATABASE}.points
                WHERE time >= {{h:Int64}} AND time < {{h:Int64}} + {HOUR_NS} AND isFinite(value)
                GROUP BY tenant, signal, series, minute""",
                {"h": hour * HOUR_NS, "upto": upto},
            )
        if hours:
            # the hours at the end may still fill: readers take the raw points from the last rolled hour on
            frontier = max(hours) * HOUR_NS
            self.record("rollup", max(frontier, self.applied("rollup")[0]), 0, 0, upto)
        return len(hours)

    def close(self) -> None:
        """Close the engine."""
        self.db.close()
