"""The front of ClickHouse in a process of its own, which can be killed and started on the same directory."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

from store import clickhouse_front
from tocsin.store.cluster import Cluster


class FrontProcess:
    """One front: a port, a directory, what goes wrong."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.start()

    def start(self) -> None:
        command = [sys.executable, clickhouse_front.__file__, str(self.path), str(self.port)]
        with (self.path / "log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log)
        assert self.process.stdout.readline() == b"ready\n", self.said()

    def said(self) -> str:
        """How it ended, if it did, and the last that it wrote."""
        return f"exit code {self.process.poll()}\n{(self.path / 'log').read_text(errors='replace')[-3000:]}"

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(60)
        self.process.stdout.close()

    def fault(self, **faults) -> None:
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/_fault", json.dumps(faults).encode())
        urllib.request.urlopen(request, timeout=60).close()

    @property
    def url(self) -> str:
        """Where it answers; one that ended by itself says here why."""
        assert self.process.poll() is None, self.said()
        return f"clickhouse://{clickhouse_front.USER}:{clickhouse_front.PASSWORD}@127.0.0.1:{self.port}"


def drop(cluster: Cluster) -> None:
    """Leave nothing of an earlier test."""
    client = cluster.client({})
    client.command(f"DROP DATABASE IF EXISTS tocsin ON CLUSTER `{cluster.name}` SYNC")
    client.close()
