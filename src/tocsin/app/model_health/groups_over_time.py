"""Whether a model goes on treating groups as it did: gaps of every day, by intervals, and loops that feed on themselves."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Protocol, TypeAlias

import numpy as np

from tocsin.app.drift_files.outcome import POSITIVE
from tocsin.assess.fairness import Count
from tocsin.assess.gap_drift import FeedbackLoop, GapDrift, feedback_loops, gap_drift
from tocsin.derive.sayings import saying
from tocsin.model.arrays import F8
from tocsin.store.group_rows import Cell

Json: TypeAlias = dict[str, Any]
MOST_GROUPS: Final = 20
OTHERS: Final = "(others)"
LEVEL: Final = 0.05
"""Share of models and tags without a change of which one may ever be told, over all rates, groups and days."""
RECENT: Final = 3
"""Days within which a change was certain for it to be told as one of now."""
RATES: Final = {
    "selection_rate": (Count.SELECTED, Count.ROWS),
    "true_positive_rate": (Count.TRUE_POSITIVES, Count.POSITIVES),
    "false_positive_rate": (Count.FALSE_POSITIVES, Count.NEGATIVES),
}


class Source(Protocol):
    """Where counts come from; see `tocsin.store.group_rows.GroupRows`."""

    def said(self, tenant: str, model: str, tag: str, first: int, last: int) -> list[Cell]:
        """Predictions by the days they were made on."""

    def came(self, tenant: str, model: str, tag: str, first: int, last: int) -> list[Cell]:
        """Truths by the days on which they were known."""


@dataclass(frozen=True, slots=True)
class RateOverTime:
    """One rate: its days (those with rows), tallies (days, groups, 9), and what moved."""

    name: str
    days: tuple[int, ...]
    tallies: F8
    drifts: tuple[GapDrift, ...]


@dataclass(frozen=True, slots=True)
class GroupsOverTime:
    """All that is known of the groups of a tag; `why_not` says why nothing is."""

    names: tuple[str, ...]
    rates: tuple[RateOverTime, ...]
    loops: tuple[FeedbackLoop, ...]
    positive: str = ""
    why_not: str = ""

    def changed(self) -> list[tuple[str, GapDrift]]:
        """What moved and is certain now: rate and gap."""
        return [
            (rate.name, drift)
            for rate in self.rates
            for drift in rate.drifts
            if drift.last is not None and drift.last >= len(rate.days) - RECENT
        ]

    def suspected(self) -> list[FeedbackLoop]:
        """Groups whose choices seem to feed on themselves."""
        return [loop for loop in self.loops if loop.suspected]


def over_time(
    source: Source, tenant: str, model: str, tag: str, first: int, last: int, *, least_change: float = 0.05,
    positive: str = "", recent: int | None = None,
) -> GroupsOverTime:  # fmt: skip
    """Count and judge the days `first` to `last` (of changes only those of `recent` days, if given); more than 20 groups are counted as the 20 largest and the others."""
    said = source.said(tenant, model, tag, first, last)
    yes = _positive(said, positive)
    if isinstance(yes, str):
        return GroupsOverTime((), (), (), why_not=yes)
    came = source.came(tenant, model, tag, first, last)
    names = _names(said)
    of_said = _tallies(said, names, yes, Count.ROWS)
    of_truth = _tallies(came, names, yes, Count.POSITIVES)
    rates = []
    for name, (part, whole) in RATES.items():
        days, tallies = _with_rows(of_said if whole is Count.ROWS else of_truth, whole)
        judge = partial(gap_drift, least_change=least_change, level=LEVEL / len(RATES), recent=recent)
        drifts = judge(names, tallies, part, whole) if days else ()
        rates.append(RateOverTime(name, days, tallies, drifts))
    loops = feedback_loops(names, _with_rows(of_said, Count.ROWS)[1], LEVEL) if len(names) > 1 else ()
    return GroupsOverTime(names, tuple(rates), loops, " or ".join(sorted(yes)))


def _positive(said: Sequence[Cell], asked: str) -> set[str] | str:
    """Texts of the prediction that selects, or why there is none."""
    if not said:
        return "no prediction carries the tag"
    kinds = {cell.prediction: saying(cell.prediction) for cell in said}
    if asked:
        found = {text for text, each in kinds.items() if asked in (text, each.label)}
        return found or f"nobody predicted {asked[:60]}"
    if all(each.two for each in kinds.values()):
        return {text for text, each in kinds.items() if each.number == 1}
    labels = {each.label for each in kinds.values()}
    if None in labels or len(labels) > 2:
        return "groups are compared where a model says yes or no; this one says something else"
    words = {text for text, each in kinds.items() if str(each.label).strip().lower() in POSITIVE}
    return words or _spoken_for(said) or "it is not known which of its two classes selects; name it as `positive`"


def _spoken_for(said: Sequence[Cell]) -> set[str]:
    """The class whose scores are higher: the one that the score speaks for."""
    scored: dict[str, list[tuple[int, float]]] = {}
    for cell in said:
        if cell.score is not None and math.isfinite(cell.score):
            scored.setdefault(cell.prediction, []).append((cell.rows, cell.score))
    means = {text: sum(n * s for n, s in each) / sum(n for n, _ in each) for text, each in scored.items()}
    best = max(means, key=lambda text: means[text], default="")
    return {best} if len(means) == 2 and len(set(means.values())) == 2 else set()


def _names(said: Sequence[Cell]) -> tuple[str, ...]:
    counted: Counter[str] = Counter()
    for cell in said:
        counted[cell.group] += cell.rows
    ordered = sorted(counted, key=lambda name: (-counted[name], name))
    return (*sorted(ordered[:MOST_GROUPS]), *((OTHERS,) if len(ordered) > MOST_GROUPS else ()))


def _tallies(cells: Sequence[Cell], names: Sequence[str], yes: set[str], whole: Count) -> dict[int, F8]:
    place = {name: k for k, name in enumerate(names)}
    found: dict[int, F8] = {}
    for cell in cells:
        number = place.get(cell.group, place.get(OTHERS, -1))
        if number < 0:
            continue
        row = found.setdefault(cell.day, np.zeros((len(names), len(Count))))[number]
        selected = cell.prediction in yes
        if whole is Count.ROWS:
            row[Count.ROWS] += cell.rows
            row[Count.SELECTED] += cell.rows * selected
            continue
        truth = _truth(cell.truth, yes)
        if truth is not None:
            row[Count.POSITIVES if truth else Count.NEGATIVES] += cell.rows
            row[Count.TRUE_POSITIVES if truth else Count.FALSE_POSITIVES] += cell.rows * selected
    return found


def _truth(text: str, yes: set[str]) -> bool | None:
    """Whether a truth is the class that selects; it may be written otherwise (`1` and `true`)."""
    said = saying(text)
    if said.two:
        return any(saying(each).two for each in yes) and said.number == 1
    return None if said.label is None else any(said.label == saying(each).label for each in yes)


def _with_rows(tallies: dict[int, F8], whole: Count) -> tuple[tuple[int, ...], F8]:
    """Days on which there was anything to count, in order."""
    column = [whole] if whole is not Count.POSITIVES else [Count.POSITIVES, Count.NEGATIVES]
    days = tuple(sorted(day for day, each in tallies.items() if each[:, column].sum() > 0))
    if not days:
        return (), np.zeros((0, 0, len(Count)))
    return days, np.stack([tallies[day] for day in days])
