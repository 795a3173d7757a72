"""Rows as SQL that SQLite, PostgreSQL and DuckDB take: one table, made if it is not there, and its rows.

Nested values are JSON text. NaN and infinities, which columns of some databases can't hold, are NULL; so is nothing else.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, TypeAlias

import pyarrow as pa

Row: TypeAlias = Mapping[str, Any]
ROWS_A_STATEMENT: Final = 500
_TIMES: Final = frozenset({"time", "end", "start", "opened_at", "updated_at", "resolved_at"})


def sql_chunks(table: str, schema: pa.Schema, rows: Iterable[Row]) -> Iterator[bytes]:
    """A CREATE TABLE statement and INSERT statements of up to 500 rows each, as UTF-8."""
    columns = ",\n".join(f"  {_name(field.name)} {_type(field)}" for field in schema)
    yield f"CREATE TABLE IF NOT EXISTS {_name(table)} (\n{columns}\n);\n".encode()
    names = list(schema.names)
    head = f"INSERT INTO {_name(table)} ({', '.join(_name(name) for name in names)}) VALUES\n"
    held: list[str] = []
    for row in rows:
        held.append("(" + ", ".join(literal(row.get(name)) for name in names) + ")")
        if len(held) >= ROWS_A_STATEMENT:
            yield (head + ",\n".join(held) + ";\n").encode("utf-8", "replace")
            held.clear()
    if held:
        yield (head + ",\n".join(held) + ";\n").encode("utf-8", "replace")


def literal(value: object) -> str:
    r"""A value as a literal; texts can't end their quotes, and lose NUL, which PostgreSQL refuses.

    >>> literal("it's"), literal(True), literal(1.5), literal(float("nan")), literal({"a": 1}), literal("x\x00")
    ("'it''s'", 'TRUE', '1.5', 'NULL', '\'{"a": 1}\'', "'x'")
    """
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return repr(value) if math.isfinite(value) else "NULL"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return "'" + text.replace("\x00", "").replace("'", "''") + "'"


def _name(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def _type(field: pa.Field) -> str:
    kind = field.type
    if pa.types.is_boolean(kind):
        return "BOOLEAN"
    if pa.types.is_integer(kind):
        return "BIGINT"
    if pa.types.is_floating(kind):
        return "DOUBLE PRECISION"
    return "TIMESTAMP WITH TIME ZONE" if field.name in _TIMES else "TEXT"
