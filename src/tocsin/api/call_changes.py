"""What became of a call from one service to another beside the time before: new, vanished, worse, the same."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

from tocsin.assess.intervals import wilson
from tocsin.store.graph_rows import LEVELS

Change: TypeAlias = Literal["new", "vanished", "worse", "same"]

LEAST_GONE: Final = 20
"""Calls that would have come; where none came, that is no chance."""
LEAST_NEW: Final = 3
"""Calls that would have come before, had it been as now."""
_CONFIDENCE: Final = 0.99
_DEVIATE: Final = 2.576
_LEAST_RATIO_MORE: Final = 0.01
_LEAST_SLOWER: Final = 1.25
_P95: Final = LEVELS.index(0.95)


@dataclass(frozen=True, slots=True)
class Measured:
    """Requests that were read, those that failed, and durations in ms at `LEVELS`; empty without requests."""

    requests: int = 0
    errors: int = 0
    took: tuple[float, ...] = ()

    def slowest_5(self, side: int) -> float:
        """The lower (-1) or upper (1) bound of the 95th percentile in ms, by ranks; infinite where too few calls bound it.

        The rank of a quantile is binomial: David, Nagaraja (2003), "Order statistics", 7.1.

        >>> Measured(1000, 0, (1.0, 2.0, 3.0, 4.0, 5.0, 6.0)).slowest_5(-1)
        3.0
        """
        margin = _DEVIATE * math.sqrt(0.95 * 0.05 / self.requests) if self.requests else 1.0
        fit = [i for i, level in enumerate(LEVELS) if side * (level - 0.95) >= margin]
        return self.took[fit[0] if side > 0 else fit[-1]] if fit else side * math.inf


def measured(rows: Iterable[Mapping[str, Any]]) -> Measured:
    """Rows of the same call together; durations are of the most of them."""
    found = sorted(rows, key=lambda row: -int(row["requests"]))
    if not found:
        return Measured()
    total, errors = (sum(int(row[name]) for row in found) for name in ("requests", "errors"))
    return Measured(total, errors, tuple(map(float, found[0]["took"])))


def is_worse(now: Measured, before: Measured) -> bool:
    """Whether more calls fail, or the slowest take longer, than chance explains, and by enough to matter.

    >>> few, many = Measured(1000, 5, (9.0,) * 6), Measured(1000, 80, (9.0,) * 6)
    >>> is_worse(many, few), is_worse(few, many), is_worse(Measured(3, 3, (9.0,) * 6), few)
    (True, False, True)
    """
    if not now.requests or not before.requests:
        return False
    low, high = (wilson(each.errors, each.requests, _CONFIDENCE) for each in (now, before))
    more = now.errors / now.requests - before.errors / before.requests >= _LEAST_RATIO_MORE
    if more and low[0] > high[1]:
        return True
    longer = now.took[_P95] >= _LEAST_SLOWER * before.took[_P95]
    return longer and now.slowest_5(-1) > before.slowest_5(1)


def change_of(now: Measured, before: Measured, caller: tuple[int, int] | None) -> Change | None:
    """What became of a call whose caller had so many requests now and before; None: nothing to compare, or too few.

    Without a caller, that of a service: it is new where it was not, and gone where there is nothing of it.

    >>> change_of(Measured(50), Measured(), (100, 100)), change_of(Measured(50), Measured(), (100, 0))
    ('new', None)
    >>> change_of(Measured(), Measured(50), (100, 100)), change_of(Measured(), Measured(50), (0, 100))
    ('vanished', None)
    >>> change_of(Measured(1), Measured(), (100, 100))
    """
    share = (1.0, 1.0) if caller is None else (caller[0], caller[1])
    if now.requests and before.requests:
        return "worse" if is_worse(now, before) else "same"
    if not min(share):
        return None
    if now.requests:
        return "new" if now.requests * share[1] / share[0] >= LEAST_NEW else None
    return "vanished" if before.requests * share[0] / share[1] >= LEAST_GONE else None
