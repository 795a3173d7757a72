"""Kill -9 to any process of a loaded server, again and again: nothing acknowledged lost, nothing stored or judged twice."""

import os
import random
import subprocess
import time
from collections import Counter

import httpx2
import psutil
import pytest

from system.otlp_json import gauge, request
from system.server import Server, until
from tocsin.journal import SegmentReader
from tocsin.model.series import Catalog
from tocsin.testing.kill import kill_repeatedly

KILLS = int(os.environ.get("TOCSIN_KILLS", "3"))
PER_REQUEST = 20
SERIES = 4
CONFIG = """
monitors:
  - {name: steps, signal: kill.number, aggregate: last, window: {size: 1s, step: 1s}, detect: {threshold: {above: 1e12}}}
"""


class ServerVictim:
    """A whole server; who of it dies is drawn, the rest of it then has to go on with what is left."""

    def __init__(self, server, seed):
        self.server = server
        self.rng = random.Random(seed)
        self.met = Counter()
        self.next = 0

    def start(self):
        if self.server.process is None or self.server.process.poll() is not None:
            self.end_rest()
            self.server.start()
        else:
            assert until(lambda: self.server.child("hot") and self.server.child("cold"))
        return _Death(self, self.rng.choice(["hot", "cold", "supervisor", "all"]))

    def end_rest(self):
        """Children of a killed supervisor end by themselves; none may still hold the data when we start again."""
        if self.server.process is not None:
            self.server.process.stdout.close()
            _, left = psutil.wait_procs(self.family, timeout=40)
            assert not left, "children outlived their supervisor"

    def load(self, death, acknowledge):
        with httpx2.Client(base_url=self.server.url, timeout=10) as client:
            while death.poll() is None:
                numbers = range(self.next, self.next + PER_REQUEST)
                self.next += PER_REQUEST
                now = time.time_ns()
                points = [(now + i, n, {"lane": str(n % SERIES)}) for i, n in enumerate(numbers)]
                body = request("kill", gauge("kill.number", points))
                if self.accepted(client, body, death):
                    for number in numbers:
                        acknowledge(number)

    def accepted(self, client, body, death):
        """Send until it is acknowledged; what got no answer may be there or not, and is not sent again."""
        while death.poll() is None:
            try:
                answer = client.post("/v1/metrics", json=body)
            except httpx2.TransportError:
                return False
            if answer.status_code == 200:
                return True
            assert answer.status_code in (429, 502, 503), answer.text
            time.sleep(0.05)
        return False

    def answers(self):
        """Whether the store's process is there and has looked at both logs."""
        text = self.server.http.get("/metrics", headers=self.server.headers()).text
        return text.count("tocsin_store_lag_records{") == 2

    def kept(self):
        """Numbers of all points that are stored, after a last start."""
        self.start()
        assert until(self.answers, 60), self.server.log()  # the last kill may have met the store's process alone
        assert until(lambda: self.server.metric("tocsin_store_lag_records") == 0, 60), self.server.log()
        return [int(row["value"]) for row in self.server.export("points", signal="kill.number")]


class _Death(subprocess.Popen):
    """Stands in for the process that the harness kills: here, one or more processes of a server."""

    def __init__(self, victim, who):
        self.victim, self.who, self.done = victim, who, False

    def poll(self):
        return -9 if self.done else None

    def send_signal(self, number):
        server = self.victim.server
        self.victim.met[self.who] += 1
        self.victim.family = server.family()
        targets = {
            "hot": lambda: [server.child("hot")],
            "cold": lambda: [server.child("cold")],
            "supervisor": lambda: [psutil.Process(server.process.pid)],
            "all": server.family,
        }[self.who]()
        for each in targets:
            if each is not None:
                each.send_signal(number)

    def wait(self, timeout=None):
        self.done = True
        if self.who in ("supervisor", "all"):
            self.victim.server.process.wait(timeout)

    def __del__(self):
        pass


def rounds(kernels, path, kills, seed):
    server = Server(path, kernels, CONFIG)
    victim = ServerVictim(server, seed)
    began = time.monotonic()
    try:
        report = kill_repeatedly(victim, kills, seed, delay_s=(0.05, 2.0))
        print(f"{report}; {dict(victim.met)}; {time.monotonic() - began:.0f} s")
        assert report.passed, str(report)
        assert report.acknowledged >= PER_REQUEST * kills
        scores = server.export("scores", signal="kill.number")
        counts = Counter((row["monitor"], str(row["labels"]), row["time"]) for row in scores)
        assert counts
        assert set(counts.values()) == {1}, "a window was judged twice"
    finally:
        server.close()
    causes = causes_of(server.data / "output")
    assert len(causes) > kills
    assert causes == sorted(set(causes)), "an entry had consequences twice"


def causes_of(path):
    reader = SegmentReader(path, Catalog())
    found, offset = [], reader.first()
    while records := reader.read(offset):
        found += [record.entry.cause for record in records]
        offset = records[-1].offset + 1
    reader.close()
    return found


@pytest.mark.system
def test_kills_lose_nothing_and_double_nothing(kernels, tmp_path):
    rounds(kernels, tmp_path, KILLS, seed=5)


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_fifty_kills(kernels, tmp_path):
    rounds(kernels, tmp_path, max(KILLS, 50), seed=6)
