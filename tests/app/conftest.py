"""A server of stand-ins, watched through its two streams."""

from __future__ import annotations

import os
import queue
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

WAIT_S = 120.0


class FakeServer:
    """A running `serve_fake.py`; lines are waited for, never slept for."""

    def __init__(self, data: Path, port: int, host: str = "127.0.0.1") -> None:
        script = Path(__file__).with_name("serve_fake.py")
        command = [sys.executable, str(script), str(data), str(port), host]
        self.temporary = data / "tmp"
        self.temporary.mkdir(exist_ok=True)
        self.process = subprocess.Popen(
            command,
            env=os.environ | {"TMPDIR": str(self.temporary)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.lines: queue.Queue[str] = queue.Queue()
        self.seen: list[str] = []
        self.passed: list[str] = []
        self._readers = [
            threading.Thread(target=self._read, args=(stream, mark), daemon=True)
            for stream, mark in ((self.process.stdout, "out: "), (self.process.stderr, "err: "))
        ]
        for reader in self._readers:
            reader.start()

    def _read(self, stream, mark: str) -> None:
        for line in stream:
            self.lines.put(mark + line.rstrip("\n"))

    def until(self, text: str) -> str:
        """The first line with this text that was not asked for before; the two streams may come in any order."""
        for line in self.passed:
            if text in line:
                self.passed.remove(line)
                return line
        while True:
            try:
                line = self.lines.get(timeout=WAIT_S)
            except queue.Empty:
                pytest.fail(f"never said {text!r}: {self.seen}")
            self.seen.append(line)
            if text in line:
                return line
            self.passed.append(line)

    def pid(self, text: str) -> int:
        return int(self.until(text).rsplit(" ", 1)[1])

    def both_started(self) -> dict[str, int]:
        found = {}
        while len(found) < 2:
            _, name, _, pid = self.until(" started ").split(" ")
            found[name] = int(pid)
        return found

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def end(self) -> int:
        code = self.process.wait(WAIT_S)
        for reader in self._readers:
            reader.join(WAIT_S)
        while not self.lines.empty():
            self.seen.append(self.lines.get())
        return code

    def close(self) -> None:
        self.process.kill()
        self.end()
        self.process.stdout.close()
        self.process.stderr.close()


@pytest.fixture
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def start(tmp_path):
    running = []

    def begin(port: int, host: str = "127.0.0.1") -> FakeServer:
        server = FakeServer(tmp_path, port, host)
        running.append(server)
        return server

    yield begin
    for server in running:
        server.close()
