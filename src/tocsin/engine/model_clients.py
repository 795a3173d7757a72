"""`ModelClients`: the clients of one model, told apart by tags, and what they do in a day beside what all others do."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias
from zlib import crc32

import numpy as np

from tocsin.assess.client_inputs import Asked, ClientInputs
from tocsin.assess.client_signs import (
    LEAST_ROWS,
    LEAST_SWEPT,
    Highest,
    Peers,
    Sign,
    coverage_of,
    extraction,
    inversion,
    poisoning,
    probing,
)
from tocsin.assess.heavy_hitters import HeavyHitters
from tocsin.assess.input_space import CELLS, InputSpace
from tocsin.derive.sayings import confidence, right, saying, verdicts
from tocsin.engine.record_sample import TEXT, Arrival, RecordRow, columns_of
from tocsin.model.arrays import F8

Client: TypeAlias = tuple[str, str]
"""Tag and value."""
LEARNED: Final = 500
"""Inputs that the space is learned from."""
BLOCK: Final = 64
"""Inputs that are placed at once."""
MOST: Final = 32
"""Clients of a model that are followed, the most active ones."""
COUNTED: Final = 256
LEAST: Final = 30
"""Inputs or truths of a day from which on a client is followed."""
DRAWN: Final = 256
HANDFUL: Final = 5
"""Other clients with which one is compared on the first day already."""
ANEW: Final = 28
"""Days after which the space is learned again, since what a model is given changes over the months."""
FADE: Final = 0.9
"""What a day leaves of the counts of the days before."""


@dataclass(slots=True)
class ClientDay:
    """What one client did on a day: inputs, and truths or verdicts that came with its tag."""

    inputs: ClientInputs = field(default_factory=ClientInputs)
    told: int = 0
    wrong: int = 0
    judged: int = 0

    def grown(self) -> bool:
        """Whether there is anything to judge, and something of it is new."""
        inputs = self.inputs
        worth = inputs.rows >= LEAST_SWEPT or inputs.flips or inputs.around >= LEAST or self.told >= LEAST_ROWS
        new, self.judged = self.size != self.judged, self.size
        return bool(worth) and new

    @property
    def size(self) -> int:
        """How active it was."""
        return self.inputs.rows + self.told


@dataclass(slots=True)
class Past:
    """Days before, faded: counts by cell, inputs, flips, truths, wrong ones, the highest, and how many days there were."""

    cells: F8 = field(default_factory=lambda: np.zeros(CELLS))
    rows: float = 0.0
    flips: float = 0.0
    told: float = 0.0
    wrong: float = 0.0
    highest: Highest = field(default_factory=Highest)
    days: int = 0


@dataclass(slots=True)
class ModelClients:
    """State of one model. `total` is what all did today, whoever they are; `waiting` inputs and `told` truths are counted block by block."""

    space: InputSpace | None = None
    waiting: list[tuple[RecordRow, tuple[Client, ...]]] = field(default_factory=list)
    told: list[tuple[bool, tuple[Client, ...]]] = field(default_factory=list)
    seen: HeavyHitters = field(default_factory=lambda: HeavyHitters(COUNTED))
    days: dict[Client, ClientDay] = field(default_factory=dict)
    total: Past = field(default_factory=Past)
    past: Past = field(default_factory=Past)
    drawn: list[tuple[int, list[float]]] = field(default_factory=list)

    def take(self, arrival: Arrival, clients: tuple[Client, ...]) -> None:
        """Count a prediction or an outcome of some clients."""
        row = arrival.row
        if arrival.outcome or row.truth or row.feedback:
            self._outcome(row, clients)
        if arrival.outcome or not (row.features or row.embedding):
            return
        self.waiting.append((row, clients))
        if len(self.waiting) >= (BLOCK if self.space is not None else LEARNED):
            self.settle()

    def _outcome(self, row: RecordRow, clients: tuple[Client, ...]) -> None:
        was = _contradicted(row)
        if was is not None:
            self.told.append((was, clients))
        if len(self.told) >= BLOCK:
            self._tell()

    def _tell(self) -> None:
        """Count truths that wait."""
        told, self.told = self.told, []
        self.total.told += len(told)
        self.total.wrong += sum(was for was, _ in told)
        for client in self._followed([clients for _, clients in told]):
            mine = [was for was, clients in told if client in clients]
            self.days[client].told += len(mine)
            self.days[client].wrong += sum(mine)

    def settle(self) -> None:
        """Count what waits; inputs not before there are enough to learn the space from."""
        self._tell()
        if self.space is None:
            if len(self.waiting) < LEARNED:
                return
            self.space = InputSpace.learn(_inputs([row for row, _ in self.waiting]))
        rows, self.waiting = self.waiting, []
        for start in range(0, len(rows), BLOCK):
            self._place(self.space, rows[start : start + BLOCK])

    def _place(self, space: InputSpace, rows: Sequence[tuple[RecordRow, tuple[Client, ...]]]) -> None:
        if not rows or not space.axes:
            return
        columns = columns_of([row for row, _ in rows], space.names)
        said = [saying(row.prediction) for row, _ in rows]
        sure = [
            confidence(each, np.nan if row.score is None else row.score)
            for each, (row, _) in zip(said, rows, strict=True)
        ]
        asked = Asked(
            space.points(columns),
            [_digest(row) for row, _ in rows],
            ["" if each.label is None and not each.two else str(each.label or each.number) for each in said],
            np.array([np.nan if each is None else each for each in sure], "f8"),
        )
        cells = space.cells(columns)
        self.total.rows += len(rows)
        self.total.cells += np.bincount(cells.ravel(), minlength=CELLS)
        for (row, _), point in zip(rows, asked.points, strict=True):
            if len(self.drawn) < DRAWN or -row.rank > self.drawn[0][0]:
                heapq.heappush(self.drawn, (-row.rank, point.tolist()))
        while len(self.drawn) > DRAWN:
            heapq.heappop(self.drawn)
        for client in self._followed([clients for _, clients in rows]):
            mine = [at for at, (_, clients) in enumerate(rows) if client in clients]
            if mine:
                inputs = self.days[client].inputs
                before = inputs.flips
                inputs.fold(asked.of(mine), cells[mine])
                self.total.flips += inputs.flips - before

    def _followed(self, rows: Sequence[Iterable[Client]]) -> list[Client]:
        """Clients of some rows that are followed; a more active one takes the place of the least active."""
        counts = Counter(f"{tag}\0{value}" for clients in rows for tag, value in clients)
        self.seen.add(counts)
        found = []
        for word in sorted(counts):
            tag, _, value = word.partition("\0")
            client = (tag, value)
            if client not in self.days and self.seen.counts.get(word, 0) >= LEAST:
                self._admit(client, self.seen.counts[word])
            if client in self.days:
                found.append(client)
        return found

    def _admit(self, client: Client, count: int) -> None:
        if len(self.days) >= MOST:
            least = min(self.days, key=lambda each: (self.days[each].size, each))
            if self.days[least].size + LEAST >= count:
                return
            del self.days[least]
        self.days[client] = ClientDay()

    def signs(self, suspects: Iterable[Client]) -> dict[Client, list[Sign]]:
        """What each followed client shows; `suspects` are no measure for others."""
        known = frozenset(suspects)
        clean = {client: _highest(day) for client, day in self.days.items() if client not in known}
        found = {}
        drawn = np.array([point for _, point in self.drawn])
        for client, day in self.days.items():
            if not day.grown():
                continue
            others = [day for other, day in self.days.items() if other != client and other in known]
            peers = self._peers(client, day, clean, others, drawn)
            if self.past.days or sum(other != client for other in clean) >= HANDFUL:
                found[client] = [each for each in _signs(day, peers) if each is not None]
        return found

    def _peers(
        self, client: Client, day: ClientDay, clean: Mapping[Client, Highest], suspects: Sequence[ClientDay], drawn: F8
    ) -> Peers:
        """All but one client, and but for those that are suspected."""
        out = [day, *suspects]
        highest = self.past.highest
        for other, each in clean.items():
            highest = highest.of(each) if other != client else highest
        cells = self.total.cells + self.past.cells - sum((each.inputs.cells for each in out), np.zeros(CELLS))
        return Peers(
            np.maximum(cells, 0.0).reshape(day.inputs.squares.shape),
            self.total.rows + self.past.rows - sum(each.inputs.rows for each in out),
            max(self.total.flips + self.past.flips - sum(each.inputs.flips for each in out), 0.0),
            self.total.told + self.past.told - sum(each.told for each in out),
            max(self.total.wrong + self.past.wrong - sum(each.wrong for each in out), 0.0),
            highest,
            drawn,
        )

    def turn(self, suspects: Iterable[Client]) -> None:
        """End a day: what was well of it joins the days before."""
        self.settle()
        bad = frozenset(suspects)
        before, today = self.past, self.total
        out = [day for client, day in self.days.items() if client in bad]
        highest = before.highest.faded(0.97)
        for client, day in self.days.items():
            if client not in bad:
                highest = highest.of(_highest(day, self._ratio(client, day)))
        self.past = Past(
            FADE * before.cells
            + np.maximum(today.cells - sum((each.inputs.cells for each in out), np.zeros(CELLS)), 0.0),
            FADE * before.rows + today.rows - sum(each.inputs.rows for each in out),
            FADE * before.flips + max(today.flips - sum(each.inputs.flips for each in out), 0.0),
            FADE * before.told + today.told - sum(each.told for each in out),
            FADE * before.wrong + today.wrong - sum(each.wrong for each in out),
            highest,
            before.days + 1,
        )
        self.total, self.days, self.seen = Past(), {}, HeavyHitters(COUNTED)
        if self.past.days % ANEW == 0:
            self.space, self.drawn = None, []
            self.past = Past(told=self.past.told, wrong=self.past.wrong, highest=highest, days=self.past.days)

    def _ratio(self, client: Client, day: ClientDay) -> float:
        found = coverage_of(day.inputs, self._peers(client, day, {}, [], np.zeros((0, 0))))
        return found.ratio if found is not None else 0.0

    def snapshot(self) -> dict[str, Any]:
        """All state, as a tree."""
        return {
            "space": None if self.space is None else self.space.snapshot(),
            "waiting": [[list(row), [list(each) for each in clients]] for row, clients in self.waiting],
            "told": [[was, [list(each) for each in clients]] for was, clients in self.told],
            "seen": [dict(self.seen.counts), self.seen.lost, self.seen.total],
            "days": [
                [list(client), day.inputs.snapshot(), day.told, day.wrong, day.judged]
                for client, day in self.days.items()
            ],
            "total": _past_tree(self.total),
            "past": _past_tree(self.past),
            "drawn": [[rank, point] for rank, point in self.drawn],
        }

    @staticmethod
    def back(state: Mapping[str, Any]) -> ModelClients:
        """A state back from a snapshot."""
        return ModelClients(
            None if state["space"] is None else InputSpace.back(state["space"]),
            [(RecordRow(*row), tuple((tag, value) for tag, value in clients)) for row, clients in state["waiting"]],
            [(was, tuple((tag, value) for tag, value in clients)) for was, clients in state["told"]],
            HeavyHitters(COUNTED, *state["seen"]),
            {(of[0], of[1]): ClientDay(ClientInputs.back(inputs), *counts) for of, inputs, *counts in state["days"]},
            _past_back(state["total"]),
            _past_back(state["past"]),
            [(rank, point) for rank, point in state["drawn"]],
        )


def _signs(day: ClientDay, peers: Peers) -> list[Sign | None]:
    flips = probing(day.inputs, peers)
    around = None if flips is not None else inversion(day.inputs, peers)
    return [extraction(day.inputs, peers), flips, around, poisoning(day.told, day.wrong, peers)]


def _highest(day: ClientDay, ratio: float = 0.0) -> Highest:
    inputs = day.inputs
    return Highest(
        ratio,
        inputs.flips / inputs.rows if inputs.rows >= LEAST_ROWS else 0.0,
        float(inputs.around),
        day.wrong / day.told if day.told >= LEAST_ROWS else 0.0,
        float(inputs.rows),
    )


def _contradicted(row: RecordRow) -> bool | None:
    """Whether truth or feedback says that the model was wrong; None where it says neither."""
    was = right(saying(row.prediction), saying(row.truth))
    if was is not None:
        return not was
    told = [number for number in verdicts(row.feedback).values() if number in (0.0, 1.0)]
    return None if not told else not any(told)


def _digest(row: RecordRow) -> int:
    """What is the same for equal inputs."""
    return crc32(row.features.encode()) << 32 | crc32(row.embedding)


def _inputs(rows: Sequence[RecordRow]) -> dict[str, list[Any]]:
    columns = columns_of(rows)
    return {name: column for name, column in columns.items() if name not in ("prediction", "score", TEXT)}


def _past_tree(past: Past) -> list[Any]:
    highest = [getattr(past.highest, name) for name in Highest.__slots__]
    return [past.cells.copy(), past.rows, past.flips, past.told, past.wrong, highest, past.days]


def _past_back(state: Sequence[Any]) -> Past:
    cells, rows, flips, told, wrong, highest, days = state
    return Past(np.array(cells, "f8"), rows, flips, told, wrong, Highest(*highest), days)
