"""`SeriesText`: what the series of a shard are, in words, written once each and copied into every snapshot."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np

from tocsin.model.arrays import U1
from tocsin.model.rows import Rows
from tocsin.model.series import Series


class SeriesText:
    """JSON of all series of some `Rows`, in their order; `say` turns one into what JSON can hold.

    A series never changes, and there may be a hundred thousand: a snapshot copies bytes instead of telling each anew.

    >>> from tocsin.model.series import Catalog, Signal
    >>> rows = Rows(Catalog())
    >>> text = SeriesText(rows, lambda series: series.signal.name)
    >>> for name in ("cpu", "load"):
    ...     row = rows.of_series(Series.of("main", Signal(name), {}))
    ...     text.extend()
    >>> SeriesText.read(text.snapshot())
    ['cpu', 'load']
    """

    def __init__(self, rows: Rows, say: Callable[[Series], Any]) -> None:
        self._rows = rows
        self._say = say
        self._text = bytearray()
        self._told = 0

    def extend(self) -> None:
        """Tell the series that are new."""
        if self._told == len(self._rows):
            return
        fresh = [self._say(self._rows.series(row)) for row in range(self._told, len(self._rows))]
        self._told = len(self._rows)
        told = json.dumps(fresh, separators=(",", ":")).encode("ascii")[1:-1]
        self._text += b"," + told if self._text else told

    def snapshot(self) -> U1:
        """The text of all series, a copy, (bytes,)."""
        self.extend()
        return np.frombuffer(self._text, "u1").copy()

    @staticmethod
    def read(text: U1) -> list[Any]:
        """What was said of each series, back from a snapshot."""
        found: list[Any] = json.loads(b"[" + text.tobytes() + b"]")
        return found
