"""Escalation: who is told next of what nobody has acknowledged, level by level."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from tocsin.spec.destination import EscalateSpec, RouteSpec


@dataclass(frozen=True, slots=True)
class Climb:
    """The level that is told next: its number from 1 of `of`, whom it tells, when (ns), and whether it was told before."""

    number: int
    of: int
    spec: EscalateSpec
    at: int
    again: bool = False

    @property
    def words(self) -> str:
        """Why it is told.

        >>> Climb(2, 3, EscalateSpec(after="30m", to=["lead"]), 0).words
        'nobody has acknowledged it: level 2 of 3'
        """
        level = f": level {self.number} of {self.of}" if self.of > 1 else ""
        return f"nobody has acknowledged it{level}{', again' if self.again else ''}"


@dataclass(slots=True)
class Ladder:
    """How far an incident was escalated: by which route, how many levels were told, and since when (ns) the next waits.

    Each level waits from the one before it, not from the first notice: after a silence, or where the clock jumps, people
    still have the time between two levels that the route promises them.
    """

    route: str = ""
    level: int = 0
    at: int = 0

    def follow(self, route: RouteSpec, told_at: int, now: int) -> None:
        """Go by the route that the incident takes now; another one than before begins with its first level."""
        key = route_key(route)
        if self.route == key:
            return
        if self.route:
            self.level, self.at = 0, now
        self.route = key
        self.at = self.at or told_at

    def next(self, levels: list[EscalateSpec]) -> Climb | None:
        """The level that comes next; None: all were told, and the last is not told again."""
        if self.level < len(levels):
            before = levels[self.level - 1].after if self.level else 0
            spec = levels[self.level]
            return Climb(self.level + 1, len(levels), spec, self.at + spec.after - before)
        if levels and levels[-1].every is not None:
            return Climb(len(levels), len(levels), levels[-1], self.at + levels[-1].every, again=True)
        return None

    def climbed(self, climb: Climb, now: int) -> None:
        """A level was told."""
        self.level, self.at = climb.number, now

    def reached(self, route: RouteSpec) -> list[str]:
        """Names that the levels told so far stand for."""
        levels = route.escalate[: self.level] if self.route == route_key(route) else ()
        return [name for each in levels for name in each.to]

    def to_json(self) -> list[Any]:
        """As a snapshot has it."""
        return [self.route, self.level, self.at]


def route_key(route: RouteSpec) -> str:
    """What tells one route from another: its name and what it matches; whom it tells may be edited."""
    text = json.dumps([route.name, route.match], sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
