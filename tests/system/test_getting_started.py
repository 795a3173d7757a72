"""The page for new users: its commands are run as they stand there, against a server started as its container is."""

import json
import re
import subprocess
import time
from pathlib import Path

import pytest
import yaml

from system.server import until

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "getting_started.md").read_text()
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]["tocsin"]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
TEN_MINUTES_S = 600


def blocks():
    """Blocks of commands by the number of their heading; those for a container engine are what the container does."""
    parts = re.split(r"^## (\d)\. .*$", PAGE, flags=re.MULTILINE)[1:]
    return {
        int(n): re.findall(r"```sh\n(.*?)```", text, re.DOTALL) for n, text in zip(parts[::2], parts[1::2], strict=True)
    }


def run(server, folder, block):
    """Run a block as a new user would, with the address of this server."""
    script = f"set -eu\nURL={server.url}\nKEY={server.key or 'none'}\n{block}"
    done = subprocess.run(["sh", "-c", script], cwd=folder, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr + server.log()
    return done.stdout


@pytest.fixture(scope="module")
def server(make_server):
    return make_server(None)


def test_the_first_alert_is_prediction_drift_within_ten_minutes(server, tmp_path):
    began = time.monotonic()
    of = blocks()
    assert sorted(of) == [1, 2, 3, 4]
    assert json.loads(run(server, tmp_path, of[2][0]))["accepted"] == 6600

    def opened():
        return json.loads(run(server, tmp_path, of[3][0]))["incidents"]

    found = until(opened, 120, 1.0)
    assert found, server.log()
    first = min(found, key=lambda each: each["opened_at"])
    assert "churn" in first["title"]
    told = json.loads(subprocess.run(
        [server.command[0], "explain", first["id"], "--url", server.url, "--json"],
        capture_output=True, text=True, check=True, timeout=60,
    ).stdout)  # fmt: skip
    said = " ".join(each["text"] for each in told["sentences"])
    assert "drift" in said, said
    assert time.monotonic() - began < TEN_MINUTES_S


def test_language_models_and_pages_are_watched_by_default(server, tmp_path):
    run(server, tmp_path, blocks()[4][0])

    def seen():
        return "gpt-4o-mini" in server.http.get("/api/llm").text

    assert until(seen, 60), server.http.get("/api/llm").text
    for path in ("/", "/llm", "/traces", "/machines", "/models", "/status"):
        assert server.http.get(path).status_code == 200


def test_the_container_has_no_rights_and_limits():
    assert re.search(r"^USER 10001:10001$", DOCKERFILE, re.MULTILINE)
    assert COMPOSE["read_only"] is True
    assert COMPOSE["user"] == "10001:10001"
    assert COMPOSE["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in COMPOSE["security_opt"]
    assert {"mem_limit", "cpus", "pids_limit"} <= set(COMPOSE)
    assert all(each.startswith("127.0.0.1:") for each in COMPOSE["ports"])
    assert COMPOSE["volumes"] == ["data:/data"]
    up, key, _ = blocks()[1][0].strip().splitlines()
    assert up == "docker compose up --detach --build --wait"
    assert "s/^key: //p" in key
