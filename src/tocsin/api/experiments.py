"""Live experiments (arms of a model, compared so that one may look at any time), and groups of a model over time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Path, Query

from tocsin.api.access import DepsIn, Reader
from tocsin.api.model_ports import MOST_CHARS, ExperimentAsked
from tocsin.api.present import Document
from tocsin.api.problem import RESPONSES, HttpProblem
from tocsin.api.signals import From, To
from tocsin.api.times import parse_time_ns
from tocsin.model.errors import BadInput
from tocsin.model.text import one_line
from tocsin.spec.problem import nearest

router = APIRouter(prefix="/api", tags=["models"], responses=RESPONSES)
MOST_ARMS = 20
Name = Annotated[str, Query(max_length=MOST_CHARS)]
_FAR = 1 << 62


def ratio_of(text: str) -> tuple[int, ...]:
    """How traffic is split, from `9:1`, the control first.

    Raises
    ------
    BadInput
        It is not written so.

    >>> ratio_of("8:1:1"), ratio_of("")
    ((8, 1, 1), ())
    """
    parts = text.split(":") if text else []
    if not all(part.isdecimal() and part.isascii() and 1 <= int(part[:5]) <= 1000 for part in parts):
        raise BadInput(f"ratio {text[:40]!r} is no split; write it as control:others, like 9:1 or 8:1:1")
    return tuple(int(part[:5]) for part in parts)


def bounds_of(text: str) -> tuple[float, float] | None:
    """Least and greatest value of a metric, from `1:5`.

    Raises
    ------
    BadInput
        It is not written so.

    >>> bounds_of("1:5"), bounds_of("")
    ((1.0, 5.0), None)
    """
    if not text:
        return None
    try:
        low, high = (float(part) for part in text.split(":"))
    except ValueError:
        low = high = 0.0
    if not low < high < float("inf") or low == float("-inf"):
        raise BadInput(f"bounds {text[:40]!r} are no least and greatest value; write them like 1:5")
    return low, high


@router.get("/fairness/{model:path}", response_class=Document)
def groups(
    access: Reader,
    deps: DepsIn,
    model: Annotated[str, Path(max_length=MOST_CHARS)],
    group: Annotated[str, Query(max_length=MOST_CHARS, description="the tag that names the groups")] = "",
) -> Document:
    """Give the gaps of groups day by day, whether one has changed, and signs of choices that feed on themselves."""
    known = [] if deps.models is None else [str(r["model"]) for r in deps.models.seen(access.tenant, 0, _FAR)]
    if deps.groups is None or model not in known:
        raise _unknown(model, known)
    return Document(deps.groups(access.tenant, model, group))


def _unknown(model: str, known: Sequence[str]) -> HttpProblem:
    said = f"there is no model {one_line(model)[:80]!r} here{nearest(model, known) if known else ''}"
    return HttpProblem(404, said, next_step="list them at /api/models", code="not_found")


@router.get("/ab/{model:path}", response_class=Document)
def experiment(
    access: Reader,
    deps: DepsIn,
    model: Annotated[str, Path(max_length=MOST_CHARS)],
    *,
    arm: Annotated[
        str, Query(max_length=MOST_CHARS, description="`version`, or the tag that tells the arms apart")
    ] = "version",
    metric: Annotated[
        str, Query(max_length=MOST_CHARS, description="accuracy, score, feedback.KEY, tags.KEY, features.KEY and so on")
    ] = "accuracy",
    only: Annotated[list[str] | None, Query(max_length=MOST_ARMS, description="arms; all when absent")] = None,
    control: Name = "",
    ratio: Annotated[str, Query(max_length=100, description="planned split, the control first, like 9:1")] = "",
    bounds: Annotated[str, Query(max_length=100, description="least and greatest value, like 1:5")] = "",
    level: Annotated[float, Query(ge=1e-6, le=0.5)] = 0.05,
    plan: Annotated[int, Query(ge=1, le=1_000_000_000)] = 20_000,
    lower_is_better: bool = False,
    start: From = None,
    end: To = None,
) -> Document:
    """Compare arms of a model by a test that holds however often one looks, with the split tested beside it."""
    asked = ExperimentAsked(
        model, arm, metric, tuple(only or ()), control, ratio_of(ratio), bounds_of(bounds), level, plan,
        lower_is_better, None if not start else parse_time_ns(start), None if not end else parse_time_ns(end),
    )  # fmt: skip
    found = None if deps.experiments is None else deps.experiments.look(access.tenant, asked)
    if found is None:
        known = [] if deps.models is None else [str(r["model"]) for r in deps.models.seen(access.tenant, 0, _FAR)]
        raise _unknown(model, known)
    return Document(found)
