"""`Drawn`: samples of many frames at once, before their series are numbered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tocsin.model.arrays import F8, I4, I8
from tocsin.model.rows import Rows
from tocsin.model.samples import Samples
from tocsin.model.series import Series


@dataclass(frozen=True, slots=True, eq=False)
class Drawn:
    """What some frames say, all columns (n,).

    Attributes
    ----------
    frame : int32, which of the frames a sample is from
    sight : int64, order inside its frame: of two new series the one that was seen first gets the lower row
    key : int32, place of its series in `series`
    time : int64, ns
    value : float64
    uid : int64, tells two observations of one series and time apart
    """

    frame: I4
    sight: I8
    key: I4
    time: I8
    value: F8
    uid: I8
    series: Sequence[Series]


def numbered(rows: Rows, drawn: Sequence[tuple[Drawn, I8]]) -> list[Samples]:
    """Samples of each, their series numbered in order of first sight.

    Beside each `Drawn` stands the place in the log of its frames, (frames,): whatever is drawn together, rows are given
    out as if each frame had come alone.
    """
    refs = [np.array([rows.catalog.intern(series) for series in some.series], "i4") for some, _ in drawn]
    first: list[I8] = []
    for some, place in drawn:
        seen = np.full(len(some.series), np.iinfo("i8").max)
        np.minimum.at(seen, some.key, (place[some.frame] << 40) | some.sight)
        first.append(seen)
    if refs:
        rows.of_refs(np.concatenate(refs)[np.argsort(np.concatenate(first), kind="stable")])
    return [
        Samples.plain(rows.of_refs(ref)[some.key], some.time, some.value, some.uid)
        for (some, _), ref in zip(drawn, refs, strict=True)
    ]
