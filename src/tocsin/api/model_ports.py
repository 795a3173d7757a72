"""What pages of models need from the rest of the cold process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

Json: TypeAlias = dict[str, object]


@dataclass(frozen=True, slots=True)
class ModelAsked:
    """What is asked about a model; times ns in [start, end), empty texts are chosen for the caller, and said.

    `where` are tags that rows must have; `feature` is drawn, `by` splits performance, `group` is judged for fairness;
    `metric`, `control`, `treatment` and `shares` are of the comparison of versions.
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
    control: str | None = None
    treatment: str | None = None
    shares: tuple[int, int] | None = None

    @property
    def key(self) -> tuple[object, ...]:
        """What tells two questions apart."""
        names = ("model", "start", "end", "reference", "version", "feature", "by", "group", "metric")
        own = tuple(getattr(self, name) for name in names)
        return (*own, self.control, self.treatment, self.shares, *sorted(self.where.items()))


class Models(Protocol):
    """Models by their inference records."""

    def seen(self, tenant: str, start: int, end: int) -> Sequence[Mapping[str, object]]:
        """Rows `model, rows, first_time, last_time, versions, version_count, with_truth`, the latest first."""

    def health(self, tenant: str, asked: ModelAsked) -> Json | None:
        """Performance, drift, segments, fairness and versions of a model; None: nobody knows it.

        Raises
        ------
        BadInput
            A version, tag, feature or metric that is asked for is not there.
        Overloaded
            Too many ask at once.
        """
