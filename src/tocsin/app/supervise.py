"""`tocsin serve`: starts the two processes, restarts what dies, and ends both in order.

Children are spawned, never forked, each in its own process group with a pipe on stdin that tells it when this
process is gone. The listening sockets belong to this process: while the hot one restarts, callers wait in the
queue instead of being refused.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import structlog

from tocsin.app.child import BAD_CONFIG, READY
from tocsin.app.settings import SUPERVISOR_FILE, ServeSettings

HOT, COLD = "hot", "cold"
MODULES: Mapping[str, Sequence[str]] = {
    HOT: (sys.executable, "-m", "tocsin.app.start", "tocsin.app.hot"),
    COLD: (sys.executable, "-m", "tocsin.app.start", "tocsin.app.cold"),
}
WORKER: Mapping[str, Sequence[str]] = {HOT: MODULES[HOT]}
"""A worker of a cluster has no cold process."""
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Pace:
    """Times of supervision, in seconds; a process that lived for `steady_s` starts its delays anew."""

    first_delay_s: float = 0.2
    max_delay_s: float = 10.0
    steady_s: float = 60.0
    drain_s: float = 30.0
    attempts: int = 5  # at the start, a process that was never ready and died so often is given up


PACE = Pace()


class Supervisor:
    """Runs the hot and the cold process until a signal, or until one can't be started."""

    def __init__(
        self,
        settings: ServeSettings,
        *,
        commands: Mapping[str, Sequence[str]] = MODULES,
        pass_fds: Sequence[int] = (),
        pace: Pace = PACE,
        on_ready: Callable[[], None] = lambda: None,
        on_drain: Callable[[], None] = lambda: None,
        duration_s: float | None = None,
    ) -> None:
        self._settings = settings
        self._pass_fds = tuple(pass_fds)
        self._pace = pace
        self._on_ready = on_ready
        self._on_drain = on_drain
        self._duration_s = duration_s
        self.stopping = asyncio.Event()
        self.ready = asyncio.Event()
        self._failed = 0
        self._forced = False
        self._was_ready = False
        self._children = {name: _Process(name, command) for name, command in commands.items()}

    async def run(self) -> int:
        """Supervise until the end; gives the exit code: 0 drained, 2 bad configuration, 1 given up or forced."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._on_signal)
        loop.add_signal_handler(signal.SIGHUP, self._on_hangup)
        self._publish()
        tasks = [asyncio.create_task(self._keep(child)) for child in self._children.values()]
        try:
            await self.stopping.wait()
            await self._drain(tasks)
        finally:
            self._kill()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                loop.remove_signal_handler(number)
        return 1 if self._forced else self._failed

    def stop(self) -> None:
        """End as a signal would end it."""
        self.stopping.set()

    def _on_signal(self) -> None:
        if self.stopping.is_set():
            self._forced = True
            _log.warning("forced to stop; what was not yet flushed is read again from the log at the next start")
            self._kill()
        self.stopping.set()

    def _on_hangup(self) -> None:
        for child in self._children.values():
            child.send(signal.SIGHUP)

    def _kill(self) -> None:
        for child in self._children.values():
            child.send(signal.SIGKILL)

    def _fail(self, code: int) -> None:
        self._failed = self._failed or code
        self.stopping.set()

    async def _keep(self, child: _Process) -> None:
        """Start a child, wait for its end, start it again."""
        loop, delay, never_ready = asyncio.get_running_loop(), self._pace.first_delay_s, 0
        while not self.stopping.is_set():
            began = loop.time()
            code = await self._once(child)
            if self.stopping.is_set():
                return
            if not self._was_ready and not child.ready and code == BAD_CONFIG:
                self._fail(BAD_CONFIG)
                return
            never_ready = 0 if child.ready else never_ready + 1
            if never_ready >= self._pace.attempts and not self._was_ready:
                _log.error("a process never got ready and is given up; see its messages above", child=child.name)
                self._fail(1)
                return
            delay = self._pace.first_delay_s if loop.time() - began > self._pace.steady_s else delay
            child.restarts += 1
            self._publish()
            _log.error("a process ended and is started again", child=child.name, exit_code=code, delay_s=delay)
            try:
                await asyncio.wait_for(self.stopping.wait(), delay)
            except TimeoutError:
                delay = min(2 * delay, self._pace.max_delay_s)

    async def _once(self, child: _Process) -> int:
        process = await asyncio.create_subprocess_exec(
            *child.command,
            "--run",
            str(self._settings.run_dir),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            pass_fds=self._pass_fds,
            process_group=0,
        )
        child.started(process)
        if self.stopping.is_set():  # asked to stop while it was being started
            child.send(signal.SIGTERM)
        assert process.stdout is not None
        async for line in process.stdout:
            if line.decode(errors="replace").strip() == READY:
                child.ready = True
                self._check_ready()
        code = await process.wait()
        child.process = None
        return code

    def _check_ready(self) -> None:
        if not self._was_ready and not self.stopping.is_set() and all(c.ready for c in self._children.values()):
            self._was_ready = True
            self.ready.set()
            self._on_ready()
            if self._duration_s is not None:
                asyncio.get_running_loop().call_later(self._duration_s, self.stopping.set)

    async def _drain(self, tasks: Sequence[asyncio.Task[None]]) -> None:
        """End the children one after the other, the hot one first: what it still says, the cold one stores."""
        self._on_drain()
        for child, task in zip(self._children.values(), tasks, strict=True):
            child.send(signal.SIGTERM)
            done, _ = await asyncio.wait({task}, timeout=self._pace.drain_s)
            if not done:
                _log.error("a process did not end in time and is killed", child=child.name)
                self._forced = True
                child.send(signal.SIGKILL)
                await asyncio.wait({task})

    def _publish(self) -> None:
        """Tell the children how often each was restarted (shown in /metrics)."""
        body = {"pid": os.getpid(), "restarts": {name: child.restarts for name, child in self._children.items()}}
        path = self._settings.run_dir / SUPERVISOR_FILE
        fresh = path.with_suffix(".new")
        fresh.write_text(json.dumps(body))
        fresh.replace(path)


class _Process:
    """One child: its process while it runs, whether it said it is ready, how often it was restarted."""

    def __init__(self, name: str, command: Sequence[str]) -> None:
        self.name = name
        self.command = command
        self.process: asyncio.subprocess.Process | None = None
        self.ready = False
        self.restarts = 0

    def started(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.ready = False

    def send(self, number: signal.Signals) -> None:
        if self.process is not None and self.process.returncode is None:
            self.process.send_signal(number)


def make_secret() -> str:
    """A secret that the two processes share for one run."""
    return secrets.token_urlsafe(32)
