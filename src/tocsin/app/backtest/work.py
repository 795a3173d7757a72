"""One piece of work for a process that judges history twice, as it lies in its directory."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

from pydantic import TypeAdapter

from tocsin.app.routing import routes_of, rules_of
from tocsin.model.codec import Json
from tocsin.spec.config import Config

WORK: Final = "work.json"
Way: TypeAlias = Literal["panes", "points", "telemetry"]


@dataclass(frozen=True, slots=True)
class Side:
    """One of two that are compared: a configuration, who pages in it, how its levels are moved, what labels ask for."""

    config: dict[str, Any]
    pagers: list[str] = field(default_factory=list)
    easier: float = 0.0
    asks: list[list[Any]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the history: what one monitor judged (`panes`), or what came in.

    `points` are for all monitors that match them but those `left_out`; `telemetry` has `tables` beside points, for
    `monitors` alone.
    """

    name: str
    way: Way
    monitor: str = ""
    left_out: list[str] = field(default_factory=list)
    monitors: list[str] = field(default_factory=list)
    tables: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Work:
    """Parts to be judged by both sides; `since` (ns) is when counting begins, `recorded` are incidents of other monitors.

    `pins` are the levels in force by family; without any they follow from `windows_per_week`.
    """

    before: Side
    after: Side
    parts: list[Part]
    since: int
    pins: dict[str, float] = field(default_factory=dict)
    windows_per_week: float = 0.0
    recorded: list[dict[str, Any]] = field(default_factory=list)

    @property
    def judges(self) -> bool:
        """Whether there is anything to judge or to count."""
        return bool(self.parts or self.recorded)

    def write(self, directory: Path) -> None:
        """Put it into its directory, for its owner's eyes only."""
        descriptor = os.open(directory / WORK, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(_WORK.dump_json(self))

    @staticmethod
    def read(directory: Path) -> Work:
        """What was written into a directory."""
        return _WORK.validate_json((directory / WORK).read_bytes())


_WORK: Final = TypeAdapter(Work)
_LEFT_OUT: Final = {"sources", "destinations", "drift", "context", "playbooks", "remediation", "scores"}
_NOR: Final = {"redaction", "limits", "inventory", "ab", "fairness", "health"}


def stripped(config: Config) -> Json:
    """What judging needs of a configuration: neither sources nor addresses nor credentials."""
    kept = set(Config.model_fields) - _LEFT_OUT - _NOR
    found: Json = config.model_dump(mode="json", by_alias=True, exclude_defaults=True, include=kept)
    routes = routes_of(config)
    found["routes"] = [each.model_dump(mode="json", by_alias=True, exclude_defaults=True) for each in routes]
    return found


def side_of(config: Config, easier: float = 0.0, asks: Sequence[Sequence[Any]] = ()) -> Side:
    """One side from a configuration."""
    return Side(stripped(config), sorted(rules_of(config).pagers), easier, [list(each) for each in asks])
