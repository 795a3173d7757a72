"""`BudgetSpec`: what calls of models may cost in a month."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Final, Literal, TypeAlias

from pydantic import Field

from tocsin.spec.monitor import Spec

Dimension: TypeAlias = Literal["service", "tenant", "user", "session", "model", "provider", "prompt", "prompt_version"]
MOST_BUDGETS: Final = 500


class BudgetSpec(Spec):
    """The calls that `match` (dimension: glob) cost at most `usd_per_month`, a month of the calendar in UTC."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]*$", max_length=100)
    match: dict[Dimension, str] = {}
    usd_per_month: float = Field(gt=0, le=1e12)

    def covers(self, told: Mapping[str, str]) -> bool:
        """Whether a call with these dimensions counts against it."""
        return all(fnmatchcase(told.get(key, ""), glob) for key, glob in self.match.items())
