"""What is kept of a feature over some rows: counts on the cells of its reference; sums of sketches are exact."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from tocsin.model.arrays import F8, I8
from tocsin.model.errors import BadInput

EXAMPLES = 3


@dataclass(frozen=True, slots=True)
class FeatureSketch:
    """Rows of one feature, counted; its size depends on the reference's cells, never on the number of rows.

    `counts` (cells,) are the usable values by cell and `sums` (cells,) their sums (zeros where values are no numbers);
    `parts` are the sketches of what is derived of a text or a vector.

    >>> a = FeatureSketch("x", 3, 1, 0, np.array([2, 0]), np.array([5.0, 0.0]))
    >>> (a + a).rows, (a + a).counts.tolist()
    (6, [4, 0])
    """

    reference: str
    rows: int
    missing: int
    corrupted: int
    counts: I8
    sums: F8
    parts: Mapping[str, FeatureSketch] = field(default_factory=dict)
    corrupted_examples: tuple[str, ...] = ()
    unseen_examples: tuple[str, ...] = ()

    @property
    def present(self) -> int:
        """Rows that hold a usable value."""
        return self.rows - self.missing - self.corrupted

    @property
    def missing_share(self) -> float:
        """Share of rows without a value, 0 of no rows."""
        return self.missing / self.rows if self.rows else 0.0

    @property
    def nbytes(self) -> int:
        """Bytes of the counts and sums, parts included."""
        return int(self.counts.nbytes + self.sums.nbytes) + sum(part.nbytes for part in self.parts.values())

    def __add__(self, other: FeatureSketch) -> FeatureSketch:
        """The sketch of both sets of rows.

        Raises
        ------
        BadInput
            They were counted on cells of different references.
        """
        if self.reference != other.reference or len(self.counts) != len(other.counts):
            raise BadInput(
                f"sketches of different references can't be added ({self.reference} and {other.reference}); "
                "count both on the cells of one reference"
            )
        return FeatureSketch(
            self.reference,
            self.rows + other.rows,
            self.missing + other.missing,
            self.corrupted + other.corrupted,
            self.counts + other.counts,
            self.sums + other.sums,
            {name: part + other.parts[name] for name, part in self.parts.items()},
            (self.corrupted_examples + other.corrupted_examples)[:EXAMPLES],
            tuple(dict.fromkeys(self.unseen_examples + other.unseen_examples))[:EXAMPLES],
        )


def empty_like(sketch: FeatureSketch) -> FeatureSketch:
    """A sketch of no rows on the same cells."""
    return FeatureSketch(
        sketch.reference, 0, 0, 0, np.zeros_like(sketch.counts), np.zeros_like(sketch.sums),
        {name: empty_like(part) for name, part in sketch.parts.items()},
    )  # fmt: skip
