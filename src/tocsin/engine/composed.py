"""`Composed`: what detectors that are made of other ones share - one snapshot of all parts, and their bytes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from tocsin.model.arrays import I4, Array
from tocsin.model.detection import State
from tocsin.model.errors import Corrupt
from tocsin.stats.columns import Columns


class Composed:
    """State in several `Columns`, kept under one roof: arrays are named by part, a dot and their own name.

    >>> from tocsin.detect.ewma import Ewma
    >>> class Two(Composed):
    ...     name = "two"
    ...     def __init__(self) -> None: self.left, self.right = Ewma(), Ewma()
    ...     def _parts(self) -> dict[str, Columns]: return {"left": self.left, "right": self.right}
    >>> sorted(Two().snapshot())[:2], Two().row_bytes() == 2 * Ewma().row_bytes()
    (['left.mean', 'left.seen'], True)
    """

    name: ClassVar[str]

    def _parts(self) -> Mapping[str, Columns]:
        """The parts by name; a name may hold dots."""
        raise NotImplementedError

    def renewed(self) -> I4:
        """No row: where a part stands on new ground, that is dealt with inside."""
        return np.zeros(0, "i4")

    def entrained(self) -> I4:
        """No row, as for `renewed`."""
        return np.zeros(0, "i4")

    def snapshot(self) -> State:
        """Copy of all state, arrays by dotted name."""
        return {
            f"{part}.{name}": kept
            for part, columns in self._parts().items()
            for name, kept in columns.snapshot().items()
        }

    def restore(self, state: State) -> None:
        """Take a snapshot of the same parts back.

        Raises
        ------
        Corrupt
            The snapshot has other parts, or a part is of another layout.
        """
        split, parts = by_part(state), self._parts()
        if split.keys() != parts.keys():
            raise Corrupt(f"{self.name}: the snapshot has {', '.join(sorted(split))}, this one has {', '.join(parts)}")
        for part, columns in parts.items():
            columns.restore(split[part])

    def row_bytes(self) -> int:
        """Bytes of state per row with every part in use."""
        return sum(columns.row_bytes() for columns in self._parts().values())


def by_part(state: Mapping[str, Array]) -> dict[str, State]:
    """Arrays by part and name from dotted names; names without a dot are nobody's.

    >>> by_part({"a.b.x": np.zeros(1), "y": np.ones(1)})
    {'a.b': {'x': array([0.])}}
    """
    found: dict[str, State] = {}
    for key, kept in state.items():
        part, dot, name = key.rpartition(".")
        if dot:
            found.setdefault(part, {})[name] = kept
    return found
