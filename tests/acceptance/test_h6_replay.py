"""H6: the verdict of an incident, given again by the command in another process, home and directory."""

import json
import os
import subprocess
import sys

import pytest

from acceptance.replays import spiked
from tocsin.app.replays.bundle import export_incident

pytestmark = [pytest.mark.acceptance, pytest.mark.soak]


def replay(home, *arguments):
    command = [sys.executable, "-c", "from tocsin.cli.main import main; main()", "replay", *map(str, arguments)]
    env = {**os.environ, "HOME": str(home)}
    return subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=home, check=False, env=env)


def test_h6_the_same_verdict_on_another_machine(tmp_path):
    server, home = tmp_path / "server", tmp_path / "home"
    home.mkdir()
    (incident,) = spiked(server)
    bundle = home / "incident.tar"
    bundle.write_bytes(b"".join(export_incident(server, incident)))
    server.rename(tmp_path / "gone")
    done = replay(home, bundle, "--json")
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["same"]
    assert said["bits"] == "equal"
    assert {each["told"]["log10_p"] for each in said["findings"]} == {
        each["replayed"]["log10_p"] for each in said["findings"]
    }
    assert said["counterfactual"]["bound"] < said["counterfactual"]["reached"]
    raw = bytearray(bundle.read_bytes())
    raw[2000] ^= 1
    bundle.write_bytes(raw)
    assert replay(home, bundle).returncode == 2
