"""Truth of a file of its own, joined to predictions by id; what does not fit is counted and said."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tocsin.app.drift_files.frame import Frame
from tocsin.app.drift_files.roles import TIME, Roles
from tocsin.assess.column import texts
from tocsin.model.arrays import I8
from tocsin.model.errors import BadInput


@dataclass(frozen=True, slots=True)
class Joined:
    """Cells of the target for each current row, null where none is known, and what was counted on the way."""

    cells: Any
    counted: dict[str, int]

    def sentences(self) -> list[str]:
        """What to tell, one sentence for each count that is not 0."""
        said = {
            "unknown_ids": "rows of truth have an id that no prediction has; they are not used",
            "repeated_ids": "rows of truth repeat an id; the last one of each counts",
            "repeated_predictions": "predictions repeat an id; each gets the truth of that id",
            "empty": "rows of truth hold none; those predictions wait on",
            "waiting": "predictions have no truth yet",
            "before_prediction": "rows of truth are older than their prediction; they are used all the same",
        }
        return [f"{self.counted[name]} {text}" for name, text in said.items() if self.counted.get(name)]


def join(current: Frame, truth: Frame, roles: Roles, time: I8 | None) -> Joined:
    """Bring truth to the current rows by id, the same whether it is text or a number.

    Raises
    ------
    BadInput
        The truth file has no column with the target.
    """
    if roles.identity is None:
        raise BadInput(f"{truth.table.path}:1: which column joins truth to predictions? name it with --id")
    if roles.target is None:
        raise BadInput(f"{truth.table.path}:1: which column is the truth? name it with --target")
    target = truth.column(roles.target, "--target")
    theirs, ours = truth.labels(roles.identity), current.labels(roles.identity)
    coded = theirs.dictionary_encode()
    code = np.asarray(coded.indices.fill_null(-1).to_numpy(zero_copy_only=False), "i8")
    row_of = np.full(len(coded.dictionary) + 1, -1, "i8")
    row_of[code] = np.arange(code.size)  # the last one stays
    row_of[-1] = -1
    asked = pc.fill_null(pc.index_in(ours, value_set=coded.dictionary), len(coded.dictionary))
    asked = np.asarray(asked.to_numpy(zero_copy_only=False), "i8")
    row = row_of[asked]
    cells = truth.columns[target].take(pa.array(row, mask=row < 0))
    distinct = np.unique(asked[row >= 0])
    counted = {
        "unknown_ids": int(np.count_nonzero(~np.isin(code, distinct))),
        "repeated_ids": int(code.size - np.unique(code).size),
        "repeated_predictions": int(np.count_nonzero(row >= 0) - distinct.size),
        "empty": int(truth.labels(target).null_count),
        "waiting": int(texts(cells).null_count),
        "before_prediction": _before(truth, time, row),
    }
    return Joined(cells, counted)


def _before(truth: Frame, time: I8 | None, row: I8) -> int:
    """Rows whose truth is older than the prediction, if both have times."""
    names = [name for name in truth.names if name.strip().lower() in TIME]
    if time is None or len(names) != 1:
        return 0
    when = truth.times(names[0])
    known = row >= 0
    return int(np.count_nonzero(when[row[known]] < time[known]))
