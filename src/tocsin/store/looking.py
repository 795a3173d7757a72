"""A look at stores that servers keep, without changing anything there: what answers, and what it lacks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa
from clickhouse_connect.driver.exceptions import ClickHouseError

from tocsin.model.errors import TocsinError, Unreachable
from tocsin.store.cluster import Cluster
from tocsin.store.database import first_line
from tocsin.store.dialects import SQLITE, in_our_words, opened, parsed
from tocsin.store.tables import HEAD

_LEAST_POSTGRESQL: Final = 130_000
_MACROS: Final = {"shard", "replica"}


def look_at_state(url: str, password_file: Path | None = None) -> str:
    """What answers at the address of a state store, in words.

    Raises
    ------
    TocsinError
        Nobody answers, or what answers can't be used.
    """
    address = parsed(url)
    if address.get_backend_name() == SQLITE:
        return f"{address.database}: a file, made when it is needed"
    engine = opened(address, password_file, poolclass=sa.NullPool)
    where = address.render_as_string(hide_password=True)
    try:
        with engine.connect() as connection:
            number = int(connection.exec_driver_sql("SHOW server_version_num").scalar() or 0)
            if number < _LEAST_POSTGRESQL:
                raise Unreachable(f"{where}: PostgreSQL {number // 10_000} is too old; 13 or newer is needed")
            made = sa.inspect(connection).has_table("alembic_version")
            text = "SELECT version_num FROM alembic_version"
            layout = connection.exec_driver_sql(text).scalar() if made else None
            may = connection.exec_driver_sql("SELECT has_schema_privilege(current_schema(), 'CREATE')").scalar()
    except (sa.exc.DBAPIError, sa.exc.TimeoutError) as error:
        raise in_our_words(error, where) from error
    finally:
        engine.dispose()
    if not may:
        raise Unreachable(f"{where}: this user may not make tables; grant CREATE on the schema")
    tables = (
        "no tables yet" if layout is None else f"layout {layout}" + ("" if layout == HEAD else f", to become {HEAD}")
    )
    return f"{where}: PostgreSQL {number // 10_000}, {tables}"


def look_at_cluster(cluster: Cluster) -> str:
    """What answers at the address of a cluster, in words.

    Raises
    ------
    TocsinError
        Nobody answers, or the cluster is not made as it must be; the message says all that is wrong.
    """
    try:
        client = cluster.client({})
        try:
            faults = list(_faults(client, cluster.name))
            version = client.command("SELECT version()")
            shards = client.command(
                "SELECT uniqExact(shard_num) FROM system.clusters WHERE cluster = {c:String}", {"c": cluster.name}
            )
        finally:
            client.close()
    except ClickHouseError as error:
        raise Unreachable(f"{cluster.where}: ClickHouse does not answer: {first_line(str(error))}") from error
    if faults:
        raise TocsinError(f"{cluster.where}: {'; '.join(faults)}")
    return f"{cluster.where}: ClickHouse {version}, cluster {cluster.name} of {shards} shard(s)"


def _faults(client: Any, name: str) -> Iterator[str]:
    sql = "SELECT min(internal_replication) AS whole, count() AS n FROM system.clusters WHERE cluster = {c:String}"
    whole, count = client.query(sql, {"c": name}).first_row
    if not count:
        known = [row[0] for row in client.query("SELECT DISTINCT cluster FROM system.clusters").result_rows]
        yield f"no cluster is called {name!r}; there are {', '.join(sorted(known)) or 'none'}"
    elif not whole:
        yield f"set `internal_replication` for all shards of {name}: without it every replica is written to apart"
    macros = {row[0] for row in client.query("SELECT macro FROM system.macros").result_rows}
    for missing in sorted(_MACROS - macros):
        yield f"the macro {{{missing}}} is not set on this server"
