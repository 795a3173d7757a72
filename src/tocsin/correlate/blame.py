"""Whose excess it is: how far counts and times are from what they were, and which end of a call answers for it.

The measure is the generalised Kullback-Leibler divergence (I-divergence, Csiszar 1975) of what is from what was:
`n mu (r ln r - r + 1)` for n calls whose mean went from mu to r mu. It is in the unit of mu, adds up over calls, and a
tenfold rise of something small counts for more than a slight rise of something large.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tocsin.model.arrays import F8, I8

ROUNDS = 30
TO_CALLEE = 0.6
"""Share of a slow call that goes to who is called, while nothing else is known of either end."""
OF_WORK = 0.25
"""The same of time in which a caller both works and waits, for nothing tells the two apart."""
RISEN = 1.5
"""A call is counted as out of line when its mean is so many times what it was."""
LEAST_COVERAGE = 0.1


def divergence(count: F8, ratio: F8, mean: F8) -> F8:
    """I-divergence of `count` calls whose mean is `ratio` times `mean`, (n,), in the unit of the mean.

    >>> divergence(np.array([10.0, 10.0]), np.array([1.0, 4.0]), np.array([0.1, 0.1])).round(3).tolist()
    [0.0, 2.545]
    """
    safe = np.maximum(ratio, 1e-300)
    return np.asarray(count * mean * (safe * np.log(safe) - safe + 1.0), "f8")


@dataclass(frozen=True, slots=True, eq=False)
class Excess:
    """Excess of kinds of work, (n,) each: size, entity, whom it calls (-1: nobody), how often, how many times the usual.

    `prior` is the share that goes to the callee while nothing else is known.
    """

    size: F8
    entity: I8
    callee: I8
    calls: F8
    ratio: F8
    prior: F8


def blamed(excess: Excess, entities: int) -> F8:
    """Excess by entity, (entities,): that of a call goes to the end whose other calls are out of line as well.

    Each round divides the excess of every call between its ends by what both had in the round before, weighted by
    the share of the calls at that end which are out of line, for neighbours that are as ever speak for an end, and by
    the square of the share of all excess that the end touches, for one fault that explains two slow calls is likelier
    than two faults. A caller that waits is thereby told from a callee that is slow, and the other way round.
    """
    has = excess.callee >= 0
    own = np.bincount(excess.entity[~has], excess.size[~has], minlength=entities)
    caller, callee, size = excess.entity[has], excess.callee[has], excess.size[has]
    touched = own + np.bincount(caller, size, minlength=entities) + np.bincount(callee, size, minlength=entities)
    weight = coverage(excess, entities) * (touched / max(float(excess.size.sum()), 1e-300)) ** 2
    prior = excess.prior[has]
    to_callee = prior
    found = own
    for _ in range(ROUNDS):
        got = np.bincount(callee, size * to_callee, minlength=entities)
        kept = np.bincount(caller, size * (1.0 - to_callee), minlength=entities)
        found = own + got + kept
        one, other = prior * found[callee] * weight[callee], (1 - prior) * found[caller] * weight[caller]
        to_callee = np.where(one + other > 0, one / np.maximum(one + other, 1e-300), prior)
    return np.asarray(found, "f8")


def coverage(excess: Excess, entities: int) -> F8:
    """Share of the calls at an entity, its own and those to and from it, that are out of line, (entities,)."""
    risen = excess.calls * (excess.ratio >= RISEN)
    has = excess.callee >= 0
    out, all_calls = np.zeros(entities), np.zeros(entities)
    for who, picked in ((excess.entity, has), (excess.callee, has)):
        out += np.bincount(who[picked], risen[picked], minlength=entities)
        all_calls += np.bincount(who[picked], excess.calls[picked], minlength=entities)
    share = np.divide(out, all_calls, out=np.zeros(entities), where=all_calls > 0)
    return np.asarray(LEAST_COVERAGE + (1 - LEAST_COVERAGE) * share, "f8")
