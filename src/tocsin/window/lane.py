"""Event-time windows of one monitor and source: slices of one step, combined when the watermark passes.

A window of `size` ends at every multiple of `step` and covers `(end - size, end]`. Sums run over slices from the
oldest to the newest and, inside a slice, over samples in their sorted order, so that no split of the input changes
a bit of the result.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

import numpy as np

from tocsin.model.arrays import F8, I4, I8, Array
from tocsin.model.rows import grown
from tocsin.model.samples import Samples
from tocsin.window.cells import FILL, FORGET_NS, QUANTILE, advance, code_of
from tocsin.window.quantile import weighted_quantile
from tocsin.window.slices import Slices
from tocsin.window.spread import Spread, Spreads

Aggregate: TypeAlias = Literal[
    "last", "mean", "std", "sum", "min", "max", "count", "rate", "p50", "p90", "p95", "p99"
]  # fmt: skip
QUANTILES: Final = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99}


@dataclass(frozen=True, slots=True, eq=False)
class Closed:
    """A window that closed: its end, the groups that have a value in it, the values, how many samples each.

    Of a quantile also what it stands on, several where groups of several lanes close together; of means of events
    how far these lie apart.
    """

    end: int
    groups: I4
    value: F8
    samples: I8
    slices: tuple[Slices, ...] = ()
    spread: Spread | None = None


class Lane:
    """All windows of one monitor over one source, or over several that must wait for each other.

    `dense`: counts of events, where no sample means zero once a group is known. `events`: samples are independent.
    """

    def __init__(
        self, *, size: int, step: int, aggregate: Aggregate, min_samples: int, dense: bool, events: bool = False
    ) -> None:
        self.size, self.step, self.aggregate = size, step, aggregate
        self.min_samples, self.dense = max(min_samples, 2 if aggregate == "std" else 0), dense  # one has no spread
        self.slices = size // step
        self.closed = 0
        self._newest = 0  # end of the newest slice: falls behind `closed` while nothing comes
        self.late = 0
        self.pending: list[Samples] = []
        self.groups: list[int] = []
        self._code = code_of(aggregate)
        self._rows: I4 = np.zeros(0, "i4")  # `groups` as an array
        self._local: I4 = np.full(0, -1, "i4")
        self._born: I8 = np.zeros(0, "i8")
        self._heard: I8 = np.zeros(0, "i8")
        self._value: F8 = np.zeros((0, self.slices))
        self._weight: F8 = np.zeros((0, self.slices))
        self._seen: I8 = np.zeros((0, self.slices), "i8")
        self._raw: list[Samples] = [Samples.empty() for _ in range(self.slices)]
        told = aggregate == "std" or (events and aggregate == "mean")
        self._spreads = Spreads(self.slices) if told else None

    def push(self, samples: Samples) -> None:
        """Take samples whose `row` is the group's row; those of a closed window are late, and counted."""
        late = samples.time <= self.closed
        if late.any():
            self.late += int(late.sum())
            samples = samples.take(~late)
        if len(samples):
            self.pending.append(samples)

    def skip_to(self, watermark: int) -> None:
        """Go on to a watermark without saying anything: the program itself was away."""
        for _ in self.close(watermark, quiet=True):
            pass

    def close(self, watermark: int, *, quiet: bool = False) -> Iterator[Closed]:
        """Close every window that ends at or before `watermark`, oldest first."""
        last = watermark // self.step * self.step
        if last <= self.closed:
            return
        found = self._ripe(last)
        ends = -(-found.time // self.step) * self.step
        order = np.lexsort((found.value, found.uid, found.time, found.row, ends))
        found, ends = found.take(order), ends[order]
        visits = self._ends(ends, last)
        if not visits:
            self.closed = last
            return
        cuts = np.searchsorted(ends, visits, "right").tolist()
        for end, start, stop in zip(visits, [0, *cuts[:-1]], cuts, strict=True):
            closed = self._advance(end, found.slice(start, stop))
            if closed is not None and not quiet:
                yield closed
        self.closed = last

    def _ripe(self, last: int) -> Samples:
        """Take out of the waiting samples all up to `last` that have a value."""
        waiting = Samples.concat(self.pending)
        ripe = waiting.time <= last
        if ripe.all():
            self.pending = []
        else:
            self.pending = [waiting.take(~ripe)]
            waiting = waiting.take(ripe)
        finite = np.isfinite(waiting.value)
        return waiting if finite.all() else waiting.take(finite)

    def _ends(self, ends: I8, last: int) -> list[int]:
        """Ends to visit, of sorted `ends`: those with samples, and for dense lanes those in between with a group not forgotten."""
        found: list[int] = np.unique(ends).tolist()
        if not self.dense:
            return found
        visits: list[int] = []
        # between two samples that lie years apart nothing is told once all groups are forgotten
        at, until = self.closed + self.step, int(self._heard[: len(self.groups)].max(initial=-FORGET_NS)) + FORGET_NS
        for end in [*found, last + self.step]:
            visits += range(at, min(end, until), self.step)
            at, until = end, end + FORGET_NS
        return visits

    def _advance(self, end: int, samples: Samples) -> Closed | None:
        """Go on to one end: empty the slices left behind, fill the newest, give what has a value."""
        local = self._localise(samples) if len(samples) else samples.row
        left = min((end - self._newest) // self.step, self.slices) if self._newest else self.slices
        self.closed = self._newest = end
        n = len(self.groups)
        group, value, seen = np.empty(n, "i4"), np.empty(n), np.empty(n, "i8")
        if self._code == QUANTILE:
            self._keep(end // self.step, left, samples, local)
        m = advance(
            local, samples.time, samples.value, samples.weight, end, left, self.size, self.step, self._code,
            self.min_samples, self.dense, n, self._value, self._weight, self._seen, self._born, self._heard,
            group, value, seen,
        )  # fmt: skip
        if self._spreads is not None:
            self._spreads.advance(
                n, end // self.step, left, local, samples.value, samples.weight, samples.low, samples.high
            )
        if not m:
            return None
        pick = group[:m]
        if self._code != QUANTILE:
            spread = None if self._spreads is None else self._spreads.of(pick, end // self.step)
            if spread is not None and self.aggregate == "std":
                return Closed(end, self._rows[pick], np.sqrt(spread.variance), seen[:m])
            return Closed(end, self._rows[pick], value[:m], seen[:m], spread=spread)
        parts = self._parts(end // self.step)
        share = QUANTILES[self.aggregate]
        value = weighted_quantile(Samples.concat(parts), len(self.groups), share)[pick]
        return Closed(end, self._rows[pick], value[:m], seen[:m], (Slices(end, self.step, share, parts, self._local),))

    def _localise(self, samples: Samples) -> I4:
        """Lane-local numbers of the samples' groups, so that a lane is as large as what it has seen."""
        need = int(samples.row.max()) + 1
        if need > len(self._local):
            self._local = grown(self._local, need, -1).astype("i4", copy=False)
        found = self._local[samples.row]
        if found.min() < 0:
            for row in np.unique(samples.row[found < 0]).tolist():
                self._local[row] = len(self.groups)
                self.groups.append(row)
            self._rows = np.array(self.groups, "i4")
            self._reserve(len(self.groups))
            found = self._local[samples.row]
        return found

    def _reserve(self, n: int) -> None:
        self._born = grown(self._born, n, np.iinfo("i8").max).astype("i8", copy=False)
        self._heard = grown(self._heard, n, 0).astype("i8", copy=False)
        self._value = grown(self._value, n, FILL[self._code]).astype("f8", copy=False)
        self._weight = grown(self._weight, n, 0.0).astype("f8", copy=False)
        self._seen = grown(self._seen, n, 0).astype("i8", copy=False)

    # -- quantiles need the samples themselves ---------------------------------------------------------------------

    def _keep(self, number: int, left: int, samples: Samples, local: I4) -> None:
        for back in range(left):
            self._raw[(number - back) % self.slices] = Samples.empty()
        if len(samples):
            self._raw[number % self.slices] = _with_rows(samples, local)

    def _parts(self, number: int) -> list[Samples]:
        return [self._raw[(number - back) % self.slices] for back in range(self.slices - 1, -1, -1)]

    # -- snapshots -------------------------------------------------------------------------------------------------

    def snapshot(self) -> dict[str, Array]:
        """Copy of all state, as named arrays."""
        n = len(self.groups)
        state: dict[str, Array] = {name: getattr(self, f"_{name}")[:n].copy() for name in _STATE}
        state |= {
            "groups": np.array(self.groups, "i8"),
            "closed": np.array([self.closed, self.late, self._newest], "i8"),
        }
        if self._spreads is not None:
            state |= self._spreads.snapshot(n)
        state |= {f"pending.{k}": v for k, v in Samples.concat(self.pending).columns().items()}
        if self._code == QUANTILE:
            for i, raw in enumerate(self._raw):
                state |= {f"raw{i}.{k}": v for k, v in raw.columns().items()}
        return state

    def restore(self, state: dict[str, Array]) -> None:
        """Take a snapshot back."""
        self.groups = [int(row) for row in state["groups"]]
        self._rows = np.array(self.groups, "i4")
        self._local = np.full(max(self.groups, default=-1) + 1, -1, "i4")
        self._local[self.groups] = np.arange(len(self.groups), dtype="i4")
        for name in _STATE:
            setattr(self, f"_{name}", state[name].copy())
        self.closed, self.late, *newest = (int(v) for v in state["closed"])
        self._newest = newest[0] if newest else self.closed  # snapshots of before had none
        if self._spreads is not None:
            self._spreads.restore(state, len(self.groups))
        pending = Samples.of_columns(_prefixed(state, "pending."))
        self.pending = [pending] if len(pending) else []
        if self._code == QUANTILE:
            self._raw = [Samples.of_columns(_prefixed(state, f"raw{i}.")) for i in range(self.slices)]


_STATE: Final = ("value", "weight", "seen", "born", "heard")


def _prefixed(state: dict[str, Array], prefix: str) -> dict[str, Array]:
    return {k[len(prefix) :]: v for k, v in state.items() if k.startswith(prefix)}


def _with_rows(samples: Samples, rows: I4) -> Samples:
    return Samples(rows, samples.time, samples.value, samples.weight, samples.low, samples.high, samples.uid)
