"""Cells of a table as times and numbers, with an error that names the first cell that is neither."""

from __future__ import annotations

import functools
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tocsin.app.score.table import Table
from tocsin.model.arrays import F8, I8
from tocsin.model.errors import BadInput
from tocsin.model.text import one_line

_MISSING: Final = ("", "nan", "null", "none", "na", "n/a", "-", "?")
"""How people write that there is no number, in any case of letters."""
_END: Final = 9.2e18
"""Nanoseconds since 1970 that 64 bits no longer hold."""
_EPOCHS: Final = ((1e11, 10**9), (1e14, 10**6), (1e17, 10**3), (np.inf, 1))
"""Limits up to which a number of seconds, milli-, micro- or nanoseconds since 1970 is read as such, and its ns."""


def is_text(cells: Any) -> bool:
    """Whether cells are text."""
    return bool(pa.types.is_string(cells.type) or pa.types.is_large_string(cells.type))


def plain(cells: Any) -> Any:
    """Cells without dictionary, text without blanks around it."""
    if pa.types.is_dictionary(cells.type):
        cells = cells.dictionary_decode()
    if pa.types.is_string_view(cells.type):
        cells = cells.cast(pa.string())
    return pc.utf8_trim_whitespace(cells) if is_text(cells) else cells


@functools.cache
def missing_words() -> Any:
    """Words that mean that nothing is there; made at first use, since Arrow's first conversion looks for pandas."""
    return pa.array(_MISSING)


def _without_gaps(cells: Any) -> Any:
    """Text with null for what means that there is no number."""
    return pc.if_else(pc.is_in(pc.utf8_lower(cells), value_set=missing_words()), pa.scalar(None, cells.type), cells)


def _number_or_none(text: str | None) -> float | None:
    try:
        return float(pa.scalar(text).cast(pa.float64()).as_py()) if text is not None else None
    except pa.ArrowInvalid:
        return None


def looks_numeric(cells: Any) -> bool:
    """Whether a column holds numbers: by its type, or as text by its first cell that is not empty."""
    cells = plain(cells)
    if not is_text(cells):
        kind = cells.type
        return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))
    filled = pc.drop_null(_without_gaps(cells))
    return len(filled) == 0 or _number_or_none(filled[0].as_py()) is not None


def numbers(cells: Any, table: Table, first: int, name: str) -> F8:
    """Cells as numbers, (n,); NaN where there is none.

    Raises
    ------
    BadInput
        A cell is text.
    """
    cells = plain(cells)
    if is_text(cells):
        cells = _without_gaps(cells)
    try:
        found: F8 = pc.cast(cells, pa.float64()).to_numpy(zero_copy_only=False)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        if not is_text(cells):
            raise BadInput(f"{table.path}: column {name!r} holds {cells.type}, no numbers; leave it out") from None
    else:
        return np.array(found, "f8")
    texts = cells.to_pylist()
    at = next(k for k, text in enumerate(texts) if text is not None and _number_or_none(text) is None)
    raise BadInput(
        f"{table.place(first + at)}: column {name!r}: {one_line(texts[at])[:40]!r} is not a number; "
        "write one, or leave the cell empty"
    )


def times(cells: Any, table: Table, first: int, name: str) -> I8:
    """Cells as nanoseconds since 1970, (n,): RFC 3339, without a zone UTC; or seconds since 1970, or ms, us, ns.

    Raises
    ------
    BadInput
        A cell is no time, or empty.
    """
    cells = plain(cells)
    found = _typed(cells) if not is_text(cells) else _read(cells)
    if found is None:
        _refuse(cells, table, first, name)
    assert found is not None
    if found.null_count or (is_text(cells) and pc.any(pc.equal(cells, "")).as_py()):
        _refuse(cells, table, first, name)
    result: I8 = np.array(found.to_numpy(zero_copy_only=False), "i8")
    return result


def _typed(cells: Any) -> Any:
    kind = cells.type
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        zone = getattr(kind, "tz", None)
        return pc.cast(pc.cast(cells, pa.timestamp("ns", zone)), pa.int64())
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return _epochs(cells)
    return None


def _read(cells: Any) -> Any:
    for kind in (pa.int64(), pa.float64(), pa.timestamp("ns"), pa.timestamp("ns", "UTC")):
        try:
            found = pc.cast(cells, kind)
        except pa.ArrowInvalid:
            continue
        return pc.cast(found, pa.int64()) if pa.types.is_timestamp(kind) else _epochs(found)
    return None


def _epochs(cells: Any) -> Any:
    """Numbers as ns since 1970: by their size they are s, ms, us or ns."""
    if not pa.types.is_integer(cells.type):
        cells = pc.cast(cells, pa.float64())
    least = pc.max(pc.abs(cells)).as_py()
    unit = next(ns for limit, ns in _EPOCHS if least is None or least < limit)
    if pa.types.is_integer(cells.type):
        return pc.multiply(pc.cast(cells, pa.int64()), unit)
    values = cells.to_numpy(zero_copy_only=False)
    known = np.isfinite(values) & (np.abs(values) < _END / unit)
    return pa.array(np.round(np.where(known, values, 0.0) * unit).astype("i8"), mask=~known)


def _refuse(cells: Any, table: Table, first: int, name: str) -> None:
    """Find the first cell that is no time."""
    texts = cells.to_pylist()
    for at, text in enumerate(texts):
        one = pa.array([text], cells.type)
        found = None if text is None or text == "" else (_read(one) if is_text(cells) else _typed(one))
        if found is None or found.null_count:
            said = "the cell is empty" if text is None or text == "" else f"{one_line(str(text))[:40]!r} is not a time"
            raise BadInput(
                f"{table.place(first + at)}: column {name!r}: {said}; "
                "write RFC 3339 like 2026-11-02T14:02:00Z or seconds since 1970"
            )
    raise BadInput(
        f"{table.place(first)}: column {name!r} mixes kinds of times; write all with a zone, all without, or all as numbers"
    )
