"""What a person states of the system: what depends on what, and where to read on when parts of it fail together."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from tocsin.spec.entity_key import ENTITY_CHARS
from tocsin.spec.monitor import Spec

MOST_EDGES = 2000
MOST_RUNBOOKS = 200
Name = Annotated[str, Field(min_length=1, max_length=ENTITY_CHARS)]


class DependencySpec(Spec):
    """`from` calls, runs on or waits for `to`: a fault of `to` is felt at `from`. Names are those of entities."""

    from_: Name = Field(alias="from")
    to: Name

    @model_validator(mode="after")
    def _two(self) -> DependencySpec:
        if self.from_ == self.to:
            raise ValueError(f"{self.to!r} can't depend on itself; name two entities")
        return self

    @property
    def pair(self) -> tuple[str, str]:
        """Who depends, and on whom."""
        return self.from_, self.to


class TopologySpec(Spec):
    """Edges that telemetry does not show."""

    edges: Annotated[list[DependencySpec], Field(max_length=MOST_EDGES)] = []

    @model_validator(mode="after")
    def _each_once(self) -> TopologySpec:
        seen: set[tuple[str, str]] = set()
        for edge in self.edges:
            if edge.pair in seen:
                raise ValueError(f"the edge from {edge.from_!r} to {edge.to!r} is there twice; leave one out")
            seen.add(edge.pair)
        return self


class RunbookSpec(Spec):
    """A runbook of an incident that has a finding of a monitor for each glob of `joint`."""

    title: str = Field(min_length=1, max_length=200)
    url: str = Field(pattern=r"^https?://[^\s]+$", max_length=500)
    joint: Annotated[list[str], Field(min_length=1, max_length=10)]
