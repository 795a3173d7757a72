"""A real `tocsin serve` as a child of the tests: started on free ports, asked over HTTP, ended by SIGTERM."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import httpx2
import psutil

PYTHON = sys.executable
TOCSIN = str(Path(sys.executable).with_name("tocsin"))
START_S = 180
LOOPBACK = "127.0.0.1"


def free_ports(count, host=LOOPBACK):
    """Ports that nobody has at the moment."""
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind((host, 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def until(found, timeout_s=30.0, every_s=0.1):
    """What `found` gives as soon as it gives something; its last (empty) answer after the time is over."""
    deadline = time.monotonic() + timeout_s
    while True:
        answer = found()
        if answer or time.monotonic() > deadline:
            return answer
        time.sleep(every_s)


class Server:
    """One `tocsin serve`; start it anew on the same data and ports as often as you like."""

    def __init__(self, path, kernels, config=None, *, host=LOOPBACK, host_metrics=False, environment=None):
        self.data = path / "data"
        self.host = host
        self.port, self.otlp_port, self.grpc_port = free_ports(3, host)
        self.url = f"http://{host}:{self.port}"
        self.path = path
        self.command = [TOCSIN, "serve", "--data", str(self.data), "--host", host, "--port", str(self.port)]
        self.command += ["--otlp-http-port", str(self.otlp_port), "--otlp-grpc-port", str(self.grpc_port)]
        self.command += [] if host_metrics else ["--no-host-metrics"]
        if config is not None:
            (path / "tocsin.yaml").write_text(config)
            self.command += ["--config", str(path / "tocsin.yaml")]
        # kernels are compiled once for all servers of all runs
        self.environment = {**os.environ, "NUMBA_CACHE_DIR": str(kernels), **(environment or {})}
        self.key = ""
        self.lines = []
        self.process = None
        self.http = httpx2.Client(base_url=self.url, timeout=60)

    def launch(self):
        """Start it without waiting."""
        self.lines = []
        with (self.path / "serve.log").open("ab") as log:
            self.process = subprocess.Popen(
                self.command, stdout=subprocess.PIPE, stderr=log, env=self.environment, text=True, cwd=self.path
            )
        return self.process

    def start(self):
        """Start it and wait for its `ready:`."""
        self.launch()
        watchdog = threading.Timer(START_S, self.process.kill)
        watchdog.start()
        for line in self.process.stdout:
            self.lines.append(line.strip())
            if line.startswith("ready:"):
                break
        watchdog.cancel()
        assert self.lines, self.log()
        assert self.lines[-1] == f"ready: {self.url}", (self.lines, self.log())
        return self

    def family(self):
        """The processes of this server that live."""
        root = psutil.Process(self.process.pid)
        return [root, *root.children(recursive=True)]

    def child(self, name):
        """Its process `hot` or `cold`."""
        for each in psutil.Process(self.process.pid).children():
            with suppress(psutil.NoSuchProcess):  # it died under our eyes
                if f"tocsin.app.{name}" in each.cmdline():
                    return each
        return None

    def stop(self):
        """End it as systemd would, and see that it ends well and leaves nobody behind."""
        family = self.family()
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(60)
        self.process.stdout.close()
        _, left = psutil.wait_procs(family, timeout=5)
        assert code == 0, self.log()
        assert not left, [each.cmdline() for each in left]

    def close(self):
        """End whatever is left of it."""
        self.http.close()
        if self.process is None:
            return
        if self.process.poll() is None:
            self.stop()
        elif not self.process.stdout.closed:
            self.process.stdout.close()

    def log(self):
        """What it wrote on stderr."""
        return (self.path / "serve.log").read_text(errors="replace")[-6000:]

    def run(self, *arguments, check=True):
        """Run a command of `tocsin` against this server; the finished process."""
        environment = {**self.environment, "TOCSIN_URL": self.url, "TOCSIN_KEY": self.key}
        done = subprocess.run(
            [TOCSIN, *map(str, arguments)], env=environment, capture_output=True, timeout=120, check=False
        )
        assert not check or done.returncode == 0, done.stderr.decode()
        return done

    def rows(self, kind, *arguments):
        """Rows of an export by the command line."""
        return [json.loads(line) for line in self.run("export", kind, *arguments).stdout.splitlines()]

    def get(self, path, **params):
        """The JSON document at a path of the API."""
        answer = self.http.get(path, params=params, headers=self.headers())
        assert answer.status_code == 200, answer.text
        return answer.json()

    def headers(self):
        """What shows its key."""
        return {"authorization": f"Bearer {self.key}"} if self.key else {}

    def export(self, kind, **params):
        """Rows of an export over HTTP: cheap enough to be asked again and again."""
        answer = self.http.get(f"/api/export/{kind}", params=params, headers=self.headers())
        assert answer.status_code == 200, answer.text
        return [json.loads(line) for line in answer.text.splitlines()]

    def metric(self, name, **labels):
        """Sum of one of its own metrics over all series with these labels."""
        answer = self.http.get("/metrics", headers=self.headers())
        total = 0.0
        for line in answer.text.splitlines():
            head, _, value = line.rpartition(" ")
            bare = head.partition("{")[0]
            if bare == name and all(f'{key}="{wanted}"' in head for key, wanted in labels.items()):
                total += float(value)
        return total

    def rss_bytes(self):
        """Resident memory of all its processes."""
        return sum(each.memory_info().rss for each in self.family())
