"""Reading map columns by canonical field: each row's best name, each different text read once."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from tocsin.model.arrays import F8, I4, I8, Mask
from tocsin.model.text import whole

_LATER_TABLE = 1 << 20


@dataclass(frozen=True, slots=True, eq=False)
class Texts:
    """A text of each row, (n,): `values[code]`, a code of -1 for none."""

    code: I4
    values: list[str]

    def of(self, row: int) -> str:
        """The text of one row, "" for none."""
        code = int(self.code[row])
        return self.values[code] if code >= 0 else ""

    def kept(self, rows: Mask) -> Texts:
        """Without the texts of all other rows."""
        return Texts(np.where(rows, self.code, -1).astype("i4"), self.values)

    def dictionary(self) -> pa.DictionaryArray:
        """As a column in which none is ""."""
        # the last value is "", so that the code -1 is a place
        code = np.where(self.code < 0, len(self.values), self.code).astype("i4")
        return pa.DictionaryArray.from_arrays(pa.array(code), pa.array([*self.values, ""], pa.string()))


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """Raw texts of one field: `rows` (k,) have `values[codes]`."""

    rows: I8
    codes: I8
    values: Sequence[str]

    def texts(self, n: int, read: Callable[[str], str]) -> Texts:
        """What `read` makes of each row's text; "" is none."""
        distinct, inverse = np.unique(self.codes, return_inverse=True)
        known: dict[str, int] = {}
        new = [known.setdefault(text, len(known)) if (text := read(self.values[c])) else -1 for c in distinct.tolist()]
        code: I4 = np.full(n, -1, "i4")
        code[self.rows] = np.array(new, "i4")[inverse] if new else code[:0]
        return Texts(code, list(known))

    def numbers(self, n: int, read: Callable[[str], float | None]) -> F8:
        """What `read` makes of each row's text, NaN where that is nothing."""
        distinct, inverse = np.unique(self.codes, return_inverse=True)
        values = np.full(n, np.nan)
        values[self.rows] = np.array([read(self.values[code]) for code in distinct.tolist()], "f8")[inverse]
        return values


class FieldNames:
    """Which names carry which field; the first name of a field's list that a row has wins, tables in order.

    `name#key` is the value under `key` of an attribute that holds a JSON object.
    """

    def __init__(self) -> None:
        self._ranks: dict[str, list[tuple[str, int]]] = {}
        self._keys: dict[str, set[str]] = {}
        self._count = 0

    def add(self, field: str, names: Iterable[str]) -> None:
        """More names of a field, after those it has."""
        for told in names:
            name, _, key = told.partition("#")
            if key:
                self._keys.setdefault(name, set()).add(key)
            self._ranks.setdefault(told, []).append((field, self._count))
            self._count += 1

    def find(self, tables: Sequence[pa.MapArray]) -> dict[str, Found]:
        """Per field the rows that have one, with the raw text of the best name."""
        hits = _Hits()
        for place, table in enumerate(tables):
            self._hit(table, place, hits)
        rows, name, value = (np.concatenate(parts) for parts in (hits.rows, hits.name, hits.value))
        ranks: dict[str, I8] = {}
        for code, (text, place) in enumerate(zip(hits.names, hits.places, strict=True)):
            for field, rank in self._ranks.get(text, ()):
                ranks.setdefault(field, np.full(len(hits.names), -1))[code] = rank + place * _LATER_TABLE
        found = {}
        for field, of_name in ranks.items():
            rank_of = of_name[name]
            mine = np.flatnonzero(rank_of >= 0)
            # by row, then by rank: the first of each row is the best name's
            order = mine[np.lexsort((rank_of[mine], rows[mine]))]
            unique, first = np.unique(rows[order], return_index=True)
            found[field] = Found(unique, value[order[first]], hits.values)
        return found

    def _hit(self, table: pa.MapArray, place: int, hits: _Hits) -> None:
        """Note the pairs of a table that carry a field."""
        offsets: I8 = np.asarray(table.offsets, "i8")
        begin, end = int(offsets[0]), int(offsets[-1])
        keys = table.keys.slice(begin, end - begin).dictionary_encode()
        names = keys.dictionary.to_pylist()
        codes: I8 = keys.indices.to_numpy(zero_copy_only=False).astype("i8")
        wanted = np.array([name in self._ranks or name in self._keys for name in names], "?")
        at = np.flatnonzero(wanted[codes]) if names else np.empty(0, "i8")
        items = table.items.slice(begin, end - begin).take(pa.array(at)).dictionary_encode()
        values = items.dictionary.to_pylist()
        value: I8 = items.indices.to_numpy(zero_copy_only=False).astype("i8")
        filled = np.array([bool(text) for text in values], "?")
        keep = filled[value] if values else np.empty(0, "?")
        at, value = at[keep], value[keep]
        rows = np.searchsorted(offsets, at + begin, side="right") - 1
        hits.add(rows, codes[at], value, names, values, place)
        for number, name in enumerate(names):
            for key in sorted(self._keys.get(name, ())):
                mine = np.flatnonzero(codes[at] == number)
                known, which = np.unique(value[mine], return_inverse=True)
                under = [_under(values[code], key) for code in known.tolist()]
                told = np.array([bool(text) for text in under], "?")[which]
                hits.add(
                    rows[mine[told]], np.zeros(int(told.sum()), "i8"), which[told], [f"{name}#{key}"], under, place
                )


class _Hits:
    """Pairs that carry a field: of each its row, and the numbers of its name and its value."""

    def __init__(self) -> None:
        self.rows: list[I8] = []
        self.name: list[I8] = []
        self.value: list[I8] = []
        self.names: list[str] = []
        self.places: list[int] = []
        self.values: list[str] = []

    def add(self, rows: I8, name: I8, value: I8, names: Sequence[str], values: Sequence[str], place: int) -> None:
        """Take hits of one table, whose names and values are numbered from 0."""
        self.rows.append(rows)
        self.name.append(name + len(self.names))
        self.value.append(value + len(self.values))
        self.names += names
        self.places += [place] * len(names)
        self.values += values


def _under(text: str, path: str) -> str:
    """The value under a key of a JSON object, "" if there is none."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return ""
    value = found.get(path) if isinstance(found, dict) else None
    return whole(value) if isinstance(value, str) else "" if value is None else json.dumps(value)


def first_of(text: str) -> str:
    """The text itself, or the first element of a JSON list.

    >>> first_of('["stop"]'), first_of("stop")
    ('stop', 'stop')
    """
    if text.startswith("["):
        try:
            parsed = json.loads(text)
        except (ValueError, RecursionError):
            return text
        return whole(str(parsed[0])) if isinstance(parsed, list) and parsed else ""
    return text
