"""The page of threats names only what is there: monitors of packs, findings, own metrics and signals."""

from __future__ import annotations

import re
from pathlib import Path

from tocsin.engine.client_finding import MONITORS
from tocsin.spec.packs import load_packs

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "threats.md").read_text()


def test_every_monitor_that_the_page_names_exists():
    known = {monitor.name for pack in load_packs() for monitor in pack.monitors} | {"model-drift", *MONITORS.values()}
    named = set(re.findall(r"`((?:model|genai|http|service)-[a-z0-9-]+)`", PAGE))
    assert len(named) > 10
    assert named <= known


def test_every_metric_and_signal_that_the_page_names_is_documented():
    documented = "".join((ROOT / "docs" / name).read_text() for name in ("metrics.md", "records.md", "fairness.md"))
    for name in re.findall(r"`(tocsin[._][a-z_.]+)`", PAGE):
        assert f"`{name}`" in documented, name


def test_each_threat_has_a_sign_or_says_that_there_is_none():
    rows = [line.split("|")[1:-1] for line in PAGE.split("## Clients")[0].splitlines() if line.startswith("| ")][1:]
    assert len(rows) >= 10
    for name, sign, today in ([cell.strip() for cell in row] for row in rows):
        assert sign or "not from telemetry" in today, name
        assert today, name


def test_the_page_names_the_tags_that_name_clients():
    (models,) = (pack for pack in load_packs() if pack.name == "models")
    assert ", ".join(models.clients) in PAGE.replace("\n", " ")
