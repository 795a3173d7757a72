"""The whole scaled-out form on this machine, with the demo's world: broker, PostgreSQL, two workers, control.

`python -m tests.cluster.whole` (what `make cluster` runs) shows it until Ctrl-C; with `--headless` it plays the story
and prints the incidents as the demo does.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import httpx2

sys.path.insert(0, str(Path(__file__).parents[1]))

import kernel_cache
import postgres
from brokers import PREFIX, KafkaBroker, free_port

kernel_cache.use()
MEMBER = Path(__file__).with_name("member.py")
STORY_S = 19 * 60
CALM = 4
LITTLE = 800.0
BEHIND_S = 600


class Member:
    """One server of the cluster."""

    def __init__(self, root, role, config, clock, port):
        self.role, self.port = role, port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        data = root / f"{role}-{self.port}"
        data.mkdir()
        settings = {
            "data_dir": str(data),
            "run_dir": "/",
            "port": self.port,
            "otlp_http_port": 0,
            "otlp_grpc_port": 0,
            "config_path": str(config),
            "host_metrics": False,
            "page": role == "control",
            "role": role,
            "clock": clock,
        }
        (data / "member.json").write_text(json.dumps(settings))
        self.log = data / "log"
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, str(MEMBER), str(data / "member.json")], stdout=subprocess.PIPE, stderr=log
            )

    def ready(self):
        for line in self._process.stdout:
            if line.startswith(b"ready: "):
                return self
        raise RuntimeError(f"{self.role} did not start:\n{self.log.read_text()[-3000:]}")

    def lags(self):
        """Everything that waits, as its metrics tell; None while they can't be asked."""
        try:
            text = httpx2.get(f"{self.url}/metrics", timeout=30).text
        except httpx2.HTTPError:
            return None
        lines = (line.rpartition(" ") for line in text.splitlines() if not line.startswith("#"))
        return [float(value) for name, _, value in lines if "_lag_records" in name]

    def kill(self):
        """Kill it with all its processes, as a machine that goes away."""
        for line in Path("/proc").glob("[0-9]*/stat"):
            try:
                parent = int(line.read_text().rsplit(")", 1)[1].split()[1])
            except (OSError, ValueError):
                continue
            if parent == self._process.pid:
                os.kill(int(line.parent.name), signal.SIGKILL)
        self._process.kill()
        self._process.wait(30)

    def close(self):
        self._process.terminate()
        try:
            self._process.wait(60)
        except subprocess.TimeoutExpired:
            self.kill()
        self._process.stdout.close()


class Whole:
    """All of it; ends with the block."""

    def __init__(self, stack, *, seed, fault, speed, port=0):
        self.root = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tocsin-cluster-")))
        broker = KafkaBroker(self.root)
        stack.callback(broker.close)
        database = postgres.Server(postgres.programs())
        stack.callback(database.close)
        self.metrics_port = free_port()
        lead_ns = round(STORY_S * 10**9 * max(0.0, 1 - 1 / speed))
        self.clock = {
            "origin_ns": time.time_ns() - lead_ns,
            "started": str(self.root / "world-started"),
            "speed": speed,
        }
        scraped = {"name": "model-server", "type": "prometheus", "interval": "15s"}
        scraped["targets"] = [f"http://127.0.0.1:{self.metrics_port}/metrics"]
        config = {
            "cluster": {
                "brokers": [broker.address],
                "prefix": f"{PREFIX}whole",
                "group": f"{PREFIX}whole",
                "partitions": 4,
                "snapshots": str(self.root / "shared"),
                "session": "10s",
            },
            "state": {"url": database.empty()},
            "sources": [scraped],
        }
        self.config = self.root / "tocsin.yaml"
        self.config.write_text(json.dumps(config))
        self._stack, self._seed, self._fault = stack, seed, fault
        self.control = self._member("control", port)
        self.workers = [self._member("worker"), self._member("worker")]
        for each in (self.control, *self.workers):
            each.ready()

    def _member(self, role, port=0):
        found = Member(self.root, role, self.config, self.clock, port)
        self._stack.callback(found.close)
        return found

    def replace(self, number):
        """Kill a worker, and start another in its place."""
        self.workers[number].kill()
        self.workers[number] = self._member("worker").ready()

    def play(self, hear=lambda _: None):
        """The world's news, one after the other, until the story is over."""
        program = [sys.executable, "-m", "tocsin.demo.world", "--with-parent", "--json", "--history-days", "2"]
        program += ["--otlp", self.workers[0].url, "--api", self.control.url, "--seed", str(self._seed)]
        program += ["--port", str(self.metrics_port), "--clock-origin-ns", str(self.clock["origin_ns"])]
        program += ["--clock-speed", str(self.clock["speed"]), "--clock-started", self.clock["started"]]
        program += ["--no-fault"] if self._fault is None else ["--fault", self._fault]
        world = subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._stack.callback(_end, world)
        for line in world.stdout:
            news = json.loads(line)
            hear(news)
            if news.get("event") == "over":
                return
        raise RuntimeError(f"the world ended with {world.wait()}")

    def settled(self):
        """Wait until nothing waits anywhere."""
        calm, end = 0, time.monotonic() + BEHIND_S
        while calm < CALM:
            if time.monotonic() > end:
                raise RuntimeError(
                    f"still behind: {[(each.role, each.lags()) for each in (self.control, *self.workers)]}"
                )
            time.sleep(1)
            lags = [each.lags() for each in (self.control, *self.workers)]
            calm = calm + 1 if all(found and max(found) <= LITTLE for found in lags) else 0

    def incidents(self):
        """What was opened since the world is live."""
        answer = httpx2.get(f"{self.control.url}/api/export/incidents", params={"format": "jsonl"}, timeout=60)
        answer.raise_for_status()
        origin = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(self.clock["origin_ns"] / 1e9))
        return [found for line in answer.text.splitlines() if (found := json.loads(line))["opened_at"] >= origin]


def _end(process):
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    process.stdin.close()
    process.stdout.close()


def main():
    parser = argparse.ArgumentParser(prog="make cluster")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--no-fault", action="store_true")
    parser.add_argument("--headless", action="store_true", help="play the story, print the incidents, and end")
    parser.add_argument("--kill", action="store_true", help="kill a worker while the story goes on")
    parser.add_argument("--speed", type=float, default=20.0)
    parser.add_argument("--port", type=int, default=8643)
    told = parser.parse_args()
    fault = None if told.no_fault else "prompt"
    with ExitStack() as stack:
        say = lambda text: print(text, file=sys.stderr, flush=True)  # noqa: E731
        say("starting a broker, PostgreSQL, two workers and control ...")
        whole = Whole(stack, seed=told.seed, fault=fault, speed=told.speed, port=0 if told.headless else told.port)
        say(f"ready: {whole.control.url} (workers: {', '.join(each.url for each in whole.workers)})")

        def hear(news):
            event = news.get("event")
            if event == "history":
                say(f"replaying history: {float(news['done']):.0%}")
            elif event != "turn":
                say(f"world: {event} {news.get('kind', '')}")
            if event == "decoy" and told.kill and not getattr(hear, "killed", False):
                hear.killed = True
                whole.replace(0 if told.headless else 1)
                say("a worker was killed and another started in its place")

        whole.play(hear)
        whole.settled()
        print(json.dumps({"incidents": whole.incidents()}), flush=True)
        if not told.headless:
            say("the cluster goes on until Ctrl-C")
            signal.pause()


if __name__ == "__main__":
    main()
