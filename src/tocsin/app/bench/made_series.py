"""Made series of seven kinds, each with one fault of five kinds after a calm past: what an ensemble is judged on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np

from tocsin.model.arrays import F8

STEPS: Final = 2000
CALM_STEPS: Final = 1000
"""Steps before which nothing happens."""
LONG: Final = 40
"""Steps that a fault lasts; a spike lasts 3."""
DAY_STEPS: Final = 288

Draw: TypeAlias = np.random.Generator


@dataclass(frozen=True, slots=True, eq=False)
class Made:
    """One series: values (STEPS,), its step, and the fault in it, from `first` up to `last`."""

    kind: str
    step_s: float
    value: F8
    fault: str
    first: int
    last: int


def _smooth(draw: Draw) -> F8:
    out, noise = np.zeros(STEPS), draw.normal(size=STEPS)
    for k in range(1, STEPS):
        out[k] = 0.9 * out[k - 1] + noise[k]
    return 100.0 + 3.0 * out


def _daily(draw: Draw) -> F8:
    at = 2.0 * np.pi * np.arange(STEPS) / DAY_STEPS
    return 60.0 + 20.0 * np.sin(at) + 5.0 * np.sin(4.0 * at) + 1.5 * draw.normal(size=STEPS)


def _switched(draw: Draw) -> F8:
    out, on = np.zeros(STEPS), False
    for k in range(STEPS):
        on = on != (draw.random() < (0.2 if on else 0.05))
        out[k] = 10.0 * on
    return out


def _sparse(draw: Draw) -> F8:
    return np.where(draw.random(STEPS) < 0.3, np.round(draw.lognormal(2.0, 0.5, STEPS), 1), 0.0)


KINDS: Final[dict[str, tuple[float, Callable[[Draw], F8]]]] = {
    "noise": (10.0, lambda draw: 50.0 + 2.0 * draw.normal(size=STEPS)),
    "autocorrelated": (10.0, _smooth),
    "seasonal": (300.0, _daily),
    "counts": (60.0, lambda draw: draw.poisson(6.0, STEPS).astype("f8")),
    "on/off": (60.0, _switched),
    "sparse": (3600.0, _sparse),
    "heavy-tailed": (10.0, lambda draw: draw.lognormal(3.0, 0.5, STEPS)),
}
"""Length of a step, and values."""
FAULTS: Final = ("spike", "shift", "noisy", "stuck", "order")
ORDERLESS: Final = ("counts", "on/off", "sparse")
"""Kinds in which the order of values is no fault."""


def made(series: int, seed: int) -> list[Made]:
    """So many series of each kind; faults take turns."""
    return [
        _one(kind, np.random.default_rng([seed, place, number]), number)
        for place, kind in enumerate(KINDS)
        for number in range(series)
    ]


def _one(kind: str, draw: Draw, number: int) -> Made:
    step_s, values = KINDS[kind]
    value = values(draw)
    faults = FAULTS[:4] if kind in ORDERLESS else FAULTS
    fault = faults[number % len(faults)]
    first = CALM_STEPS + int(draw.integers(0, STEPS - CALM_STEPS - 2 * LONG))
    last = first + (3 if fault == "spike" else LONG)
    value[first:last] = _broken(kind, fault, value[:first], value[first:last], draw)
    return Made(kind, step_s, value, fault, first, last)


def _broken(kind: str, fault: str, past: F8, life: F8, draw: Draw) -> F8:
    """The values of a fault in place of those of life."""
    sd = float(np.std(past))
    if fault == "spike":
        down = kind in {"noise", "autocorrelated", "seasonal"} and draw.random() < 0.5
        return life - 8.0 * sd if down else life + 8.0 * sd
    if fault == "shift":
        return life + 3.0 * sd
    if fault == "noisy":
        return _noisy(kind, past, life, draw)
    if fault == "stuck":
        return np.full(len(life), 0.5 * float(past.max()) if kind in {"sparse", "on/off"} else life[0])
    return _disordered(kind, sd, life)


def _noisy(kind: str, past: F8, life: F8, draw: Draw) -> F8:
    if kind == "on/off":
        return draw.uniform(0.0, 10.0, len(life))
    middle = float(np.median(past[-60:]))
    wide = middle + 3.0 * (life - middle)
    return np.maximum(np.round(wide), 0.0) if kind in ORDERLESS else wide


def _disordered(kind: str, sd: float, life: F8) -> F8:
    if kind == "seasonal":
        return life[::-1].copy()
    swung: F8 = life.mean() + 1.5 * sd * np.where(np.arange(len(life)) % 2, 1.0, -1.0)
    return swung
