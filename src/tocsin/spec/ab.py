"""`AbSpec`: an experiment that is watched, so that an arm that does harm is told without anybody looking."""

from __future__ import annotations

import math
import re
from typing import Annotated, Final

from pydantic import AfterValidator, Field, model_validator

from tocsin.spec.monitor import Spec
from tocsin.spec.problem import nearest
from tocsin.spec.text import Texts

METRICS: Final = (
    "accuracy", "absolute error", "score", "positive predictions", "feedback", "feedback.KEY", "tags.KEY", "features.KEY",
)  # fmt: skip
"""What arms can be compared by."""
_KEYED: Final = re.compile(r"(feedback|tags|features)\..+", re.DOTALL)


def _metric(text: str) -> str:
    if text not in METRICS and _KEYED.fullmatch(text) is None:
        raise ValueError(f"`{text[:80]}` is no metric{nearest(text, METRICS)}")
    return text


class AbSpec(Spec):
    """Arms of a model on live traffic: `arm` is `version` or a tag, `ratio` the planned split with the control first."""

    model: str = Field(min_length=1, max_length=500)
    metric: Annotated[str, Field(min_length=1, max_length=500), AfterValidator(_metric)]
    arm: str = Field(default="version", min_length=1, max_length=500)
    arms: Texts = Field(default=[], max_length=20)
    control: str = Field(default="", max_length=500)
    ratio: list[int] = []
    bounds: list[float] = []
    level: float = Field(default=0.05, ge=1e-6, le=0.5)
    plan: int = Field(default=20_000, ge=1)
    lower_is_better: bool = False

    @model_validator(mode="after")
    def _sound(self) -> AbSpec:
        if not all(1 <= part <= 1000 for part in self.ratio):
            raise ValueError("`ratio` is whole numbers from 1 to 1000, the control's first, like [9, 1]")
        if self.bounds and not (len(self.bounds) == 2 and -math.inf < self.bounds[0] < self.bounds[1] < math.inf):
            raise ValueError("`bounds` are the least and the greatest value, like [1, 5]")
        if self.ratio and not self.arms:
            raise ValueError("`ratio` needs `arms`, so that it is known whose shares they are")
        if self.ratio and len(self.ratio) != len({*self.arms, *([self.control] if self.control else [])}):
            raise ValueError("`ratio` needs one part for each of the arms, the control's first")
        return self
