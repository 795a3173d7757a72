"""What an incident took: requests and users hit, tokens and money spent, counted over one span of time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

Told: TypeAlias = Literal["requests", "calls", "records"]
"""What was counted: traces through services, calls of models, or predictions of a model."""

LEAST_BEFORE: Final = 20
"""Requests of the time before that it takes to say what one usually costs."""


@dataclass(frozen=True, slots=True)
class Spent:
    """What requests of one span of time used; `priced` of the `calls` of models have a price."""

    requests: int = 0
    calls: int = 0
    priced: int = 0
    tokens: int = 0
    usd: float = 0.0


@dataclass(frozen=True, slots=True)
class Toll:
    """Counts over [start, end) ns of what an incident is about.

    `hit` are requests that failed or took longer than the limit of their service; `slow` is None where no limit is
    known, so that `hit` is at least so many. `users` and `users_hit` are distinct users, None where requests name
    none. `failed_spent` is what failed requests used, `before` what the time before did.
    """

    told: Told
    names: tuple[str, ...]
    start: int
    end: int
    spent: Spent
    failed: int = 0
    slow: int | None = None
    hit: int = 0
    users: int | None = None
    users_hit: int | None = None
    failed_spent: Spent = Spent()
    before: Spent = Spent()

    @property
    def requests(self) -> int:
        """Requests in all."""
        return self.spent.requests

    def burnt_tokens(self) -> float | None:
        """Tokens that bought nothing: those of failed requests, and what the others took beyond the time before.

        None where no call of a model was counted.

        >>> before = Spent(requests=100, calls=100, tokens=10_000)
        >>> Toll("calls", ("bot",), 0, 1, Spent(50, 50, 0, 8_000), failed=10, hit=10,
        ...      failed_spent=Spent(10, 10, 0, 1_000), before=before).burnt_tokens()
        4000.0
        """
        if not self.spent.calls:
            return None
        return self._burnt(self.spent.tokens, self.failed_spent.tokens, self.before.tokens)

    def burnt_usd(self) -> float | None:
        """Money that bought nothing, as `burnt_tokens`; None where no call has a price."""
        if not self.spent.priced:
            return None
        return self._burnt(self.spent.usd, self.failed_spent.usd, self.before.usd)

    def _burnt(self, all_of_it: float, of_failed: float, before: float) -> float:
        if self.before.requests < LEAST_BEFORE:
            return float(of_failed)
        usual = before / self.before.requests * (self.requests - self.failed_spent.requests)
        return float(of_failed + max(0.0, all_of_it - of_failed - usual))
