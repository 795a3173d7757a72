"""Real hogs on this machine: a burn of all processors, and a program that takes memory, are found and named."""

import os
import socket
import subprocess
import time
from pathlib import Path

import psutil
import pytest

from system.server import PYTHON, until

HOG_MIB = 1500
BURN_S = 110


@pytest.fixture
def server(make_server):
    memory = psutil.virtual_memory()
    now = 1 - memory.available / memory.total
    limit = now + 0.7 * (HOG_MIB << 20) / memory.total
    return make_server(
        f"""
sources: [{{name: host, type: host, interval: 2s}}]
monitors:
  - name: memory-limit
    signal: system.memory.utilization
    where: {{system.memory.state: used}}
    by: [host.name]
    aggregate: mean
    window: {{size: 4s, step: 2s}}
    detect: {{threshold: {{above: {limit:.4f}}}}}
    for: 2s
    clear: 10s
    summary: the memory is almost used up
  - name: process-memory  # as in the pack, but without the time to learn what is usual
    signal: process.memory.usage
    aggregate: mean
    window: {{size: 4s, step: 2s}}
    detect: {{threshold: {{above: {HOG_MIB - 300}MiB}}}}
    role: support
""",
        host_metrics=True,
    )


@pytest.fixture
def hog():
    running = []

    def start(name, *arguments, count=1):
        running.extend(
            subprocess.Popen([PYTHON, Path(__file__).with_name("hog.py"), name, *map(str, arguments)])
            for _ in range(count)
        )

    yield start
    for each in running:
        each.kill()
        each.wait()


def named(server, monitor, name):
    """The incident of a monitor whose findings or causes name a program."""
    for incident in server.export("incidents"):
        whole = server.get(f"/api/incidents/{incident['id']}")
        if monitor in {finding["monitor"] for finding in whole["findings"]} and name in str(whole):
            return whole
    return None


def evidence(server):
    """What was seen when nothing was found."""
    rows = [
        row
        for row in server.export("points")
        if row["signal"].startswith(("system.cpu.util", "system.memory.util", "process."))
    ]
    return server.export("incidents"), [(row["time"], row["labels"], row["value"]) for row in rows[-40:]]


@pytest.mark.soak  # whatever else is tested beside it stands still
@pytest.mark.timeout(200)
def test_a_burn_of_all_processors_opens_an_incident_that_names_host_and_program(server, hog):
    name = "tocsin-burner"
    began = time.monotonic()
    hog(name, BURN_S, count=2 * os.cpu_count())  # others may want the processors too
    found = until(lambda: named(server, "host-cpu-saturated", name), BURN_S, 1)
    print(f"named after {time.monotonic() - began:.0f} s")
    assert found, evidence(server)
    print(found["title"], found.get("statement"), *found["causes"], sep="\n")
    assert socket.gethostname() in str(found["entities"])
    assert found["title"].startswith(f"{socket.gethostname()}: cpu saturated"), found["title"]
    assert any(name in cause["entity"] and cause["kind"] == "resource" for cause in found["causes"]), found["causes"]


@pytest.mark.timeout(200)
def test_a_program_that_takes_memory_is_named(server, hog):
    name = "tocsin-hoarder"
    began = time.monotonic()
    hog(name, BURN_S, HOG_MIB)
    found = until(lambda: named(server, "memory-limit", name), BURN_S, 1)
    print(f"named after {time.monotonic() - began:.0f} s")
    assert found, evidence(server)
    print(found["title"], found.get("statement"), *found["causes"], sep="\n")
    assert socket.gethostname() in str(found["entities"])
    assert any(name in cause["entity"] for cause in found["causes"]), found["causes"]
