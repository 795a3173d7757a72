"""`Doubles`: a model call that two spans tell of - an SDK's own and an instrumentor's - is counted once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tocsin.model.arrays import F8, I8, Mask

_KEPT = 16_384
"""Marks of a tenant in each of two generations: the older is dropped when the newer is full."""
_MIX = 0x1E3779B97F4A7C15
_CHILD = 0x5851F42D4C957F2D


@dataclass(frozen=True, slots=True, eq=False)
class Marked:
    """Calls by what tells two that are one, all (n,): numbers of 64 bits, 0 for none."""

    span: I8
    response: I8  # trace and response id
    own: I8  # trace, span and tokens
    parent: I8  # trace, parent span and tokens

    @staticmethod
    def of(trace: I8, span: I8, parent: I8, response: I8, tokens: Sequence[F8]) -> Marked:
        """Marks of calls: `trace` (n, 2) and the rest (n,) are ids as numbers, `tokens` are NaN for none."""
        usage = np.zeros(len(span), "i8")
        for count in tokens:
            usage = usage * _MIX + np.nan_to_num(count, nan=-1.0).astype("i8") + 7
        near = (trace[:, 0] * _MIX) ^ (usage * _CHILD)
        return Marked(
            span,
            np.where(response == 0, 0, response ^ trace[:, 1]),
            near ^ span,
            np.where(parent == 0, 0, near ^ parent),
        )


class Doubles:
    """Remembers the latest calls of each tenant; spans must come in the order of the log.

    Two spans of one trace tell of the same call when both name one response id, or when one is the parent of the other
    and they name the same tokens.
    """

    def __init__(self) -> None:
        self._marks: dict[str, tuple[dict[int, int], dict[int, int]]] = {}

    def first(self, tenant: str, calls: Marked) -> Mask:
        """Whether each call is told of for the first time, (n,); a span that is sent again was told of before."""
        found = np.ones(len(calls.span), "?")
        young, old = self._marks.get(tenant, ({}, {}))
        parts = (calls.span, calls.response, calls.own, calls.parent)
        for place, (span, response, own, parent) in enumerate(zip(*(part.tolist() for part in parts), strict=True)):
            # as its parent left it, and as a child of it did
            for mark in (response, parent, own ^ _CHILD):
                if mark and young.get(mark, old.get(mark, span)) != span:
                    found[place] = False
            young.setdefault(own, span)
            if response:
                young.setdefault(response, span)
            if parent:
                young.setdefault(parent ^ _CHILD, span)
            if len(young) > _KEPT:
                young, old = {}, young
        if len(calls.span):
            self._marks[tenant] = (young, old)
        return found

    def snapshot(self) -> dict[str, list[I8]]:
        """Copy of all state, as a tree."""
        return {
            tenant: [np.array(list(part.items()), "i8").reshape(-1, 2) for part in parts]
            for tenant, parts in self._marks.items()
        }

    def restore(self, state: dict[str, list[Any]]) -> None:
        """Take a snapshot back."""
        self._marks = {tenant: (_pairs(young), _pairs(old)) for tenant, (young, old) in state.items()}


def _pairs(rows: Iterable[Any]) -> dict[int, int]:
    return {int(mark): int(span) for mark, span in rows}
