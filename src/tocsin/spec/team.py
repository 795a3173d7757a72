"""Teams: what each owns, and how many false pages a week it puts up with."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field

from tocsin.model.series import Labels
from tocsin.spec.monitor import Spec
from tocsin.spec.selection import selects
from tocsin.spec.text import Texts


class TeamSpec(Spec):
    """A team, what it owns (globs by label; `monitor` is the monitor's name), and its budget of false pages a week.

    `to` is where routes tell it as `owner`: no matter to the engine, which is told the rest.

    A team that owns nothing by name has the budget of all that nobody else owns.
    """

    name: str = Field(min_length=1, max_length=100)
    owns: dict[str, str] = {}
    false_pages_per_week: float = Field(default=3.0, gt=0)
    to: Texts = Field(default=[], exclude=True)


def team_of(teams: Sequence[TeamSpec], monitor: str, labels: Labels) -> TeamSpec | None:
    """The first team that owns a series of a monitor, else the one that owns the rest, else None.

    >>> teams = [TeamSpec(name="rest"), TeamSpec(name="ml", owns={"model": "churn*"})]
    >>> [found.name for labels in ({"model": "churn-2"}, {"model": "other"})
    ...     if (found := team_of(teams, "m", tuple(labels.items())))]
    ['ml', 'rest']
    """
    for team in teams:
        if team.owns and selects(team.owns, monitor, labels):
            return team
    return next((team for team in teams if not team.owns), None)
