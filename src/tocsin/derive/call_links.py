"""Spans of many requests joined: who was asked, who waited for whom, and what was lost on the way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from tocsin.model.arrays import I8, Mask

TRACE, SPAN, PARENT, START, END, SERVICE, WORK, PEER, KIND, FAILED = range(10)
"""Columns of a table of spans, all int64: ids, ns, codes of services, of work (-1: none) and of peers (-1: none)."""
COLUMNS: Final = 10
ASKED, ASKING, OTHER = 0, 1, 2
"""Kinds of spans: of a server or consumer, of a client or producer, and the rest."""
_MIX: Final = np.int64(-7046029254386353131)
_JUMPS: Final = 8
"""Spans of one service may be nested to a depth of two to the power of this."""


@dataclass(frozen=True, slots=True, eq=False)
class Links:
    """What a table of spans shows, rows of the table, each time.

    Attributes
    ----------
    entry : (e,) rows, each the work of a service on one request
    call : (c,) rows of calls: the span of the caller where it has one, else that of the callee
    answer : (c,) rows of the callee's spans, -1 for none
    owner : (c,) rows of the entries that calls were made for, -1 for none
    wait : (c,) ns that the caller waited
    """

    entry: I8
    call: I8
    answer: I8
    owner: I8
    wait: I8


def ordered(spans: I8) -> I8:
    """Spans (n, COLUMNS) by trace and id, each once, so that the order of arrival leaves no trace."""
    spans = spans[np.lexsort((spans[:, FAILED], spans[:, END], spans[:, START], spans[:, SPAN], spans[:, TRACE]))]
    same = (spans[1:, TRACE] == spans[:-1, TRACE]) & (spans[1:, SPAN] == spans[:-1, SPAN])
    return spans[np.append(True, ~same)] if len(spans) else spans


def links(spans: I8) -> Links:
    """Join spans, as `ordered` gives them.

    A request enters a service by a span whose parent is of another service, unknown, or none; one that only calls is no
    request to its own service unless another service called it so. A call without a span of the caller takes as long as both overlap.
    """
    parent = _parents(spans)
    known = parent >= 0
    foreign = known & (spans[parent, SERVICE] != spans[:, SERVICE])
    first = (spans[:, PARENT] == 0) & (spans[:, KIND] != ASKING)
    entry = foreign | first | (~known & (spans[:, KIND] == ASKED))
    owner = _owners(parent, entry)
    away = np.flatnonzero(foreign)
    above = parent[away]
    by_client = spans[above, KIND] == ASKING
    answer = np.full(len(spans), -1, "i8")
    # of several answers to one call the first by id is taken
    answer[above[by_client][::-1]] = away[by_client][::-1]
    has_child = np.zeros(len(spans), bool)
    has_child[parent[known]] = True
    asking = np.flatnonzero((spans[:, KIND] == ASKING) & (~has_child | (answer >= 0)))
    direct, over = away[~by_client], above[~by_client]
    overlap = np.minimum(spans[direct, END], spans[over, END]) - np.maximum(spans[direct, START], spans[over, START])
    wait = np.concatenate([spans[asking, END] - spans[asking, START], overlap])
    return Links(
        np.flatnonzero(entry),
        np.concatenate([asking, direct]),
        np.concatenate([answer[asking], direct]),
        np.concatenate([owner[asking], owner[over]]),
        np.maximum(wait, 0),
    )


def _parents(spans: I8) -> I8:
    """Row of the parent of each span, (n,), -1 for none that is there."""
    if not len(spans):
        return np.zeros(0, "i8")
    mixed = spans[:, TRACE] * _MIX
    key, wanted = mixed ^ spans[:, SPAN], mixed ^ spans[:, PARENT]
    order = np.argsort(key, kind="stable")
    place = np.minimum(np.searchsorted(key[order], wanted), len(order) - 1)
    found = order[place]
    same = (
        (spans[found, TRACE] == spans[:, TRACE])
        & (spans[found, SPAN] == spans[:, PARENT])
        & (spans[:, PARENT] != 0)
        & (found != np.arange(len(spans)))
    )
    return np.where(same, found, -1)


def _owners(parent: I8, entry: Mask) -> I8:
    """Row of the entry that each span belongs to, (n,), -1 where it is not there."""
    rows = np.arange(len(parent))
    up = np.where(entry | (parent < 0), rows, parent)
    for _ in range(_JUMPS):
        up = up[up]
    return np.where(entry[up], up, -1)
