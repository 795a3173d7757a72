"""A22: a leak of 1 % a day at equal load is found within 48 h with its end in sight; whatever else grows is none."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tocsin.derive.equal_load import EqualLoad

S = 10**9
STEP = 600 * S
DAY = 86_400 * S
T0 = 20_740 * DAY
CLIENTS = json.loads((Path(__file__).parents[1] / "golden" / "serving" / "clients.json").read_text())["clients"]


def load_at(at, client, growth=0.0):
    """Tokens a second of a real client of that time of day, growing by a share a day."""
    rate = CLIENTS[client]["rates"][(at // (600 * S)) % 144]
    return rate * CLIENTS[client]["input_tokens_p50"] * (1 + growth * (at - T0) / DAY)


def lived(days, memory, *, seed, client="chunk-83", growth=0.0):
    """States of the watch over days: (time, value, what it found), one a half hour."""
    rng = np.random.default_rng(seed)
    watch, found = EqualLoad(), []
    for at in range(T0, T0 + round(days * DAY), STEP):
        load = load_at(at, client, growth) * float(np.exp(0.1 * rng.standard_normal()))
        value = memory(at, load) + 0.002 * float(rng.standard_normal())
        before = watch.times[-1:]
        watch.fold(at, value, load)
        if watch.times[-1:] != before:
            found.append((at, value, watch.found))
    return found


@pytest.mark.parametrize(("client", "level", "follows"), [("chunk-83", 0.62, 0.0), ("chunk-17", 0.55, 0.05), ("chunk-78", 0.7, 0.1)])  # fmt: skip
def test_a_leak_of_one_percent_a_day(client, level, follows):
    peak = max(CLIENTS[client]["rates"]) * CLIENTS[client]["input_tokens_p50"]
    begins = T0 + 2 * DAY

    def memory(at, load):
        return level + follows * load / peak + 0.01 * max(0, at - begins) / DAY

    found = [
        (at, leak) for at, _, leak in lived(4, memory, seed=5, client=client) if leak and leak.least_per_day > 0.002
    ]
    assert found
    at, leak = found[0]
    assert begins < at <= begins + 2 * DAY
    full = next(t for t in range(begins, begins + 60 * DAY, STEP) if memory(t, load_at(t, client)) >= 1)
    assert leak.days_to_full == pytest.approx((full - at) / DAY, rel=0.25)


def worlds():
    """Normal life of 30 kinds: memory that is taken beforehand, follows load, steps, is cached, or is given back."""
    names = sorted(CLIENTS)
    for seed in range(30):
        client = names[seed % len(names)]
        peak = max(CLIENTS[client]["rates"]) * CLIENTS[client]["input_tokens_p50"]
        yield seed, client, peak, seed % 5


@pytest.mark.parametrize(("seed", "client", "peak", "kind"), list(worlds()))
def test_normal_life_is_no_leak(seed, client, peak, kind):
    high = [0.0]

    def memory(at, load):
        days = (at - T0) / DAY
        high[0] = max(high[0], load)
        return (
            0.9,  # an engine takes all it may have at once
            0.4 + 0.2 * load / peak,
            0.4 + 0.15 * min(1.0, high[0] / peak / 3),  # a cache that keeps what it grew to
            0.5 + 0.04 * (days > 1.3) + 0.05 * (days > 3.1),  # two releases
            0.5 + 0.01 * ((days - 0.125) % 1.0),  # cleaned up at three every night
        )[kind]

    growth = (0.0, 0.15, 0.4)[seed % 3]
    found = [leak for *_, leak in lived(4, memory, seed=seed, client=client, growth=growth) if leak]
    assert [leak for leak in found if leak.least_per_day > 0.002] == []


def test_a_restart_begins_anew():
    found = lived(4, lambda at, _load: 0.5 + 0.02 * (((at - T0) / DAY) % 1.5), seed=3)
    assert all(leak is None or leak.days_to_full > 0 for *_, leak in found)
    assert found[-1][2] is None


def test_what_is_known_survives_a_snapshot():
    watch = EqualLoad()
    for at in range(T0, T0 + 2 * DAY, STEP):
        watch.fold(at, 0.5 + 0.01 * (at - T0) / DAY, 1.0)
    other = EqualLoad.of(json.loads(json.dumps(watch.snapshot())))
    watch.fold(T0 + 2 * DAY, 0.52, 1.0)
    other.fold(T0 + 2 * DAY, 0.52, 1.0)
    assert other == watch
    assert watch.found is not None
