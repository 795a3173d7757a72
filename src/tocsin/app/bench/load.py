"""The load: a process of its own that sends prepared requests. `python -m tocsin.app.bench.load FILE PORT HEADERS`."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Sequence
from http.client import HTTPConnection
from pathlib import Path

from tocsin.app.bench.bodies import Body, load_bodies

_TRIES = 600
_TIMEOUT_S = 60.0


class Sender:
    """Sends the requests of one connection, one after another, and again where the server is overloaded."""

    def __init__(self, port: int, headers: dict[str, str], bodies: Sequence[Body], turns: int) -> None:
        self._connection = HTTPConnection("127.0.0.1", port, timeout=_TIMEOUT_S)
        self._headers = headers
        self._bodies: list[list[Body]] = [[] for _ in range(turns)]
        for body in bodies:
            self._bodies[body.turn].append(body)
        self.rows = 0
        self.again = 0
        self.failed = ""

    def run(self, turn_over: threading.Barrier) -> None:
        """Send everything, turn by turn with the others, or stop at an answer that is neither success nor `again`."""
        # event time goes on everywhere at once, as with senders that are alive: else what lags behind came too late
        for bodies in self._bodies:
            for body in bodies:
                if not self.failed:
                    self._try(body)
            turn_over.wait()

    def _try(self, body: Body) -> None:
        try:
            self._send(body)
        except OSError as lost:
            self.failed = f"{body.path}: {lost}"

    def _send(self, body: Body) -> None:
        pause = threading.Event()
        for _ in range(_TRIES):
            self._connection.request("POST", body.path, body.content, self._headers)
            answer = self._connection.getresponse()
            text = answer.read()
            if answer.status < 300:
                self.rows += body.rows
                return
            if answer.status not in (429, 503):
                self.failed = f"{body.path}: {answer.status} {text[:300]!r}"
                return
            self.again += 1
            pause.wait(0.1)
        self.failed = f"{body.path}: refused {_TRIES} times as overloaded"


def main(argv: Sequence[str]) -> int:
    """Read everything, say so, wait for a line, send, and print what happened as JSON."""
    file, port, headers = argv
    lanes: dict[int, list[Body]] = {}
    for body in load_bodies(Path(file)):
        lanes.setdefault(body.lane, []).append(body)
    turns = 1 + max(body.turn for bodies in lanes.values() for body in bodies)
    senders = [Sender(int(port), json.loads(headers), bodies, turns) for bodies in lanes.values()]
    turn_over = threading.Barrier(len(senders))
    sys.stdout.write("loaded\n")
    sys.stdout.flush()
    sys.stdin.readline()
    threads = [threading.Thread(target=sender.run, args=(turn_over,)) for sender in senders]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    told = {
        "rows": sum(sender.rows for sender in senders),
        "again": sum(sender.again for sender in senders),
        "failed": next((sender.failed for sender in senders if sender.failed), ""),
    }
    sys.stdout.write(json.dumps(told) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
