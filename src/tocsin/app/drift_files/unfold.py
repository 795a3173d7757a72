"""Columns that hold more than one thing in a cell: objects become columns of their own, lists of numbers vectors."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from tocsin.app.score.cells import is_text
from tocsin.assess.column import NO_VALUE, as_arrow

MOST_FIELDS: Final = 200
"""Fields of an object that become columns; the others are left out."""
LOOKED_AT: Final = 200
"""Cells that tell what a column of texts holds."""
_DECIMAL: Final = re.compile(r"[+-]?[0-9]+(,[0-9]+)?([eE][+-]?[0-9]+)?")


def unfolded(name: str, cells: Any, notes: list[str]) -> Iterator[tuple[str, Any]]:
    """The columns that a column is: itself, as vectors where its texts are lists, or `name.field` for each field.

    >>> dict(unfolded("f", pa.array(['{"a": 1}', '{"a": 2, "b": "x"}']), []))["f.b"].to_pylist()
    [None, 'x']
    """
    if pa.types.is_struct(cells.type):
        for k, field in enumerate(list(cells.type)[:MOST_FIELDS]):
            yield from unfolded(f"{name}.{field.name}", pc.struct_field(cells, [k]), notes)
        return
    if not is_text(cells):
        yield name, cells
        return
    some = [text for text in cells.slice(0, 50 * LOOKED_AT).to_pylist() if holds(text)][:LOOKED_AT]
    if some and all(text[0] == "[" and text[-1] == "]" for text in some) and any(_vector(text) for text in some):
        yield name, vectors(cells)
    elif some and all(text[0] == "{" and text[-1] == "}" for text in some) and isinstance(_read(some[0]), dict):
        yield from _fields(name, cells, notes)
    else:
        yield name, cells


def holds(text: str | None) -> bool:
    """Whether a cell holds anything."""
    return text is not None and text.lower() not in NO_VALUE


def vectors(cells: Any) -> Any:
    """Texts as lists of numbers: JSON, or as numpy prints them; an empty list where a text is none.

    >>> vectors(pa.array(["[1, 2]", "[0.5 1e3]", "", "oops"])).to_pylist()
    [[1.0, 2.0], [0.5, 1000.0], None, []]
    """
    return pa.array([_vector(text) if holds(text) else None for text in cells.to_pylist()], pa.list_(pa.float64()))


def _vector(text: str) -> list[float]:
    try:
        return [float(part) for part in text.strip("[]").replace(",", " ").split()]
    except ValueError:
        return []


def _read(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _fields(name: str, cells: Any, notes: list[str]) -> Iterator[tuple[str, Any]]:
    rows: list[dict[str, Any]] = []
    wrong = 0
    for text in cells.to_pylist():
        found = _read(text) if holds(text) else {}
        wrong += not isinstance(found, dict)
        rows.append(found if isinstance(found, dict) else {})
    if wrong:
        notes.append(f"column {name!r}: {wrong:,} cells are no JSON objects; they count as empty")
    keys = list(dict.fromkeys(key for row in rows for key in row))
    if len(keys) > MOST_FIELDS:
        notes.append(f"column {name!r}: objects of {len(keys):,} fields; the first {MOST_FIELDS} are compared")
    for key in keys[:MOST_FIELDS]:
        yield from unfolded(f"{name}.{key}", as_arrow([row.get(key) for row in rows]), notes)


def with_points(cells: Any) -> Any | None:
    """Numbers with a decimal comma, written with a point; None if that is not what a column holds.

    >>> with_points(pa.array(["1,5", "2"])).to_pylist(), with_points(pa.array(["a,b"]))
    (['1.5', '2'], None)
    """
    some = [text for text in cells.slice(0, 50 * LOOKED_AT).to_pylist() if holds(text)][:LOOKED_AT]
    if not any("," in text for text in some) or not all(_DECIMAL.fullmatch(text) for text in some):
        return None
    return pc.replace_substring(cells, ",", ".")
