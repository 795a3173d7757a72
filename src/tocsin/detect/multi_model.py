"""A trained model as the only member of an entity's ensemble: all signals of the last rows in one window."""

from __future__ import annotations

from typing import ClassVar, Final

import numpy as np

from tocsin.detect.multi_member import Look, Member
from tocsin.detect.onnx_model import OnnxModel
from tocsin.model.arrays import F8, I8
from tocsin.stats.rings import robust_mean

MEMORY: Final = 1000.0
STALE: Final = 5
"""Rows over which a signal that is missing is held at its last value."""


class ModelMember(Member):
    """Score = the model's error over the larger of its usual one here and the unit of its file; about 1 on usual rows.

    Contributions are the model's own where it tells them, else squared deviations from the entity's own past.
    """

    name: ClassVar[str] = "model"
    _kept: ClassVar[tuple[str, ...]] = ("ring", "age", "usual")

    def __init__(self, model: OnnxModel) -> None:
        super().__init__(model.features)
        self.model = model
        self.ring: F8 = np.full((model.length - 1, model.features), np.nan)  # oldest first
        self.age: I8 = np.full(model.features, STALE, np.int64)  # rows since each signal was seen
        self.usual: F8 = np.zeros(2)  # mean error, and of how many windows

    def score(self, look: Look) -> tuple[float, F8]:
        """Score, NaN while the window has holes, and contributions."""
        error, parts = self._error(look)
        if np.isnan(error):
            return error, parts
        return error / max(self._unit(), 1e-9), parts

    def _unit(self) -> float:
        return max(float(self.usual[0]), self.model.card.unit)

    def _error(self, look: Look) -> tuple[float, F8]:
        window = np.concatenate([self.ring, self._row(look)[None]])
        if np.isnan(window).any():
            return float("nan"), np.zeros(self.model.features)
        error, told = self.model.run(window[None].astype(np.float32))
        parts = told[0] if told[0].sum() > 0.0 else np.nan_to_num(look.z, nan=0.0, posinf=0.0, neginf=0.0) ** 2
        return float(error[0]), parts

    def _row(self, look: Look) -> F8:
        """The newest row, signals that have just gone missing at their last value."""
        row, last = look.latest[0], self.ring[-1]
        found: F8 = np.where(np.isnan(row) & (self.age < STALE), last, row)
        return found

    def learn(self, look: Look) -> None:
        """Take the row in, and the error into the usual one."""
        error, _ = self._error(look)
        if not np.isnan(error):
            self.usual[1] = min(self.usual[1] + 1.0, MEMORY)
            first = self.usual[0] == 0.0
            self.usual[0] = error if first else robust_mean(self.usual[0], error, 1.0 / self.usual[1])
        row = self._row(look)
        self.ring[:-1] = self.ring[1:].copy()
        self.ring[-1] = row
        missing = np.isnan(look.latest[0])
        self.age[:] = np.where(missing, np.minimum(self.age + 1, STALE), 0)
