"""What callers hand over, as rows that JSON can hold: scalars of any library, DataFrames of any library."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final, TypeAlias

Row: TypeAlias = dict[str, Any]

FIELDS: Final = (
    *("prediction_id", "time", "kind", "model", "version", "prediction", "score", "features", "tags"),
    *("truth", "feedback", "embedding", "attributions", "attention"),
)
_SLICE_ROWS: Final = 1_000


def plain(value: Any) -> Any:
    """A value as JSON knows it; arrays become lists, what nobody knows becomes text.

    >>> plain({1: (True, 2.5)}), plain(float("nan")), plain(float("inf"))
    ({'1': [True, 2.5]}, None, 'inf')
    """
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else (None if math.isnan(value) else str(value))
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    return _foreign(value)


def _foreign(value: Any) -> Any:
    """What is no type of JSON: times, arrays and scalars of other libraries, anything."""
    if isinstance(value, datetime):
        return stamp(value)
    if type(value).__name__ == "datetime64":  # by itself it would become a number of any unit
        return f"{value}Z"
    for method in ("tolist", "item", "as_py"):
        convert = getattr(value, method, None)
        if callable(convert):
            return plain(convert())
    return str(value)


def stamp(time: Any) -> Any:
    """A time as the server reads it: RFC 3339 or epoch seconds; a time without a zone is UTC."""
    if isinstance(time, datetime):
        return (time if time.tzinfo else time.replace(tzinfo=UTC)).isoformat()
    return time if time is None or isinstance(time, str | int | float) else plain(time)


def encode(row: Row) -> bytes:
    """One line of JSON.

    Raises
    ------
    ValueError, TypeError, RecursionError
        JSON can't hold it.
    """
    return json.dumps(plain(row), separators=(",", ":"), allow_nan=False).encode()


def rows_of(frame: Any) -> Iterator[Mapping[str, Any]]:
    """Rows of whatever has some: pandas, polars, Arrow, a mapping of columns, an iterable of mappings.

    >>> list(rows_of({"a": [1, 2]})) == list(rows_of([{"a": 1}, {"a": 2}]))
    True

    Raises
    ------
    TypeError
        It has no rows.
    """
    if hasattr(frame, "iter_rows"):  # polars
        return iter(frame.iter_rows(named=True))
    if hasattr(frame, "to_batches"):  # an Arrow table
        return (row for batch in frame.to_batches(max_chunksize=_SLICE_ROWS) for row in batch.to_pylist())
    if hasattr(frame, "to_pylist"):  # an Arrow batch
        return iter(frame.to_pylist())
    if hasattr(frame, "itertuples"):  # pandas
        names = [str(name) for name in frame.columns]
        return (dict(zip(names, values, strict=True)) for values in frame.itertuples(index=False, name=None))
    if isinstance(frame, Mapping):
        names = [str(name) for name in frame]
        return (dict(zip(names, values, strict=True)) for values in zip(*frame.values(), strict=True))
    if isinstance(frame, Iterable) and not isinstance(frame, str | bytes):
        return iter(frame)
    raise TypeError(f"{type(frame).__name__} has no rows: give a DataFrame, an Arrow table or dictionaries")


def record(row: Mapping[str, Any], base: Row, features: frozenset[str] | None, tags: frozenset[str]) -> Row:
    """A row of a DataFrame as a record: columns with the names of fields are those, `tags` tags, the rest features."""
    found = dict(base)
    own: Row = {}
    told: Row = {}
    for name, value in row.items():
        if name in tags:
            told[name] = value
        elif features is not None and name in features:
            own[name] = value
        elif name in FIELDS:
            if not _none(value):
                found[name] = stamp(value) if name == "time" else value
        elif features is None:
            own[name] = value
    if own:
        found["features"] = {**(found.get("features") or {}), **own}
    if told:
        found["tags"] = {**(found.get("tags") or {}), **{name: text(value) for name, value in told.items()}}
    return found


def text(value: Any) -> Any:
    """The value of a tag: a scalar stays, all else becomes text."""
    value = plain(value)
    return value if value is None or isinstance(value, str | bool | int | float) else json.dumps(value)


def _none(value: Any) -> bool:
    """Whether a cell is empty: None, NaN, NaT."""
    return value is None or (not isinstance(value, str | list | dict | tuple) and _unequal(value))


def _unequal(value: Any) -> bool:
    try:
        return bool(value != value)  # noqa: PLR0124 - NaN and NaT are what is not itself
    except (TypeError, ValueError):  # arrays don't say yes or no
        return False
