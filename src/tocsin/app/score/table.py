"""Tables in files: CSV and Parquet, read in chunks, with the place of every cell."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Final, TextIO

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from tocsin.model.errors import BadInput
from tocsin.plugin.registry import nearest

BLOCK_BYTES: Final = 1 << 20
BLOCK_ROWS: Final = 16_384
_NOT_UTF8: Final = "is not UTF-8 text; convert it, as with iconv -f ISO-8859-1 -t UTF-8 (or -f UTF-16)"


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some rows on end: `first` is the number of the first one, from 0; columns by name, (n,) each."""

    first: int
    columns: dict[str, Any]

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()))) if self.columns else 0


class Table:
    """A CSV or Parquet file; cells of CSV come as text, those of Parquet in their own types.

    Raises
    ------
    BadInput
        The file can't be read, holds no rows, or is neither kind; the message says where and what to do.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.is_parquet = path.suffix.lower() in (".parquet", ".pq")
        self.delimiter = ","
        self._is_packed = path.suffix.lower() == ".gz"
        kind = Path(path.stem).suffix.lower() if self._is_packed else path.suffix.lower()
        if path.is_dir():
            raise BadInput(f"{path}: is a directory; name a file in it")
        if not self.is_parquet and kind not in (".csv", ".tsv", ".txt"):
            raise BadInput(
                f"{path}: neither .csv nor .parquet (nor .csv.gz); name the file after what is in it, or save it as CSV"
            )
        if not path.is_file():
            raise BadInput(f"{path}: there is no such file")
        try:
            self.names = self._names()
        except OSError as error:
            raise BadInput(f"{path}: can't be read: {(error.strerror or str(error)).lower()}") from None
        double = [name for k, name in enumerate(self.names) if name in self.names[:k]]
        if double:
            raise BadInput(f"{path}:1: two columns are called {double[0]!r}; give each a name of its own")

    def _names(self) -> list[str]:
        if self.is_parquet:
            try:
                return list(pq.read_schema(self.path).names)
            except pa.ArrowInvalid as error:
                raise BadInput(f"{self.path}: is no Parquet file: {error}") from None
        try:
            with self._opened() as stream:
                first = stream.readline()
        except (gzip.BadGzipFile, EOFError):
            raise BadInput(f"{self.path}: is no gzip file; name the file after what is in it") from None
        except UnicodeDecodeError:
            raise BadInput(f"{self.path}: {_NOT_UTF8}") from None
        if not first.strip():
            raise BadInput(f"{self.path}:1: is empty; the first line must name the columns")
        self.delimiter = max(",\t;|", key=first.count)
        return next(csv.reader([first], delimiter=self.delimiter))

    def _opened(self, errors: str = "strict") -> TextIO:
        if self._is_packed:
            return gzip.open(self.path, "rt", encoding="utf-8-sig", newline="", errors=errors)
        return self.path.open(encoding="utf-8-sig", newline="", errors=errors)

    def column(self, name: str, option: str) -> str:
        """The name, if there is such a column.

        Raises
        ------
        BadInput
            There is none; what is near is told.
        """
        if name not in self.names:
            raise BadInput(f"{self.path}:1: no column {name!r} for {option}: {nearest(name, self.names)}")
        return name

    def chunks(self) -> Iterator[Chunk]:
        """All rows, in order, some thousands at a time."""
        row = 0
        for batch in self._parquet() if self.is_parquet else self._csv():
            yield Chunk(row, {name: batch.column(k) for k, name in enumerate(self.names)})
            row += batch.num_rows

    def _parquet(self) -> Iterator[Any]:
        with pq.ParquetFile(self.path) as file:
            yield from file.iter_batches(BLOCK_ROWS)

    def _csv(self) -> Iterator[Any]:
        bad: list[Any] = []

        def refuse(row: Any) -> str:
            bad.append(row)
            return "error"

        try:
            with pa_csv.open_csv(
                self.path,
                read_options=pa_csv.ReadOptions(use_threads=False, block_size=BLOCK_BYTES),
                parse_options=pa_csv.ParseOptions(delimiter=self.delimiter, invalid_row_handler=refuse),
                convert_options=pa_csv.ConvertOptions(
                    column_types=dict.fromkeys(self.names, pa.string()), strings_can_be_null=False
                ),
            ) as reader:
                yield from reader
        except pa.ArrowInvalid as error:
            raise BadInput(self._refusal(bad, str(error))) from None
        except OSError as error:
            raise BadInput(f"{self.path}: can't be read to its end: {error}") from None

    def _refusal(self, bad: list[Any], message: str) -> str:
        if bad:
            found = f"{bad[0].actual_columns} cells where the first line names {bad[0].expected_columns} columns"
            where = f"{self.path}:{bad[0].number}" if bad[0].number else str(self.path)
            return f"{where}: {found}; mend the line, or put text that holds a delimiter in quotes"
        if "Empty CSV" in message:
            return f"{self.path}:1: is empty; the first line must name the columns"
        if "UTF8" in message:
            return f"{self.path}: {_NOT_UTF8}"
        return f"{self.path}: {message}"

    def place(self, row: int) -> str:
        """Where a row is, for messages: `file:line` in CSV, `file: row n` in Parquet, both counted from 1."""
        if self.is_parquet:
            return f"{self.path}: row {row + 1}"
        # blank lines are no rows, so lines have to be counted
        with self._opened(errors="replace") as stream:
            filled = (k for k, line in enumerate(stream, 1) if line.strip("\r\n"))
            return f"{self.path}:{next(islice(filled, row + 1, None), row + 2)}"
