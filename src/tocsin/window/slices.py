"""The samples that a window of a quantile stands on, slice by slice: how many of those that came late lie beyond a limit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tocsin.model.arrays import F8, I4
from tocsin.model.samples import Samples


@dataclass(frozen=True, slots=True, eq=False)
class Slices:
    """A window that ends at `end`, in slices of `step`, oldest first; samples by the lane's own `local` numbers of groups."""

    end: int
    step: int
    share: float
    parts: Sequence[Samples]
    local: I4

    def since(self, group: int, time: int, limit: float, *, above: bool) -> tuple[F8, F8]:
        """Of each slice that began at `time` or later: observations of a group beyond the limit, and all, each (slices,).

        Of a bucket that holds the limit a part is beyond, as if its observations were spread evenly.
        """
        fresh = self.parts[max(0, len(self.parts) - max(self.end - time, 0) // self.step) :]
        row = int(self.local[group]) if group < len(self.local) else -1
        beyond, total = np.zeros(len(fresh)), np.zeros(len(fresh))
        for k, part in enumerate(fresh):
            mine = part.row == row
            low, high, weight = part.low[mine], part.high[mine], part.weight[mine]
            wide = high > low
            inside = (high - limit) / np.where(wide, high - low, 1.0)
            over = np.where(wide, np.clip(inside, 0.0, 1.0), high > limit)
            count = np.where(wide, weight, 1.0)
            total[k] = count.sum()
            beyond[k] = (count * (over if above else 1.0 - over)).sum()
        return beyond, total
