"""What the events of a span say of a model call: when its first token came, and what failed."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow.compute as pc

from tocsin.model.arrays import F8, Mask

_EXCEPTION = "exception"


@dataclass(frozen=True, slots=True, eq=False)
class ReadEvents:
    """`first_token_s` (n,) after the span's start, NaN for none; `exceptions` by row: types and messages."""

    first_token_s: F8
    exceptions: dict[int, list[str]] = field(default_factory=dict)


class SpanEvents:
    """Reads the events of calls; `first_token` are the names of events that come with the first token."""

    def __init__(self, first_token: Sequence[str]) -> None:
        self._first = frozenset(first_token)

    def read(self, columns: Mapping[str, Any], call: Mask) -> ReadEvents:
        """What the events of the rows that are calls say."""
        events = columns["events"]
        found = ReadEvents(np.full(len(call), np.nan))
        some = pc.greater(pc.binary_length(events), 2).to_numpy(zero_copy_only=False).astype("?")
        rows = np.flatnonzero(some & call)
        starts = columns["start"].to_numpy()
        for row, text in zip(rows.tolist(), events.take(rows).to_pylist(), strict=True):
            for event in _listed(text):
                name = event.get("name")
                if name in self._first and np.isnan(found.first_token_s[row]):
                    found.first_token_s[row] = _seconds_after(int(starts[row]), event.get("time"))
                elif name == _EXCEPTION and isinstance(said := event.get("attributes"), dict):
                    told = [str(said[key]) for key in ("exception.type", "exception.message") if said.get(key)]
                    found.exceptions.setdefault(row, []).extend(told)
        return found


def _listed(text: str) -> list[dict[str, Any]]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return []
    return [event for event in found if isinstance(event, dict)] if isinstance(found, list) else []


def _seconds_after(start: int, time: object) -> float:
    return (time - start) / 1e9 if isinstance(time, int) and time >= start else np.nan
