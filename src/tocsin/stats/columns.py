"""Struct-of-arrays state, declared like a dataclass: growing, forgetting, snapshot and restore are inherited."""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from tocsin.model.arrays import F8, I4, I8, Array
from tocsin.model.detection import State
from tocsin.model.errors import Corrupt

T = TypeVar("T", bound=np.generic)

_FEW = 32


class _Column(NamedTuple):
    fill: float
    dtype: str
    shape: tuple[int, ...]


def column(fill: float, dtype: str = "f8", shape: tuple[int, ...] = ()) -> Any:
    """Declare one state column; `fill` is the value of a new row, `shape` what one row holds."""
    return _Column(fill, dtype, shape)


def plain(values: NDArray[T], dtype: type[T]) -> NDArray[T]:
    """The array as kernels want it: contiguous, writeable, of the type; copied only when it isn't."""
    if values.dtype == dtype and values.flags.c_contiguous and values.flags.writeable:
        return values
    return np.array(values, dtype, order="C")


def rows_of(values: I4) -> I4:
    """Row numbers as kernels want them."""
    return plain(values, np.int32)


def numbers_of(values: F8) -> F8:
    """Values as kernels want them."""
    return plain(values, np.float64)


def times_of(values: I8) -> I8:
    """Times as kernels want them."""
    return plain(values, np.int64)


def _above(rows: I4) -> int:
    """The least number above all rows; most steps have one or a few."""
    if rows.size > _FEW:
        return int(rows.max()) + 1
    return max(rows.tolist(), default=-1) + 1


class Columns:
    """State of many rows, one array per declared column; `size` rows were ever written.

    Rows are given as arrays that nobody changes afterwards.

    >>> class Means(Columns):
    ...     kind = "means"
    ...     mean: F8 = column(0.5)
    >>> m = Means()
    >>> m.reserve(np.array([2], "i4")); m.mean[:3]
    array([0.5, 0.5, 0.5])
    """

    kind: ClassVar[str] = ""
    _columns: dict[str, _Column] = {}

    def __init_subclass__(cls) -> None:
        own = {name: found for name, found in vars(cls).items() if isinstance(found, _Column)}
        cls._columns = {**cls._columns, **own}

    def __init__(self, **shapes: tuple[int, ...]) -> None:
        """Start empty; `shapes` are of columns whose shape hangs on a parameter, by name."""
        if shapes:
            own = {name: found._replace(shape=shapes[name]) for name, found in self._columns.items() if name in shapes}
            self._columns = {**self._columns, **own}
        self.size = 0
        self._room = 0
        # one step asks several times over for the same rows
        self._reserved: I4 | None = None
        self._touched: I4 | None = None
        for name, found in self._columns.items():
            setattr(self, name, np.full((0, *found.shape), found.fill, found.dtype))

    def reserve(self, rows: I4) -> None:
        """Make room for these rows, doubling; new rows are as new as unseen ones."""
        if rows is self._reserved:
            return
        self._reserved = rows
        need = _above(rows)
        have = self._room
        if need <= have:
            return
        more = max(need, 2 * have) - have
        self._room = have + more
        for name, found in self._columns.items():
            fresh = np.full((more, *found.shape), found.fill, found.dtype)
            setattr(self, name, np.concatenate([getattr(self, name), fresh]))

    def touch(self, rows: I4) -> None:
        """Make room for these rows and count them as written."""
        if rows is self._touched:
            return
        self._touched = rows
        self.reserve(rows)
        self.size = max(self.size, _above(rows))

    def snapshot(self) -> State:
        """Copy of all state: arrays of `size` rows."""
        return {name: getattr(self, name)[: self.size].copy() for name in self._columns}

    def restore(self, state: State) -> None:
        """Take a snapshot back.

        Raises
        ------
        Corrupt
            The snapshot is of another class or layout; nothing was taken.
        """
        if state.keys() != self._columns.keys():
            raise Corrupt(
                f"{self._label()}: the snapshot has {sorted(state)}, this version wants {sorted(self._columns)}"
            )
        sizes = {len(values) for values in state.values()}
        for name, found in self._columns.items():
            values: Array = state[name]
            if values.dtype != np.dtype(found.dtype) or values.shape[1:] != found.shape or len(sizes) != 1:
                raise Corrupt(
                    f"{self._label()}.{name}: the snapshot holds {values.dtype}{values.shape}, "
                    f"this version wants {found.dtype}(n, {found.shape}) with one n for all"
                )
        for name in self._columns:
            setattr(self, name, state[name].copy())
        self.size = self._room = sizes.pop() if sizes else 0
        self._reserved = self._touched = None

    def forget(self, rows: I4) -> None:
        """Make these rows new."""
        known = rows[rows < self._room]
        for name, found in self._columns.items():
            getattr(self, name)[known] = found.fill

    def row_bytes(self) -> int:
        """Bytes of state per row."""
        return sum(np.dtype(c.dtype).itemsize * int(np.prod(c.shape, dtype=int)) for c in self._columns.values())

    def _label(self) -> str:
        return self.kind or type(self).__name__
