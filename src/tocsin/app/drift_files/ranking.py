"""The performance of a model that ranks: gain by place and clicks, chunk by chunk, against the reference."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from tocsin.app.drift_files.frame import Frame
from tocsin.app.drift_files.model import LEAST_ROWS, Performance
from tocsin.app.drift_files.roles import Roles
from tocsin.assess.column import FeatureKind, codes, numbers
from tocsin.assess.intervals import Measure
from tocsin.assess.performance import click_through_rate, ndcg
from tocsin.assess.performance_alarm import PerformanceNorm, blocks_of, error_of
from tocsin.model.arrays import F8, I8, Mask

NO_ESTIMATE: Final = (
    "a ranking has no estimate without truth: its scores say which item comes first, not how often one is taken; "
    "drift of the score warns instead"
)
LEAST_REFERENCE: Final = 100


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """Items shown, (n,) each: the list that an item was in, its score, and what it gained (NaN where not known)."""

    query: F8
    score: F8
    gain: F8

    @staticmethod
    def of(frame: Frame, truth: Any, roles: Roles) -> Shown:
        """The items of a file; an item without a list or a score takes no part.

        Raises
        ------
        BadInput
            A score is text.
        """
        assert roles.query is not None
        assert roles.score is not None
        query = codes(frame.columns[roles.query], FeatureKind.CATEGORICAL)
        score = frame.numbers(roles.score)
        gain = numbers(truth).codes if truth is not None else np.full(frame.rows, np.nan)
        return Shown(query, score, np.where(np.isnan(query) | np.isnan(score), np.nan, gain))

    def measured(self, rows: I8) -> dict[str, Measure]:
        """NDCG of the first ten, and clicks by items where gains are 0 or 1."""
        known = rows[~np.isnan(self.gain[rows])]
        gain = self.gain[known]
        found = {"ndcg": ndcg(self.query[known], self.score[known], gain)}
        if np.isin(gain, (0.0, 1.0)).all():
            found["click_through_rate"] = click_through_rate(int(gain.sum()), gain.size)
        return found


class RankingWatch:
    """Follows the chunks of a ranking; interface as of `ModelWatch`."""

    def __init__(self, reference: Shown, current: Shown, chunk_rows: int) -> None:
        self.current = current
        self.notes = [NO_ESTIMATE]
        self.errors: dict[str, Any] = {}
        self._then, self._chunk_rows = reference, max(chunk_rows, 1)
        self._norms: dict[tuple[str, str], PerformanceNorm | None] = {}
        self._whole = self._norm(np.ones(reference.gain.size, bool))
        if self._whole is None:
            self.notes.append(
                f"the reference has fewer than {LEAST_REFERENCE} items with truth: nothing is called worse"
            )

    @property
    def reference(self) -> dict[str, Measure]:
        """Measures of the reference."""
        return dict(self._whole.reference) if self._whole is not None else {}

    def _norm(self, chosen: Mask) -> PerformanceNorm | None:
        rows = np.flatnonzero(chosen & ~np.isnan(self._then.gain))
        if rows.size < LEAST_REFERENCE:
            return None
        share = rows.size / chosen.size
        blocks = [self._then.measured(rows[block]) for block in blocks_of(rows.size, int(self._chunk_rows * share))]
        return PerformanceNorm.of(
            self._then.measured(rows),
            [{name: each.value for name, each in block.items()} for block in blocks],
            [{name: error_of(each) for name, each in block.items()} for block in blocks],
        )

    def chunk(self, rows: I8) -> Performance:
        """The performance of a chunk."""
        return self._judge(rows, self._whole, 1)

    def segment(self, rows: I8, column: str, value: str, chosen: Mask, shared_by: int) -> Performance:
        """The performance of a segment of a chunk, against the same segment of the reference (rows `chosen`)."""
        key = (column, value)
        if key not in self._norms:
            self._norms[key] = self._norm(chosen)
        return self._judge(rows, self._norms[key], shared_by)

    def _judge(self, rows: I8, norm: PerformanceNorm | None, shared_by: int) -> Performance:
        known = int(np.count_nonzero(~np.isnan(self.current.gain[rows])))
        real: Mapping[str, Measure] | None = self.current.measured(rows) if known else None
        reasons: list[str] = []
        if norm is not None and real is not None and known >= LEAST_ROWS:
            value = {name: each.value for name, each in real.items()}
            error = {name: error_of(each) for name, each in real.items()}
            reasons = [each.said("realised") for each in norm.falls(value, error, shared_by)]
        return Performance(int(rows.size), None, {}, real, known / max(rows.size, 1), tuple(reasons))
