"""An installation on this machine: PostgreSQL, what speaks ClickHouse's HTTP, one server as control, and replicas beside it."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import time
from contextlib import ExitStack
from pathlib import Path

import httpx2
import psutil

import kernel_cache
import postgres
from store.front_process import FrontProcess
from system.hook import Hook
from system.otlp_json import gauge, request
from system.server import LOOPBACK, START_S, TOCSIN, Server, free_ports, until


class Replica:
    """One `tocsin replica`."""

    def __init__(self, path, config, *, control, environment, host=LOOPBACK, data=None):
        path.mkdir()
        data = data or path / "data"
        (port,) = free_ports(1, host)
        self.url = f"http://{host}:{port}"
        self.log = path / "log"
        command = [TOCSIN, "replica", "--config", str(config), "--data", str(data), "--host", host]
        command += ["--port", str(port), *(["--control", control] if control else [])]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, env=environment)
        self.http = httpx2.Client(base_url=self.url, timeout=60)

    def ready(self):
        """Wait for its `ready:`."""
        line = self.process.stdout.readline().strip()
        assert line == f"ready: {self.url}", (line, self.log.read_text())
        return self

    def close(self):
        """End it as systemd would."""
        self.http.close()
        self.process.stdout.close()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            assert self.process.wait(60) == 0, self.log.read_text()
            assert "Exception in ASGI" not in self.log.read_text()


class House:
    """All of it; control is a `tocsin serve` that has its stores elsewhere."""

    def __init__(self, path: Path, **control):
        self.path = path
        self.database = postgres.Server(postgres.programs())
        (path / "clickhouse").mkdir()
        self.clickhouse = FrontProcess(path / "clickhouse")
        self.hook = Hook()
        self.replicas: list[Replica] = []
        self._numbers = itertools.count(1)
        self.address = self.database.empty()
        config = {
            "state": {"url": self.address},
            "telemetry": {"url": self.clickhouse.url, "cluster": "one"},
            "monitors": [{"name": "too-slow", "signal": "api.latency", "detect": {"threshold": {"above": 1}}}],
            "destinations": [{"name": "hook", "type": "webhook", "url": self.hook.url, "allow": ["127.0.0.0/8"]}],
            "routes": [{"match": {}, "to": ["hook"], "escalate": [{"after": "1h", "to": ["hook"]}]}],
            "teams": [{"name": "ml", "owns": {"service.name": "bot*"}, "false_pages_per_week": 1}],
        }
        (path / "control").mkdir()
        self.control = Server(path / "control", kernel_cache.PLACE, json.dumps(config), **control)
        self.config, self.said = path / "control" / "tocsin.yaml", config

    def replica(self, **settings):
        """Start one more; it is not waited for."""
        environment = {**os.environ, "NUMBA_CACHE_DIR": str(kernel_cache.PLACE)}
        settings = {"control": self.control.url, "environment": environment, **settings}
        found = Replica(self.path / f"replica-{len(self.replicas)}", self.config, **settings)
        self.replicas.append(found)
        return found

    def breach(self, service, value=9.0, at=None):
        """Send what opens an incident of a service, to control or another server."""
        metric = gauge("api.latency", [(time.time_ns(), value, {})], "s")
        to = at or self.control
        answer = to.http.post("/v1/metrics", json=request(service, metric), headers=to.headers())
        assert answer.status_code == 200, answer.text

    def incident(self):
        """An incident of a service that had none, as control shows it; `service` is its name."""
        service = f"bot-{next(self._numbers):03}"
        self.breach(service)
        return {**incident_of(self.control.http, service, self.control.headers()), "service": service}

    def told(self, service, action):
        """Messages that came about a service."""
        return [body for _, _, body in self.hook.posts if service in str(body) and body["action"] == action]

    def kill_control(self):
        """End control as a machine that goes away does."""
        family = self.control.family()
        for each in family:
            each.kill()
        psutil.wait_procs(family, timeout=60)  # until then its port is still held
        self.control.process.wait(60)
        self.control.process.stdout.close()

    def close(self):
        """End everything, also where something of it did not end well."""
        with ExitStack() as stack:
            for end in (self.database.close, self.clickhouse.kill, self.hook.close, self.control.close):
                stack.callback(end)
            for each in self.replicas:
                stack.callback(each.close)


def incident_of(http, service, headers=None):
    """The incident of a service, as soon as one is shown."""

    def found():
        answer = http.get("/api/incidents", headers=headers or {})
        assert answer.status_code == 200, answer.text
        return [each for each in answer.json()["incidents"] if service in each["entities"]]

    rows = until(found, START_S)
    assert rows, service
    return rows[0]
