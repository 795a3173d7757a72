"""An action that runs a program of this machine: no shell, an environment of its own, a bound on its time."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Sequence
from typing import Final

from tocsin.model.clock import SECOND
from tocsin.model.errors import Refused
from tocsin.model.text import one_line
from tocsin.respond.matching import as_argument, filled
from tocsin.respond.ports import Order, Plan

PATH: Final = "/usr/local/bin:/usr/bin:/bin"
MOST_BYTES: Final = 4096


class Command:
    """Runs the arguments as they are; the program is told the key, so that it can know a repetition."""

    async def plan(self, order: Order) -> Plan:
        """The arguments with their labels."""
        argv, undo = self._filled(order, order.spec.argv), self._filled(order, order.spec.undo)
        return Plan(argv[0], f"run {' '.join(argv)[:300]}", {"undo": undo}, {"argv": argv}, undo=bool(undo))

    @staticmethod
    def _filled(order: Order, argv: Sequence[str]) -> list[str]:
        return [filled(each, order.labels, as_argument) for each in argv]

    async def run(self, order: Order, plan: Plan) -> str:
        """Run it."""
        return await self._run(order, plan.after["argv"], "apply")

    async def undo(self, order: Order, plan: Plan) -> str:
        """Run what takes it back."""
        return await self._run(order, plan.before["undo"], "undo")

    async def _run(self, order: Order, argv: Sequence[str], operation: str) -> str:
        env = {
            "PATH": PATH,
            "TOCSIN_KEY_OF_ACTION": order.key,
            "TOCSIN_OPERATION": operation,
            "TOCSIN_INCIDENT": order.incident.id,
        }
        try:
            process = await asyncio.create_subprocess_exec(
                *argv,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                env=env,
                cwd="/",
                start_new_session=True,
            )
        except OSError as error:
            raise Refused(f"{argv[0]} can't be run: {error}") from error
        try:
            said = await asyncio.wait_for(_output(process), order.spec.timeout / SECOND)
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
            raise Refused(f"{argv[0]} did not end within {order.spec.timeout / SECOND:g} s and was killed") from None
        if process.returncode:
            raise Refused(f"{argv[0]} ended with {process.returncode}: {said}")
        return f"{argv[0]} ended well: {said}" if said else f"{argv[0]} ended well"


async def _output(process: asyncio.subprocess.Process) -> str:
    assert process.stdout is not None
    kept = b""
    while part := await process.stdout.read(65536):
        kept = (kept + part)[-MOST_BYTES:]  # all is read, so that no program waits for us
    await process.wait()
    return one_line(kept.decode("utf-8", "replace"), 300)
