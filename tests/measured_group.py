"""What a real broker does to a group of workers, beside what the simulation says: `python tests/measured_group.py FILE`.

Writes the rows that `tocsin bench scale` compares, each with the scenario and what was measured.
"""

import json
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path

from brokers import PREFIX, KafkaBroker
from tocsin.app.scale.scenario import Fault, Scenario

MEMBER = Path(__file__).parent / "group_member.py"
REPEATS = 3
HOW = "bare members, the tests' broker"
# a round of joining at the tests' broker is taken from the member that leaves; all else follows from the settings
USUAL = Scenario(8, 2, 80.0, 120.0, session_s=6.0, heartbeat_s=1.0, snapshot_every_s=5.0, join_s=3.5)
SCENARIOS = {
    "two members, a third comes": replace(USUAL, fault=Fault.JOIN),
    "two members, one leaves": replace(USUAL, fault=Fault.LEAVE),
    "two members, one killed": replace(USUAL, fault=Fault.KILL),
    "four members, one killed": replace(USUAL, workers=4, service_per_s=60.0, fault=Fault.KILL),
}


class Group:
    """Members on a topic of their own, and who writes to it at a steady rate."""

    def __init__(self, broker, scenario, folder):
        self._scenario = scenario
        self._folder = folder
        self._topic = broker.topic(f"{PREFIX}scale-{uuid.uuid4().hex[:8]}", scenario.partitions)
        told = (
            "session_s",
            "heartbeat_s",
            "restore_s",
            "save_s",
            "snapshot_every_s",
            "batch",
            "poll_s",
            "service_per_s",
        )
        self._told = {name: getattr(scenario, name) for name in told}
        self._told |= {"bootstrap": broker.address, "topic": self._topic, "group": self._topic}
        self._producer = broker.producer()
        self._stop = threading.Event()
        self.members = [self.member() for _ in range(scenario.workers)]
        self._writer = threading.Thread(target=self._write)
        self._writer.start()

    def member(self):
        out = (self._folder / f"{uuid.uuid4().hex}.txt").open("w+")
        process = subprocess.Popen(
            [sys.executable, str(MEMBER), json.dumps(self._told)], stdout=out, stderr=subprocess.STDOUT
        )
        return process, out

    def _write(self):
        began, sent = time.monotonic(), 0
        while not self._stop.wait(0.02):
            while sent < (time.monotonic() - began) * self._scenario.arrival_per_s:
                self._producer.produce(self._topic, b"x", partition=sent % self._scenario.partitions)
                sent += 1
            self._producer.poll(0)

    def folded(self, member):
        _, out = member
        out.flush()
        rows = [line.split() for line in Path(out.name).read_text().splitlines(keepends=True) if line.endswith("\n")]
        return [(float(at), int(partition), int(offset), float(written)) for at, partition, offset, written in rows]

    def close(self):
        self._stop.set()
        self._writer.join()
        for process, out in self.members:
            process.kill()
            process.wait()
            out.close()


def measured(scenario, folder, settle_s=12.0, after_s=45.0):
    """Put the scenario's fault upon a real group; what was seen, as an outcome has it."""
    broker = KafkaBroker(folder)
    group = Group(broker, scenario, folder)
    try:
        _until(
            lambda: {row[1] for each in group.members for row in group.folded(each)} == set(range(scenario.partitions))
        )
        time.sleep(settle_s)
        victim = group.members[0]
        before = {row[1]: index for index, each in enumerate(group.members) for row in group.folded(each)[-50:]}
        at = time.time()
        if scenario.fault == Fault.KILL:
            victim[0].kill()
        elif scenario.fault == Fault.LEAVE:
            victim[0].terminate()
        else:
            group.members.append(group.member())
        time.sleep(after_s)
        return _seen(group, before, at)
    finally:
        group.close()
        broker.close()


def _seen(group, before, at):
    rows = [(*row, index) for index, each in enumerate(group.members) for row in group.folded(each) if row[0] > at]
    after = {}
    for folded_at, partition, _, _, index in sorted(rows):
        if index != before[partition]:
            after.setdefault(partition, folded_at)
    late = [row[0] for row in rows if row[0] - row[3] > 1.0]
    return {
        "moved": len(after),
        "resumed_s": round(max(after.values(), default=at) - at, 1),
        "caught_up_s": round(max(late, default=at) - at, 1),
        "peak_delay_s": round(max(row[0] - row[3] for row in rows), 1),
    }


def _until(so, limit_s=90.0):
    end = time.monotonic() + limit_s
    while not so():
        assert time.monotonic() < end, "not in time"
        time.sleep(0.2)


def main():
    file = Path(sys.argv[1])
    kept = json.loads(file.read_text()) if file.exists() else []
    for name, scenario in SCENARIOS.items():
        found = []
        for _ in range(REPEATS):
            with tempfile.TemporaryDirectory() as folder:
                found.append(measured(scenario, Path(folder)))
        told = {key: value for key, value in asdict(scenario).items() if value is not None}
        row = {"name": name, "date": f"{datetime.now(UTC):%Y-%m-%d}", "scenario": told, "measured": found, "how": HOW}
        kept = [each for each in kept if each["name"] != name] + [row]
        sys.stderr.write(f"{name}: {found}\n")
    file.write_text(json.dumps(kept, indent=1) + "\n")


if __name__ == "__main__":
    main()
