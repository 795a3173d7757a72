"""Models that rank: click-through rate and NDCG, over time and beside the reference."""

from __future__ import annotations

import math
from collections.abc import Iterator
from statistics import NormalDist
from typing import Any, Final, TypeAlias

import numpy as np

from tocsin.app.model_health.performance import step_ns
from tocsin.app.model_health.rows import Row, Span
from tocsin.assess.intervals import Measure, quantile, undefined
from tocsin.assess.performance import CONFIDENCE, click_through_rate, ndcg
from tocsin.model.arrays import F8, I8, Mask
from tocsin.model.times import time_to_json

Json: TypeAlias = dict[str, Any]
NS: Final = 1_000_000_000
CLICKS: Final = ("clicked", "click", "clicks")
GAINS: Final = ("relevance", "gain", *CLICKS)
QUERIES: Final = ("query", "query_id", "request", "request_id", "session", "session_id", "list_id", "impression_id")
"""Tags whose value items of one list share."""
AT: Final = 10
CTR, NDCG = "click_through_rate", f"ndcg_at_{AT}"
WORDS: Final = {CTR: "click-through rate", NDCG: f"NDCG of the first {AT}"}
FALSE_RATE: Final = 0.001
LEAST: Final = 30
LEAST_FALL: Final = 0.02
"""Of the reference's value: a smaller fall is no news however sure it is."""


def ranking(before: Span, now: Span) -> Json | None:
    """Measures of lists and clicks; None where no record tells of a click or of a gain."""
    sides = _Lists.of(before), _Lists.of(now)
    if not now.rows or not sides[1].told:
        return None
    every = np.ones(now.rows, bool)
    current = sides[1].measures(every)
    reference = sides[0].measures(np.ones(before.rows, bool)) if before.rows and sides[0].told else {}
    step = step_ns(int(now.time[-1] - now.time[0]) + 1, now.rows)
    bucket = now.time // step
    reasons = [said for name, each in current.items() if (said := _fell(name, each, reference.get(name)))]
    return {
        "measures": list(current),
        "step_s": step // NS,
        "current": _json(current),
        "reference": _json(reference),
        "buckets": [
            {
                "from": time_to_json(int(k) * step),
                "to": time_to_json((int(k) + 1) * step),
                "rows": int(np.count_nonzero(bucket == k)),
                "values": _json(sides[1].measures(bucket == k)),
            }
            for k in np.unique(bucket)
        ],
        "reasons": reasons,
        "notes": sides[1].notes,
        "say": _say(current, reference, reasons),
    }


def _json(found: dict[str, Measure]) -> Json:
    return {name: each.to_json() for name, each in found.items()}


def _say(current: dict[str, Measure], reference: dict[str, Measure], reasons: list[str]) -> str:
    if reasons:
        return f"Worse than the reference: {'; '.join(reasons)}."
    if not any(each.defined for each in reference.values()):
        return "There is no reference yet to compare clicks with."
    if all(each.n < LEAST for each in current.values()):
        return "Too few lists and clicks came to judge by."
    return "No fall of clicks or ranking is shown."


def _fell(name: str, now: Measure, before: Measure | None) -> str:
    """The fall in words, if it is sure (one-sided z test at 1 in 1,000) and matters; else empty."""
    if before is None or not (now.defined and before.defined) or min(now.n, before.n) < LEAST or before.value <= 0:
        return ""
    errors = [(each.high - each.low) / (2 * quantile(CONFIDENCE)) for each in (now, before)]
    spread = math.hypot(*errors)
    fall = before.value - now.value
    if not spread or fall < LEAST_FALL * before.value or fall < NormalDist().inv_cdf(1 - FALSE_RATE) * spread:
        return ""
    share = 100 * fall / before.value
    return f"{WORDS[name]} is {now.value:.3g}, {share:.0f} % below the {before.value:.3g} of the reference"


class _Lists:
    """Items with their clicks, gains, scores and lists, (n,) each."""

    def __init__(self, clicked: F8, gain: F8, score: F8, query: I8, notes: list[str]) -> None:
        self.clicked, self.gain, self.score, self.query, self.notes = clicked, gain, score, query, notes

    @staticmethod
    def of(span: Span) -> _Lists:
        rows = span.taken.rows
        notes: list[str] = []
        clicked, gain = (_feedback(rows, names) for names in (CLICKS, GAINS))
        tag = next((name for name in QUERIES if any(name in row["tags"] for row in rows)), None)
        numbers: dict[str, int] = {}
        query = np.array([_number(row, tag, numbers) for row in rows], "i8")
        score = np.array([math.nan if row["score"] is None else row["score"] for row in rows], "f8")
        if tag is not None and span.taken.sampled:
            notes.append("NDCG is left out: of a sample of the records lists are torn apart")
            query[:] = -1
        return _Lists(clicked, gain, score, query, notes)

    @property
    def told(self) -> bool:
        """Whether there is anything to measure."""
        return bool(np.isfinite(self.clicked).any() or self._ranked(np.ones(self.query.size, bool)).any())

    def _ranked(self, chosen: Mask) -> Mask:
        found: Mask = chosen & np.isfinite(self.gain) & np.isfinite(self.score) & (self.gain >= 0) & (self.query >= 0)
        return found

    def measures(self, chosen: Mask) -> dict[str, Measure]:
        """Of some rows."""
        found = {}
        if np.isfinite(self.clicked).any():
            held = self.clicked[chosen & np.isfinite(self.clicked)]
            found[CTR] = click_through_rate(int(np.count_nonzero(held)), held.size)
        if (self.query >= 0).any() and np.isfinite(self.gain).any():
            kept = self._ranked(chosen)
            some = kept.any()
            found[NDCG] = (
                ndcg(self.query[kept], self.score[kept], self.gain[kept], AT) if some else undefined("no rows")
            )
        return found


def _number(row: Row, tag: str | None, numbers: dict[str, int]) -> int:
    value = row["tags"].get(tag) if tag is not None else None
    return -1 if value is None else numbers.setdefault(value, len(numbers))


def _feedback(rows: list[Row], names: tuple[str, ...]) -> F8:
    """The first of some keys of feedback as a number, NaN where it is not told."""
    return np.array([next(_told(row["feedback"], names), math.nan) for row in rows], "f8")


def _told(feedback: object, names: tuple[str, ...]) -> Iterator[float]:
    if not isinstance(feedback, dict):
        return
    for name in names:
        value = feedback.get(name)
        if isinstance(value, bool | int | float) and math.isfinite(value):
            yield float(value)
