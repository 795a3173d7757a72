"""A real PostgreSQL server for tests: Debian's programs, one server, every database a copy of one that was migrated."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import socket
import subprocess
import tempfile
from pathlib import Path

import psycopg

from tocsin.store.state import StateStore

USER = "tocsin"
_OPTIONS = (
    "fsync=off",  # the machine does not fall over in a test; what a killed server loses is not changed by it
    "autovacuum=off",
    "shared_buffers=16MB",
    "max_connections=60",
    "max_wal_size=128MB",
    "wal_level=minimal",
    "max_wal_senders=0",
    "timezone=UTC",
)


def programs() -> Path | None:
    """Where Debian keeps `initdb` and `postgres`, the newest version first."""
    for found in sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True):
        if (found / "postgres").exists():
            return found
    path = shutil.which("postgres")
    return Path(path).parent if path else None


class Server:
    """One server in a directory of its own; `kill` and `start` are what a failing machine does."""

    def __init__(self, bin_dir: Path) -> None:
        self._bin = bin_dir
        self._root = Path(tempfile.mkdtemp(prefix="tocsin-pg-", dir="/tmp"))
        self._as: list[str] = []
        if os.getuid() == 0:  # the server refuses to be root
            self._as = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
            os.chown(self._root, 65534, 65534)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self._numbers = itertools.count(1)
        self._data = self._root / "data"
        initdb = [self._bin / "initdb", "-D", self._data, "-U", USER, "-A", "trust", "--no-sync", "-E", "UTF8"]
        self._run([*initdb, "--locale=C", "--no-instructions"])
        self.process: subprocess.Popen[bytes] | None = None
        self.start()
        self._sql("CREATE DATABASE migrated")
        StateStore(self.url("migrated")).close()

    def _run(self, command: list[str | Path]) -> None:
        env = {"PATH": f"{self._bin}:/usr/bin:/bin", "LC_ALL": "C"}
        subprocess.run([*self._as, *command], check=True, capture_output=True, env=env, cwd=self._root)

    def start(self) -> None:
        """Start it, and wait until it answers."""
        options = [part for option in _OPTIONS for part in ("-c", option)]
        listening = ["-p", str(self.port), "-k", str(self._root), "-c", "listen_addresses=127.0.0.1"]
        env = {"PATH": "/usr/bin:/bin", "LC_ALL": "C"}
        with (self._root / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [*self._as, self._bin / "postgres", "-D", self._data, *listening, *options],
                stdout=log,
                stderr=log,
                env=env,
                cwd=self._root,
            )
        self._run(
            [
                "sh",
                "-c",
                f"for i in $(seq 600); do pg_isready -q -h 127.0.0.1 -p {self.port} && exit 0; sleep 0.05; done; exit 1",
            ]
        )

    def stop(self, how: signal.Signals = signal.SIGQUIT) -> None:
        """End it at once (SIGQUIT: without a checkpoint, as after a crash) and wait until it is gone."""
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait(60)
            self.process = None

    def url(self, name: str) -> str:
        """Address of a database."""
        return f"postgresql://{USER}@127.0.0.1:{self.port}/{name}"

    def empty(self) -> str:
        """Address of a new database without any table."""
        name = f"e{next(self._numbers)}"
        self._sql(f"CREATE DATABASE {name}")
        return self.url(name)

    def fresh(self) -> str:
        """Address of a new database with the tables of this program, all empty."""
        name = f"t{next(self._numbers)}"
        self._sql(f"CREATE DATABASE {name} TEMPLATE migrated STRATEGY FILE_COPY")
        return self.url(name)

    def _sql(self, statement: str) -> None:
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(statement)

    def close(self) -> None:
        """End it and leave nothing behind."""
        self.stop()
        shutil.rmtree(self._root)
