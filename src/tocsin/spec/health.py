"""`HealthSpec`: when a day is judged, by which terms of one's own, and who gets the digest."""

from __future__ import annotations

import math
import re
from typing import Annotated, Final, Literal, TypeAlias

from pydantic import AfterValidator, Field, model_validator

from tocsin.spec.calendar import zone
from tocsin.spec.monitor import Spec
from tocsin.spec.text import Texts

TermKind: TypeAlias = Literal["latency", "errors", "quality", "business"]
_HOUR: Final = re.compile(r"([01]?[0-9]|2[0-3]):([0-5][0-9])")
MOST_TERMS: Final = 200
READERS: Final = ("slack", "teams", "email")
"""Kinds of destinations that people read: they get the digest when nobody is named."""
PAGERS: Final = ("pagerduty", "alertmanager", "opsgenie", "jira_service_management", "jira", "linear")
"""Kinds of destinations that would make an alert or a ticket of a digest."""


def _hour(text: str) -> str:
    if _HOUR.fullmatch(text) is None:
        raise ValueError(f"{text[:40]!r} is no time of day; write it like 06:30")
    return text


class WindowTermSpec(Spec):
    """A term of every model or service that has one (packs): the windows of a monitor, against the days before.

    The label `of` (the first there is) names whom a series is about; series with labels beside those and `only` are
    parts of a whole and left out. `each` is a label that makes a term of its own of each of its values.
    """

    name: str
    kind: TermKind
    monitor: str
    entity: Literal["model", "service"]
    of: Texts = Field(min_length=1)
    only: list[str] | None = None
    each: str = ""
    unit: str = ""
    worse: Literal["up", "down"] = "up"


class HealthTermSpec(Spec):
    """Something of one's own that the health of `of` (a model or service) is made of: a signal's points of a day.

    It costs nothing at `good` or better, all its `points` at `bad` or worse; `bad` may lie below `good`.
    """

    name: str = Field(min_length=1, max_length=100)
    of: str = Field(min_length=1, max_length=200)
    signal: str = Field(min_length=1, max_length=500)
    where: dict[str, str] = {}
    aggregate: Literal["mean", "min", "max", "sum", "count", "last", "p50", "p95", "p99"] = "mean"
    kind: TermKind = "business"
    unit: str = Field(default="", max_length=20)
    good: float
    bad: float
    points: float | None = Field(default=None, gt=0, le=100)

    @model_validator(mode="after")
    def _two_ends(self) -> HealthTermSpec:
        if not (math.isfinite(self.good) and math.isfinite(self.bad) and self.good != self.bad):
            raise ValueError("`good` and `bad` must be two different numbers")
        return self


class HealthSpec(Spec):
    """The health of models and services, day by day; without `digest` it is sent to who reads (Slack, e-mail).

    A day is that of `time_zone`, and is judged at `at` of the next one, when its late data has come.
    """

    at: Annotated[str, AfterValidator(_hour)] = "06:00"
    time_zone: Annotated[str, AfterValidator(zone)] = "UTC"
    digest: Texts | None = None
    terms: list[HealthTermSpec] = Field(default=[], max_length=MOST_TERMS)

    @property
    def after_midnight_s(self) -> int:
        """How long after the end of a day it is judged."""
        hours, minutes = self.at.split(":")
        return int(hours) * 3600 + int(minutes) * 60
