"""Spectral residual: what stands out of a window once what its spectrum repeats is taken away."""

from __future__ import annotations

import math
from typing import ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from tocsin.detect.shingled import Shingled
from tocsin.model.arrays import F8, I4
from tocsin.stats.jit import njit
from tocsin.stats.rings import unroll

SIZE: Final = 64
AHEAD: Final = 5
"""Values guessed after the newest one, which would lie at the window's edge otherwise."""
AVERAGED: Final = 3
"""Neighbouring frequencies whose mean log amplitude is taken away."""
COMPARED: Final = 21
"""Earlier values whose saliency is what is usual."""
FAINT: Final = 1e-8
"""Amplitudes below this share of the largest count as none."""
LEAST: Final = 32

C16 = NDArray[np.complex128]


class SpectralResidual(Shingled):
    """Score = saliency of the newest value over the mean saliency of the 21 before, less one, over what is usual.

    The window is the last 59 values (of a young series as many as there are) and five guesses of what follows.

    Parameters: `warmup` in steps, at least 32.

    Reference: H. Ren et al., Time-Series Anomaly Detection Service at Microsoft, KDD 2019 (without its network).

    >>> from tocsin.model.detection import Step
    >>> d = SpectralResidual(warmup=60)
    >>> for k in range(100):
    ...     v = float(k % 6) if k < 99 else 12.0
    ...     s = Step(np.zeros(1, "i4"), np.zeros(1, "i8"), np.array([v]))
    ...     z = float(d.score(s).value[0])
    ...     d.learn(s, np.ones(1))
    >>> z > 3
    True
    """

    name: ClassVar[str] = "spectral_residual"
    least_unit: ClassVar[float] = 0.3

    def __init__(self, *, warmup: float = 60) -> None:
        super().__init__(kept=SIZE - AHEAD - 1, warmup=warmup, least=LEAST)
        bits = SIZE.bit_length() - 1
        self._places = np.array([int(f"{k:0{bits}b}"[::-1], 2) for k in range(SIZE)], "i4")
        self._roots = np.exp(-2j * np.pi * np.arange(SIZE // 2) / SIZE)

    def _raw(self, rows: I4, value: F8) -> F8:
        out = np.full(rows.size, np.nan)
        _saliencies(rows, value, self.ring, self.seen, self._places, self._roots, out)
        return out


@njit()
def transform(signal: C16, places: I4, roots: C16, backwards: bool, into: C16) -> None:
    """Fourier transform of SIZE values, radix 2; its inverse without the factor 1/SIZE if `backwards`."""
    for k in range(SIZE):
        into[k] = signal[places[k]]
    half = 1
    while half < SIZE:
        stride = SIZE // (2 * half)
        for start in range(0, SIZE, 2 * half):
            for k in range(half):
                root = roots[k * stride]
                if backwards:
                    root = root.conjugate()
                odd = root * into[start + k + half]
                into[start + k + half] = into[start + k] - odd
                into[start + k] = into[start + k] + odd
        half *= 2


@njit()
def extend(values: F8, count: int) -> None:
    """Put guesses behind the first `count` values, from the mean slope of those before the newest.

    The newest, which is judged, must not draw them after itself.
    """
    before = values[count - 2]
    slope = 0.0
    for k in range(1, AHEAD + 1):
        slope += (before - values[count - 2 - k]) / k
    guess = values[count - 1 - AHEAD] + slope
    for k in range(AHEAD):
        values[count + k] = guess


@njit()
def residual(spectrum: C16) -> None:
    """Replace each amplitude by its ratio to the geometric mean of its own and the two before; phases stay."""
    largest = np.max(np.abs(spectrum))
    logs = np.empty(SIZE)
    for k in range(SIZE):
        logs[k] = math.log(max(abs(spectrum[k]), FAINT * largest))
    for k in range(SIZE):
        amplitude = abs(spectrum[k])
        if amplitude <= FAINT * largest:
            spectrum[k] = 0.0
            continue
        mean, n = 0.0, min(k + 1, AVERAGED)
        for j in range(n):
            mean += logs[k - j] / n
        spectrum[k] = spectrum[k] / amplitude * math.exp(logs[k] - mean)


@njit("void(i4[::1],f8[::1],f8[:,::1],i4[::1],i4[::1],c16[::1],f8[::1])")
def _saliencies(rows: I4, value: F8, ring: F8, seen: I4, places: I4, roots: C16, out: F8) -> None:
    signal, spectrum, back = np.empty(SIZE, np.complex128), np.empty(SIZE, np.complex128), np.empty(SIZE, np.complex128)
    values = np.empty(SIZE)
    for i in range(rows.size):
        r = rows[i]
        count = unroll(ring[r], seen[r], values[: SIZE - AHEAD - 1])
        if count < LEAST - 1 or not math.isfinite(value[i]):
            continue
        values[count] = value[i]
        extend(values, count + 1)
        size = count + 1 + AHEAD
        low, high = np.min(values[:size]), np.max(values[:size])
        if not high > low:
            out[i] = 0.0
            continue
        # a young window is filled with its first value, which repeats nothing and adds nothing
        for k in range(SIZE):
            signal[k] = (values[max(k - SIZE + size, 0)] - low) / (high - low)
        transform(signal, places, roots, False, spectrum)
        residual(spectrum)
        transform(spectrum, places, roots, True, back)
        newest = SIZE - AHEAD - 1
        usual = 0.0
        for k in range(newest - COMPARED, newest):
            usual += abs(back[k]) / COMPARED
        out[i] = max(abs(back[newest]) / usual - 1.0, 0.0) if usual > 0.0 else 0.0
