"""A stretch of stored history on disk, for a process that folds it: one Arrow file a part, and the series in it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa

from tocsin.model.arrays import F8, I8
from tocsin.model.codec import series_from_json, series_to_json
from tocsin.model.errors import BadInput
from tocsin.model.frame import SCHEMAS
from tocsin.model.series import Series
from tocsin.store.history_rows import FRAMES, HistoryRows, Stretch

MOST_ROWS: Final = 20_000_000
_SERIES: Final = "series.json"


@dataclass(frozen=True, slots=True)
class Rows:
    """Some rows in order of time: `series` are numbers into the history's series, all (n,)."""

    time: I8
    series: I8
    value: F8
    start: I8


class History:
    """Parts of a stretch by name: rows of `panes` or `points`, and frames of other tables beside them."""

    def __init__(self, directory: Path, stretch: Stretch) -> None:
        self._directory = directory
        self.stretch = stretch
        self.series: list[Series] = []
        self._number: dict[bytes, int] = {}
        self.rows = 0

    def take(self, rows: HistoryRows, part: str, table: str, **chosen: Sequence[str] | Sequence[bytes]) -> int:
        """Copy a selection of a table; gives the number of its rows.

        Raises
        ------
        BadInput
            There is more than can be judged again in reasonable time.
        """
        count = self._begun(rows, table, chosen)
        schema = pa.schema(
            [("time", pa.int64()), ("series", pa.int64()), ("value", pa.float64()), ("start", pa.int64())]
        )
        with pa.OSFile(str(self._directory / f"{part}.arrow"), "wb") as file, pa.ipc.new_stream(file, schema) as out:
            for table_rows in rows.read(table, self.stretch, **chosen):
                out.write_table(self._numbered(table_rows, schema))
        return count

    def take_frames(self, rows: HistoryRows, part: str, table: str, **chosen: Sequence[str] | Sequence[bytes]) -> int:
        """Copy a selection of a table whose rows were frames; gives the number of its rows.

        Raises
        ------
        BadInput
            There is more than can be judged again in reasonable time.
        """
        count = self._begun(rows, table, chosen)
        schema = SCHEMAS[FRAMES[table]]
        path = self._directory / f"{part}.{table}.arrow"
        with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, schema) as out:
            for found in rows.frames(table, self.stretch, **chosen):
                out.write_table(self._framed(found, schema))
        return count

    def _begun(self, rows: HistoryRows, table: str, chosen: Mapping[str, Sequence[str] | Sequence[bytes]]) -> int:
        """Count a selection, and learn which series there are."""
        count = rows.rows(table, self.stretch, **chosen)
        self.rows += count
        if self.rows > MOST_ROWS:
            raise BadInput(f"{self.rows:,} rows of history are more than {MOST_ROWS:,}; take fewer days")
        known = rows.series(self.stretch.tenant) if not self._number else {}
        for series_id, series in sorted(known.items()):
            self._number[series_id] = len(self.series)
            self.series.append(series)
        return count

    def _framed(self, rows: pa.Table, schema: pa.Schema) -> pa.Table:
        """Rows as frames have them, with numbers of series; those of unknown ones are left out."""
        if "series" in schema.names:
            numbers = [self._number.get(each, -1) for each in rows.column("series").to_pylist()]
            place = rows.schema.get_field_index("series")
            rows = rows.set_column(place, "series", pa.array(numbers, pa.int32()))
            rows = rows.filter(pa.compute.greater_equal(rows.column("series"), 0))
        columns = []
        for field in schema:
            column = rows.column(field.name)
            if pa.types.is_map(field.type):  # other names of the parts of an entry
                column = pa.chunked_array([each.cast(field.type) for each in column.chunks], field.type)
            if field.name == "embedding":  # the store has an empty one where there is none
                some = pa.compute.greater(pa.compute.list_value_length(column), 0)
                column = pa.compute.if_else(some, column, pa.scalar(None, column.type))
            columns.append(column.cast(field.type))
        return pa.table(columns, schema=schema)

    def _numbered(self, rows: pa.Table, schema: pa.Schema) -> pa.Table:
        numbers = [self._number.get(each, -1) for each in rows.column("series").to_pylist()]
        start = rows.column("start") if "start" in rows.column_names else pa.array([0] * len(rows), pa.int64())
        table = pa.table(
            [rows.column("time"), pa.array(numbers, pa.int64()), rows.column("value"), start], schema=schema
        )
        return table.filter(pa.compute.greater_equal(table.column("series"), 0))

    def close(self) -> None:
        """Write down which series there are."""
        body = {
            "tenant": self.stretch.tenant,
            "start": self.stretch.start,
            "end": self.stretch.end,
            "series": [series_to_json(each) for each in self.series],
        }
        (self._directory / _SERIES).write_text(json.dumps(body))

    @staticmethod
    def opened(directory: Path) -> History:
        """The history that was written into a directory."""
        body: dict[str, Any] = json.loads((directory / _SERIES).read_text())
        found = History(directory, Stretch(body["tenant"], body["start"], body["end"]))
        found.series = [series_from_json(body["tenant"], each) for each in body["series"]]
        return found

    def frames(self, part: str, table: str) -> Iterator[pa.RecordBatch]:
        """The rows of a part that were frames, some at a time; `series` are numbers into the history's series."""
        with (
            pa.OSFile(str(self._directory / f"{part}.{table}.arrow"), "rb") as file,
            pa.ipc.open_stream(file) as reader,
        ):
            yield from reader

    def parts(self, part: str) -> Iterator[Rows]:
        """The rows of a part, some at a time; none where it has frames alone."""
        path = self._directory / f"{part}.arrow"
        if not path.exists():
            return
        with pa.OSFile(str(path), "rb") as file, pa.ipc.open_stream(file) as reader:
            for batch in reader:
                columns = [batch.column(name).to_numpy(zero_copy_only=False) for name in batch.schema.names]
                time, series, value, start = (np.array(column) for column in columns)
                yield Rows(time, series, value, start)
