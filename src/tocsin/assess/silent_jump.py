"""Whether answers jumped at once, for all who ask, while what is asked stayed the same: then another model answers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, NamedTuple

from tocsin.assess.jump import LEAST_ASKED, MOST_OTHERS, rank_deviates

LEAST_DEVIATES: Final = 4.9
"""Of ranks just before and since, one chance in two million: they are asked for at most every ten minutes."""
MOST_INPUT_DEVIATES: Final = 2.6
MOST_INPUT_RATIO: Final = 1.2


class Answer(NamedTuple):
    """One answer: who asked, the logarithm of its length, how it ended (1 or 0), the logarithm of the prompt's length."""

    asker: str
    log_length: float
    cut_off_ratio: float
    refusal_ratio: float
    tool_call_ratio: float
    log_input: float


def is_silent(before: Sequence[Answer], after: Sequence[Answer], what: str, least: float) -> bool:
    """Whether a measure of answers jumped by at least `least` with no change of prompts, and for most who ask.

    Where askers are named, at least two must see it.

    >>> def said(n, tokens, asker, prompt=6.0):
    ...     return [Answer(asker, math.log(tokens) + k % 7 / 7, 0.0, 0.0, 0.0, prompt + k % 5 / 5) for k in range(n)]
    >>> is_silent(said(60, 200, "a") + said(60, 90, "b"), said(60, 100, "a") + said(60, 45, "b"), "log_length", 0.3)
    True
    >>> is_silent(said(60, 200, "a") + said(60, 90, "b"), said(60, 50, "a") + said(60, 90, "b"), "log_length", 0.3)
    False
    >>> is_silent(said(60, 200, ""), said(60, 100, ""), "log_length", 0.3)
    True
    >>> is_silent(said(60, 200, ""), said(60, 100, "", prompt=7.0), "log_length", 0.3)
    False
    """
    one, two = _values(before, what), _values(after, what)
    if not one or not two:
        return False
    gap = _mean(two) - _mean(one)
    if abs(gap) < least or abs(rank_deviates(one, two)) < LEAST_DEVIATES:
        return False
    asked, asking = _values(before, "log_input"), _values(after, "log_input")
    if not asked or not asking:
        return False
    moved = abs(_mean(asking) - _mean(asked)) > math.log(MOST_INPUT_RATIO)
    if moved or abs(rank_deviates(asked, asking)) > MOST_INPUT_DEVIATES:
        return False
    askers = sorted({each.asker for each in after})
    gaps = []
    for asker in askers:
        mine, now = (_values([e for e in side if e.asker == asker], what) for side in (before, after))
        if min(len(mine), len(now)) >= LEAST_ASKED:
            gaps.append(_mean(now) - _mean(mine))
    with_it = sum(each * math.copysign(1.0, gap) >= least / 2 for each in gaps)
    alone = len(gaps) == 1 and askers != [""]  # one that is named may simply have other work
    return bool(gaps) and not alone and len(gaps) - with_it <= MOST_OTHERS * len(gaps)


def _values(answers: Sequence[Answer], what: str) -> list[float]:
    return [value for each in answers if not math.isnan(value := getattr(each, what))]


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)
