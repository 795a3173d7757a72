"""Whose a series is: each team has a budget of false pages of its own, and the rest shares one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from tocsin.model.series import Series
from tocsin.spec.team import TeamSpec, team_of

REST: Final = "rest"
"""Name of those whose team was not named."""


class Ownership:
    """Teams in force by number; 0 has what nobody else owns.

    >>> from tocsin.model.series import Signal
    >>> own = Ownership([TeamSpec(name="ml", owns={"model": "churn"}, false_pages_per_week=1)], rest_per_week=3.0)
    >>> own.names, own.per_week
    (('rest', 'ml'), (3.0, 1.0))
    >>> [own.number("m", Series.of("main", Signal("auc"), {"model": name})) for name in ("churn", "other")]
    [1, 0]
    """

    def __init__(self, teams: Sequence[TeamSpec] = (), rest_per_week: float = 3.0) -> None:
        owning = [team for team in teams if team.owns]
        rest = next((team.name for team in teams if not team.owns), REST)
        self._teams = owning
        self._numbers = {team.name: number for number, team in enumerate(owning, 1)}
        self.names: tuple[str, ...] = (rest, *(team.name for team in owning))
        self.per_week: tuple[float, ...] = (rest_per_week, *(team.false_pages_per_week for team in owning))

    def __len__(self) -> int:
        return len(self.names)

    def number(self, monitor: str, series: Series) -> int:
        """Number of the team that a monitor's series belongs to."""
        if not self._teams:
            return 0
        found = team_of(self._teams, monitor, series.labels)
        return 0 if found is None else self._numbers[found.name]
