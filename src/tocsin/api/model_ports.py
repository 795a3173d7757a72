"""What pages of models need from the rest of the cold process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol, TypeAlias

MOST_CHARS: Final = 20_000
"""Of a name: what records may hold can be asked for."""

Json: TypeAlias = dict[str, object]


@dataclass(frozen=True, slots=True)
class ModelAsked:
    """What is asked about a model; times ns in [start, end), empty texts are chosen for the caller, and said.

    `where` are tags that rows must have; `feature` is drawn, `by` splits performance, `group` is judged for fairness,
    versions are shown by `metric`.
    """

    model: str
    start: int
    end: int
    reference: tuple[int, int] | None = None
    version: str | None = None
    where: Mapping[str, str] = field(default_factory=dict)
    feature: str = ""
    by: str = ""
    group: str = ""
    metric: str = ""

    @property
    def key(self) -> tuple[object, ...]:
        """What tells two questions apart."""
        names = ("model", "start", "end", "reference", "version", "feature", "by", "group", "metric")
        own = tuple(getattr(self, name) for name in names)
        return (*own, *sorted(self.where.items()))


class Models(Protocol):
    """Models by their inference records."""

    def seen(self, tenant: str, start: int, end: int) -> Sequence[Mapping[str, object]]:
        """Rows `model, rows, first_time, last_time, versions, version_count, with_truth`, the latest first."""

    def brief(self, tenant: str, asked: ModelAsked) -> Json | None:
        """Versions and numbers of records of a model, which are known at once; None: nobody knows it."""

    def health(self, tenant: str, asked: ModelAsked) -> Json | None:
        """Performance, drift, segments, fairness and versions of a model; None: nobody knows it.

        Raises
        ------
        BadInput
            A version, tag, feature or metric that is asked for is not there.
        Overloaded
            Too many ask at once.
        """


@dataclass(frozen=True, slots=True)
class ExperimentAsked:
    """What to compare live; empty or None is chosen, and said. `shares` are of the arms, the control first."""

    model: str
    arm: str = "version"
    metric: str = "accuracy"
    arms: tuple[str, ...] = ()
    control: str = ""
    shares: tuple[int, ...] = ()
    bounds: tuple[float, float] | None = None
    level: float = 0.05
    plan: int = 20_000
    lower_is_better: bool = False
    start: int | None = None
    end: int | None = None


class LiveExperiments(Protocol):
    """Arms of a model compared as their outcomes come."""

    def look(self, tenant: str, asked: ExperimentAsked) -> Json | None:
        """All that can be said by now; None: nobody knows the model.

        Raises
        ------
        BadInput
            There are no two arms, or something that was named is not there.
        Overloaded
            Others are being computed; try again.
        """
