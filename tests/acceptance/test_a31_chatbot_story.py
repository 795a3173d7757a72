"""A31: a prompt change runs through the machine and ends as one incident; its decoys alone are none.

As a user plays it: the program, in a process of its own, end to end. TOCSIN_SEEDS worlds (2 unless set).
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SEEDS = range(7, 7 + int(os.environ.get("TOCSIN_SEEDS", "2")))
TOCSIN = Path(sys.executable).with_name("tocsin")


def _play(tmp_path, *options):
    done = subprocess.run(
        [TOCSIN, "demo", "--headless", "--json", "--port", "0", "--data", tmp_path / "data", *options],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)["incidents"]


@pytest.mark.acceptance
@pytest.mark.parametrize("seed", SEEDS)
def test_the_story_is_one_incident_that_names_the_prompt(seed, tmp_path):
    incidents = _play(tmp_path, "--seed", str(seed))
    assert len(incidents) == 1, [incident["title"] for incident in incidents]
    (incident,) = incidents
    assert incident["causes"][0]["kind"] == "prompt", incident["causes"]
    assert incident["causes"][0]["evidence"]
    signals = " ".join(finding["signal"] for finding in incident["findings"])
    assert "token" in signals or "duration" in signals, signals


@pytest.mark.acceptance
@pytest.mark.parametrize("seed", SEEDS)
def test_decoys_alone_are_no_incident(seed, tmp_path):
    assert _play(tmp_path, "--seed", str(seed), "--no-fault") == []
