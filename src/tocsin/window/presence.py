"""The five states of a series - absent, zero, late, stale, reset - learned from its own habits, decided at ticks.

Silence is news too: a series that stops, freezes, drops to zero or arrives late is named as what it is, and none
of these heals an alert. Every limit is relative to what the series did before, so that a series that is zero all
night or constant for years is in order.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from tocsin.model.arrays import F8, I4, I8, Array
from tocsin.model.samples import Samples
from tocsin.stats.columns import Columns, column, numbers_of, rows_of, times_of
from tocsin.stats.jit import njit

SECOND = 1_000_000_000
PATIENCE = 4.0
"""How many times its own habit (cadence, longest run, usual lag) a series may take before it counts as odd."""


class Presence(IntEnum):
    """State of a series."""

    LIVE = 0
    ABSENT = 1
    ZERO = 2
    LATE = 3
    STALE = 4
    RESET = 5


@dataclass(frozen=True, slots=True, eq=False)
class Changed:
    """Series whose state changed at a tick: rows, the new state, since when, the cadence known, each (n,)."""

    rows: I4
    state: I4
    since: I8
    cadence: I8


@njit()
def _delayed(r: int, last: I8, lag: F8, lag_now: F8, received: int) -> None:
    """How long after its event the newest sample of a row came, and how long that usually takes."""
    now = max(0.0, float(received - last[r]))
    lag_now[r] = now
    if lag[r] < 0:
        lag[r] = now
    elif now <= max(PATIENCE * lag[r], 60.0 * SECOND):
        lag[r] += 0.1 * (now - lag[r])


@njit(
    "void(i4[::1],i8[::1],f8[::1],i8[::1],f8[::1],f8[::1],i8[::1],i8[::1],i8[::1],i8[::1],i8[::1],i8[::1],i8[::1],"
    "i4[::1],f8[::1],f8[::1],i8,i8)"
)
def _observe(  # noqa: PLR0917 - a kernel takes its columns one by one
    row: I4, time: I8, value: F8, last: I8, kept: F8, cadence: F8, count: I8, run: I8, longest: I8, changes: I8,
    zeros: I8, most_zeros: I8, gone: I8, sources: I4, lag: F8, lag_now: F8, source: int, received: int,
) -> None:  # fmt: skip
    for i in range(row.size):
        r = row[i]
        if i > 0 and row[i - 1] != r:
            _delayed(row[i - 1], last, lag, lag_now, received)
        sources[r] = source
        if time[i] <= last[r]:
            continue
        if np.isnan(value[i]):
            gone[r] = 1
            last[r] = time[i]
            continue
        gone[r] = 0
        if count[r] > 0:
            gap = float(time[i] - last[r])
            if cadence[r] == 0.0:
                cadence[r] = gap
            else:
                # a bounded step: one outage must not teach that silence is usual
                step = min(max(gap - cadence[r], -cadence[r] / 4), cadence[r] / 4)
                cadence[r] += step / 2
        if count[r] == 0 or value[i] != kept[r]:
            if run[r] > longest[r] and count[r] > 0:
                longest[r] = run[r]
            most_zeros[r] = max(most_zeros[r], zeros[r])
            run[r] = 1
            changes[r] += 1
        else:
            run[r] += 1
        zeros[r] = zeros[r] + 1 if value[i] == 0.0 else 0
        kept[r] = value[i]
        last[r] = time[i]
        count[r] += 1
    if row.size:
        _delayed(row[-1], last, lag, lag_now, received)


class Presences(Columns):
    """State of every series of a shard, one array row each."""

    kind = "presence"
    last: I8 = column(0, "i8")  # time of the newest sample
    value: F8 = column(np.nan)
    cadence: F8 = column(0.0)  # ns between samples
    count: I8 = column(0, "i8")
    run: I8 = column(0, "i8")  # samples since the value changed
    longest: I8 = column(0, "i8")
    changes: I8 = column(0, "i8")
    zeros: I8 = column(0, "i8")  # length of the present run of zeros
    most_zeros: I8 = column(0, "i8")
    lag: F8 = column(-1.0)  # ns between event and receipt, as it usually is
    lag_now: F8 = column(0.0)
    late_at: I8 = column(0, "i8")  # when a sample last came too late to be judged
    reset_at: I8 = column(0, "i8")
    gone: I8 = column(0, "i8")  # the source said that there is no value any more
    state: I4 = column(0, "i4")
    since: I8 = column(0, "i8")
    source: I4 = column(-1, "i4")

    def observe(self, samples: Samples, source: int, received: int) -> None:
        """Take raw samples of one source, sorted by row and time; `received` is the time of the last tick."""
        if not len(samples):
            return
        self.touch(samples.row)
        _observe(
            rows_of(samples.row),
            times_of(samples.time),
            numbers_of(samples.value),
            *(self.last, self.value, self.cadence, self.count, self.run, self.longest),
            *(self.changes, self.zeros, self.most_zeros, self.gone),
            self.source,
            self.lag,
            self.lag_now,
            source,
            received,
        )

    def arrived_late(self, rows: I4, received: int) -> None:
        """Samples of these rows came after their watermark: too late to be judged, but not silence."""
        self.touch(rows)
        self.late_at[rows] = received

    def restarted(self, rows: I4, received: int) -> None:
        """These counters began again from zero."""
        self.touch(rows)
        self.reset_at[rows] = received

    def decide(self, received: int, watermarks: I8) -> Changed:
        """States at a tick; `watermarks` (sources,) tell up to which event time each source is complete."""
        known = np.flatnonzero((self.source >= 0) & (self.count >= 1))
        state = self._judge(known, received, watermarks)
        moved = state != self.state[known]
        rows = known[moved].astype("i4")
        self.state[rows] = state[moved]
        self.since[rows] = np.where(state[moved] == Presence.ABSENT, self.last[rows], watermarks[self.source[rows]])
        return Changed(rows, self.state[rows], self.since[rows], self.cadence[rows].astype("i8"))

    def _judge(self, known: Array, received: int, watermarks: I8) -> I4:
        cadence = self.cadence[known]
        changes, zeros, value = self.changes[known], self.zeros[known], self.value[known]
        lag, reset_at = self.lag[known], self.reset_at[known]
        age = watermarks[self.source[known]] - self.last[known]
        gone = self.gone[known] > 0
        # a habit needs a few repetitions before a break of it is news; what was declared gone owes us nothing
        patience = np.maximum(PATIENCE * cadence, cadence + 30 * SECOND)
        behind = (self.late_at[known] > 0) & (received - self.late_at[known] <= patience)
        absent = ~gone & ~behind & (self.count[known] >= 5) & (age > patience)
        still = self.run[known] > np.maximum(30, PATIENCE * self.longest[known])
        frozen = (changes >= 20) & still & (value != 0)
        zero = (zeros > np.maximum(10, PATIENCE * self.most_zeros[known])) & (changes > 1) & (value == 0)
        late = behind & (age > patience) | (lag >= 0) & (
            self.lag_now[known] > np.maximum(PATIENCE * lag, 60.0 * SECOND)
        )
        reset = (reset_at > 0) & (received - reset_at < np.maximum(5 * cadence, 60.0 * SECOND))
        state = np.zeros(len(known), "i4")
        for mask, code in (  # later ones are the graver
            (reset, Presence.RESET),
            (zero, Presence.ZERO),
            (frozen | gone, Presence.STALE),
            (late, Presence.LATE),
            (absent, Presence.ABSENT),
        ):
            state[mask] = code
        return state
