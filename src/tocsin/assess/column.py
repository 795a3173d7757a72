"""Columns as they come (Arrow, numpy, lists), read as numbers, categories, texts or vectors; nothing is guessed twice."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tocsin.model.arrays import F8, I8, Mask
from tocsin.model.errors import BadInput

AnyColumn: TypeAlias = Any
"""A `pyarrow` array (chunked or not), a numpy array (2-D for vectors) or a list."""

NO_VALUE: Final = ("", "na", "n/a", "nan", "null", "none")
"""Texts that say that there is no value, in lower case."""
NUMERIC_SHARE: Final = 0.9
"""Texts are numbers if at least this share of those that hold anything reads as one."""
LONG_TEXT: Final = 30
"""Texts of more characters than this on average, most of them different, are prose and not categories."""


class FeatureKind(Enum):
    """How a feature is summarised and compared."""

    NUMERIC = "numeric"
    CATEGORICAL = "categorical"
    BOOLEAN = "boolean"
    TEXT = "text"
    EMBEDDING = "embedding"


@dataclass(frozen=True, slots=True)
class Numbers:
    """A column read as numbers: `value` (n,) with NaN where there is none, and which rows held no number at all."""

    value: F8
    missing: Mask
    corrupted: Mask
    example: str = ""

    @property
    def present(self) -> F8:
        """The finite numbers, (present,)."""
        if not (self.missing.any() or self.corrupted.any()):
            return self.value
        found: F8 = self.value[~(self.missing | self.corrupted)]
        return found

    @property
    def codes(self) -> F8:
        """A number for each row (n,) that is the same where the value is the same, NaN where there is none."""
        return np.where(self.corrupted, np.nan, self.value) if self.corrupted.any() else self.value


@dataclass(frozen=True, slots=True)
class Words:
    """A column read as texts, each different one kept once: `code` (n,) is its place in `names`, -1 where there is none."""

    code: I8
    names: Any

    @property
    def missing(self) -> int:
        """Rows that hold no text."""
        return int((self.code < 0).sum())

    @property
    def codes(self) -> F8:
        """As of `Numbers`."""
        return np.where(self.code < 0, np.nan, self.code)

    def counted(self) -> tuple[Any, I8]:
        """The different texts that there are, in order of coming, and the rows of each."""
        counts = np.bincount(self.code[self.code >= 0], minlength=len(self.names))
        some = np.flatnonzero(counts)
        return (self.names, counts) if len(some) == len(counts) else (self.names.take(pa.array(some)), counts[some])


def as_arrow(column: AnyColumn) -> Any:
    """One Arrow array, dictionaries decoded; what has no common type becomes text.

    >>> as_arrow([1, None, "a"]).to_pylist()
    ['1', None, 'a']
    """
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    if isinstance(column, pa.ChunkedArray):  # of no chunks, or of more than one array can hold
        column = pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)
    if isinstance(column, pa.Array):
        return column.dictionary_decode() if pa.types.is_dictionary(column.type) else column
    if isinstance(column, np.ndarray) and column.ndim == 2:
        flat = pa.array(np.ascontiguousarray(column, "f8").ravel())
        return pa.FixedSizeListArray.from_arrays(flat, column.shape[1])
    values = column if isinstance(column, np.ndarray) else list(column)
    try:
        return pa.array(values, from_pandas=True)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError):
        return pa.array([_text(value) for value in values], pa.string())


def _text(value: object) -> str | None:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    return value if isinstance(value, str) else str(value)


def family(array: Any) -> str:
    """What an Arrow array holds, in a word that does not tell how wide its numbers are.

    >>> family(pa.array([1])), family(pa.array([1.5])), family(pa.array(["a"])), family(pa.nulls(2))
    ('numbers', 'numbers', 'texts', 'nothing')
    """
    kind = array.type
    if pa.types.is_null(kind):
        return "nothing"
    if pa.types.is_boolean(kind):
        return "booleans"
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return "numbers"
    if pa.types.is_nested(kind):
        return "lists"
    return "texts" if pa.types.is_string(kind) or pa.types.is_large_string(kind) else str(kind)


def kind_of(column: AnyColumn, name: str = "") -> FeatureKind:
    """The kind of a column, where what it holds says so.

    Raises
    ------
    BadInput
        It holds times, bytes or records, which are no features.

    >>> kind_of([1.5, 2.0]).value, kind_of(["a", "b"]).value, kind_of(["1", "2"]).value, kind_of([[0.1, 0.2]]).value
    ('numeric', 'categorical', 'numeric', 'embedding')
    """
    array = as_arrow(column)
    kind = array.type
    if pa.types.is_boolean(kind):
        return FeatureKind.BOOLEAN
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return FeatureKind.NUMERIC
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return FeatureKind.EMBEDDING
    if pa.types.is_null(kind):
        return FeatureKind.CATEGORICAL
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
        raise BadInput(
            f"feature {name!r} holds {kind}, which is none of numbers, texts, booleans or vectors; "
            "leave it out, or turn it into a number such as an age in days"
        )
    return _kind_of_texts(array)


def _kind_of_texts(array: Any) -> FeatureKind:
    counted = pc.value_counts(array.slice(0, 10_000).drop_null())
    different = zip(counted.field("values").to_pylist(), counted.field("counts").to_pylist(), strict=True)
    held = {text: rows for text, rows in different if text.strip().lower() not in NO_VALUE}
    n = sum(held.values())
    if not held:
        return FeatureKind.CATEGORICAL
    if sum(rows for text, rows in held.items() if _number(text) is not None) >= NUMERIC_SHARE * n:
        return FeatureKind.NUMERIC
    long = sum(len(text) * rows for text, rows in held.items()) > LONG_TEXT * n
    return FeatureKind.TEXT if long and 2 * len(held) > n else FeatureKind.CATEGORICAL


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def numbers(column: AnyColumn) -> Numbers:
    """A column read as numbers; infinities and texts that are none are corrupted, not missing.

    >>> found = numbers(["1", "2.5", "abc", None, "nan"])
    >>> found.present.tolist(), int(found.missing.sum()), int(found.corrupted.sum()), found.example
    ([1.0, 2.5], 2, 1, 'abc')
    """
    array = as_arrow(column)
    kind = array.type
    if (
        pa.types.is_integer(kind)
        or pa.types.is_floating(kind)
        or pa.types.is_decimal(kind)
        or pa.types.is_boolean(kind)
    ):
        array = array.cast(pa.uint8()) if pa.types.is_boolean(kind) else array
        value = np.asarray(array.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False), "f8")
        infinite = np.isinf(value)
        example = str(value[int(np.argmax(infinite))]) if infinite.any() else ""
        return Numbers(value, np.isnan(value), infinite, example)
    if pa.types.is_null(kind):
        return Numbers(np.full(len(array), np.nan), np.ones(len(array), bool), np.zeros(len(array), bool))
    return _parsed(texts(array))


def _parsed(array: Any) -> Numbers:
    """Numbers of texts: each different text is read once."""
    coded = array.dictionary_encode()
    known: Sequence[str | None] = coded.dictionary.to_pylist()
    read = [_number(text) if text is not None else None for text in known]
    value_of = np.array([*(math.nan if number is None else number for number in read), math.nan])
    wrong_of = np.array(
        [
            *(
                (n is None or math.isinf(n)) and t is not None and t.strip().lower() not in NO_VALUE
                for t, n in zip(known, read, strict=True)
            ),
            False,
        ]
    )
    codes = coded.indices.fill_null(len(known)).to_numpy(zero_copy_only=False)
    value, corrupted = value_of[codes], wrong_of[codes]
    first = int(np.argmax(corrupted)) if corrupted.any() else -1
    example = str(known[codes[first]]) if first >= 0 else ""
    return Numbers(value, np.isnan(value) & ~corrupted, corrupted, example[:80])


def texts(column: AnyColumn) -> Any:
    """A column as one Arrow array of texts, null where there is no value (empty texts and NaN included).

    >>> texts([1, 2, None]).to_pylist(), texts(["a", "", "NaN"]).to_pylist()
    (['1', '2', None], ['a', None, None])
    """
    text = _written(column)
    return pc.if_else(_says_nothing(text), pa.scalar(None, pa.large_string()), text)


def words(column: AnyColumn) -> Words:
    """A column as `texts` has it, with each different text looked at once.

    >>> found = words(["a", "", "b", "a", None])
    >>> found.code.tolist(), found.missing, [each.as_py() for each in found.counted()[0]]
    ([0, -1, 2, 0, -1], 2, ['a', 'b'])
    """
    coded = _written(column).dictionary_encode()
    code: I8 = pc.fill_null(coded.indices, -1).to_numpy(zero_copy_only=False).astype("i8")
    nothing = pc.fill_null(_says_nothing(coded.dictionary), True).to_numpy(zero_copy_only=False)
    if nothing.any():
        code = np.where(nothing[code], -1, code)
    return Words(code, coded.dictionary)


def _says_nothing(text: Any) -> Any:
    return pc.is_in(pc.utf8_lower(pc.utf8_trim_whitespace(text)), pa.array(NO_VALUE, pa.large_string()))


def _written(column: AnyColumn) -> Any:
    """All that a column holds as texts, empty ones included."""
    array = as_arrow(column)
    kind = array.type
    if pa.types.is_null(kind):
        return pa.nulls(len(array), pa.large_string())
    if pa.types.is_floating(kind):
        # a code that went through a float (3.0) is the same category as the integer
        whole = pc.cast(array, pa.int64(), safe=False)
        finite = pc.is_finite(array)
        integral = pc.fill_null(pc.and_(finite, pc.equal(pc.cast(whole, pa.float64(), safe=False), array)), False)
        if bool(pc.all(pc.or_(integral, pc.fill_null(pc.is_nan(array), True))).as_py()):
            array = pc.if_else(integral, whole, pa.scalar(None, pa.int64()))
    if pa.types.is_nested(array.type):
        array = pa.array([None if value is None else str(value) for value in array.to_pylist()], pa.large_string())
    return array.cast(pa.large_string())


def codes(column: AnyColumn, kind: FeatureKind) -> F8:
    """A number for each row (n,) that is the same where the value is the same, NaN where there is none."""
    return numbers(column).codes if kind is FeatureKind.NUMERIC else words(column).codes


def longest_run(value: F8) -> tuple[int, int]:
    """Length and last place of the longest run of equal numbers (n,); NaN ends a run.

    >>> longest_run(np.array([1.0, 2.0, 2.0, np.nan, 2.0]))
    (2, 2)
    """
    if not len(value):
        return 0, 0
    same = value[1:] == value[:-1]
    if not same.any():
        first = int(np.argmin(np.isnan(value)))
        return (0, 0) if np.isnan(value[first]) else (1, first)
    breaks = np.flatnonzero(~same)
    ends = np.append(breaks, len(value) - 1)
    lengths = np.diff(np.concatenate([[-1], ends]))
    lengths[np.isnan(value[ends])] = 0
    k = int(np.argmax(lengths))
    return int(lengths[k]), int(ends[k])
