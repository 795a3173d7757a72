"""Progress proof: an engine that holds requests and does no work, whatever its own health says.

Work is what counters show: tokens, steps of the engine, requests that ended. That requests are held is shown by any
of three: the engine's own gauges, requests in flight before it, or arrivals counted before it since its last work.
How long that may last depends on the power its devices draw: in the band of idle, nothing is computed; above it a
long prefill may be under way. Idle and busy power are learned from the engine's own past.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

from tocsin.derive.readings import SECOND, Thing, Told, read

Power: TypeAlias = Literal["idle", "busy", "unknown"]
WORK: Final = ("engine.input_tokens", "engine.output_tokens", "engine.steps", "engine.finished")
PATIENCE_S: Final[dict[Power, float]] = {"idle": 30.0, "unknown": 120.0, "busy": 300.0}
"""Seconds of no work before it is called stalled, by what the power says."""
SURVIVED: Final[dict[Power, float]] = {"idle": 1.0, "unknown": 2.0, "busy": 3.0}
"""As many times the longest standstill that ended by itself is patience, too."""
ONE_HELD_S: Final = 300.0
"""One request in the engine's own gauge alone may be one that was given up: gauges stay as they are without work."""
LONGEST_S: Final = 3600.0
LEAST_ARRIVALS: Final = 4.0
IDLE_SHARE: Final = 0.35
"""The band of idle ends here, on the way from idle to busy power."""
NEVER_IDLE: Final = 0.6
"""Where idle was never seen: as a share of busy power."""
APART: Final = 1.15
ENOUGH: Final = 10
STEP: Final = 0.05


@dataclass(slots=True)
class Standing:
    """What is remembered of one engine."""

    moved: int = 0
    held_since: int = 0
    arrived: float = 0.0  # at its last work
    unserved: float = 0.0  # most arrivals that a standstill saw and that ended by itself
    longest_s: float = 0.0
    idle_w: float = 0.0
    idle_n: int = 0
    busy_w: float = 0.0
    busy_n: int = 0
    stalled: int = 0

    def learn_power(self, watt: float, *, busy: bool) -> None:
        """Take a reading of power in, in W."""
        if busy:
            self.busy_n += 1
            self.busy_w += (watt - self.busy_w) * max(STEP, 1 / self.busy_n)
        else:
            self.idle_n += 1
            self.idle_w += (watt - self.idle_w) * max(STEP, 1 / self.idle_n)

    def idle_below(self) -> float:
        """Upper end of the band of idle power, W; NaN while it is not known.

        >>> Standing(idle_w=60, idle_n=20, busy_w=260, busy_n=20).idle_below()
        130.0
        """
        if self.busy_n < ENOUGH:
            return math.nan
        if self.idle_n < ENOUGH:
            return NEVER_IDLE * self.busy_w
        if self.busy_w < APART * self.idle_w:
            return math.nan
        return self.idle_w + IDLE_SHARE * (self.busy_w - self.idle_w)


class Progress:
    """Standing of all engines; `judge` gives the seconds for which one has stood still, 0 where nothing is proven."""

    def __init__(self, told: Told) -> None:
        self._told = told
        self.standing: dict[Any, Standing] = {}

    def judge(
        self, engine: Thing, devices: Sequence[Thing], demand: Sequence[Thing], now: int
    ) -> tuple[float, dict[str, float | str]]:
        """Seconds of standstill at `now` (ns) and their proof; NaN while the engine's own counters are not read."""
        told = self._told
        work = [row for reading in WORK for row in told.fresh(engine.rows.get(reading, ()), now)]
        if not work:
            return math.nan, {}
        state = self.standing.setdefault(engine.key, Standing())
        moved = max(int(told.moved[row]) for row in work)
        still = min(int(told.still[row]) for row in work)
        watt = sum(read(told, device, "device.power", now) for device in devices) if devices else math.nan
        arrived = self._total(demand, "demand.arrived")
        if moved > state.moved or not state.moved:
            self._worked(state, max(moved, 1), arrived)
            if moved and not still and not math.isnan(watt):
                state.learn_power(watt, busy=True)
            return 0.0, {}
        held, sure = self._held(engine, demand, state, arrived, now)
        if held <= 0:
            state.held_since = state.stalled = 0
            if still > 1 and not math.isnan(watt):
                state.learn_power(watt, busy=False)
            return 0.0, {}
        state.held_since = state.held_since or now
        seconds = (now - max(state.moved, state.held_since)) / SECOND
        power = _power(state, watt)
        patience = max(PATIENCE_S[power], min(SURVIVED[power] * state.longest_s, LONGEST_S))
        if not sure:
            patience = max(patience, ONE_HELD_S)
        if still < 2 or seconds < patience:
            return 0.0, {}
        state.stalled = now
        return seconds, _proof(held, state, watt, power, now)

    def _worked(self, state: Standing, moved: int, arrived: float) -> None:
        """There was work: what stood still has ended by itself, if it was not called stalled."""
        began = max(state.moved, state.held_since)
        if state.held_since and not state.stalled:
            state.longest_s = min(max(state.longest_s, (moved - began) / SECOND), LONGEST_S)
            state.unserved = max(state.unserved, arrived - state.arrived)
        state.moved, state.arrived = moved, arrived
        state.held_since = state.stalled = 0

    def _held(
        self, engine: Thing, demand: Sequence[Thing], state: Standing, arrived: float, now: int
    ) -> tuple[float, bool]:
        """How many requests are held at the least, and whether that is sure."""
        inside = [read(self._told, engine, reading, now) for reading in ("engine.running", "engine.waiting")]
        own = sum(value for value in inside if not math.isnan(value))
        before = sum(max(0.0, _number(read(self._told, each, "demand.active", now))) for each in demand)
        unserved = arrived - state.arrived
        if unserved < max(LEAST_ARRIVALS, 2 * state.unserved + 1):
            unserved = 0.0
        waiting = _number(inside[1])
        return max(own, before, unserved), own >= 2 or waiting > 0 or before > 0 or unserved > 0

    def _total(self, demand: Sequence[Thing], reading: str) -> float:
        rows = [row for each in demand for row in each.rows.get(reading, ()) if row < self._told.size]
        return math.fsum(float(self._told.total[row]) for row in rows)

    def restore(self, key: Any, values: Sequence[Any]) -> None:
        """Take one engine's back."""
        self.standing[key] = Standing(*values)


def _power(state: Standing, watt: float) -> Power:
    limit = state.idle_below()
    if math.isnan(watt) or math.isnan(limit):
        return "unknown"
    return "idle" if watt <= limit else "busy"


def _number(value: float) -> float:
    return 0.0 if math.isnan(value) else value


def _proof(held: float, state: Standing, watt: float, power: Power, now: int) -> dict[str, float | str]:
    found: dict[str, float | str] = {
        "requests_held": held,
        "held_for_s": (now - max(state.moved, state.held_since)) / SECOND,
        "power_is": power,
    }
    if power != "unknown":
        found |= {"power_w": watt, "power_idle_below_w": state.idle_below(), "power_busy_w": state.busy_w}
    return found
