"""A31 up to the incident: a prompt change that nobody announced is found and named first; decoys open nothing."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.acceptance

STORY_SEED, CALM_SEED = 7, 8
MORE_SEEDS = tuple(range(1, int(os.environ.get("TOCSIN_SEEDS", "10")) + 1))


def demo(*arguments):
    tocsin = Path(sys.executable).with_name("tocsin")
    program = [str(tocsin), "demo", "--headless", "--json", *arguments]
    found = subprocess.run(program, capture_output=True, text=True, timeout=900, check=False)
    assert found.returncode == 0, found.stderr[-3000:]
    return json.loads(found.stdout)["incidents"]


def story(seed, *arguments):
    (incident,) = demo("--seed", str(seed), *arguments)
    told = [(each["kind"], each["score"], each["evidence"][:1], each["refuted_by"]) for each in incident["causes"]]
    assert incident["causes"][0]["kind"] == "prompt", (told, [each["monitor"] for each in incident["findings"]])
    assert incident["causes"][0]["entity"] == "support-bot"
    signals = {finding["signal"] for finding in incident["findings"]}
    assert any("token" in signal for signal in signals), signals
    decoys = [cause["score"] for cause in incident["causes"] if cause["kind"] in ("deploy", "flag")]
    assert all(score < incident["causes"][0]["score"] for score in decoys)


@pytest.mark.timeout(1000)
def test_a31_one_incident_whose_first_cause_is_the_prompt():
    story(STORY_SEED, "--history-days", "0.25")  # with two days of it, as shipped: below


@pytest.mark.soak
@pytest.mark.timeout(1000)
def test_a31_decoys_alone_open_no_incident():
    assert demo("--seed", str(CALM_SEED), "--no-fault") == []


@pytest.mark.soak
@pytest.mark.timeout(1000)
@pytest.mark.parametrize("seed", MORE_SEEDS)
def test_a31_holds_over_more_seeds(seed):
    story(seed)


@pytest.mark.soak
@pytest.mark.timeout(1000)
@pytest.mark.parametrize("seed", MORE_SEEDS)
def test_a31_decoys_alone_over_more_seeds(seed):
    assert demo("--seed", str(seed), "--no-fault") == []
