"""How tables are laid out: as they are in chDB, or on a ClickHouse cluster as replicated tables behind distributed ones.

On a cluster `tocsin.points` is where every statement of this program reads and writes, as in chDB; the rows are in
`tocsin.points_local` of every shard. `Table.shard` says how they are spread.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Protocol

from tocsin.store.cluster import Cluster, Tier
from tocsin.store.schema import DATABASE, SETTINGS, TABLES, Table, ttl

_LOCAL: Final = "_local"
_REMEMBERED: Final = "replicated_deduplication_window = 10000, replicated_deduplication_window_seconds = 2592000"
"""Tokens of a month: so long may a batch whose end nobody knows wait for its writer."""

CUTS: Final = Table(
    "cuts",  # the batch under way, by log: on a cluster the writer may come back on another machine
    (
        ("log", "LowCardinality(String)", "ZSTD(1)"),
        ("first", "Int64", "ZSTD(1)"),
        ("last", "Int64", "ZSTD(1)"),
        ("stamp", "Int64", "ZSTD(1)"),
    ),
    order="log",
    replacing="stamp",
    shard="log",
    kept=False,
)


class Layout(Protocol):
    """Statements that make and change the tables of one place."""

    tables: Sequence[Table]

    def made(self, kept_s: Mapping[str, int]) -> list[str]:
        """Statements that make what is missing."""

    def holding(self, table: Table) -> str:
        """Name of the table that has the rows of a table on disk."""

    def with_column(self, table: Table, name: str, kind: str, codec: str) -> list[str]:
        """Statements that add a column."""

    def with_index(self, table: Table, index: str) -> list[str]:
        """Statements that add an index."""

    def kept(self, table: Table, kept_s: int) -> str:
        """The TTL expression of a table."""

    def keeping(self, table: Table, kept_s: int) -> str:
        """The statement that changes how long a table keeps its rows."""


class EmbeddedLayout:
    """chDB: every table is one table."""

    tables: Sequence[Table] = TABLES

    def made(self, kept_s: Mapping[str, int]) -> list[str]:
        """Statements that make what is missing."""
        tables = [table.ddl(kept_s.get(table.name) if table.kept else None) for table in self.tables]
        return [f"CREATE DATABASE IF NOT EXISTS {DATABASE}", *tables]

    def holding(self, table: Table) -> str:
        """Name of the table that has the rows of a table on disk."""
        return table.name

    def with_column(self, table: Table, name: str, kind: str, codec: str) -> list[str]:
        """Statements that add a column."""
        return [f"ALTER TABLE {DATABASE}.{table.name} ADD COLUMN `{name}` {kind} CODEC({codec})"]

    def with_index(self, table: Table, index: str) -> list[str]:
        """Statements that add an index."""
        return [f"ALTER TABLE {DATABASE}.{table.name} ADD INDEX {index}"]

    def kept(self, _table: Table, kept_s: int) -> str:
        """The TTL expression of a table."""
        return ttl(kept_s)

    def keeping(self, table: Table, kept_s: int) -> str:
        """The statement that changes how long a table keeps its rows."""
        return _keeping(f"{DATABASE}.{table.name}", self.kept(table, kept_s))


class ClusterLayout:
    """A cluster: a replicated table on every shard, and a distributed one over them on every server."""

    tables: Sequence[Table] = (*TABLES, CUTS)

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._on = f" ON CLUSTER `{cluster.name}`"

    def made(self, kept_s: Mapping[str, int]) -> list[str]:
        """Statements that make what is missing."""
        found = [f"CREATE DATABASE IF NOT EXISTS {DATABASE}{self._on}"]
        for table in self.tables:
            found += [self._local(table, kept_s.get(table.name) if table.kept else None), self._distributed(table)]
        return found

    def _local(self, table: Table, kept_s: int | None) -> str:
        path = f"'/clickhouse/tables/{self._cluster.name}/{{shard}}/{DATABASE}/{table.name}', '{{replica}}'"
        settings = f"{SETTINGS}, {_REMEMBERED}"
        if self._cluster.storage_policy:
            settings += f", storage_policy = '{self._cluster.storage_policy}'"
        name = f"{DATABASE}.{self.holding(table)}{self._on}"
        return table.made(name, table.engine(path), None if kept_s is None else self.kept(table, kept_s), settings)

    def _distributed(self, table: Table) -> str:
        columns = ",\n  ".join(f"`{name}` {kind}" for name, kind, _ in table.columns)
        spread = f"'{self._cluster.name}', '{DATABASE}', '{self.holding(table)}', cityHash64({table.shard})"
        return (
            f"CREATE TABLE IF NOT EXISTS {DATABASE}.{table.name}{self._on} (\n  {columns}\n)"
            f" ENGINE = Distributed({spread})"
        )

    def holding(self, table: Table) -> str:
        """Name of the table that has the rows of a table on disk."""
        return f"{table.name}{_LOCAL}"

    def with_column(self, table: Table, name: str, kind: str, codec: str) -> list[str]:
        """Statements that add a column: where the rows are first, so that the other never asks for what is not there."""
        add = f"{self._on} ADD COLUMN IF NOT EXISTS `{name}` {kind}"
        local = f"ALTER TABLE {DATABASE}.{self.holding(table)}{add} CODEC({codec})"
        return [local, f"ALTER TABLE {DATABASE}.{table.name}{add}"]

    def with_index(self, table: Table, index: str) -> list[str]:
        """Statements that add an index."""
        return [f"ALTER TABLE {DATABASE}.{self.holding(table)}{self._on} ADD INDEX IF NOT EXISTS {index}"]

    def kept(self, table: Table, kept_s: int) -> str:
        """The TTL expression of a table: from volume to volume, and out at last."""
        moves = sorted((tier for tier in self._cluster.tiers if _is_for(tier, table, kept_s)), key=lambda t: t.after_s)
        steps = [f"{ttl(tier.after_s)} TO VOLUME '{tier.volume}'" for tier in moves]
        return ", ".join([*steps, f"{ttl(kept_s)} DELETE"] if steps else [ttl(kept_s)])

    def keeping(self, table: Table, kept_s: int) -> str:
        """The statement that changes how long a table keeps its rows."""
        return _keeping(f"{DATABASE}.{self.holding(table)}{self._on}", self.kept(table, kept_s))


def _is_for(tier: Tier, table: Table, kept_s: int) -> bool:
    return tier.after_s < kept_s and (not tier.tables or table.name in tier.tables)


def _keeping(name: str, kept: str) -> str:
    return f"ALTER TABLE {name} MODIFY TTL {kept} SETTINGS materialize_ttl_after_modify = 1"
