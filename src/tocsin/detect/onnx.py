"""A trained model in an ONNX file: how ill the last values fit what it learned to rebuild."""

from __future__ import annotations

from typing import ClassVar, Final

import numpy as np

from tocsin.detect.onnx_model import F4, OnnxModel
from tocsin.detect.search import outwards
from tocsin.detect.shingled import SD_OF_MEAN_ABS, Shingled
from tocsin.model.arrays import F8, I4, Mask
from tocsin.stats.jit import njit

LEAST_UNIT: Final = 1e-9
SETTLED: Final = 5
"""Windows of a series whose errors are averaged before it is judged."""


class Onnx(Shingled):
    """Score = the model's error on the last values over its unit, so that 3 is what hardly any normal window reached.

    The unit is that of the file, larger where the series' own usual error is larger than that of the held-out
    windows; of a file that tells none it is the series' usual error. Every model of one feature will do: `tocsin
    train` makes autoencoders, isolation forests and boosted trees.

    Parameters: `model`, or the bytes of its file, checked by `OnnxModel`; `warmup` in steps, of default L + 5.

    Reference: G. E. Hinton and R. R. Salakhutdinov, Reducing the Dimensionality of Data with Neural Networks,
    Science 2006; M. Sakurada and T. Yairi, Anomaly Detection Using Autoencoders with Nonlinear Dimensionality
    Reduction, MLSDA 2014.

    >>> from tocsin.model.errors import BadConfig
    >>> try:
    ...     Onnx(model=b"not a model")
    ... except BadConfig as refused:
    ...     print(str(refused)[:24])
    this is no ONNX model, o
    """

    name: ClassVar[str] = "onnx"

    def __init__(self, *, model: OnnxModel | bytes, warmup: float = 0) -> None:
        self.model = model if isinstance(model, OnnxModel) else OnnxModel(model)
        length = self.model.length
        if self.model.features != 1:
            raise ValueError(
                f"onnx: the model has {self.model.features} features and this monitor judges every series on its own; "
                "expected is 1, or say `together: true`"
            )
        super().__init__(kept=length - 1, warmup=warmup or length + SETTLED, least=length)

    def _raw(self, rows: I4, value: F8) -> F8:
        windows: F4 = np.empty((rows.size, self.model.length, 1), np.float32)
        whole = np.empty(rows.size, np.bool_)
        _windows(rows, value, self.ring, self.seen, windows, whole)
        out = np.full(rows.size, np.nan)
        out[whole] = self.model.error(windows[whole])
        return out

    def _unit(self, rows: I4, gap: F8) -> F8:  # noqa: ARG002 - errors of a model have no unit of the signal
        card = self.model.card
        if card.unit > 0.0:
            return card.unit * np.maximum(self.usual[rows] / card.usual if card.usual > 0.0 else 1.0, 1.0)
        return np.maximum(SD_OF_MEAN_ABS * self.usual[rows], LEAST_UNIT)

    def _reach(self, rows: I4, radius: F8) -> tuple[F8, F8, F8]:
        centre = self._centre(rows)
        span = (self.high[rows] - self.low[rows]) / 4.0
        unit = np.where(span > 0.0, span, np.maximum(0.03 * np.abs(centre), 1e-12))
        low, high = outwards(self._raw, rows, centre, unit, radius)
        return low, centre, high


@njit("void(i4[::1],f8[::1],f8[:,::1],i4[::1],f4[:,:,::1],b1[::1])")
def _windows(rows: I4, value: F8, ring: F8, seen: I4, out: F4, whole: Mask) -> None:
    """Oldest first, the newest value last; `whole` where there are enough."""
    kept = ring.shape[1]
    for i in range(rows.size):
        r = rows[i]
        whole[i] = seen[r] >= kept
        for j in range(kept):
            out[i, j, 0] = ring[r, (seen[r] + j) % kept]
        out[i, kept, 0] = value[i]
