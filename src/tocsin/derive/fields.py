"""Reading attributes of a span or log frame by canonical field, through the name mappings of packs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tocsin.model.arrays import I8
from tocsin.spec.pack import MappingSpec, PackSpec


class FieldReader:
    """Canonical fields of a frame's rows: `attributes` before `resource`, the first known name wins.

    A field that no mapping knows is read under its own name.
    """

    def __init__(self, packs: Sequence[PackSpec]) -> None:
        self._mappings: dict[str, MappingSpec] = {}
        for pack in packs:
            for mapping in pack.mappings:
                self._mappings.setdefault(mapping.field, mapping)

    def names(self, field: str) -> list[str]:
        """Names in the wild of a field, in order of preference."""
        mapping = self._mappings.get(field)
        return mapping.names if mapping else [field]

    def columns(self, batch: pa.RecordBatch, fields: Sequence[str]) -> dict[str, list[str | None]]:
        """Values of each field, one per row, None where it is missing."""
        tables = [_Pairs(batch.column(name)) for name in ("attributes", "resource") if name in batch.schema.names]
        found: dict[str, list[str | None]] = {}
        for field in fields:
            column: list[str | None] = [None] * batch.num_rows
            mapping = self._mappings.get(field)
            for name in reversed(self.names(field)):
                for table in reversed(tables):
                    table.fill(name, column)
            if mapping and mapping.values:
                seen = {v: mapping.canonical(v) for v in set(column) if v is not None}
                column = [seen[v] if v is not None else None for v in column]
            found[field] = column
        return found


class _Pairs:
    """A map column, flattened once: which rows have which key."""

    def __init__(self, column: pa.MapArray) -> None:
        offsets: I8 = np.asarray(column.offsets, dtype="i8")
        counts = np.diff(offsets)
        self._row = np.repeat(np.arange(len(column)), counts)
        keys = column.keys.slice(int(offsets[0]), int(offsets[-1] - offsets[0])) if len(column) else column.keys
        self._items = column.items.slice(int(offsets[0]), len(keys)) if len(column) else column.items
        encoded = pc.dictionary_encode(keys)
        self._codes = {key: code for code, key in enumerate(encoded.dictionary.to_pylist())}
        self._code = np.asarray(encoded.indices)

    def fill(self, name: str, column: list[str | None]) -> None:
        """Put the values of a key into `column`, over what is there."""
        code = self._codes.get(name)
        if code is None:
            return
        at = np.flatnonzero(self._code == code)
        values = self._items.take(pa.array(at)).to_pylist()
        for row, value in zip(self._row[at].tolist(), values, strict=True):
            column[row] = value
