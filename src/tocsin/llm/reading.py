"""Reading map columns by canonical field: each row's best name, each different text read once."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from tocsin.model.arrays import F8, I4, I8, Mask

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
        self._paths: dict[int, str] = {}
        self._count = 0

    def add(self, field: str, names: Iterable[str]) -> None:
        """More names of a field, after those it has."""
        for told in names:
            name, _, path = told.partition("#")
            if path:
                self._paths[self._count] = path
            self._ranks.setdefault(name, []).append((field, self._count))
            self._count += 1

    def find(self, tables: Sequence[pa.MapArray]) -> dict[str, Found]:
        """Per field the rows that have one, with the raw text of the best name."""
        names: list[str] = []
        values: list[str] = []
        rows, name, value = [np.zeros(0, "i8")], [np.zeros(0, "i8")], [np.zeros(0, "i8")]
        later: list[int] = []
        for place, table in enumerate(tables):
            found = self._hits(table)
            rows.append(found[0])
            name.append(found[1] + len(names))
            value.append(found[2] + len(values))
            later += [place * _LATER_TABLE] * len(found[3])
            names += found[3]
            values += found[4]
        return self._best(np.concatenate(rows), np.concatenate(name), np.concatenate(value), names, later, values)

    def _hits(self, table: pa.MapArray) -> tuple[I8, I8, I8, list[str], list[str]]:
        """Rows, names and values (by number) of the pairs that carry a field."""
        offsets: I8 = np.asarray(table.offsets, "i8")
        begin, end = int(offsets[0]), int(offsets[-1])
        keys = table.keys.slice(begin, end - begin).dictionary_encode()
        names = keys.dictionary.to_pylist()
        codes = keys.indices.to_numpy(zero_copy_only=False)
        wanted = np.array([name in self._ranks for name in names], "?")
        hits = np.flatnonzero(wanted[codes]) if names else np.empty(0, "i8")
        items = table.items.slice(begin, end - begin).take(pa.array(hits)).dictionary_encode()
        values = items.dictionary.to_pylist()
        value_codes = items.indices.to_numpy(zero_copy_only=False)
        filled = np.array([bool(value) for value in values], "?")
        keep = filled[value_codes] if values else np.empty(0, "?")
        hits = hits[keep]
        rows = np.searchsorted(offsets, hits + begin, side="right") - 1
        return rows, codes[hits].astype("i8"), value_codes[keep].astype("i8"), names, values

    def _best(
        self, rows: I8, name: I8, value: I8, names: Sequence[str], later: Sequence[int], values: list[str]
    ) -> dict[str, Found]:
        ranks: dict[str, I8] = {}
        for code, (text, add) in enumerate(zip(names, later, strict=True)):
            for field, place in self._ranks.get(text, ()):
                ranks.setdefault(field, np.full(len(names), -1))[code] = place + add
        found = {}
        for field, of_name in ranks.items():
            rank = of_name[name]
            mine = np.flatnonzero(rank >= 0)
            # by row, then by rank: the first of each row is the best name's
            order = mine[np.lexsort((rank[mine], rows[mine]))]
            unique, first = np.unique(rows[order], return_index=True)
            chosen = order[first]
            found[field] = Found(unique, self._walked(rank[chosen], value[chosen], values), values)
        return found

    def _walked(self, rank: I8, value: I8, values: list[str]) -> I8:
        """Codes of values, those behind a path replaced by what is there; `values` grows."""
        if not self._paths:
            return value
        for place, of in enumerate((rank % _LATER_TABLE).tolist()):
            path = self._paths.get(of)
            if path is not None:
                values.append(_under(values[value[place]], path))
                value[place] = len(values) - 1
        return value


def _under(text: str, path: str) -> str:
    """The value under a key of a JSON object, "" if there is none."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return ""
    value = found.get(path) if isinstance(found, dict) else None
    return value if isinstance(value, str) else "" if value is None else json.dumps(value)


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
        return str(parsed[0]) if isinstance(parsed, list) and parsed else ""
    return text
