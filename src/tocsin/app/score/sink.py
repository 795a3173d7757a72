"""Where verdicts are written: CSV or Parquet, which appear only when they are whole."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final, Self

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from tocsin.app.score.judges import Judged
from tocsin.app.score.layout import Block, Layout
from tocsin.model.errors import BadInput

_SPECIAL: Final = '["\r\n,]'


class Sink:
    """One output file; leaving it without an error puts it in its place."""

    def __init__(self, path: Path, layout: Layout) -> None:
        self.path, self.layout = path, layout
        self._part = path.with_name(path.name + ".part")
        self._writer: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if self._writer is not None:
            self._writer.close()
        if kind is None and self._writer is not None:
            self._part.replace(self.path)
        self._part.unlink(missing_ok=True)

    def write(self, block: Block, judged: Judged) -> None:
        """Append a block's rows, in their order."""
        columns: dict[str, Any] = {"time": block.shown[self.layout.time]}
        columns |= {name: block.shown[name] for name in self.layout.keys}
        columns |= {"score": pa.array(judged.score), "p_value": pa.array(judged.p_value)}
        columns["alarm"] = pa.array(judged.alarm.astype("i1"))
        # nothing is expected yet of a series that has just begun: an empty cell
        columns |= {name: pa.array(cells, from_pandas=True) for name, cells in judged.more.items()}
        batch = pa.RecordBatch.from_arrays(list(columns.values()), names=list(columns))
        if self._writer is None:
            self._writer = self._open(batch.schema)
        self._writer.write_batch(batch)

    def _open(self, schema: Any) -> Any:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            if self.path.suffix == ".parquet":
                return pq.ParquetWriter(self._part, schema)
            return _CsvWriter(self._part)
        except OSError as error:
            raise BadInput(f"can't write {self.path}: {(error.strerror or str(error)).lower()}") from None


class _CsvWriter:
    """CSV with quotes only where they are needed; Arrow's own puts them around all text."""

    def __init__(self, path: Path) -> None:
        self._stream = path.open("wb")
        self._begun = False

    def write_batch(self, batch: Any) -> None:
        texts = [column for column in batch.columns if pa.types.is_string(column.type)]
        names = pa.array(batch.schema.names)
        options = pa_csv.WriteOptions(
            include_header=not self._begun,
            quoting_style="needed" if any(map(_is_special, texts)) else "none",
            quoting_header="needed" if _is_special(names) else "none",
        )
        pa_csv.write_csv(batch, self._stream, write_options=options)
        self._begun = True

    def close(self) -> None:
        self._stream.close()


def _is_special(texts: Any) -> bool:
    return bool(pc.any(pc.match_substring_regex(texts, _SPECIAL)).as_py())
