"""Columns of the current file counted on the reference's cells, chunk by chunk: drift of each, and what is broken."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import pyarrow as pa

from tocsin.app.drift_files.cut import Part
from tocsin.app.drift_files.frame import Frame
from tocsin.app.drift_files.roles import Roles
from tocsin.assess.drift import Distances, DriftPolicy, FeatureDrift, compare_chunks, measure
from tocsin.assess.evidence import FeatureTest
from tocsin.assess.quality import Fault, Violation, check
from tocsin.assess.reference import FeatureReference
from tocsin.assess.sketch import FeatureSketch
from tocsin.model.arrays import I8
from tocsin.model.errors import BadInput

LEVEL: Final = 0.01
"""Probability that anything is called broken though nothing is, over all columns and chunks."""
LEAST_SHARE: Final = DriftPolicy().min_share
BROKEN: Final = frozenset({Fault.CORRUPTED, Fault.CONSTANT, Fault.STUCK, Fault.MISSING})
"""What breaks a model's input whatever the estimate says; a value beyond the range may be a day like any other."""
_SHARES: Final = frozenset({Fault.MISSING, Fault.OUT_OF_RANGE, Fault.UNSEEN})


@dataclass(frozen=True, slots=True)
class Compared:
    """Of each chunk, in order: the drift of features, of what the model said and of the truth, and what is broken.

    `parts` are distances of what texts and vectors are looked at by, by feature and part.
    """

    features: Sequence[Sequence[FeatureDrift]]
    said: Sequence[FeatureDrift | None]
    target: Sequence[FeatureDrift | None]
    broken: Sequence[Sequence[Violation]]
    parts: Sequence[Mapping[str, Mapping[str, Distances]]]


class Columns:
    """Two files' columns by their parts; `truth` are the current cells of the target, or None."""

    def __init__(self, reference: Frame, current: Frame, truth: Any, roles: Roles) -> None:
        self.reference, self.current, self.truth, self.roles = reference, current, truth, roles
        self._order = _in_time(reference, roles)
        self._is_ordered = roles.time is not None and roles.time in reference.columns

    def compared(self, parts: Sequence[Part]) -> Compared:
        """Compare all chunks; features are decided on together, over all of them."""
        roles = self.roles
        told = roles.score or roles.prediction
        learned = self._learned(roles.features, roles.kinds)
        said = self._learned([told] if told is not None else [], {})
        counted, broken = self._counted(learned | said, parts)
        target = self._target(parts)
        nothing: list[FeatureDrift | None] = [None] * len(parts)
        return Compared(
            compare_chunks(learned, [_some(each, learned) for each in counted]),
            [rows[0] for rows in compare_chunks(said, [_some(each, said) for each in counted])] if said else nothing,
            target or nothing,
            broken,
            [_parts(learned, each) for each in counted],
        )

    def _learned(self, names: Iterable[str], kinds: Mapping[str, Any]) -> dict[str, FeatureReference]:
        cells = {name: self.reference.columns[name] for name in names}
        if self._order is not None:
            cells = {name: each.take(self._order) for name, each in cells.items()}
        return {name: FeatureReference.learn(name, each, kinds.get(name)) for name, each in cells.items()}

    def _counted(
        self, learned: Mapping[str, FeatureReference], parts: Sequence[Part]
    ) -> tuple[list[dict[str, FeatureSketch]], list[list[Violation]]]:
        sketches, broken = [], []
        for part in parts:
            index = pa.array(part.rows)
            columns = {name: self.current.columns[name].take(index) for name in learned}
            sketches.append({name: self._sketched(each, columns[name]) for name, each in learned.items()})
            broken.append(self._broken(learned, columns, LEVEL / max(len(parts), 1)))
        return sketches, broken

    def _broken(
        self, learned: Mapping[str, FeatureReference], columns: Mapping[str, Any], level: float
    ) -> list[Violation]:
        """What the reference does not promise is left out: types of text files, runs where rows have no order.

        Of rows that are missing, beyond the range or unseen, fewer than one in a hundred more than usual are listed only.
        """
        typed = self.reference.table.is_parquet and self.current.table.is_parquet
        found = check(learned, columns, level=level) if learned else []
        unsaid = {*([] if typed else [Fault.TYPE_CHANGED]), *([] if self._is_ordered else [Fault.STUCK])}
        few = [each for each in found if each.fault in _SHARES and each.count - each.expected < LEAST_SHARE * each.rows]
        kept = [replace(each, alarm=False) if each in few else each for each in found if each.fault not in unsaid]
        return sorted(kept, key=lambda each: not each.alarm)

    def _sketched(self, reference: FeatureReference, cells: Any) -> FeatureSketch:
        try:
            return reference.sketch(cells)
        except BadInput as error:
            raise BadInput(f"{self.current.table.path}:1: column {reference.name!r}: {error}") from None

    def _target(self, parts: Sequence[Part]) -> list[FeatureDrift | None]:
        name = self.roles.target
        if name is None or name not in self.reference.columns or self.truth is None:
            return []
        learned = self._learned([name], {})
        known = [self.truth.take(pa.array(part.rows)).drop_null() for part in parts]
        rows = compare_chunks(learned, [{name: self._sketched(learned[name], cells)} for cells in known])
        return [row[0] for row in rows]


def _parts(
    learned: Mapping[str, FeatureReference], counted: Mapping[str, FeatureSketch]
) -> dict[str, dict[str, Distances]]:
    """Distances of parts of texts and vectors."""
    return {
        name: {part: measure(FeatureTest(one), counted[name].parts[part]) for part, one in each.parts.items()}
        for name, each in learned.items()
        if each.parts
    }


def _some(counted: Mapping[str, FeatureSketch], names: Iterable[str]) -> dict[str, FeatureSketch]:
    return {name: counted[name] for name in names}


def _in_time(reference: Frame, roles: Roles) -> Any:
    """Rows of the reference in order of time, None where they are, or have none."""
    if roles.time is None or roles.time not in reference.columns:
        return None
    try:
        time: I8 = reference.times(roles.time)
    except BadInput:  # the reference's times decide nothing else
        return None
    return pa.array(np.argsort(time, kind="stable")) if np.any(np.diff(time) < 0) else None
