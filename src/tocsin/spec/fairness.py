"""`FairnessSpec`: which tags name groups that a model must treat alike, and what change of a gap counts."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase

from pydantic import Field

from tocsin.spec.monitor import Spec
from tocsin.spec.text import Texts


class FairnessSpec(Spec):
    """Models (a name or a glob) whose groups are watched day by day; without `groups`, not at all.

    `positive` is the prediction that selects, where it is neither true, yes nor 1; a change of a gap that is smaller than
    `least_change` is none.
    """

    model: str = Field(min_length=1)
    groups: Texts = []
    positive: str = Field(default="", max_length=200)
    least_change: float = Field(default=0.05, ge=0, lt=1)


def watched(model: str, specs: Sequence[FairnessSpec], usual: Sequence[str]) -> FairnessSpec:
    """What holds for a model: the first that names it, or fits; else the tags that are usual.

    >>> watched("loans-2", [FairnessSpec(model="loans*", groups=["tier"])], ["gender"]).groups
    ['tier']
    >>> watched("other", [], ["gender"]).groups
    ['gender']
    """
    named = (each for each in specs if each.model == model)
    fits = (each for each in specs if fnmatchcase(model, each.model))
    return next(named, next(fits, FairnessSpec(model="*", groups=list(usual))))
