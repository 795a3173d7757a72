"""Samples of one slice of the service graph: of each service by request, of its neighbours by slice."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from tocsin.derive.call_links import ASKING, END, FAILED, KIND, SERVICE, SPAN, START, Links
from tocsin.model.arrays import F8, I8
from tocsin.model.rows import Rows
from tocsin.model.samples import Samples
from tocsin.model.series import Series, Signal

LATENCY: Final = Signal("service_graph.latency", "s")
ERRORS: Final = Signal("service_graph.error_ratio", "1")
CALLS: Final = Signal("service_graph.calls", "{call}")
TRANSIT: Final = Signal("service_graph.transit_latency", "s")
SERVICE_LABEL: Final = "service.name"
PEER_LABEL: Final = "peer.service"
NOBODY: Final = -1
PEERS: Final = 1 << 20
"""Codes of callees from here on are of peers that send no spans: they explain, and are judged by monitors of their own."""
WORKS: Final = 1 << 21
"""Codes from here on are of calls that tell no peer, by the name of their work."""
CODE_BITS: Final = 32
"""A code takes no more."""


@dataclass(frozen=True, slots=True, eq=False)
class Slice:
    """What ended in one slice of time: entries (e,), calls that were made for them (c,), calls lost and answered.

    Times in seconds. `owner` is the place of a call's entry among the entries. Of calls that ended in the slice, for
    whomever they were made, `lost` had no answer and failed, and `sent` were answered, by caller and callee.
    """

    end: int
    service: I8
    time: I8
    uid: I8
    lasted: F8
    failed: F8
    owner: I8
    callee: I8
    wait: F8
    call_failed: F8
    lost: I8  # (l, 3): callee, time, id
    sent: I8  # (s, 4): caller, callee, time, id
    transit: F8  # (s,)

    @staticmethod
    def of(spans: I8, found: Links, callee: I8, ends: I8, end: int) -> Slice:
        """What ended at `end` at the latest and after the slice before."""
        entry = found.entry[ends[found.entry] == end]
        place = np.full(len(spans), -1, "i8")
        place[entry] = np.arange(len(entry))
        owner = np.where(found.owner >= 0, place[found.owner], -1)
        mine = np.flatnonzero((owner >= 0) & (callee >= 0))
        rows = found.call[mine]
        # the callee's failure is what its span says, or that of the call
        bad = spans[rows, FAILED] | np.where(found.answer[mine] >= 0, spans[found.answer[mine], FAILED], 0)
        ended = (ends[found.call] == end) & (spans[found.call, KIND] == ASKING) & (callee >= 0)
        at = np.flatnonzero(ended & (found.answer < 0) & (callee < PEERS) & (spans[found.call, FAILED] > 0))
        lost = found.call[at]
        sent = np.flatnonzero(ended & (found.answer >= 0))
        call, answer = found.call[sent], found.answer[sent]
        took = spans[call, END] - spans[call, START] - (spans[answer, END] - spans[answer, START])
        return Slice(
            end,
            spans[entry, SERVICE],
            spans[entry, END],
            spans[entry, SPAN],
            (spans[entry, END] - spans[entry, START]) / 1e9,
            spans[entry, FAILED].astype("f8"),
            owner[mine],
            callee[mine],
            found.wait[mine] / 1e9,
            bad.astype("f8"),
            np.column_stack([callee[at], spans[lost, END], spans[lost, SPAN]]),
            np.column_stack([spans[call, SERVICE], callee[sent], spans[call, END], spans[call, SPAN]]),
            np.maximum(took, 0) / 1e9,
        )

    def pairs(self) -> list[tuple[int, int]]:
        """Caller and callee of the calls, each pair once."""
        both = np.unique(self.service[self.owner] << CODE_BITS | self.callee).tolist()
        return [(a, b) for a, b in (divmod(each, 1 << CODE_BITS) for each in both) if a != b]


class Out:
    """Columns of samples as they are made; `name` tells services and peers by their codes, `known` rows of series."""

    def __init__(
        self, tenant: str, name: Callable[[int], str], rows: Rows, known: dict[tuple[str, int, int], int]
    ) -> None:
        self._tenant, self._name, self._rows, self._known = tenant, name, rows, known
        self._parts: list[Samples] = []

    def each(self, signal: Signal, who: int, time: I8, value: F8, uid: I8) -> None:
        """Values of a service, one a request or call."""
        row = np.full(len(value), self._row(signal, who, NOBODY), "i4")
        self._parts.append(Samples(row, time, value, np.ones(len(value)), value, value, uid))

    def beside(self, signal: Signal, who: int, other: int, end: int, value: float, weight: int) -> None:
        """What a neighbour has to do with a service in a slice, a request, of so many."""
        row, told = np.full(1, self._row(signal, who, other), "i4"), np.full(1, value)
        weights = np.full(1, float(weight))
        self._parts.append(Samples(row, np.full(1, end), told, weights, told, told, np.zeros(1, "i8")))

    def _row(self, signal: Signal, who: int, other: int) -> int:
        key = signal.name, who, other
        found = self._known.get(key)
        if found is None:
            labels = {SERVICE_LABEL: self._name(who)} | ({} if other == NOBODY else {PEER_LABEL: self._name(other)})
            found = self._known[key] = self._rows.of_series(Series.of(self._tenant, signal, labels))
        return found

    def done(self) -> Samples:
        """All of them."""
        return Samples.concat(self._parts)


def put(out: Out, edges: Mapping[int, Iterable[int]], shown: Slice) -> None:
    """Samples of a slice, by service; a callee that was not called stands beside with 0."""
    n = len(shown.service)
    bad = np.bincount(shown.owner, shown.call_failed, minlength=n)
    made: F8 = np.bincount(shown.owner, minlength=n).astype("f8") - bad
    caller = shown.service[shown.owner]
    for who in np.unique(shown.service).tolist():
        mine = np.flatnonzero(shown.service == who)
        time, uid = shown.time[mine], shown.uid[mine]
        out.each(LATENCY, who, time, shown.lasted[mine], uid)
        out.each(ERRORS, who, time, shown.failed[mine], uid)
        out.each(CALLS, who, time, made[mine], uid)
        for other in edges.get(who, ()):
            pair = (caller == who) & (shown.callee == other)
            for signal, part in ((LATENCY, shown.wait), (ERRORS, shown.call_failed)):
                out.beside(signal, who, other, shown.end, math.fsum(part[pair].tolist()) / len(mine), len(mine))
    lost = shown.lost
    for who in np.unique(lost[:, 0]).tolist():
        mine = np.flatnonzero(lost[:, 0] == who)
        out.each(ERRORS, who, lost[mine, 1], np.ones(len(mine)), lost[mine, 2])
    _transit(out, shown)


def _transit(out: Out, shown: Slice) -> None:
    """What lies between the ends of calls to a service, and beside it that of its callers' other calls."""
    caller, callee, time, uid = shown.sent.T
    took = shown.transit
    for who in np.unique(callee).tolist():
        mine = np.flatnonzero(callee == who)
        out.each(TRANSIT, who, time[mine], took[mine], uid[mine])
        for other in np.unique(caller[mine]).tolist():
            aside = _mean(took[(caller == other) & (callee != who)])
            into = _mean(took[callee == other])
            share = float((caller[mine] == other).sum()) / len(mine)
            out.beside(TRANSIT, who, other, shown.end, share * max(aside, into), len(mine))


def _mean(values: F8) -> float:
    return math.fsum(values.tolist()) / len(values) if len(values) else 0.0
