"""From the stores of one machine to those of several: every row, or nothing."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Final

import sqlalchemy as sa

from tocsin.model.errors import BadConfig
from tocsin.store.schema import DATABASE, TABLES
from tocsin.store.state import StateStore
from tocsin.store.tables import METADATA
from tocsin.store.telemetry import TelemetryStore

BATCH: Final = 1_000
_LEDGER: Final = "ledger"


def copy_state(source: StateStore, url: str, password_file: Path | None = None) -> int:
    """Copy incidents, the outbox, decisions, the audit trail and all else into an empty store; how many rows it was.

    Raises
    ------
    BadConfig
        The target holds something already.
    """
    copied = 0
    with closing(StateStore(url, password_file)) as target, source.snapshot() as here, target.transaction() as there:
        for table in METADATA.sorted_tables:
            if there.execute(sa.select(sa.func.count()).select_from(table)).scalar():
                raise BadConfig(f"{table.name} of the new state store holds rows already; name an empty database")
        for table in METADATA.sorted_tables:
            rows = here.execute(sa.select(table))
            while batch := rows.fetchmany(BATCH):
                there.execute(table.insert(), [dict(row._mapping) for row in batch])  # noqa: SLF001 - its public name
                copied += len(batch)
            _go_on_counting(there, table)
    return copied


def _go_on_counting(connection: sa.Connection, table: sa.Table) -> None:
    """Let numbers that the database gives go on behind those that were copied."""
    column = table.autoincrement_column
    if connection.dialect.name != "postgresql" or column is None:
        return
    sequence = connection.execute(sa.select(sa.func.pg_get_serial_sequence(table.name, column.name))).scalar()
    if sequence is not None:
        last = connection.execute(sa.select(sa.func.max(column))).scalar()
        if last is not None:
            connection.execute(sa.select(sa.func.setval(sequence, last)))


def copy_telemetry(source: TelemetryStore, target: TelemetryStore) -> int:
    """Copy all that is stored, partition by partition; how many rows it was. What was copied before is passed over.

    The ledger comes last: until it is there, the target is one that nothing was moved to.

    Raises
    ------
    BadConfig
        The target holds what another has written, or the source has a batch that is stored in part.
    """
    if target.applied("input")[0] or target.applied("output")[0]:
        raise BadConfig("the new telemetry store is in use already; name an empty one")
    cut = source.cuts.noted()
    if cut is not None and cut.last >= source.applied(cut.log)[0]:
        raise BadConfig("a batch was half stored when the server ended; start it once more, stop it, and move then")
    copied = 0
    for table in sorted(TABLES, key=lambda each: each.name == _LEDGER):
        columns = ", ".join(f"`{name}`" for name in table.names)
        parts = f"SELECT DISTINCT _partition_id AS p FROM {DATABASE}.{table.name} ORDER BY p"
        for part in source.db.write_query(parts).column("p").to_pylist():
            sql = f"SELECT {columns} FROM {DATABASE}.{table.name} WHERE _partition_id = {{p:String}}"
            rows = source.db.write_query(sql, {"p": part})
            target.insert(table.name, rows, f"moved:{table.name}:{part}")
            copied += rows.num_rows
    return copied
