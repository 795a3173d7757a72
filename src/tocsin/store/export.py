"""Everything stored, read back: the rows of `tocsin export` as JSON lines, CSV, Parquet or SQL, in pieces.

JSON lines and Parquet are exact: NaN is null, an infinity is the text `inf` or `-inf` (in Parquet: itself), labels are
one object (in Parquet: a map). CSV is for spreadsheets: nested values are JSON text, and a text that a spreadsheet
would run as a formula (it starts with `=`, `+`, `-`, `@`, a tab or a carriage return) gets an apostrophe in front.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal, TypeAlias

import pyarrow as pa
import pyarrow.parquet as pq

from tocsin.model.codec import number_from_json
from tocsin.model.errors import BadInput
from tocsin.store.database import Database
from tocsin.store.exported import KINDS, Exported, Selection
from tocsin.store.queries import Where
from tocsin.store.sql_text import sql_chunks

Form: TypeAlias = Literal["jsonl", "csv", "parquet", "sql"]
Row: TypeAlias = dict[str, Any]

SLICE_ROWS = 100_000
_FAR = 2**63 - 1
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_JSON_SETTINGS = (
    "output_format_json_quote_64bit_integers = 0, output_format_json_quote_denormals = 1,"
    " output_format_json_escape_forward_slashes = 0, output_format_json_validate_utf8 = 1"
)
_CSV_SETTINGS = "format_csv_null_representation = ''"


class Exports:
    """Exports of one telemetry store."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def batches(
        self,
        kind: str,
        tenant: str,
        signal: str | None = None,
        where: Where = (),
        start: int | None = None,
        end: int | None = None,
    ) -> Iterator[pa.RecordBatch]:
        """Rows of one kind in [start, end) ns as Arrow, in order of time, a slice at a time.

        Raises
        ------
        BadInput
            The kind is unknown, or it has no signals and one is asked for.
        """
        exported, chosen = self._chosen(kind, tenant, signal, where, start, end)
        for slice_ in self._slices(exported, chosen):
            yield from self._db.query(exported.sql(slice_), slice_.parameters).to_batches()

    def rows(
        self,
        kind: str,
        tenant: str,
        signal: str | None = None,
        where: Where = (),
        start: int | None = None,
        end: int | None = None,
    ) -> Iterator[Row]:
        """The same rows as dictionaries, as JSON has them."""
        decode = KINDS[kind].decode if kind in KINDS else None
        for batch in self.batches(kind, tenant, signal, where, start, end):
            for row in batch.to_pylist():
                yield decode(row, tenant) if decode else _plain(row)

    def chunks(
        self,
        kind: str,
        tenant: str,
        form: Form = "jsonl",
        signal: str | None = None,
        where: Where = (),
        start: int | None = None,
        end: int | None = None,
    ) -> Iterator[bytes]:
        """The same rows as a file, in pieces; memory stays bounded whatever there is."""
        exported, chosen = self._chosen(kind, tenant, signal, where, start, end)
        if exported.decode is not None:
            rows = self.rows(kind, tenant, signal, where, start, end)
            return chunks_of_rows(rows, exported.types, form, table=kind)
        if form == "sql":
            return sql_chunks(kind, self._schema(exported, chosen), self.rows(kind, tenant, signal, where, start, end))
        if form == "parquet":
            return self._parquet(exported, chosen)
        return self._text(exported, chosen, form)

    def _chosen(
        self, kind: str, tenant: str, signal: str | None, where: Where, start: int | None, end: int | None
    ) -> tuple[Exported, Selection]:
        if kind not in KINDS:
            raise BadInput(f"no kind {kind!r} to export; kinds are {', '.join([*KINDS, 'incidents'])}")
        chosen = KINDS[kind].select(tenant, signal, where, start or 0, _FAR if end is None else end)
        return KINDS[kind], chosen

    def _slices(self, exported: Exported, chosen: Selection) -> Iterator[Selection]:
        """Cut a selection in time until each slice has few rows (many rows of one instant stay together)."""
        found = self._db.query(exported.extent_sql(chosen), chosen.parameters).to_pylist()[0]
        count, first, last = found["n"], found["a"], found["b"]
        if not count:
            return
        if count <= SLICE_ROWS or first == last:
            yield chosen.between(first, last + 1)
            return
        middle = first + (last - first) // 2 + 1
        yield from self._slices(exported, chosen.between(first, middle))
        yield from self._slices(exported, chosen.between(middle, last + 1))

    def _text(self, exported: Exported, chosen: Selection, form: Form) -> Iterator[bytes]:
        name, settings = ("JSONEachRow", _JSON_SETTINGS) if form == "jsonl" else ("CSV", _CSV_SETTINGS)
        if form == "csv":
            yield (",".join(exported.fields) + "\n").encode()
        for slice_ in self._slices(exported, chosen):
            sql = exported.sql(slice_, for_csv=form == "csv")
            yield self._db.raw(f"{sql} SETTINGS {settings}", slice_.parameters, name)

    def _parquet(self, exported: Exported, chosen: Selection) -> Iterator[bytes]:
        tables = (self._db.query(exported.sql(part), part.parameters) for part in self._slices(exported, chosen))
        return _parquet_chunks(self._schema(exported, chosen), tables)

    def _schema(self, exported: Exported, chosen: Selection) -> pa.Schema:
        nothing = chosen.between(0, 0)
        return self._db.query(f"{exported.sql(nothing)} LIMIT 0", nothing.parameters).schema


def chunks_of_rows(
    rows: Iterable[Row], types: Mapping[str, pa.DataType], form: Form, table: str = "rows"
) -> Iterator[bytes]:
    """Rows of Python values as a file, in pieces; `types` names the columns and their Parquet types, `table` that of SQL."""
    if form == "sql":
        return sql_chunks(table, pa.schema(list(types.items())), rows)
    if form == "jsonl":
        return _grouped(f"{json.dumps(row, ensure_ascii=False)}\n".encode() for row in rows)
    if form == "csv":
        return _grouped(_csv_lines(rows, list(types)))
    schema = pa.schema(list(types.items()))
    return _parquet_chunks(schema, _tables(rows, schema))


def guarded(text: str) -> str:
    """A text that no spreadsheet takes for a formula.

    >>> guarded("=1+1"), guarded("fine")
    ("'=1+1", 'fine')
    """
    return f"'{text}" if text.startswith(_FORMULA) else text


def _grouped(pieces: Iterable[bytes], size: int = 1 << 18) -> Iterator[bytes]:
    held = bytearray()
    for piece in pieces:
        held += piece
        if len(held) >= size:
            yield bytes(held)
            held.clear()
    if held:
        yield bytes(held)


def _csv_lines(rows: Iterable[Row], fields: Sequence[str]) -> Iterator[bytes]:
    yield (",".join(fields) + "\n").encode()
    for row in rows:
        sink = io.StringIO()
        csv.writer(sink, lineterminator="\n").writerow([_cell(row.get(name)) for name in fields])
        yield sink.getvalue().encode()


def _cell(value: object) -> object:
    if isinstance(value, str):
        return guarded(value)
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list | bool) else value


def _tables(rows: Iterable[Row], schema: pa.Schema, size: int = 10_000) -> Iterator[pa.Table]:
    held: list[Row] = []
    for row in rows:
        held.append({field.name: _parquet_cell(row.get(field.name), field.type) for field in schema})
        if len(held) >= size:
            yield pa.Table.from_pylist(held, schema)
            held.clear()
    if held:
        yield pa.Table.from_pylist(held, schema)


def _parquet_cell(value: object, kind: pa.DataType) -> object:
    if pa.types.is_string(kind) and value is not None and not isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    return number_from_json(value) if pa.types.is_floating(kind) and isinstance(value, str) else value


def _parquet_chunks(schema: pa.Schema, tables: Iterable[pa.Table]) -> Iterator[bytes]:
    sink = _Drain()
    with pq.ParquetWriter(sink, schema, compression="zstd") as writer:
        for table in tables:
            writer.write_table(table.cast(schema))
            yield sink.taken()
    yield sink.taken()


class _Drain(io.RawIOBase):
    """A file that is only written, and emptied between writes."""

    def __init__(self) -> None:
        self._held = bytearray()
        self._at = 0

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def write(self, data: Any) -> int:
        count = len(memoryview(data).cast("B")) if not isinstance(data, bytes) else len(data)
        self._held += data
        self._at += count
        return count

    def taken(self) -> bytes:
        """What was written since the last call."""
        found = bytes(self._held)
        self._held.clear()
        return found


def _plain(row: Row) -> Row:
    return {name: dict(value) if name == "labels" else value for name, value in row.items()}


__all__ = ["Exports", "Form", "chunks_of_rows", "guarded"]
