"""Programs under measurement: started for real, with the CPU time and memory of their whole process tree."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

from tocsin.app.settings import environment
from tocsin.model.errors import Unreachable

START_S = 900.0
"""What takes longer to be ready never will be, however busy the machine is."""
STILL_S = 180.0
"""A program that computes nothing for so long waits for something that does not come."""
STOP_S = 60.0
_RESTING = 4
_ROLES = {"tocsin.app.hot": "hot", "tocsin.app.cold": "cold"}


def free_port() -> int:
    """A TCP port of loopback that nobody has at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_until(found: Callable[[], bool], limit_s: float, what: str, every_s: float = 0.02) -> None:
    """Ask until it is so; another process is asked, so real time is all there is.

    Raises
    ------
    Unreachable
        It is not so after `limit_s`.
    """
    pause = threading.Event()
    until = time.monotonic() + limit_s
    while not found():
        if time.monotonic() > until:
            raise Unreachable(f"{what}: not after {limit_s:g} s")
        pause.wait(every_s)


def get(port: int, path: str, timeout_s: float = 30.0) -> tuple[int, bytes]:
    """Status and body of a GET on loopback; status 0 where nobody answers."""
    connection = HTTPConnection("127.0.0.1", port, timeout=timeout_s)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read()
    except (OSError, HTTPException):
        return 0, b""
    finally:
        connection.close()


class Program:
    """A subprocess in a directory of its own, with its output in a file there; ended when the block is left."""

    def __init__(self, arguments: Sequence[str], where: Path, *, environ: dict[str, str] | None = None) -> None:
        where.mkdir(parents=True, exist_ok=True)
        self.log = where / "output.txt"
        self._arguments = list(arguments)
        self._where = where
        self._environ = {**environment(), **(environ or {})}

    def __enter__(self) -> Self:
        self.started_s = time.monotonic()
        with self.log.open("wb") as out:
            self.process = subprocess.Popen(  # noqa: S603 - programs that a bench names, with arguments it made
                self._arguments, stdout=out, stderr=subprocess.STDOUT, cwd=self._where, env=self._environ
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        tree = self.tree()
        self.process.terminate()
        try:
            self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        for left in tree:
            if left.is_running() and left.pid != self.process.pid:
                left.kill()

    def tree(self) -> list[psutil.Process]:
        """The process and all below it."""
        try:
            root = psutil.Process(self.process.pid)
            return [root, *root.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def cpu_s(self) -> dict[str, float]:
        """CPU seconds (user and system) by role of the process; `all` is their sum and never falls.

        What a process that has ended had spent is `other`: a kernel says it of the children its parent waited for.
        """
        found = {"other": 0.0}
        for process in self.tree():
            with suppress(psutil.NoSuchProcess):  # it may end while it is asked
                times = process.cpu_times()
                role = _role(process)
                found[role] = found.get(role, 0.0) + times.user + times.system
                found["other"] += times.children_user + times.children_system
        return {**found, "all": sum(found.values())}

    def memory_bytes(self) -> dict[str, float]:
        """Resident memory by role of the process; shared pages count in each."""
        found: dict[str, float] = {}
        for process in self.tree():
            with suppress(psutil.NoSuchProcess):
                role = _role(process)
                found[role] = found.get(role, 0.0) + process.memory_info().rss
        return found

    def wait(self, found: Callable[[], bool], what: str, every_s: float = 0.02) -> None:
        """Ask until it is so, as long as the program lives and computes: a busy machine takes its time.

        Raises
        ------
        Unreachable
            It ended, did nothing for `STILL_S`, or it is not so after `START_S`.
        """
        used_s, moved_s, looked_s = self.cpu_s()["all"], time.monotonic(), time.monotonic()

        def so() -> bool:
            nonlocal used_s, moved_s, looked_s
            self.check_alive()
            if found():
                return True
            now_s = time.monotonic()
            if now_s - looked_s > 1:
                looked_s, spent_s = now_s, self.cpu_s()["all"]
                if spent_s > used_s:
                    used_s, moved_s = spent_s, now_s
                if now_s - moved_s > STILL_S:
                    raise Unreachable(f"{what}: it has computed nothing for {STILL_S:g} s")
            return False

        wait_until(so, START_S, what, every_s)

    def check_alive(self) -> None:
        """See that it still runs.

        Raises
        ------
        Unreachable
            It ended; the message has the end of its output.
        """
        if self.process.poll() is not None:
            tail = self.log.read_text(errors="replace")[-2000:]
            raise Unreachable(f"{self._arguments[0]} ended with {self.process.returncode}: {tail}")


def _role(process: psutil.Process) -> str:
    try:
        line = process.cmdline()
    except psutil.ZombieProcess:  # ended and not waited for: its times are there, its command is not
        return "other"
    return next((role for module, role in _ROLES.items() if module in line), "other")


class Server(Program):
    """A real `tocsin serve` on free ports, without the machine's own metrics; `cache` None: that of the source tree."""

    def __init__(self, where: Path, cache: Path | None, config: str = "") -> None:
        self.port, self.otlp_port, self.grpc_port = free_port(), free_port(), free_port()
        self.ready_s = 0.0
        self._stored = 0.0
        self._same = 0
        arguments = [sys.executable, "-c", "from tocsin.cli.main import main; main()", "serve"]
        arguments += ["--data", str(where / "data"), "--no-host-metrics", "--port", str(self.port)]
        arguments += ["--otlp-http-port", str(self.otlp_port), "--otlp-grpc-port", str(self.grpc_port)]
        where.mkdir(parents=True, exist_ok=True)
        if config:
            (where / "tocsin.yaml").write_text(config)
            arguments += ["--config", str(where / "tocsin.yaml")]
        super().__init__(arguments, where, environ={"NUMBA_CACHE_DIR": str(cache or "")})

    def __enter__(self) -> Self:
        super().__enter__()
        try:
            self.wait(self._is_ready, "tocsin serve was not ready", 0.005)
        except Unreachable:
            self.__exit__(None, None, None)
            raise
        self.ready_s = time.monotonic() - self.started_s
        return self

    def _is_ready(self) -> bool:
        return b"ready: " in self.log.read_bytes()

    def wait_compiled(self) -> None:
        """Wait for the readers of wire formats, which are compiled aside once after an installation."""
        self.wait(self._is_compiled, "the compiled readers were not there", 0.05)

    def _is_compiled(self) -> bool:
        return b"the compiled readers are " in self.log.read_bytes()

    def metrics(self) -> dict[str, float]:
        """Own metrics of both processes by `name{labels}`."""
        status, body = get(self.port, "/metrics")
        if status != 200:
            return {}
        pairs = (line.rpartition(" ") for line in body.decode().splitlines() if line and not line.startswith("#"))
        return {name: float(value) for name, _, value in pairs}

    def settled(self, table: str, rows: int) -> bool:
        """Whether all of `rows` are stored, nothing waits to be folded in or stored, and nothing more has come of it."""
        found = self.metrics()
        # the lags are as old as the last step of a loop, and a step may be long: so the rows must rest as well
        total = sum(value for name, value in found.items() if _of(name, "tocsin_store_rows_total"))
        self._same = self._same + 1 if total == self._stored else 0
        self._stored = total
        stored = sum(value for name, value in found.items() if _of(name, "tocsin_store_rows_total", f'table="{table}"'))
        lags = [v for n, v in found.items() if n.startswith(("tocsin_store_lag_records", "tocsin_engine_lag_records"))]
        return (
            stored >= rows and len(lags) >= 3 and max(lags) <= 2 and self._same >= _RESTING
        )  # the tick of this second may be under way

    def total(self, name: str, *labels: str) -> float:
        """Sum of a metric over all label sets that hold these labels."""
        return sum(value for key, value in self.metrics().items() if _of(key, name, *labels))


def _of(key: str, name: str, *labels: str) -> bool:
    return key.partition("{")[0] == name and all(label in key for label in labels)
