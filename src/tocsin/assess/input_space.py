"""`InputSpace`: where an input of a model lies - cells to count it in, and a point to measure distances from."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from zlib import crc32

import numpy as np

from tocsin.model.arrays import F8, I4

BINS: Final = 16
"""Bins of an axis: of equal width, so that rare values have cells of their own, and half as many again on each side."""
PAIRS: Final = 8
"""Pairs of axes that have a square of cells each."""
CELLS: Final = PAIRS * BINS * BINS
COLUMNS: Final = 24
"""Columns that take part; of more, the first by name."""
_CATEGORIES: Final = 50
_CODE_CHARS: Final = 64
_WORDS: Final = 8
_FAR: Final = 20.0
_WORD: Final = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Axis:
    """A column: its kind (`number`, `category`, `text`, `vector`), and the centre and scale of its numbers, (k,)."""

    name: str
    kind: str
    centre: list[float]
    scale: list[float]
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class InputSpace:
    """Axes learned from some inputs, by which all later ones are placed."""

    axes: tuple[Axis, ...]

    @staticmethod
    def learn(columns: Mapping[str, Sequence[Any]]) -> InputSpace:
        """From columns (n,) of numbers, truth values, texts and lists, None where missing; columns without values are left out.

        >>> space = InputSpace.learn({"age": [30.0, 40.0, 50.0], "plan": ["a", "b", "a"]})
        >>> [axis.kind for axis in space.axes], space.points({"age": [40.0], "plan": ["a"]}).shape
        (['number', 'category'], (1, 2))
        """
        found = [_axis(name, columns[name]) for name in sorted(columns)]
        return InputSpace(tuple(each for each in found if each is not None)[:COLUMNS])

    @property
    def names(self) -> list[str]:
        """Columns that it looks at."""
        return [axis.name for axis in self.axes]

    def points(self, columns: Mapping[str, Sequence[Any]]) -> F8:
        """Places (n, d) of rows, in robust standard deviations; values that are alike are near, categories are not."""
        parts = [_scaled(axis, columns[axis.name]) for axis in self.axes]
        return np.concatenate(parts, axis=1) if parts else np.zeros((0, 0))

    def cells(self, columns: Mapping[str, Sequence[Any]]) -> I4:
        """Cells (n, pairs) of rows, one for each pair of neighbouring axes, numbered from 0 to `CELLS` - 1."""
        bins = [_binned(axis, columns[axis.name]) for axis in self.axes]
        pairs = [(at, (at + 1) % len(bins)) for at in range(len(bins) - (len(bins) == 2))][:PAIRS]
        found = [(place * BINS + bins[a]) * BINS + bins[b] for place, (a, b) in enumerate(pairs)]
        return np.stack(found, axis=1).astype("i4") if found else np.zeros((0, 0), "i4")

    def snapshot(self) -> list[Any]:
        """All of it, as a tree."""
        return [[axis.name, axis.kind, axis.centre, axis.scale, axis.low, axis.high] for axis in self.axes]

    @staticmethod
    def back(state: Sequence[Any]) -> InputSpace:
        """A space back from a snapshot."""
        return InputSpace(tuple(Axis(*each) for each in state))


def _axis(name: str, column: Sequence[Any]) -> Axis | None:
    held = [value for value in column if value is not None]
    if not held:
        return None
    kind = _kind(held)
    if kind == "category":
        return Axis(name, kind, [], [], 0.0, 0.0)
    raw = _raw(kind, held)
    low, centre, high = np.quantile(raw, [0.01, 0.5, 0.99], axis=0)
    spread = np.subtract(*np.quantile(raw, [0.75, 0.25], axis=0)) / 1.349
    scale = np.where(spread > 0, spread, np.where(raw.std(axis=0) > 0, raw.std(axis=0), 1.0))
    width = max(float(high[0] - low[0]), 1e-9)
    return Axis(
        name, kind, centre.tolist(), scale.tolist(), float(low[0]) - width / 2, float(high[0]) + width / 2
    )  # fmt: skip


def _kind(held: Sequence[Any]) -> str:
    if any(isinstance(value, list) for value in held):
        return "vector"
    if all(isinstance(value, float) for value in held):
        return "number"
    words = {str(value) for value in held}
    few = len(words) <= max(_CATEGORIES, len(held) // 20)
    return "category" if few and max(map(len, words)) <= _CODE_CHARS else "text"


def _raw(kind: str, values: Sequence[Any]) -> F8:
    """Numbers (n, k) of values; NaN where there is none."""
    if kind == "number":
        return np.array([[value if isinstance(value, float) else np.nan] for value in values], "f8").reshape(-1, 1)
    if kind == "text":
        return np.array([_told(value) for value in values], "f8").reshape(-1, 1 + _WORDS)
    return np.array([_folded(value) for value in values], "f8").reshape(-1, _WORDS)


def _told(value: Any) -> list[float]:
    """How long a text is, and its words by hash, as shares."""
    if value is None:
        return [float("nan")] * (1 + _WORDS)
    text = str(value)[:4000].lower()
    counts = np.bincount([crc32(word.encode()) % _WORDS for word in _WORD.findall(text)], minlength=_WORDS)
    return [float(np.log1p(len(text))), *(counts / max(int(counts.sum()), 1)).tolist()]


def _folded(value: Any) -> list[float]:
    """A vector folded to a few numbers by signs that are fixed: near vectors stay near."""
    if not isinstance(value, list) or not value:
        return [float("nan")] * _WORDS
    row: F8 = np.array([each if isinstance(each, int | float) else np.nan for each in value], "f8")
    signs = np.where(np.arange(len(row)) * 2_654_435_761 % 97 < 48, 1.0, -1.0)
    return [float(each) for each in np.bincount(np.arange(len(row)) % _WORDS, row * signs, _WORDS)]


def _scaled(axis: Axis, column: Sequence[Any]) -> F8:
    if axis.kind == "category":
        # codes of different values lie apart
        return np.array([[float(crc32(str(value).encode()) % 4096)] for value in column]).reshape(-1, 1)
    raw = (_raw(axis.kind, column) - axis.centre) / axis.scale
    return np.where(np.isfinite(raw), np.clip(raw, -_FAR, _FAR), 2 * _FAR)


def _binned(axis: Axis, column: Sequence[Any]) -> I4:
    if axis.kind == "category":
        return np.array([crc32(str(value).encode()) % BINS for value in column], "i4")
    first = _raw(axis.kind, column)[:, 0]
    place = np.floor((first - axis.low) / (axis.high - axis.low) * BINS)
    return np.clip(np.where(np.isfinite(place), place, 0), 0, BINS - 1).astype("i4")
