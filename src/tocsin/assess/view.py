"""What is looked at in texts and vectors: numbers and categories derived of them, each compared as a feature."""

from __future__ import annotations

import re
import unicodedata
import zlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import pyarrow as pa

from tocsin.assess.column import texts
from tocsin.assess.tone import tone
from tocsin.model.arrays import F8
from tocsin.model.errors import BadInput

DIRECTIONS: Final = 8
"""Directions of greatest spread that vectors are projected on."""
LEARNED: Final = 5_000
"""Rows that a view is learned from, evenly spread over the reference."""
WAVES: Final = 256
"""Random Fourier features of a vector; MMD is off by about 1 / sqrt(WAVES)."""
HASHED: Final = 256
"""Buckets that words are hashed into."""
TOPICS: Final = 12
MOST_CHARACTERS: Final = 20_000
"""Of a longer text only so many characters are read for words; its length counts in full."""
_WORD: Final = re.compile(r"[^\W\d_]{3,}")


@dataclass(frozen=True, slots=True)
class Derived:
    """Columns derived of a column, over the rows that could be read, and how many could not."""

    parts: Mapping[str, Any]
    missing: int
    corrupted: int
    examples: tuple[str, ...] = ()
    sums: F8 = field(default_factory=lambda: np.zeros(0))


@dataclass(frozen=True, slots=True)
class EmbeddingView:
    """Vectors by their place along the reference's main directions, their length, and their distance from its centre.

    A vector of another dimension, or with a component that is no finite number, is corrupted. `frequencies`
    (dimension, WAVES) are those of random Fourier features of a Gaussian kernel, whose sums make the maximum mean
    discrepancy a sketch. Reference: A. Rahimi and B. Recht, Random Features for Large-Scale Kernel Machines, 2007.
    """

    centre: F8
    directions: F8
    frequencies: F8

    @staticmethod
    def learn(array: Any) -> EmbeddingView:
        """From an Arrow array of lists of numbers; the dimension is the most frequent one.

        Raises
        ------
        BadInput
            The column holds no vectors.
        """
        some = array.take(pa.array(np.arange(0, len(array), -(-max(len(array), 1) // LEARNED))))
        rows = [row for row in _rows(some) if row is not None and len(row)]
        if not rows:
            raise BadInput("no vectors to learn from; an embedding is a list of numbers")
        dimension = Counter(map(len, rows)).most_common(1)[0][0]
        matrix = np.array([row for row in rows if len(row) == dimension and np.isfinite(row).all()]).reshape(
            -1, dimension
        )
        centre = matrix.mean(axis=0) if len(matrix) else np.zeros(dimension)
        most = min(DIRECTIONS, dimension)
        directions = (
            np.linalg.svd(matrix - centre, full_matrices=False)[2][:most] if len(matrix) else np.eye(dimension)[:most]
        )
        return EmbeddingView(centre, np.ascontiguousarray(directions), _frequencies(matrix))

    def derive(self, array: Any) -> Derived:
        """Parts `direction_1` ..., `length` and `distance` of each vector of the right dimension."""
        rows = _rows(array)
        good = [row for row in rows if row is not None and len(row) == len(self.centre) and np.isfinite(row).all()]
        missing = sum(row is None for row in rows)
        wrong = next((row for row in rows if row is not None and len(row) != len(self.centre)), None)
        matrix = np.array(good).reshape(-1, len(self.centre))
        away = matrix - self.centre
        along = away @ self.directions.T
        parts: dict[str, Any] = {f"direction_{i + 1}": along[:, i] for i in range(along.shape[1])}
        parts["length"] = np.sqrt((matrix**2).sum(axis=1))
        parts["distance"] = np.sqrt((away**2).sum(axis=1))
        phase = matrix @ self.frequencies
        sums = np.concatenate([np.cos(phase).sum(axis=0), np.sin(phase).sum(axis=0)])
        corrupted = len(rows) - missing - len(good)
        said = (
            f"{len(wrong)} numbers instead of {len(self.centre)}"
            if wrong is not None
            else "a component is no finite number"
        )
        return Derived(parts, missing, corrupted, (said,) if corrupted else (), sums)


def _frequencies(matrix: F8) -> F8:
    """Frequencies (dimension, WAVES) of the kernel exp(-|x - y|^2 / median |x - y|^2), from a fixed seed."""
    some = matrix[:: -(-max(len(matrix), 1) // 500)]
    squares = ((some[: len(some) // 2] - some[len(some) - len(some) // 2 :]) ** 2).sum(axis=1)
    width = float(np.median(squares)) if len(squares) else 0.0
    drawn: F8 = np.random.default_rng(0).normal(size=(matrix.shape[1], WAVES))
    return drawn * np.sqrt(2.0 / width) if width > 0 else drawn


def discrepancy(reference: F8, n: int, current: F8, m: int) -> float:
    """Maximum mean discrepancy of sums of Fourier features (2 WAVES,) of n and m rows, without bias, >= 0.

    Raises
    ------
    BadInput
        A side has fewer than two rows.
    """
    if min(n, m) < 2:
        raise BadInput(f"two vectors or more are needed on each side, got {n} and {m}")
    p, q = reference / n, current / m
    within = sum((float(side @ side) / WAVES * rows - 1.0) / (rows - 1) for side, rows in ((p, n), (q, m)))
    return float(np.sqrt(max(within - 2.0 * float(p @ q) / WAVES, 0.0)))


def _rows(array: Any) -> list[F8 | None]:
    if pa.types.is_fixed_size_list(array.type) and not array.null_count and not array.values.null_count:
        flat = np.asarray(array.flatten().to_numpy(zero_copy_only=False), "f8")
        return list(flat.reshape(len(array), array.type.list_size))
    if not (pa.types.is_nested(array.type) or pa.types.is_null(array.type)):
        raise BadInput(f"an embedding is a list of numbers, and this column holds {array.type}")
    return [None if row is None else _vector(row) for row in array.to_pylist()]


def _vector(row: Any) -> F8:
    try:
        return np.array([np.nan if value is None else float(value) for value in row])
    except (TypeError, ValueError):
        return np.full(len(row), np.nan)


@dataclass(frozen=True, slots=True)
class TextView:
    """Texts by characters, words, writing system, tone, and topic: the nearest of some centres of hashed words."""

    topics: F8

    @staticmethod
    def learn(array: Any) -> TextView:
        """From an Arrow array of texts: centres by k-means on the sphere, from a fixed start."""
        held = texts(array).drop_null()
        some = held.take(pa.array(np.arange(0, len(held), -(-max(len(held), 1) // LEARNED))))
        vectors = np.array([_hashed(text) for text in some.to_pylist()]).reshape(-1, HASHED)
        return TextView(_centres(vectors))

    def derive(self, array: Any) -> Derived:
        """Parts `characters`, `words`, `script`, `topic` and `tone` of each text that is there."""
        held = texts(array).drop_null()
        found = held.to_pylist()
        vectors = np.array([_hashed(text) for text in found]).reshape(-1, HASHED)
        topic = np.argmax(vectors @ self.topics.T, axis=1) if len(found) else np.empty(0, "i8")
        parts = {
            "characters": np.array([len(text) for text in found], "f8"),
            "words": np.array([len(text.split()) for text in found], "f8"),
            "script": pa.array([_script(text) for text in found], pa.large_string()),
            "topic": pa.array([f"topic {i + 1}" for i in topic.tolist()], pa.large_string()),
            "tone": pa.array([tone(text) for text in found], pa.large_string()),
        }
        return Derived(parts, len(array) - len(found), 0)


def _hashed(text: str) -> F8:
    """Counts of words by hash, dampened, of length 1 (zeros of no words)."""
    at = [zlib.crc32(word.encode()) % HASHED for word in _WORD.findall(text[:MOST_CHARACTERS].lower())]
    vector = np.sqrt(np.bincount(at, minlength=HASHED)) if at else np.zeros(HASHED)
    length = float(np.sqrt((vector**2).sum()))
    return vector / length if length else vector


def _centres(vectors: F8) -> F8:
    """Centres (topics, HASHED) of unit vectors; the farthest from those before starts the next."""
    if not len(vectors):
        return np.zeros((1, HASHED))
    mean = vectors.mean(axis=0)
    chosen = [vectors[int(np.argmax(vectors @ mean))]]
    nearest = vectors @ chosen[0]
    while len(chosen) < TOPICS and float(nearest.min()) < 0.99:
        chosen.append(vectors[int(np.argmin(nearest))])
        nearest = np.maximum(nearest, vectors @ chosen[-1])
    centres = np.array(chosen)
    for _ in range(10):
        label = np.argmax(vectors @ centres.T, axis=1)
        for k in range(len(centres)):
            total = vectors[label == k].sum(axis=0)
            length = float(np.sqrt((total**2).sum()))
            centres[k] = total / length if length else centres[k]
    return centres


def _script(text: str) -> str:
    """The writing system of most letters, by the first word of their Unicode names.

    >>> _script("hello"), _script("привет"), _script("12 34")
    ('latin', 'cyrillic', 'none')
    """
    seen = Counter(unicodedata.name(c, "UNKNOWN").split()[0] for c in text[:200] if c.isalpha())
    return seen.most_common(1)[0][0].lower() if seen else "none"
