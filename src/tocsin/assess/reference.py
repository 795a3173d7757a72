"""`FeatureReference`: what a feature looked like when all was well, and the cells its later rows are counted on."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from tocsin.assess.cells import CategoryCells, NumericCells
from tocsin.assess.column import (
    AnyColumn,
    FeatureKind,
    Numbers,
    Words,
    as_arrow,
    family,
    kind_of,
    longest_run,
    numbers,
    words,
)
from tocsin.assess.sketch import FeatureSketch
from tocsin.assess.view import EmbeddingView, TextView
from tocsin.model.errors import BadInput


@dataclass(frozen=True, slots=True)
class FeatureReference:
    """A feature as learned from a column: kind, cells, and the sketch of the reference rows themselves.

    Texts and vectors are compared by what a `view` derives of them, each part a reference of its own. `family` is what
    the column held as it came; `longest_run` is how often one value came in a row.

    >>> reference = FeatureReference.learn("age", [20.0, 30.0, 40.0, None])
    >>> reference.kind.value, reference.own.missing_share, reference.range, reference.constant
    ('numeric', 0.25, (20.0, 40.0), False)
    """

    name: str
    kind: FeatureKind
    cells: NumericCells | CategoryCells | None
    own: FeatureSketch
    view: EmbeddingView | TextView | None = None
    parts: Mapping[str, FeatureReference] = field(default_factory=dict)
    family: str = "nothing"
    longest_run: int = 0

    @staticmethod
    def learn(name: str, column: AnyColumn, kind: FeatureKind | str | None = None) -> FeatureReference:
        """Learn a column; `kind` is inferred where it isn't given.

        Raises
        ------
        BadInput
            The column can't be of this kind, or of any (times, bytes).
        """
        array = as_arrow(column)
        kind = kind_of(array, name) if kind is None else FeatureKind(kind)
        if kind is FeatureKind.NUMERIC:
            held = numbers(array)
            return _counted(name, kind, array, held, NumericCells.learn(held.present))
        if kind in (FeatureKind.CATEGORICAL, FeatureKind.BOOLEAN):
            named = words(array)
            return _counted(name, kind, array, named, CategoryCells.learn(named))
        view = TextView.learn(array) if kind is FeatureKind.TEXT else EmbeddingView.learn(array)
        derived = view.derive(array).parts
        parts = {
            part: FeatureReference.learn(f"{name}.{part}", values, FeatureKind.CATEGORICAL if part in _NAMED else None)
            for part, values in derived.items()
        }
        bare = FeatureReference(name, kind, None, _nothing(name, kind, None), view, parts, family(array))
        return replace(bare, own=bare.sketch(array))

    @property
    def fingerprint(self) -> str:
        """What sketches that can be added have in common."""
        return self.own.reference

    @property
    def range(self) -> tuple[float, float] | None:
        """Least and greatest value of a number, None of other kinds and of no values."""
        if not isinstance(self.cells, NumericCells) or not len(self.cells.edges):
            return None
        return float(np.nextafter(self.cells.edges[0], np.inf)), float(self.cells.edges[-1])

    @property
    def constant(self) -> bool:
        """Whether all reference rows that hold anything hold the same."""
        if isinstance(self.cells, CategoryCells):
            return self.cells.distinct == 1
        span = self.range
        return span is not None and span[0] == span[1]

    def sketch(self, column: AnyColumn) -> FeatureSketch:
        """Count other rows of this feature on the reference's cells."""
        array = as_arrow(column)
        if self.view is not None:
            derived = self.view.derive(array)
            parts = {name: part.sketch(derived.parts[name]) for name, part in self.parts.items()}
            return replace(
                self.own, rows=len(array), missing=derived.missing, corrupted=derived.corrupted, parts=parts, sums=derived.sums,
                corrupted_examples=derived.examples, unseen_examples=(),
            )  # fmt: skip
        return self._count(numbers(array) if isinstance(self.cells, NumericCells) else words(array))

    def _count(self, held: Numbers | Words) -> FeatureSketch:
        """Count a column that was read already."""
        if isinstance(held, Numbers) and isinstance(self.cells, NumericCells):
            counts, sums = self.cells.count(held.present)
            wrong = int(held.corrupted.sum())
            return FeatureSketch(
                self.own.reference, len(held.value), int(held.missing.sum()), wrong, counts, sums,
                corrupted_examples=(held.example,) if wrong else (),
            )  # fmt: skip
        if isinstance(held, Numbers) or not isinstance(self.cells, CategoryCells):
            raise BadInput(f"feature {self.name!r} has neither cells nor a view")
        counts, unseen = self.cells.count(held)
        return FeatureSketch(
            self.own.reference, len(held.code), held.missing, 0, counts, np.zeros(len(counts)), unseen_examples=tuple(unseen),
        )  # fmt: skip

    def grown(self, sketches: Iterable[FeatureSketch]) -> FeatureReference:
        """The reference with the rows of sketches on its cells added: how one larger than memory is learned."""
        own, parts = self.own, dict(self.parts)
        for sketch in sketches:
            own = own + sketch
            parts = {name: part.grown([sketch.parts[name]]) for name, part in parts.items()}
        cells = replace(self.cells, exact=False) if isinstance(self.cells, NumericCells) else self.cells
        return replace(self, own=own, parts=parts, cells=cells)


def _counted(
    name: str, kind: FeatureKind, array: Any, held: Numbers | Words, cells: NumericCells | CategoryCells
) -> FeatureReference:
    run = longest_run(held.codes)[0]
    bare = FeatureReference(name, kind, cells, _nothing(name, kind, cells), family=family(array), longest_run=run)
    return replace(bare, own=bare._count(held))  # noqa: SLF001 - of its own class


_NAMED = frozenset({"script", "topic"})


def _nothing(name: str, kind: FeatureKind, cells: NumericCells | CategoryCells | None) -> FeatureSketch:
    """A sketch of no rows, with the fingerprint of the cells."""
    said = hashlib.sha256(f"{name}\0{kind.value}\0".encode())
    size = 0
    if isinstance(cells, NumericCells):
        said.update(cells.edges.tobytes())
        size = cells.size
    elif cells is not None:
        said.update("\0".join(cells.names).encode())
        size = cells.size
    return FeatureSketch(said.hexdigest()[:16], 0, 0, 0, np.zeros(size, "i8"), np.zeros(size))


def learn_table(
    columns: Mapping[str, Any], kinds: Mapping[str, FeatureKind | str] | None = None
) -> dict[str, FeatureReference]:
    """References of many columns, by name."""
    kinds = kinds or {}
    return {name: FeatureReference.learn(name, column, kinds.get(name)) for name, column in columns.items()}
