"""Event-time windows of one monitor and source: slices of one step, combined when the watermark passes.

A window of `size` ends at every multiple of `step` and covers `(end - size, end]`. Sums run over slices from the
oldest to the newest and, inside a slice, over samples in their sorted order, so that no split of the input changes
a bit of the result.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from tocsin.model.arrays import F8, I4, I8, Array
from tocsin.model.rows import grown
from tocsin.model.samples import Samples
from tocsin.window.quantile import weighted_quantile

Aggregate: TypeAlias = Literal["last", "mean", "sum", "min", "max", "count", "rate", "p50", "p90", "p95", "p99"]
QUANTILES = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99}
ADDING = frozenset({"sum", "count", "rate"})
FORGET_NS = 24 * 3600 * 10**9
_FILLS = {"total": 0.0, "weight": 0.0, "seen": 0.0, "least": np.inf, "most": -np.inf, "last": np.nan}


@dataclass(frozen=True, slots=True, eq=False)
class Closed:
    """A window that closed: its end, the groups that have a value in it, the values, how many samples each."""

    end: int
    groups: I4
    value: F8
    samples: I8


class Lane:
    """All windows of one monitor over one source, or over several that must wait for each other.

    `dense`: counts of events, where no sample means zero once a group is known.
    """

    def __init__(self, *, size: int, step: int, aggregate: Aggregate, min_samples: int, dense: bool) -> None:
        self.size, self.step, self.aggregate = size, step, aggregate
        self.min_samples, self.dense = min_samples, dense
        self.slices = size // step
        self.closed = 0
        self.late = 0
        self.pending: list[Samples] = []
        self.groups: list[int] = []
        self._local: I4 = np.full(0, -1, "i4")
        self._born: I8 = np.zeros(0, "i8")
        self._heard: I8 = np.zeros(0, "i8")
        self._cells: dict[str, F8] = {k: np.zeros((0, self.slices)) for k in _FILLS}
        self._raw: list[Samples] = [Samples.empty() for _ in range(self.slices)]

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
        waiting = Samples.concat(self.pending)
        ripe = waiting.time <= last
        rest = waiting.take(~ripe)
        self.pending = [rest] if len(rest) else []
        found = waiting.take(ripe)
        found = found.take(np.lexsort((found.value, found.uid, found.time, found.row)))
        ends = -(-found.time // self.step) * self.step
        for end in self._ends(ends, last):
            self._turn(end)
            self._fill(found.take(ends == end), (end // self.step) % self.slices)
            self.closed = end
            if not quiet and (closed := self._combine(end)) is not None:
                yield closed
        self.closed = last

    def _ends(self, ends: I8, last: int) -> list[int]:
        """Ends to visit: those with samples, and for dense lanes all in between."""
        if not self.dense or not self.groups:
            with_samples = np.unique(ends).tolist()
            if not self.dense or not with_samples:
                return [int(end) for end in with_samples]
            return list(range(int(with_samples[0]), last + 1, self.step))
        return list(range(self.closed + self.step, last + 1, self.step))

    def _turn(self, end: int) -> None:
        """Empty the slices that this end leaves behind."""
        steps = (end - self.closed) // self.step if self.closed else self.slices
        left = [(end // self.step - back) % self.slices for back in range(min(int(steps), self.slices))]
        for name, fill in _FILLS.items():
            self._cells[name][:, left] = fill
        if self.aggregate in QUANTILES:
            for cell in left:
                self._raw[cell] = Samples.empty()

    def _fill(self, samples: Samples, cell: int) -> None:
        samples = samples.take(np.isfinite(samples.value))
        if not len(samples):
            return
        local = self._localise(samples)
        n = len(self.groups)
        cells = self._cells
        cells["total"][:n, cell] += np.bincount(local, samples.value * samples.weight, n)
        cells["weight"][:n, cell] += np.bincount(local, samples.weight, n)
        cells["seen"][:n, cell] += np.bincount(local, minlength=n)
        if self.aggregate == "min":
            np.minimum.at(cells["least"][:, cell], local, samples.value)
        elif self.aggregate == "max":
            np.maximum.at(cells["most"][:, cell], local, samples.value)
        elif self.aggregate == "last":
            order = np.argsort(samples.time, kind="stable")
            cells["last"][local[order], cell] = samples.value[order]
        np.maximum.at(self._heard, local, samples.time)
        np.minimum.at(self._born, local, samples.time)
        if self.aggregate in QUANTILES:
            self._raw[cell] = Samples.concat([self._raw[cell], _with_rows(samples, local)])

    def _localise(self, samples: Samples) -> I4:
        """Lane-local numbers of the samples' groups, so that a lane is as large as what it has seen."""
        self._local = grown(self._local, int(samples.row.max()) + 1, -1).astype("i4", copy=False)
        found = self._local[samples.row]
        if (found < 0).any():
            for row in np.unique(samples.row[found < 0]).tolist():
                self._local[row] = len(self.groups)
                self.groups.append(row)
            self._reserve(len(self.groups))
            found = self._local[samples.row]
        return found

    def _reserve(self, n: int) -> None:
        self._born = grown(self._born, n, np.iinfo("i8").max).astype("i8", copy=False)
        self._heard = grown(self._heard, n, 0).astype("i8", copy=False)
        for name, fill in _FILLS.items():
            self._cells[name] = grown(self._cells[name], n, fill).astype("f8", copy=False)

    def _combine(self, end: int) -> Closed | None:
        n = len(self.groups)
        if not n:
            return None
        now = (end // self.step) % self.slices
        order = [(now - back) % self.slices for back in range(self.slices - 1, -1, -1)]
        seen = self._cells["seen"][:n].sum(axis=1)
        if self.dense:
            known = (self._heard[:n] > end - FORGET_NS) & (self._born[:n] <= end - self.size + self.step)
            pick = np.flatnonzero(known)
        else:
            ripe = (self._cells["seen"][:n, now] > 0) & (seen >= self.min_samples)
            if self.aggregate in ADDING:  # a window that began before its group did holds only a part
                ripe &= self._born[:n] <= end - self.size + self.step
            pick = np.flatnonzero(ripe)
        if not len(pick):
            return None
        groups = np.array(self.groups, "i4")[pick]
        return Closed(end, groups, self._value(pick, order), seen[pick].astype("i8"))

    def _value(self, pick: Array, order: list[int]) -> F8:
        cells, which = self._cells, np.ix_(pick, np.array(order))
        found: F8
        match self.aggregate:
            case "min":
                found = cells["least"][which].min(axis=1)
            case "max":
                found = cells["most"][which].max(axis=1)
            case "last":
                found = self._last(cells["last"][which])
            case "sum":
                found = _added(cells["total"][which])
            case "count":
                found = _added(cells["weight"][which])
            case "rate":
                found = _added(cells["weight"][which]) / (self.size / 1e9)
            case "mean":
                with np.errstate(divide="ignore", invalid="ignore"):
                    found = _added(cells["total"][which]) / _added(cells["weight"][which])
            case _:
                found = self._quantile(pick, order, QUANTILES[self.aggregate])
        return found

    @staticmethod
    def _last(values: F8) -> F8:
        found = values[:, 0].copy()
        for column in values.T[1:]:
            known = ~np.isnan(column)
            found[known] = column[known]
        return found

    def _quantile(self, pick: Array, order: list[int], q: float) -> F8:
        raw = Samples.concat([self._raw[cell] for cell in order])
        found: F8 = weighted_quantile(raw, len(self.groups), q)[pick]
        return found

    def snapshot(self) -> dict[str, Array]:
        """Copy of all state, as named arrays."""
        n = len(self.groups)
        state: dict[str, Array] = {f"cell.{k}": v[:n].copy() for k, v in self._cells.items()}
        state |= {"born": self._born[:n].copy(), "heard": self._heard[:n].copy()}
        state |= {"groups": np.array(self.groups, "i8"), "closed": np.array([self.closed, self.late], "i8")}
        state |= {f"pending.{k}": v for k, v in Samples.concat(self.pending).columns().items()}
        for i, raw in enumerate(self._raw):
            state |= {f"raw{i}.{k}": v for k, v in raw.columns().items()}
        return state

    def restore(self, state: dict[str, Array]) -> None:
        """Take a snapshot back."""
        self.groups = [int(row) for row in state["groups"]]
        self._local = np.full(max(self.groups, default=-1) + 1, -1, "i4")
        self._local[self.groups] = np.arange(len(self.groups), dtype="i4")
        self._cells = {k: state[f"cell.{k}"].astype("f8") for k in _FILLS}
        self._born, self._heard = state["born"].astype("i8"), state["heard"].astype("i8")
        self.closed, self.late = (int(v) for v in state["closed"])
        pending = Samples.of_columns(_prefixed(state, "pending."))
        self.pending = [pending] if len(pending) else []
        self._raw = [Samples.of_columns(_prefixed(state, f"raw{i}.")) for i in range(self.slices)]


def _added(cells: F8) -> F8:
    """Sum over slices, oldest first: one fixed order of addition."""
    found = cells[:, 0].copy()
    for i in range(1, cells.shape[1]):
        found += cells[:, i]
    return found


def _prefixed(state: dict[str, Array], prefix: str) -> dict[str, Array]:
    return {k[len(prefix) :]: v for k, v in state.items() if k.startswith(prefix)}


def _with_rows(samples: Samples, rows: I4) -> Samples:
    return Samples(rows, samples.time, samples.value, samples.weight, samples.low, samples.high, samples.uid)
