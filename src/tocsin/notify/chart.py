"""The chart of a finding as a small PNG: its values, the band that was expected, and when it got out of line.

Written by hand, so that a message needs no drawing library: eight colours, a font of digits.

References
----------
PNG (Third Edition), W3C Recommendation: https://www.w3.org/TR/png-3/
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import numpy as np
import numpy.typing as npt

WIDTH, HEIGHT = 640, 220
LEFT, RIGHT, TOP, BOTTOM = 66, 10, 10, 22
_BACK, _GRID, _BAND, _LINE, _OUT, _TEXT = range(6)
PALETTE: Final = bytes.fromhex("ffffffe3e5e8cfe0f52b5d9ec4321f4a4f57")
_GLYPHS: Final = {
    "0": "7 5 5 5 7", "1": "2 6 2 2 7", "2": "7 1 7 4 7", "3": "7 1 7 1 7", "4": "5 5 7 1 1", "5": "7 4 7 1 7",
    "6": "7 4 7 5 7", "7": "7 1 1 1 1", "8": "7 5 7 5 7", "9": "7 5 7 1 7", "-": "0 0 7 0 0", "+": "0 2 7 2 0",
    ".": "0 0 0 0 2", ":": "0 2 0 2 0", "e": "0 7 7 4 7", "/": "1 1 2 4 4", " ": "0 0 0 0 0",
    "U": "5 5 5 5 7", "T": "7 2 2 2 2", "C": "7 4 4 4 7",
}  # fmt: skip
"""Letters of three by five dots: each number is a row."""
_DOT: Final = 2
_ADVANCE: Final = 4 * _DOT
Canvas = npt.NDArray[np.uint8]
F8 = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Trend:
    """What is drawn: times (ns), values and their expected band, each of length n, NaN where not known; out of line `since` (ns)."""

    times: Sequence[int]
    values: Sequence[float]
    lower: Sequence[float]
    upper: Sequence[float]
    since: int


def chart_png(trend: Trend) -> bytes:
    """The PNG of a trend; empty where there is nothing to draw.

    >>> chart_png(Trend((), (), (), (), 0))
    b''
    """
    times = np.asarray(trend.times, "f8")
    values, lower, upper = (np.asarray(each, "f8") for each in (trend.values, trend.lower, trend.upper))
    seen = values[np.isfinite(values)]
    if len(times) < 2 or not len(seen) or times[-1] <= times[0]:
        return b""
    low, high = _range(values, lower, upper)
    canvas: Canvas = np.full((HEIGHT, WIDTH), _BACK, np.uint8)
    x = LEFT + (times - times[0]) / (times[-1] - times[0]) * (WIDTH - LEFT - RIGHT - 1)

    def rows(given: F8) -> F8:
        share = np.clip((given - low) / (high - low), 0.0, 1.0)
        return TOP + (1.0 - share) * (HEIGHT - TOP - BOTTOM - 1)

    _band(canvas, x, rows(np.where(np.isnan(lower), -np.inf, lower)), rows(np.where(np.isnan(upper), np.inf, upper)),
          np.isfinite(lower) | np.isfinite(upper))  # fmt: skip
    for share in (0.0, 0.5, 1.0):
        row = round(TOP + share * (HEIGHT - TOP - BOTTOM - 1))
        canvas[row, LEFT : WIDTH - RIGHT][canvas[row, LEFT : WIDTH - RIGHT] == _BACK] = _GRID
        text = f"{high - share * (high - low):.3g}"
        _write(canvas, text, LEFT - 6 - len(text) * _ADVANCE, row - 5)
    began = np.searchsorted(times, trend.since)
    _curve(canvas, x, rows(values), values, int(began))
    first, last = (_clock(each) for each in (times[0], times[-1]))
    _write(canvas, first, LEFT, HEIGHT - 14)
    _write(canvas, f"{last} UTC", WIDTH - RIGHT - (len(last) + 4) * _ADVANCE, HEIGHT - 14)
    return _png(canvas)


def _range(*columns: F8) -> tuple[float, float]:
    """Lowest and highest of what is drawn; a band that is far wider than the values does not flatten them."""
    values = columns[0][np.isfinite(columns[0])]
    low, high = float(values.min()), float(values.max())
    spread = max(high - low, abs(high) * 1e-6, 1e-12)
    for limit in columns[1:]:
        near = limit[np.isfinite(limit) & (limit >= low - 2 * spread) & (limit <= high + 2 * spread)]
        if len(near):
            low, high = min(low, float(near.min())), max(high, float(near.max()))
    room = 0.05 * max(high - low, spread)
    return low - room, high + room


def _band(canvas: Canvas, x: F8, lower: F8, upper: F8,
          known: npt.NDArray[np.bool_]) -> None:  # fmt: skip
    columns = np.arange(LEFT, WIDTH - RIGHT)
    at = np.clip(np.searchsorted(x, columns), 0, len(x) - 1)
    for column, bottom, top, there in zip(columns, lower[at], upper[at], known[at], strict=True):
        if there:
            canvas[round(top) : round(bottom) + 1, column] = _BAND


def _curve(canvas: Canvas, x: F8, y: F8, values: F8, began: int) -> None:
    for k in range(len(x)):
        colour = _OUT if k >= began else _LINE
        if not np.isfinite(values[k]):
            continue
        if k and np.isfinite(values[k - 1]):
            steps = max(2, int(max(abs(x[k] - x[k - 1]), abs(y[k] - y[k - 1]))) + 1)
            columns = np.rint(np.linspace(x[k - 1], x[k], steps)).astype(int)
            rows = np.rint(np.linspace(y[k - 1], y[k], steps)).astype(int)
        else:
            columns, rows = np.array([round(float(x[k]))]), np.array([round(float(y[k]))])
        canvas[rows, columns] = colour
        canvas[np.clip(rows + 1, 0, HEIGHT - 1), columns] = colour


def _write(canvas: Canvas, text: str, column: int, row: int) -> None:
    for k, letter in enumerate(text):
        for down, bits in enumerate(_GLYPHS.get(letter, _GLYPHS[" "]).split()):
            for right in range(3):
                if int(bits) >> (2 - right) & 1:
                    left, top = column + k * _ADVANCE + right * _DOT, row + down * _DOT
                    canvas[max(0, top) : top + _DOT, max(0, left) : left + _DOT] = _TEXT


def _clock(time_ns: float) -> str:
    return datetime.fromtimestamp(time_ns / 1e9, UTC).strftime("%H:%M")


def _png(canvas: Canvas) -> bytes:
    height, width = canvas.shape
    header = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)
    lines = np.zeros((height, width + 1), np.uint8)  # each line begins with its filter: none
    lines[:, 1:] = canvas
    parts = ((b"IHDR", header), (b"PLTE", PALETTE), (b"IDAT", zlib.compress(lines.tobytes(), 9)), (b"IEND", b""))
    chunks = (
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body)) for name, body in parts
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)
