"""A fresh clone, as a new user has it: git, make, Python - and the first of the two commands."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_make_demo_works_on_a_fresh_clone(tmp_path):
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "--quiet", ROOT, clone], check=True, timeout=120)
    # nothing of this environment: not its programs, not its virtual environment
    environment = {
        name: os.environ[name] for name in os.environ if not name.startswith(("VIRTUAL_ENV", "TOCSIN", "PYTHON"))
    }
    environment["PATH"] = "/usr/local/bin:/usr/bin:/bin"
    base = Path(sys.base_prefix) / "bin" / f"python3.{sys.version_info.minor}"
    done = subprocess.run(
        ["make", "--silent", "demo", f"PYTHON={base}", "ARGS=--headless --json --seed 7 --port 0"],
        cwd=clone,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=1700,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    (incident,) = json.loads(done.stdout)["incidents"]
    assert incident["causes"][0]["kind"] == "prompt"
    assert not (clone / "web" / "node_modules").exists()
    left = subprocess.run(
        ["git", "status", "--porcelain"], cwd=clone, capture_output=True, text=True, check=True
    ).stdout
    assert left == "", "a run leaves nothing in the clone that git sees"
