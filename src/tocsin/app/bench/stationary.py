"""Stationary series of seven families, drawn day by day: life in which nothing happens."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tocsin.model.arrays import F8

STEPS_A_DAY = 1440
STEPS_A_WEEK = 7 * STEPS_A_DAY
SPIKE_SDS = 8.0
_SD_OF_MAD = 1.4826
_MAD_OF_T3 = 0.7649


@dataclass(slots=True)
class Family:
    """Series of one kind; `spiked` moves values by robust sds on the scale on which the noise is even."""

    name: str
    day: Callable[[int], F8]
    """Number of the day -> values, (1440, n)."""
    spiked: Callable[[F8], F8]
    well_behaved: bool


def families(series: int, seed: int) -> list[Family]:
    """Seven families of `series` series each; levels and scales differ from series to series.

    References: normal N(m, s); lognormal, sigma 0.2 to 0.8; Student t of 3 degrees; a day's sine and its second
    harmonic under normal noise; first-order autoregression, rho 0.5 to 0.95; Poisson of mean 3 to 300; on in 2 %
    of the steps, 100 +- 5 then, else 0.
    """
    noise = np.random.default_rng(seed)
    n = series
    level = np.exp(noise.uniform(0, 7, n))
    sd = level * np.exp(noise.uniform(np.log(0.02), np.log(0.3), n))
    phase, height = noise.uniform(0, 2 * np.pi, (2, n)), noise.uniform(1, 8, n)
    sigma, rho = noise.uniform(0.2, 0.8, n), noise.uniform(0.5, 0.95, n)
    mean = np.exp(noise.uniform(np.log(3), np.log(300), n))
    state = [noise.normal(size=n)]
    at = 2 * np.pi * np.arange(STEPS_A_DAY)[:, None] / STEPS_A_DAY
    wave = height * (np.sin(at + phase[0]) + 0.3 * np.sin(2 * at + phase[1]))
    shape = (STEPS_A_DAY, n)

    def walk(_: int) -> F8:
        out = noise.normal(size=shape)
        before = state[0]
        for k in range(STEPS_A_DAY):
            before = rho * before + np.sqrt(1 - rho * rho) * out[k]
            out[k] = before
        state[0] = before
        return level + sd * out

    def up(by: F8 | float) -> Callable[[F8], F8]:
        return lambda values: values + SPIKE_SDS * by

    return [
        Family("normal", lambda _: level + sd * noise.normal(size=shape), up(sd), well_behaved=True),
        Family(
            "lognormal",
            lambda _: level * np.exp(sigma * noise.normal(size=shape)),
            lambda values: values * np.exp(SPIKE_SDS * sigma),
            well_behaved=True,
        ),
        Family(
            "heavy-tailed",
            lambda _: level + sd * noise.standard_t(3, shape),
            up(sd * _SD_OF_MAD * _MAD_OF_T3),
            well_behaved=False,
        ),
        Family("seasonal", lambda _: level + sd * (wave + noise.normal(size=shape)), up(sd), well_behaved=True),
        Family("autocorrelated", walk, up(sd), well_behaved=True),
        Family("counts", lambda _: noise.poisson(mean, shape).astype(float), up(np.sqrt(mean)), well_behaved=True),
        Family(
            "on/off",
            lambda _: np.where(noise.random(shape) < 0.02, 100 + 5 * noise.normal(size=shape), 0.0),
            lambda values: np.maximum(values, 100.0) + SPIKE_SDS * 5,
            well_behaved=False,
        ),
    ]
