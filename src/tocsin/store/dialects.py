"""What differs between SQLite and PostgreSQL: how a database is opened, how one writer at a time is had, what errors mean.

All writers of a database follow one another, on PostgreSQL too: a write takes the same advisory lock first. So the
audit trail is one chain, events are numbered in the order in which they can be seen, and what is read before a write
is still true when it is written - whichever process does it. Readers wait for nobody: they see the database as it was
when they began.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import URL, Connection, Engine, make_url

from tocsin.model.errors import BadConfig, BadInput, Corrupt, DiskFull, TocsinError, Unreachable

POSTGRESQL: Final = "postgresql"
SQLITE: Final = "sqlite"
LOCKS: Final = 0x70C51
"""First half of the keys of advisory locks; the second half says what is locked."""
_WRITERS: Final = 1
_FULL: Final = "database or disk is full"
_DISK_FULL: Final = "53100"
_CONNECTING: Final[Mapping[str, object]] = {
    "connect_timeout": 5,
    "application_name": "tocsin",
    # a server that went without a word is noticed within seconds
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
    # a pooler may give every transaction another connection
    "prepare_threshold": None,
}
_SESSION: Final = (
    "SET lock_timeout = '10s'; SET statement_timeout = '60s'; SET idle_in_transaction_session_timeout = '60s'"
)


def parsed(url: str) -> URL:
    """The address of a state store; `postgres://` and `postgresql://` mean the driver that comes with tocsin[postgres].

    Raises
    ------
    BadConfig
        It is no address, or of a database that nobody knows; the message has no password.
    """
    try:
        found = make_url(url)
    except sa.exc.ArgumentError:
        raise BadConfig("the state store's address can't be read; write it like postgresql://user@host/name") from None
    if found.drivername in ("postgres", POSTGRESQL):
        found = found.set(drivername=f"{POSTGRESQL}+psycopg")
    if found.get_backend_name() not in (SQLITE, POSTGRESQL):
        raise BadConfig(f"{found.drivername}: the state store is PostgreSQL (postgresql://user@host/name) or SQLite")
    return found


def opened(url: URL, password_file: Path | None = None, **options: Any) -> Engine:
    """An engine over a parsed address; the password may be in a file, which is read at every connect.

    Raises
    ------
    BadConfig
        The driver of PostgreSQL isn't installed.
    """
    if url.get_backend_name() == SQLITE:
        if url.database:
            Path(url.database).parent.mkdir(parents=True, exist_ok=True)
        engine = sa.create_engine(url)
        sa.event.listen(engine, "connect", _configure_sqlite)
        sa.event.listen(engine, "begin", _begin_sqlite)
        return engine
    if not options:
        options = {"pool_pre_ping": True, "pool_size": 10, "max_overflow": 20, "pool_timeout": 10}
    try:
        engine = sa.create_engine(url, connect_args=dict(_CONNECTING), **options)
    except ImportError as error:
        raise BadConfig("PostgreSQL needs its driver: pip install 'tocsin[postgres]'") from error
    sa.event.listen(engine, "connect", _configure_postgresql)
    sa.event.listen(engine, "begin", _begin_postgresql)
    if password_file is not None:

        def connecting(_dialect: object, _record: object, _args: object, parameters: dict[str, Any]) -> None:
            parameters["password"] = _password(password_file)

        sa.event.listen(engine, "do_connect", connecting)
    return engine


def _password(file: Path) -> str:
    try:
        return file.read_text().strip()
    except OSError as error:
        raise Unreachable(f"state.password_file: {file}: {(error.strerror or str(error)).lower()}") from error


def writing(engine: Engine) -> Engine:
    """The same engine, whose transactions write: one at a time."""
    return engine.execution_options(writes=True)


def reading(engine: Engine) -> Engine:
    """The same engine, whose transactions see the database as it was when they began."""
    if engine.dialect.name == SQLITE:
        return engine
    return engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)


def in_our_words(error: sa.exc.SQLAlchemyError, where: str) -> TocsinError:
    """What an error of the database means to us."""
    cause = getattr(error, "orig", None)
    reason = " ".join(str(cause if cause is not None else error).split())[:500]
    if _FULL in reason or getattr(cause, "sqlstate", None) == _DISK_FULL:
        return DiskFull(f"{where}: no room on the disk for the state store")
    if isinstance(error, sa.exc.DataError):
        return BadInput(f"the state store can't hold a value: {reason}")
    lost = isinstance(error, sa.exc.InterfaceError | sa.exc.TimeoutError)
    if lost or isinstance(error, sa.exc.OperationalError):
        hint = "check the path and the disk" if where.startswith(SQLITE) else "it is tried again"
        return Unreachable(f"{where}: the state store can't be used: {reason}; {hint}")
    if not where.startswith(SQLITE) and isinstance(error, sa.exc.ProgrammingError):
        return Unreachable(f"{where}: PostgreSQL refuses: {reason}; may this user make and change tables here?")
    return Corrupt(f"{where}: not a sound state store: {reason}; bring a backup back with `tocsin restore`")


def _configure_sqlite(connection: Any, _record: object) -> None:
    # transactions begin when we say so (see _begin_sqlite), not when the driver thinks fit
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON", "busy_timeout = 10000"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    # a writer takes the lock at once: no deadlock between two that read first; readers never wait for it
    writes = connection.get_execution_options().get("writes")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _configure_postgresql(connection: Any, _record: object) -> None:
    with connection.cursor() as cursor:
        cursor.execute(_SESSION)
    connection.commit()


def _begin_postgresql(connection: Connection) -> None:
    if connection.get_execution_options().get("writes"):
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({LOCKS}, {_WRITERS})")
