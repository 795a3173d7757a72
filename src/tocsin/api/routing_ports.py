"""What the API needs of routing, as a port that `app` fills."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from tocsin.model.incident import Incident


class Maintenance(Protocol):
    """Maintenance windows: those of the configuration, and those that people plan."""

    def all(self, tenant: str, now: int) -> Sequence[Mapping[str, Any]]:
        """Windows of a tenant that are not over; `id` is empty where the configuration has them."""

    def add(self, tenant: str, given: Mapping[str, Any], *, by: str, note: str, at: int) -> Mapping[str, Any]:
        """Plan one.

        Raises
        ------
        BadInput
            It can't be one.
        """

    def end(self, tenant: str, window_id: str, *, by: str, at: int) -> bool:
        """End one now, or call it off; False: people planned none of this id."""


class Routing(Protocol):
    """Routes, on-call schedules and the rollout, as they are in force."""

    def route(self, incident: Incident) -> str:
        """The route that an incident takes, by its name or what it matches."""

    def next_level(self, incident: Incident) -> Mapping[str, Any] | None:
        """Row `level, of, to, at` (ns) of who is told next unless somebody acknowledges it; None: nobody."""

    def on_call(self, now: int) -> Sequence[Mapping[str, Any]]:
        """Rows `schedule, people, to` of who is on call at `now` (ns)."""

    def rollout(self, now: int) -> Mapping[str, Any]:
        """`phase` at `now` (ns) of 3, and if there is a rollout `since, by, second, third` (ns or None)."""

    def enter(self, phase: int, *, by: str, at: int) -> None:
        """Put Tocsin in a phase of its rollout by a person's word.

        Raises
        ------
        BadInput
            There is no rollout, or no such phase.
        """
