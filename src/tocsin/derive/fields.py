"""Reading attributes of span or log frames by canonical field, through the name mappings of packs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa

from tocsin.llm.calls import SPAN_COLUMNS, CallReader, Calls
from tocsin.model.arrays import F8, I4, I8
from tocsin.model.frame import Frame, FrameKind
from tocsin.spec.mapping import MappingSpec
from tocsin.spec.pack import PackSpec

_TABLES = ("attributes", "resource")


@dataclass(frozen=True, slots=True, eq=False)
class Coded:
    """One field of many rows: `texts[code[i]]` is the value of row i; a code of -1 says that it has none."""

    code: I4
    texts: list[str]

    def is_text(self, text: str) -> I4:
        """Codes that stand for a text: one, or none."""
        return np.flatnonzero(np.array([found == text for found in self.texts], bool)).astype("i4")


def joined(frames: Sequence[Frame], name: str) -> Any:
    """One column of all frames, an Arrow array."""
    if len(frames) == 1:
        return frames[0].batch.column(name)
    return pa.concat_arrays([frame.batch.column(name) for frame in frames])


def coded(values: Any) -> Coded:
    """A text column by codes; null is -1."""
    found = values.dictionary_encode()
    return Coded(_codes(found.indices), found.dictionary.to_pylist())


class FieldReader:
    """Canonical fields of rows: `attributes` before `resource`, the first known name wins.

    A field that no mapping knows is read under its own name. Fields of model calls are what `calls` reads of spans, with
    what follows from them (cost, utilisation, class of error).
    """

    def __init__(self, packs: Sequence[PackSpec], calls: CallReader | None = None) -> None:
        self.calls = CallReader(packs) if calls is None else calls
        self._mappings: dict[str, MappingSpec] = {}
        for pack in packs:
            for mapping in pack.mappings:
                self._mappings.setdefault(mapping.field, mapping)

    def names(self, field: str) -> list[str]:
        """Names in the wild of a field, in order of preference."""
        mapping = self._mappings.get(field)
        return mapping.names if mapping else [field]

    def read(self, frames: Sequence[Frame]) -> Fields:
        """The fields of the rows of all frames, one after the other."""
        return Fields(frames, self)

    def mapping(self, field: str) -> MappingSpec | None:
        """The mapping of a field, if there is one."""
        return self._mappings.get(field)


class Fields:
    """Fields of many rows; each is read when it is first asked for."""

    def __init__(self, frames: Sequence[Frame], reader: FieldReader) -> None:
        self._reader = reader
        self._frames = frames
        self._tables = [_Pairs(joined(frames, name)) for name in _TABLES]
        self._rows = sum(map(len, frames))
        self._known: dict[str, Coded] = {}

    def __getitem__(self, field: str) -> Coded:
        found = self._known.get(field)
        if found is None:
            found = self._known[field] = self._column(field)
        return found

    @cached_property
    def calls(self) -> Calls | None:
        """What the spans say of model calls; None for rows of another kind."""
        if not self._frames or self._frames[0].kind is not FrameKind.SPANS:
            return None
        columns = {name: joined(self._frames, name) for name in SPAN_COLUMNS}
        return self._reader.calls.read(self._frames[0].tenant, columns)

    def numbers(self, field: str) -> F8:
        """A field as numbers, (n,), NaN for what is none."""
        if self.calls is not None and field in self.calls.numbers:
            return self.calls.numbers[field]
        column = self[field]
        found: F8 = np.array([*map(_number, column.texts), math.nan])[column.code]
        return found

    def _column(self, field: str) -> Coded:
        if self.calls is not None:
            if field in self.calls.texts:
                text = self.calls.texts[field]
                return Coded(text.code, text.values)
            if field in self.calls.numbers:
                return _told(self.calls.numbers[field])
        code = np.full(self._rows, -1, "i4")
        known: dict[str, int] = {}
        for name in reversed(self._reader.names(field)):
            for table in reversed(self._tables):
                table.fill(name, code, known)
        texts = list(known)
        mapping = self._reader.mapping(field)
        if mapping and mapping.values and texts:
            return _merged(code, [mapping.canonical(text) for text in texts])
        return Coded(code, texts)


def _told(numbers: F8) -> Coded:
    """Numbers as texts, NaN for none."""
    values, code = np.unique(numbers, return_inverse=True)
    return Coded(np.where(np.isnan(numbers), -1, code).astype("i4"), [repr(value) for value in values.tolist()])


def _number(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        return math.nan
    return number if math.isfinite(number) else math.nan


def _merged(code: I4, texts: Sequence[str]) -> Coded:
    """Codes under new texts, of which some may have become the same."""
    known: dict[str, int] = {}
    new = np.array([known.setdefault(text, len(known)) for text in texts] + [-1], "i4")
    return Coded(new[code], list(known))


def _codes(indices: Any) -> I4:
    if indices.null_count:
        indices = indices.fill_null(-1)
    found: I4 = indices.to_numpy(zero_copy_only=True)
    return found


class _Pairs:
    """A map column, flattened once: which rows have which key."""

    def __init__(self, column: Any) -> None:
        offsets: I8 = np.asarray(column.offsets, dtype="i8")
        first, last = int(offsets[0]), int(offsets[-1])
        self._row = np.repeat(np.arange(len(column)), np.diff(offsets))
        self._items = column.items.slice(first, last - first)
        encoded = column.keys.slice(first, last - first).dictionary_encode()
        self._codes = {key: code for code, key in enumerate(encoded.dictionary.to_pylist())}
        self._code = _codes(encoded.indices)

    def fill(self, name: str, code: I4, known: dict[str, int]) -> None:
        """Put the values of a key, coded by `known`, into `code`, over what is there."""
        key = self._codes.get(name)
        if key is None:
            return
        at = np.flatnonzero(self._code == key)
        values = coded(self._items.take(pa.array(at)))
        new = np.array([known.setdefault(text, len(known)) for text in values.texts] + [-1], "i4")
        code[self._row[at]] = new[values.code]
