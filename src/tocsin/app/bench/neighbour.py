"""What a destination that never answers costs those who are told beside it."""

from __future__ import annotations

import asyncio
import tempfile
import time
from pathlib import Path
from statistics import median
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

    async def told_s(self, step: Transition) -> float:
        """Seconds from the commit of an incident with its messages until the good destination has it."""
        self._offset += 1
        self._clock.advance(SECOND)
        messages = self._policy.fold([step], self._clock.now(), tick=False)
        self._good.came.clear()
        self.store.commit("incidents", self._offset, incidents=[step.incident], messages=messages)
        began = time.perf_counter()
        while not self._good.came.is_set():
            await self.box.drain()
            await asyncio.sleep(0)
        return time.perf_counter() - began


def added_ms(steps: list[Transition]) -> float:
    """Median of the time to the good destination beside a dead one, less that without it, in ms; taken in turns.

    `steps` open incidents; the first `WARM` are not counted.
    """
    return asyncio.run(_added_ms(steps))


async def _added_ms(steps: list[Transition]) -> float:
    with tempfile.TemporaryDirectory() as place:
        desks = [_Desk(Path(place) / f"{dead}.db", steps, dead=dead) for dead in (False, True)]
        took: list[list[float]] = [[], []]
        for step in steps:
            for seconds, desk in zip(took, desks, strict=True):
                seconds.append(await desk.told_s(step))
        for desk in desks:
            await desk.box.close()
            desk.store.close()
    alone, beside = (median(each[WARM:]) for each in took)
    return 1000 * (beside - alone)
