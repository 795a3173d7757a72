"""Histories to train on, and the program in this process."""

from __future__ import annotations

import sys
from subprocess import CompletedProcess

import numpy as np
import pytest

from tocsin.cli.main import main

STEP = 300
START = 1_790_000_100
ROWS = 1200
INCIDENTS = [(150 + 120 * k, 162 + 120 * k) for k in range(8)]


def history(rows=ROWS, incidents=(), seed=1):
    """Load with a rhythm, memory and latency that go with it; in an incident memory climbs and requests are slow."""
    rng = np.random.default_rng(seed)
    load = 50 + 20 * np.sin(np.arange(rows) * 2 * np.pi / 96) + rng.normal(size=rows)
    memory = 30 + 0.5 * load + 0.5 * rng.normal(size=rows)
    latency = 0.2 + 0.002 * load + 0.005 * rng.normal(size=rows)
    for first, last in incidents:
        memory[first:last] += np.linspace(0, 25, last - first)
        latency[first:last] *= 1.6
    return {"time": START + STEP * np.arange(rows), "load": load, "memory": memory, "latency": latency}


def write(path, columns):
    lines = [",".join(columns), *(",".join(map(str, row)) for row in zip(*columns.values(), strict=True))]
    path.write_text("\n".join(lines) + "\n")
    return path


def labels(path, incidents=INCIDENTS):
    rows = [(START + STEP * first, START + STEP * (last - 1)) for first, last in incidents]
    return write(path, dict(zip(("start", "end"), zip(*rows, strict=True), strict=True)))


@pytest.fixture
def tocsin(tmp_path, monkeypatch, capfd):
    def run(*args):
        with monkeypatch.context() as patch:
            patch.chdir(tmp_path)
            command = ["tocsin", *map(str, args)]
            patch.setattr(sys, "argv", command)
            with pytest.raises(SystemExit) as ended:
                main()
        said = capfd.readouterr()
        return CompletedProcess(command, int(ended.value.code or 0), said.out, said.err)

    return run
