"""What a destination that never answers costs those who are told beside it."""

from __future__ import annotations

import asyncio
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles
from typing import Final

from tocsin.incident.outbox import Outbox
from tocsin.incident.policy import Policy
from tocsin.model.clock import SECOND, ManualClock
from tocsin.model.destination import Receipt
from tocsin.model.message import Message
from tocsin.model.transition import Transition
from tocsin.spec.destination import RouteSpec
from tocsin.store.state import StateStore

WARM: Final = 30
"""Incidents that are told and not counted."""
GOOD, DEAD = "good", "dead"


class _Good:
    """Takes every message at once, and says so."""

    name, resend_s = GOOD, 0.0

    def __init__(self) -> None:
        self.came = asyncio.Event()

    async def send(self, message: Message, thread: str, now: int) -> Receipt:
        """Take it."""
        del message, thread, now
        self.came.set()
        return Receipt("ok")

    async def close(self) -> None:
        """Nothing is open."""


class _Dead:
    """Never answers."""

    name, resend_s = DEAD, 0.0

    async def send(self, message: Message, thread: str, now: int) -> Receipt:
        """Wait for ever."""
        del message, thread, now
        await asyncio.Event().wait()
        return Receipt("never")

    async def close(self) -> None:
        """Nothing is open."""


class _Desk:
    """A store, its outbox, and incidents that are opened one after another."""

    def __init__(self, path: Path, steps: list[Transition], *, dead: bool) -> None:
        self.store = StateStore(f"sqlite:///{path}")
        self._clock = ManualClock(steps[0].at)
        self._policy = Policy([RouteSpec(to=[GOOD, DEAD] if dead else [GOOD], cooldown=0)])
        self._good = _Good()
        self.box = Outbox(self.store, {GOOD: self._good} | ({DEAD: _Dead()} if dead else {}), self._clock)
        self._offset = 0
        self.took: list[tuple[float, float]] = []

    async def tell(self, step: Transition) -> None:
        """Commit an incident with its messages, and note the seconds until the good destination has it, of wall and of CPU."""
        self._offset += 1
        self._clock.advance(SECOND)
        messages = self._policy.fold([step], self._clock.now(), tick=False)
        self._good.came.clear()
        self.store.commit("incidents", self._offset, incidents=[step.incident], messages=messages)
        began, spent = time.perf_counter(), time.process_time()
        while not self._good.came.is_set():
            await self.box.drain()
            await asyncio.sleep(0)
        self.took.append((time.perf_counter() - began, time.process_time() - spent))
        await self.box.idle(GOOD)

    async def close(self) -> None:
        """End it."""
        await self.box.close()
        self.store.close()


@dataclass(frozen=True, slots=True)
class Added:
    """What is added to one telling, in ms: median of differences to the same telling alone, and their middle half.

    `times` is the median CPU time over that of a telling alone.
    """

    wall: float
    wall_spread: float
    cpu: float
    times: float

    @staticmethod
    def of(beside: _Desk, alone: _Desk) -> Added:
        """The differences of one desk to another, telling by telling."""
        pairs = list(zip(beside.took[WARM:], alone.took[WARM:], strict=True))
        wall = [1000 * (each[0] - other[0]) for each, other in pairs]
        lower, _, upper = quantiles(wall, n=4)
        cpu = [[each[1] for each in desk.took[WARM:]] for desk in (beside, alone)]
        added = 1000 * median(each[1] - other[1] for each, other in pairs)
        return Added(median(wall), upper - lower, added, median(cpu[0]) / median(cpu[1]))


def added_ms(steps: list[Transition]) -> tuple[Added, Added]:
    """What a dead destination adds to the time until another has an incident, and a control that adds nothing.

    Three desks tell the same in turns: one alone, one beside a destination that never answers, and a second one alone,
    whose differences to the first are what the machine does by itself. `steps` open incidents; the first `WARM` are not
    counted.
    """
    return asyncio.run(_added_ms(steps))


async def _added_ms(steps: list[Transition]) -> tuple[Added, Added]:
    with tempfile.TemporaryDirectory() as place:
        desks = [_Desk(Path(place) / f"{number}.db", steps, dead=number == 1) for number in range(3)]
        for number, step in enumerate(steps):
            for turn in range(3):  # nobody is always the first
                await desks[(turn + number) % 3].tell(step)
        for desk in desks:
            await desk.close()
    alone, beside, control = desks
    return Added.of(beside, alone), Added.of(control, alone)
