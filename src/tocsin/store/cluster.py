"""`ClusterDatabase`: a ClickHouse cluster over HTTP, where a batch is stored once however often it is sent.

Batches are inserted synchronously, not by the server's `async_insert`: they are large already, and what makes an insert
exact is its token, which a replicated table remembers in Keeper in the very transaction that makes the rows visible.
So after an insert whose end nobody knows - the connection broke, a replica or the writer died - the same rows are sent
again with the same token: shards that have them say so, and the others take them. The answer comes when a majority of
the replicas of every shard has the rows on disk, and whoever must see all that was written (the writer, and what follows
its stamps) reads from replicas that have it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Final
from urllib.parse import unquote, urlsplit

import clickhouse_connect
from clickhouse_connect.driver.exceptions import ClickHouseError, OperationalError

from tocsin.model.errors import BadConfig, Unreachable
from tocsin.store.database import TOO_MUCH, Database, first_line, query_limits, translated

SCHEMES: Final[Mapping[str, str]] = {"clickhouse": "http", "clickhouses": "https"}
_READERS: Final = 8
_PORTS: Final = {"http": 8123, "https": 8443}
# errors that pass: the same statement may succeed later, the same insert must be sent again
_PASSING: Final = (
    "KEEPER_EXCEPTION",
    "TABLE_IS_READ_ONLY",
    "TOO_FEW_LIVE_REPLICAS",
    "UNSATISFIED_QUORUM_FOR_PREVIOUS_WRITE",
    "UNKNOWN_STATUS_OF_INSERT",
    "UNKNOWN_STATUS_OF_TRANSACTION",
    "REPLICA_IS_NOT_IN_QUORUM",
    "ALL_CONNECTION_TRIES_FAILED",
    "ALL_REPLICAS_ARE_STALE",
    "NETWORK_ERROR",
    "SOCKET_TIMEOUT",
    "TOO_MANY_PARTS",
    "TOO_MANY_SIMULTANEOUS_QUERIES",
    "SERVER_OVERLOADED",
    "QUERY_WAS_CANCELLED",
    "NO_ZOOKEEPER",
    "ABORTED",
    "AUTHENTICATION_FAILED",
    "CLUSTER_DOESNT_EXIST",
    "DISTRIBUTED_DDL",
)
_WRITING: Final[Mapping[str, object]] = {
    "async_insert": 0,
    "insert_deduplicate": 1,
    "distributed_foreground_insert": 1,
    "insert_quorum": "auto",
    "insert_quorum_parallel": 0,
    "insert_quorum_timeout": 60_000,
    "distributed_product_mode": "global",
    "select_sequential_consistency": 1,
    "max_execution_time": 120,
    "distributed_ddl_task_timeout": 60,
    "distributed_ddl_output_mode": "null_status_on_timeout_only_active",
}


@dataclass(frozen=True, slots=True)
class Tier:
    """Rows of some tables (none: of all that have a retention) move to a volume of the storage policy when they are `after_s` old."""

    after_s: int
    volume: str
    tables: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Cluster:
    """A ClickHouse cluster: the address of one of its servers or of what stands before them, and its name there."""

    url: str
    name: str
    password_file: Path | None = None
    ca_file: Path | None = None
    storage_policy: str = ""
    tiers: tuple[Tier, ...] = ()
    timeout_s: float = 30.0
    interface: str = field(init=False)
    where: str = field(init=False)

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in SCHEMES or not parts.hostname:
            raise BadConfig("the telemetry store's address can't be read; write it like clickhouse://user@host:8123")
        object.__setattr__(self, "interface", SCHEMES[parts.scheme])
        object.__setattr__(self, "where", f"{parts.scheme}://{parts.hostname}:{self.port}")

    @property
    def port(self) -> int:
        """The port of HTTP."""
        return urlsplit(self.url).port or _PORTS[self.interface]

    def client(self, settings: Mapping[str, object]) -> Any:
        """A handle with settings of its own; the password file is read each time."""
        parts = urlsplit(self.url)
        password = unquote(parts.password or "")
        if self.password_file is not None:
            try:
                password = self.password_file.read_text().strip()
            except OSError as error:
                reason = (error.strerror or str(error)).lower()
                raise Unreachable(f"telemetry.password_file: {self.password_file}: {reason}") from error
        return clickhouse_connect.get_client(
            interface=self.interface,
            host=parts.hostname,
            port=self.port,
            username=unquote(parts.username or "default"),
            password=password,
            ca_cert=str(self.ca_file) if self.ca_file else None,
            connect_timeout=5,
            send_receive_timeout=int(self.timeout_s),
            query_retries=0,  # who asks decides what is asked again
            autogenerate_session_id=False,  # any replica may answer
            client_name="tocsin",
            settings=dict(settings),
            show_clickhouse_errors=True,
        )


class ClusterDatabase(Database):
    """One cluster; any number of processes read, one at a time writes.

    Parameters
    ----------
    cluster : where it is
    sequential : read only from replicas that have all that was acknowledged

    Raises
    ------
    Unreachable
        Nobody answers there, or not to this user.
    """

    exact_tokens: ClassVar[bool] = True
    connects_at_once: ClassVar[bool] = False

    def __init__(
        self, cluster: Cluster, *, sequential: bool = True, memory_bytes: int = 4 << 30, query_time_s: float = 20.0
    ) -> None:
        self.cluster = cluster
        reading = {
            **query_limits(memory_bytes, query_time_s),
            "distributed_product_mode": "global",
            "select_sequential_consistency": int(sequential),
        }
        super().__init__(_READERS, reading, _WRITING)

    def _connect(self, settings: Mapping[str, object]) -> Any:
        with self._translated("connect"):
            return self.cluster.client(settings)

    def system(self, table: str) -> str:
        """A table of the servers about themselves, of one replica of each shard."""
        return f"cluster('{self.cluster.name}', system.{table})"

    def _translated(self, sql: str) -> AbstractContextManager[None]:
        return _over_the_network(self.cluster.where, sql)


@contextmanager
def _over_the_network(where: str, sql: str) -> Iterator[None]:
    with translated(sql):
        try:
            yield
        except ClickHouseError as error:
            text = str(error)
            passes = isinstance(error, OperationalError) or any(f"({name}" in text for name in _PASSING)
            if passes and not any(name in text for name in TOO_MUCH):
                raise Unreachable(
                    f"{where}: ClickHouse can't do it now: {first_line(text)}; it is tried again"
                ) from error
            raise
