"""`Doubles`: a model call that two tell of - an SDK's own span, an instrumentor's, a line of a log - is counted once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tocsin.model.arrays import F8, I8, Mask

_KEPT = 32_768
"""Marks of a tenant in each of two generations: the older is dropped when the newer is full."""
_MOST_ATTEMPTS = 100
_MIX = 0x1E3779B97F4A7C15
_CHILD = 0x5851F42D4C957F2D
_BY_LINE, _BY_SPAN = 0x2545F4914F6CDD1D, 0x369DEA0F31A53F85


@dataclass(frozen=True, slots=True, eq=False)
class Named:
    """What calls are named by, hashed, all (n,), 0 for none; `nameless` are lines without an id of any kind."""

    response: I8
    request: I8
    service: I8
    line: Mask
    nameless: Mask


@dataclass(frozen=True, slots=True, eq=False)
class Marked:
    """Calls by what tells two that are one, all (n,): numbers of 64 bits, 0 for none.

    `line` says of each whether a line of a log told of it. By `ids` (n, 3) lines and spans know each other: response id,
    request id and tokens, trace and tokens. A line that names none of them has its `service` instead, as spans have.
    """

    span: I8
    response: I8  # trace and response id
    own: I8  # trace, span and tokens
    parent: I8  # trace, parent span and tokens
    line: Mask
    ids: I8
    service: I8

    @staticmethod
    def of(trace: I8, span: I8, parent: I8, named: Named, tokens: Sequence[F8]) -> Marked:
        """Marks of calls: `trace` (n, 2) and the rest (n,) are ids as numbers, `tokens` are NaN for none."""
        usage, told = np.zeros(len(span), "i8"), np.zeros(len(span), "?")
        for count in tokens:
            usage = usage * _MIX + np.nan_to_num(count, nan=-1.0).astype("i8") + 7
            told |= ~np.isnan(count)
        near = (trace[:, 0] * _MIX) ^ (usage * _CHILD)
        request = np.where(told & (named.request != 0), named.request ^ (usage * _MIX), 0)
        return Marked(
            span,
            np.where(named.response == 0, 0, named.response ^ trace[:, 1]),
            near ^ span,
            np.where(parent == 0, 0, near ^ parent),
            named.line,
            np.stack([named.response, request, np.where(told, near, 0)], axis=1),
            np.where(named.line & ~named.nameless, 0, named.service),
        )


class Doubles:
    """Remembers the latest calls of each tenant; spans must come in the order of the log.

    Two spans of one trace tell of the same call when both name one response id, or when one is the parent of the other
    and they name the same tokens. A line and a span do when they name one response id, or the same tokens for one request
    or in one trace; a line that names nothing counts only if its service sends no spans of its calls.
    """

    def __init__(self) -> None:
        self._marks: dict[str, tuple[dict[int, int], dict[int, int]]] = {}
        self.attempts = Attempts()

    def first(self, tenant: str, calls: Marked) -> Mask:
        """Whether each call is told of for the first time, (n,); a span that is sent again was told of before."""
        found = np.ones(len(calls.span), "?")
        young, old = self._marks.get(tenant, ({}, {}))
        parts = (calls.span, calls.response, calls.own, calls.parent, calls.line, calls.ids, calls.service)
        for place, (span, response, own, parent, line, ids, service) in enumerate(
            zip(*(part.tolist() for part in parts), strict=True)
        ):
            if line:
                before = [mark ^ _BY_SPAN for mark in (*ids, service) if mark] + [
                    mark ^ _BY_LINE for mark in ids[:2] if mark
                ]
                after = [mark ^ _BY_LINE for mark in ids if mark]
            else:
                # as its parent left it, and as a child of it did
                before = [response, parent, own ^ _CHILD, *(mark ^ _BY_LINE for mark in ids if mark)]
                after = [
                    own,
                    response,
                    parent and parent ^ _CHILD,
                    *(mark ^ _BY_SPAN for mark in (*ids, service) if mark),
                ]
            for mark in before:
                if mark and young.get(mark, old.get(mark, span)) != span:
                    found[place] = False
            for mark in after:
                if mark:
                    young.setdefault(mark, span)
            if len(young) > _KEPT:
                young, old = {}, young
        if len(calls.span):
            self._marks[tenant] = (young, old)
        return found

    def snapshot(self) -> dict[str, list[I8]]:
        """Copy of all state, as a tree."""
        marks = {
            tenant: [np.array(list(part.items()), "i8").reshape(-1, 2) for part in parts]
            for tenant, parts in self._marks.items()
        }
        none = [np.empty((0, 2), "i8")] * 2
        told = self.attempts.snapshot()
        return {tenant: [*marks.get(tenant, none), told.get(tenant, none[0])] for tenant in {**marks, **told}}

    def restore(self, state: dict[str, list[Any]]) -> None:
        """Take a snapshot back; those of before knew no attempts."""
        self._marks = {tenant: (_pairs(young), _pairs(old)) for tenant, (young, old, *_) in state.items()}
        self.attempts.restore({tenant: attempts for tenant, (_, _, *parts) in state.items() for attempts in parts})


class Attempts:
    """Requests over HTTP by the span that sent them: of a call that was tried again there are several.

    They end before the call does, so they come before it or with it. Of the spans of each tenant that sent requests last `_KEPT` are remembered.
    """

    def __init__(self) -> None:
        self._sent: dict[str, dict[int, set[int]]] = {}

    def take(self, tenant: str, trace: I8, parent: I8, span: I8) -> None:
        """Note requests, all (n,), by their trace, the span that sent them, and their own."""
        sent = self._sent.setdefault(tenant, {}) if len(span) else {}
        for mark, own in zip(_sender(trace, parent).tolist(), span.tolist(), strict=True):
            held = sent.setdefault(mark, set())
            if len(held) < _MOST_ATTEMPTS:
                held.add(own)
            if len(sent) > _KEPT:
                del sent[next(iter(sent))]

    def retries(self, tenant: str, trace: I8, span: I8) -> F8:
        """How often each call was tried again, (n,), NaN where nothing is known of its requests."""
        sent = self._sent.get(tenant, {})
        found = [len(sent.get(mark, ())) for mark in _sender(trace, span).tolist()]
        return np.array([count - 1 if count else np.nan for count in found], "f8")

    def snapshot(self) -> dict[str, I8]:
        """Copy of all state: by tenant rows of sender and request (k, 2)."""
        return {
            tenant: np.array([(mark, own) for mark, held in sent.items() for own in sorted(held)], "i8").reshape(-1, 2)
            for tenant, sent in self._sent.items()
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take a snapshot back."""
        self._sent = {}
        for tenant, rows in state.items():
            sent = self._sent.setdefault(tenant, {})
            for mark, own in rows:
                sent.setdefault(int(mark), set()).add(int(own))


def _sender(trace: I8, span: I8) -> I8:
    return (trace * _MIX) ^ span


def _pairs(rows: Iterable[Any]) -> dict[int, int]:
    return {int(mark): int(span) for mark, span in rows}
