"""Charts of a report as SVG without scripts: performance over chunks, and drift of features by chunk."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from typing import Final

from tocsin.app.drift_files.run import ChunkResult, Result
from tocsin.assess.drift import FeatureDrift
from tocsin.assess.intervals import Measure
from tocsin.model.text import one_line

WIDTH: Final = 900
HEIGHT: Final = 260
LEFT, RIGHT, TOP, BOTTOM = 56, 16, 12, 30
MOST_SHOWN: Final = 400
"""Chunks that a chart draws, the last ones."""
STEPS: Final = 6


def shown(text: object) -> str:
    """Text of a user's file made fit for HTML.

    >>> shown('<b>"x"</b>')
    '&lt;b&gt;&quot;x&quot;&lt;/b&gt;'
    """
    return escape(one_line(str(text)), quote=True)


def performance_chart(result: Result, measure: str) -> str:
    """Estimated with its interval, realised, and the reference, over the chunks."""
    chunks = result.chunks[-MOST_SHOWN:]
    guesses = [_estimated(chunk, measure) for chunk in chunks]
    reals = [_realised(chunk, measure) for chunk in chunks]
    reference = result.reference.get(measure)
    known = [x for each in (*guesses, *reals) if each is not None for x in (each.value, each.low, each.high)]
    known += [reference.value] if reference is not None else []
    known = [x for x in known if math.isfinite(x)]
    if not known:
        return ""
    scale = _Scale(min(known), max(known), len(chunks))
    parts = [scale.axis()]
    if reference is not None:
        y = scale.y(reference.value)
        parts.append(f'<line class="reference" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y}" y2="{y}"/>')
    parts += [_guess(scale, k, each) for k, each in enumerate(guesses) if each is not None]
    parts.append(_line(scale, guesses))
    for k, each in enumerate(reals):
        if each is not None and math.isfinite(each.value):
            parts.append(_whisker(scale, k, chunks[k], each))
            parts.append(f'<circle class="real" cx="{scale.x(k)}" cy="{scale.y(each.value)}" r="3.5"/>')
    parts += [_mark(scale, k, chunk) for k, chunk in enumerate(chunks) if chunk.alarm]
    parts.append(_labels(scale, chunks))
    return _svg(f"{measure} over {len(chunks)} chunks", "".join(parts), HEIGHT)


def _estimated(chunk: ChunkResult, measure: str) -> Measure | None:
    found = chunk.performance.estimated if chunk.performance is not None else None
    return None if found is None else found.measures.get(measure)


def _realised(chunk: ChunkResult, measure: str) -> Measure | None:
    found = chunk.performance.realised if chunk.performance is not None else None
    return None if found is None else found.get(measure)


class _Scale:
    """Places of chunks and values on the drawing."""

    def __init__(self, low: float, high: float, count: int) -> None:
        room = (high - low) * 0.06 or abs(high) * 0.05 or 1.0
        self.low, self.high, self.count = low - room, high + room, count

    def x(self, k: int) -> float:
        return round(LEFT + (k + 0.5) * (WIDTH - LEFT - RIGHT) / max(self.count, 1), 1)

    def y(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low)
        return round(HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM), 1)

    def axis(self) -> str:
        parts = []
        for tick in _ticks(self.low, self.high):
            y = self.y(tick)
            parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y}" y2="{y}"/>')
            parts.append(f'<text class="tick" x="{LEFT - 8}" y="{y + 4}" text-anchor="end">{tick:g}</text>')
        return "".join(parts)


def _ticks(low: float, high: float) -> list[float]:
    """Some round numbers between two.

    >>> _ticks(0.76, 0.84)
    [0.76, 0.78, 0.8, 0.82, 0.84]
    """
    rough = (high - low) / 4
    unit = 10 ** math.floor(math.log10(rough))
    step = next(unit * k for k in (1, 2, 5, 10) if unit * k >= rough * 0.999)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [float(f"{k * step:.10g}") for k in range(first, last + 1)]


def _guess(scale: _Scale, k: int, each: Measure) -> str:
    if not (math.isfinite(each.low) and math.isfinite(each.high)):
        return ""
    top, bottom = scale.y(each.high), scale.y(each.low)
    width = max(1.0, min(14.0, 0.7 * (WIDTH - LEFT - RIGHT) / max(scale.count, 1)))
    x = round(scale.x(k) - width / 2, 1)
    return f'<rect class="band" x="{x}" y="{top}" width="{width:.1f}" height="{round(bottom - top, 1)}"/>'


def _whisker(scale: _Scale, k: int, chunk: ChunkResult, each: Measure) -> str:
    """The interval of what was realised, where the truth of some rows is not known yet."""
    whole = chunk.performance is None or chunk.performance.coverage >= 1
    if whole or not (math.isfinite(each.low) and math.isfinite(each.high)):
        return ""
    x = scale.x(k)
    return f'<line class="whisker" x1="{x}" x2="{x}" y1="{scale.y(each.high)}" y2="{scale.y(each.low)}"/>'


def _line(scale: _Scale, guesses: Sequence[Measure | None]) -> str:
    points = [
        f"{scale.x(k)},{scale.y(each.value)}"
        for k, each in enumerate(guesses)
        if each is not None and math.isfinite(each.value)
    ]
    return f'<polyline class="guess" points="{" ".join(points)}"/>'


def _mark(scale: _Scale, k: int, chunk: ChunkResult) -> str:
    x, y = scale.x(k), HEIGHT - BOTTOM
    told = shown(f"chunk {chunk.part.index}: {'; '.join(chunk.reasons[:2])}")
    return f'<path class="alarm" d="M{x - 5},{y} L{x + 5},{y} L{x},{y - 9} Z"><title>{told}</title></path>'


def _labels(scale: _Scale, chunks: Sequence[ChunkResult]) -> str:
    every = max(1, math.ceil(len(chunks) / 14))
    return "".join(
        f'<text class="tick" x="{scale.x(k)}" y="{HEIGHT - 10}" text-anchor="middle">{chunk.part.index}</text>'
        for k, chunk in enumerate(chunks)
        if k % every == 0
    )


def heat_map(result: Result, names: Sequence[str]) -> str:
    """PSI of features by chunk, darker is more; a frame is an alarm."""
    chunks = result.chunks[-MOST_SHOWN:]
    row, left = 20, 190
    width = (WIDTH - left - RIGHT) / max(len(chunks), 1)
    parts = []
    for k, name in enumerate(names):
        label = one_line(name)
        label = label if len(label) <= 24 else label[:23] + "…"
        y = k * row
        parts.append(f'<text class="name" x="{left - 8}" y="{y + 14}" text-anchor="end">{escape(label)}</text>')
        for j, chunk in enumerate(chunks):
            found = next((each for each in chunk.features if each.name == name), None)
            if found is not None:
                parts.append(_cell(chunk, found, left + j * width, y, width))
    height = len(names) * row + 22
    every = max(1, math.ceil(len(chunks) / 14))
    for j in range(0, len(chunks), every):
        x = round(left + (j + 0.5) * width, 1)
        parts.append(f'<text class="tick" x="{x}" y="{height - 6}" text-anchor="middle">{chunks[j].part.index}</text>')
    return _svg("PSI of features by chunk", "".join(parts), height)


def _cell(chunk: ChunkResult, found: FeatureDrift, x: float, y: int, width: float) -> str:
    psi = 0.0 if found.psi is None else found.psi
    step = min(STEPS - 1, int(psi / 0.05)) if psi < 0.25 else STEPS - 1
    said = "not compared" if found.psi is None else f"PSI {found.psi:.3g}"
    told = shown(f"{found.name}, chunk {chunk.part.index}: {said}; {found.reason}")
    alarm = " moved" if found.alarm else ""
    wide = max(0.5, round(width - (1 if width > 4 else 0), 2))
    return (
        f'<rect class="heat{step}{alarm}" x="{x:.1f}" y="{y + 2}" width="{wide}" height="16">'
        f"<title>{told}</title></rect>"
    )


def _svg(title: str, inside: str, height: int) -> str:
    return (
        f'<div class="chart" tabindex="0"><svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{shown(title)}">'
        f"{inside}</svg></div>"
    )
