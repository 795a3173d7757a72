"""A trained model as the only member of an entity's ensemble: all signals of the last rows in one window."""

from __future__ import annotations

import math
from typing import ClassVar, Final

import numpy as np

from tocsin.detect.multi_member import Look, Member
from tocsin.detect.multi_memory import LENGTH
from tocsin.detect.onnx_model import OnnxModel
from tocsin.model.arrays import F8, I8
from tocsin.stats.rings import robust_mean

MEMORY: Final = 1000.0
LEAST_UNIT: Final = 1e-9
STALE: Final = 5
"""Rows over which a signal that is missing is held at its last value."""


class ModelMember(Member):
    """Score = the model's error over the larger of its usual one here and the unit of its file; about 1 on usual rows.

    A signal that is missing is held at its last value for 5 rows, and so are rows that never came; then the window has
    a hole, and there is no score until it has passed. Contributions are the model's own where it tells them, else
    squared deviations from the entity's own past.

    Reference: P. Malhotra et al., LSTM-Based Encoder-Decoder for Multi-Sensor Anomaly Detection, 2016.

    >>> from types import SimpleNamespace as Made
    >>> largest = lambda windows: (np.abs(windows).max(axis=(1, 2)), np.zeros((1, 1)))
    >>> d = ModelMember(Made(features=1, length=3, card=Made(unit=0.5), run=largest))
    >>> for value in (1.0, 2.0, 1.0, 2.0, 16.0):
    ...     row = np.full((2, 1), value)
    ...     look = Look(row, row[0], row[0], row[0], row[None], np.zeros(1, "i8"), 0)
    ...     score, _ = d.score(look)
    ...     d.learn(look)
    >>> score
    8.0
    """

    name: ClassVar[str] = "model"
    _kept: ClassVar[tuple[str, ...]] = ("ring", "age", "usual", "blank")

    def __init__(self, model: OnnxModel) -> None:
        super().__init__(model.features)
        self.model = model
        self.ring: F8 = np.full((model.length - 1, model.features), np.nan)  # oldest first
        self.age: I8 = np.full(model.features, STALE, np.int64)  # rows since each signal was seen
        self.usual: F8 = np.zeros(2)  # mean error, and of how many windows
        self.blank: I8 = np.zeros(1, np.int64)  # rows on end that came without any value

    def score(self, look: Look) -> tuple[float, F8]:
        """Score, NaN while the window has holes, and contributions."""
        error, parts, _ = self._judged(look)
        return error / max(float(self.usual[0]), self.model.card.unit, LEAST_UNIT), parts

    def learn(self, look: Look) -> None:
        """Take the row in, and the error into the usual one."""
        error, _, window = self._judged(look)
        if not np.isnan(error):
            self.usual[1] = min(self.usual[1] + 1.0, MEMORY)
            first = self.usual[0] == 0.0
            self.usual[0] = error if first else robust_mean(self.usual[0], error, 1.0 / self.usual[1])
        missing = np.isnan(look.latest[0])
        self.age[:] = np.where(missing, np.minimum(self.age + self._missed(look) + 1, STALE), 0)
        self.blank[0] = min(self.blank[0] + 1, LENGTH) if missing.all() else 0
        self.ring[:] = window[1:]

    def _judged(self, look: Look) -> tuple[float, F8, F8]:
        """Error and contributions of the window that ends with the newest row, and the window."""
        window = self._window(look)
        if np.isnan(window).any():
            return math.nan, np.zeros(self.model.features), window
        error, told = self.model.run(window[None].astype(np.float32))
        parts = told[0] if told[0].sum() > 0.0 else np.nan_to_num(look.z, nan=0.0, posinf=0.0, neginf=0.0) ** 2
        return float(error[0]), parts, window

    def _window(self, look: Look) -> F8:
        """The last rows and the newest, with what is missing held at its last value."""
        held, rows = self.ring[-1], [self.ring]
        missed = self._missed(look)
        rows += [np.where(self.age + k < STALE, held, np.nan)[None] for k in range(missed)]
        newest = look.latest[0]
        stale = self.age + missed >= STALE
        rows.append(np.where(np.isnan(newest) & ~stale, held, newest)[None])
        found: F8 = np.concatenate(rows)[-self.model.length :]
        return found

    def _missed(self, look: Look) -> int:
        """Rows that never came since the one before, as far as it matters."""
        seen = np.flatnonzero(~np.isnan(look.latest[1:]).all(axis=1))
        empty = int(seen[0]) if seen.size else LENGTH - 1
        return max(empty - int(self.blank[0]), 0)
