"""A small SQL database: opened and migrated, transactions that read and that write, errors in our words."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, make_url

from tocsin.model.errors import Corrupt, DiskFull, Unreachable
from tocsin.store.migrate import upgrade

_FULL = "database or disk is full"


class Sql:
    """A database that any thread may call, brought to the tables of this program when it is opened."""

    def __init__(self, url: str) -> None:
        self.url = make_url(url)
        if self.url.get_backend_name() == "sqlite" and self.url.database:
            Path(self.url.database).parent.mkdir(parents=True, exist_ok=True)
        self._engine = sa.create_engine(self.url)
        self._writes = self._engine.execution_options(writes=True)
        if self.url.get_backend_name() == "sqlite":
            sa.event.listen(self._engine, "connect", _configure_sqlite)
            sa.event.listen(self._engine, "begin", _begin)
        with self._translated():
            upgrade(self._writes)

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    @contextmanager
    def _begin(self) -> Iterator[Connection]:
        with self._translated(), self._writes.begin() as connection:
            yield connection

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        with self._translated(), self._engine.begin() as connection:
            yield connection

    @contextmanager
    def _translated(self) -> Iterator[None]:
        where = self.url.render_as_string(hide_password=True)
        try:
            yield
        except sa.exc.OperationalError as error:
            reason = str(error.orig)
            if _FULL in reason:
                raise DiskFull(f"{where}: no room on the disk for the state store") from error
            raise Unreachable(
                f"{where}: the state store can't be used: {reason}; check the path and the disk"
            ) from error
        except sa.exc.DatabaseError as error:
            raise Corrupt(
                f"{where}: not a sound state store: {error.orig}; bring a backup back with `tocsin restore`"
            ) from error


def _configure_sqlite(connection: Any, _record: object) -> None:
    # transactions begin when we say so (see _begin), not when the driver thinks fit
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON", "busy_timeout = 10000"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin(connection: Connection) -> None:
    # a writer takes the lock at once: no deadlock between two that read first; readers never wait for it
    writes = connection.get_execution_options().get("writes")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
