"""`Database`: ClickHouse through clickhouse-connect, written by one thread; `EmbeddedDatabase`: chDB, within this process."""

from __future__ import annotations

import fcntl
import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from queue import LifoQueue
from typing import Any, ClassVar

import clickhouse_connect
import pyarrow as pa
from clickhouse_connect.driver.exceptions import ClickHouseError

from tocsin.model.errors import BadInput, Corrupt, DiskFull, Overloaded, TocsinError, Unreachable
from tocsin.store.schema import DATABASE

_READERS = 2
TOO_MUCH = ("TIMEOUT_EXCEEDED", "MEMORY_LIMIT_EXCEEDED", "TOO_MANY_ROWS", "TOO_MANY_BYTES", "TOO_SLOW")


_NO_ROOM = ("NOT_ENOUGH_SPACE", "No space left on device", "Disk quota exceeded")


class QueryFailed(TocsinError):
    """The telemetry engine refused a statement; the message is the engine's own."""

    code = "query_failed"


class Database:
    """Handles to one database: one for the writer, a few for readers, each used by one thread at a time.

    A kind of database says how a handle is made (`_connect`), and what its errors mean (`_translated`).
    """

    exact_tokens: ClassVar[bool] = False
    """Whether rows with a token that was seen are never inserted again, however the first attempt ended."""
    connects_at_once: ClassVar[bool] = True

    def __init__(self, readers: int, reading: Mapping[str, object], writing: Mapping[str, object]) -> None:
        self._reading = {"prefer_column_name_to_alias": 1, **reading}
        self._write_lock = threading.RLock()
        self._count = readers
        self._closing = False
        self._readers: LifoQueue[Any] = LifoQueue()
        self._writer = self._connect(writing)
        for _ in range(readers):
            self._readers.put(self._connect(self._reading) if self.connects_at_once else None)

    def _connect(self, settings: Mapping[str, object]) -> Any:
        raise NotImplementedError

    def _translated(self, sql: str) -> AbstractContextManager[None]:
        return translated(sql)

    def system(self, table: str) -> str:
        """A table of the engine about itself: where there are shards, of one replica of each."""
        return f"system.{table}"

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Hold the writer: no other thread inserts, changes tables or takes a backup meanwhile."""
        with self._write_lock:
            yield

    def command(self, sql: str, parameters: Mapping[str, object] | None = None) -> None:
        """Run a statement that gives no rows, on the writer's handle."""
        with self._write_lock, self._translated(sql):
            self._writer.command(sql, parameters=dict(parameters or {}))

    def insert(self, table: str, rows: pa.Table, token: str) -> None:
        """Insert rows; the same `token` again inserts nothing."""
        with self._write_lock, self._translated(f"INSERT INTO {table}"):
            self._writer.insert_arrow(f"{DATABASE}.{table}", rows, settings={"insert_deduplication_token": token})

    def write_query(self, sql: str, parameters: Mapping[str, object] | None = None) -> pa.Table:
        """Rows of a query on the writer's handle: it sees what was just written."""
        with self._write_lock, self._translated(sql):
            return self._writer.query_arrow(sql, parameters=dict(parameters or {}))

    def query(self, sql: str, parameters: Mapping[str, object] | None = None) -> pa.Table:
        """Rows of a query, bounded in time, memory and threads.

        Raises
        ------
        Overloaded
            The query ran into its limits; ask for less.
        QueryFailed
            The engine refused it.
        """
        with self._reader() as client, self._translated(sql):
            return client.query_arrow(sql, parameters=dict(parameters or {}))

    def raw(self, sql: str, parameters: Mapping[str, object], form: str) -> bytes:
        """Result of a query as text of one of the engine's formats."""
        with self._reader() as client, self._translated(sql):
            found: bytes = client.raw_query(sql, parameters=dict(parameters), fmt=form)
            return found

    @contextmanager
    def _reader(self) -> Iterator[Any]:
        client = self._readers.get()
        try:
            if self._closing:
                raise Unreachable("the telemetry store is being closed")
            if client is None:
                client = self._connect(self._reading)
            yield client
        finally:
            self._readers.put(client)

    def close(self) -> None:
        """Close all handles, waiting for what runs; what waits for a handle is refused."""
        self._closing = True
        with self._write_lock:
            self._writer.close()
        for client in [self._readers.get() for _ in range(self._count)]:
            if client is not None:
                client.close()
        self._readers.put(None)  # whoever comes, or still waits, passes it on


class EmbeddedDatabase(Database):
    """One chDB directory.

    chDB takes one engine a process and refuses a directory that another process holds.

    Raises
    ------
    Unreachable
        Another process has this directory open.
    Corrupt
        The directory is there but can't be opened.
    """

    def __init__(self, path: Path, *, memory_bytes: int = 1 << 30, query_time_s: float = 20.0) -> None:
        self.path = path
        path.mkdir(parents=True, exist_ok=True)
        before = {each: signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}
        try:
            super().__init__(
                _READERS,
                {"max_threads": 2, **query_limits(memory_bytes, query_time_s)},
                {"max_threads": 1, "max_insert_threads": 1, "max_memory_usage": 2 * memory_bytes},
            )
        finally:
            _restore_signals(before)

    def _connect(self, settings: Mapping[str, object]) -> Any:
        try:
            return clickhouse_connect.get_client(
                interface="chdb", path=str(self.path), settings=dict(settings), show_clickhouse_errors=True
            )
        except (ClickHouseError, RuntimeError, OSError) as error:
            if "different path" in str(error) or _held_by_another(self.path):
                raise Unreachable(
                    f"{self.path}: the telemetry store is open elsewhere;"
                    " ask the running server with --url, or stop it first"
                ) from error
            # the engine writes its reason to stderr and keeps it from us
            raise Corrupt(
                f"{self.path}: the telemetry store can't be opened, the engine's reason is on stderr"
                f" ({first_line(str(error))}); move the directory away or bring a backup back with `tocsin restore`"
            ) from error


def query_limits(memory_bytes: int, query_time_s: float) -> dict[str, object]:
    """Settings that bound one query of a reader."""
    return {
        "max_execution_time": query_time_s,
        "max_memory_usage": memory_bytes,
        "max_bytes_before_external_group_by": memory_bytes // 2,
        "max_bytes_before_external_sort": memory_bytes // 2,
    }


@contextmanager
def translated(sql: str) -> Iterator[None]:
    """Errors of the engine in our words, inside the `with`."""
    try:
        yield
    except ClickHouseError as error:
        text = str(error)
        if any(name in text for name in _NO_ROOM):
            raise DiskFull(f"no room on the disk for the telemetry store ({first_line(text)})") from error
        if any(name in text for name in TOO_MUCH):
            raise Overloaded(
                f"the query ran into its limits ({first_line(text)}); narrow the time or the labels"
            ) from error
        if "parameter" in text.lower() and "cannot be parsed" in text.lower():
            raise BadInput(f"a value of the query is of the wrong form: {first_line(text)}") from error
        raise QueryFailed(f"{first_line(text)} [in {' '.join(sql.split())[:200]}]") from error


def _held_by_another(path: Path) -> bool:
    """Whether another process has the engine's lock on this directory."""
    try:
        with (path / "status").open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def first_line(text: str) -> str:
    """The first line of what the engine said."""
    return text.strip().splitlines()[0][:500] if text.strip() else "no reason given"


def _restore_signals(before: Mapping[signal.Signals, Any]) -> None:
    # chDB installs handlers of its own; only the main thread may put ours back
    if threading.current_thread() is threading.main_thread():
        for each, handler in before.items():
            if handler is not None:
                signal.signal(each, handler)
