"""`TelemetryStore`: all telemetry, in chDB or on a ClickHouse cluster - layout, ledger, inserts, rollups - and its queries."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import pyarrow as pa

from tocsin.model.errors import Corrupt
from tocsin.store.cluster import Cluster, ClusterDatabase
from tocsin.store.cuts import Cuts, FileCuts, TableCuts
from tocsin.store.database import EmbeddedDatabase
from tocsin.store.export import Exports, Form
from tocsin.store.layout import ClusterLayout, EmbeddedLayout, Layout
from tocsin.store.lists import Lists
from tocsin.store.log_rows import LogTemplates
from tocsin.store.queries import Queries, Where
from tocsin.store.retention import retention_seconds
from tocsin.store.schema import BY_NAME, DATABASE, VERSION

_LAYOUT = "layout.json"
_LAYOUT_LOG = "layout"
"""In the ledger of a cluster, which has no such file: the version of its tables."""
_SECONDS_OR_VOLUMES = re.compile(r"INTERVAL (\d+) SECOND|VOLUME '([^']+)'")
HOUR_NS = 3600 * 10**9
MINUTE_NS = 60 * 10**9


class TelemetryStore(Queries, Lists, LogTemplates):
    """All telemetry of one data directory; one process opens it, one thread writes.

    Parameters
    ----------
    path : directory of the store, made if absent
    retention : ns by table, over the defaults of `retention.RETENTION_DAYS`
    memory_bytes : most memory of one query
    read_only : make no table and change no row, whatever the retention; the directory or cluster must hold a store
    cluster : ClickHouse instead of chDB; then `path` has only the rows that it refused

    Raises
    ------
    BadConfig
        A retention names no table.
    Unreachable
        Another process has the store open, or the cluster does not answer.
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
        cluster: Cluster | None = None,
    ) -> None:
        self._kept_s = retention_seconds(retention or {})
        self.path = path
        self.layout: Layout = EmbeddedLayout() if cluster is None else ClusterLayout(cluster)
        if cluster is None:
            self._check_layout()
            super().__init__(EmbeddedDatabase(path / "chdb", memory_bytes=memory_bytes))
            self.cuts: Cuts = FileCuts(path / "pending.json")
        else:
            super().__init__(ClusterDatabase(cluster, sequential=not read_only))
            self._check_version()
            self.cuts = TableCuts(self.db)
        if not read_only:
            self._create()
        elif cluster is None:
            self._grow()  # of an older program's store: nothing is written but what its columns are
        self.exports = Exports(self.db)

    @property
    def embedded(self) -> bool:
        """Whether all of it is in this directory."""
        return not self.db.exact_tokens

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

    def made(self) -> bool:
        """Whether there are tables to be read: a cluster has none before its writer's first start."""
        sql = f"SELECT count() AS n FROM system.tables WHERE database = '{DATABASE}' AND name = 'ledger'"
        return bool(self.db.query(sql).column("n").to_pylist()[0])

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

    def _check_version(self) -> None:
        """Refuse a cluster whose tables are of a newer program."""
        if not self.made():
            return
        found = self._applied(_LAYOUT_LOG, self.db.query)[0]  # who only reads needs no Keeper
        if found > VERSION:
            raise Corrupt(
                f"the cluster's tables are of layout {found}, newer than this program's {VERSION}; upgrade tocsin"
            )

    def _create(self) -> None:
        self.path.mkdir(parents=True, exist_ok=True)
        for statement in self.layout.made(self._kept_s):
            self.db.command(statement)
        self._grow()
        self._apply_retention()
        if self.embedded:
            (self.path / _LAYOUT).write_text(json.dumps({"version": VERSION}) + "\n")
        elif self.applied(_LAYOUT_LOG)[0] < VERSION:
            self.record(_LAYOUT_LOG, VERSION, 0, 0, VERSION)

    def _grow(self) -> None:
        """Give tables of an older program the columns and indexes that came since."""
        names = f"SELECT table, name FROM system.columns WHERE database = '{DATABASE}'"
        indexes = f"SELECT table, name FROM system.data_skipping_indices WHERE database = '{DATABASE}'"
        have = {(row["table"], row["name"]) for row in self.db.write_query(names).to_pylist()}
        have |= {(row["table"], row["name"]) for row in self.db.write_query(indexes).to_pylist()}
        there = {table for table, _ in have}
        for table in self.layout.tables:
            holding = self.layout.holding(table)
            if holding not in there:
                continue
            for name, kind, codec in table.columns:
                if not {(holding, name), (table.name, name)} <= have:
                    for statement in self.layout.with_column(table, name, kind, codec):
                        self.db.command(statement)
            for index in table.indexes:  # of parts that are there already it knows nothing until they are merged
                if (holding, index.split(" ", 1)[0]) not in have:
                    for statement in self.layout.with_index(table, index):
                        self.db.command(statement)

    def _apply_retention(self) -> None:
        sql = f"SELECT name, create_table_query AS made FROM system.tables WHERE database = '{DATABASE}'"
        made = {row["name"]: row["made"] for row in self.db.write_query(sql).to_pylist()}
        for name, kept_s in self._kept_s.items():
            table = BY_NAME[name]
            # the engine prints the expression its own way: compare seconds and volumes only
            wanted = _SECONDS_OR_VOLUMES.findall(self.layout.kept(table, kept_s))
            found = _SECONDS_OR_VOLUMES.findall(_printed_ttl(made[self.layout.holding(table)]))
            if [each for pair in wanted for each in pair if each] != [each for pair in found for each in pair if each]:
                self.db.command(self.layout.keeping(table, kept_s))

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
        return self._applied(log, self.db.write_query)

    def _applied(self, log: str, query: Callable[[str, Mapping[str, object]], pa.Table]) -> tuple[int, int, int]:
        sql = (
            f"SELECT max(next) AS n, max(stamp) AS s, argMax(dead, stamp) AS d, count() AS c"
            f" FROM {DATABASE}.ledger WHERE log = {{log:String}}"
        )
        row = query(sql, {"log": log}).to_pylist()[0]
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


def _printed_ttl(made: str) -> str:
    """The TTL of a table as the engine prints it: `toIntervalSecond(60)` where we write `INTERVAL 60 SECOND`."""
    found = made.rpartition(" TTL ")[2].partition(" SETTINGS ")[0] if " TTL " in made else ""
    return re.sub(r"toIntervalSecond\((\d+)\)", r"INTERVAL \1 SECOND", found)
