"""What the documents say is so: commands, metrics, decisions, packs, the change log."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.core import TyperGroup

import tocsin
from metrics_page import PAGE, lines, registered
from tocsin.cli.main import app
from tocsin.detect.registry import build, detectors
from tocsin.spec.packs import load_packs

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
STAGES = {path.name for path in Path(tocsin.__file__).parent.iterdir() if path.is_dir()}
PROCESSES = {"cold", "config", "front", "process", "replica", "supervisor"}
NOT_BASE_UNITS = re.compile(
    r"_(ms|us|ns|millis\w*|micros\w*|nanos\w*|minutes|hours|days|ki?b|mi?b|gi?b|\w*bits|percent)$"
)
BASE_UNITS = ("_seconds", "_bytes", "_ratio")
COUNTED = (
    "_pages",
    "_decades",
    "_refits",
    "_records",
    "_messages",
    "_models",
    "_streams",
    "_up",
    "_bad",
    "_rows",
    "_series",
    "_partitions",
    "_actions",
)


def _commands():
    root = typer.main.get_command(app)
    groups = {name: each for name, each in root.commands.items() if isinstance(each, TyperGroup)}
    return {*root.commands, *(f"{name} {command}" for name, group in groups.items() for command in group.commands)}


def _said_commands(text):
    """Commands in code: `tocsin x`, and lines of code blocks."""
    code = re.findall(r"`(tocsin [^`]+)`", text)
    for block in re.findall(r"```\w*\n(.*?)```", text, re.DOTALL):
        code += [line for line in block.splitlines() if line.startswith("tocsin ")]
    return {match[1] for line in code if (match := re.match(r"tocsin ([a-z]+)", line))}


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_documents_name_commands_that_exist(path):
    assert _said_commands(path.read_text()) - {command.split()[0] for command in _commands()} == set()


def test_every_command_is_documented():
    said = " ".join(path.read_text() for path in DOCUMENTS)
    assert [name for name in sorted(_commands()) if f"tocsin {name}" not in said] == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_links_and_named_files_exist(path):
    text = path.read_text()
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", text) if "://" not in link]
    files = re.findall(r"`((?:docs|src|tests|web)/[\w./-]+\.\w+)`", text)
    missing = [link for link in links if not (path.parent / link).exists()]
    missing += [name for name in files if not (ROOT / name).exists()]
    assert missing == []


def test_every_metric_follows_the_naming_rule():
    metrics = registered()
    assert len(metrics) > 50
    for metric in metrics:
        name = metric.name
        assert re.fullmatch(r"tocsin_[a-z]+(_[a-z]+)+", name), name
        assert name.split("_")[1] in STAGES | PROCESSES, f"{name}: no such stage"
        assert (metric.type == "counter") == name.endswith("_total"), name
        assert not NOT_BASE_UNITS.search(name.removesuffix("_total")), f"{name}: not a base unit"
        assert metric.text, name
        if metric.type == "histogram":
            assert name.endswith((*BASE_UNITS, "_decades")), name
        if metric.type == "gauge":
            assert name.endswith(BASE_UNITS + COUNTED), name


def test_metrics_are_documented():
    assert PAGE.read_text() == "".join(lines()), "python -m tests.metrics_page"


def test_metrics_in_python_are_registered():
    """A name written by hand is one of those that the page lists."""
    known = {metric.name for metric in registered()}
    for path in (ROOT / "src" / "tocsin").rglob("*.py"):
        for name in re.findall(r"[\"'](tocsin_\w+_(?:total|seconds|bytes|records))[\"']", path.read_text()):
            assert name in known, f"{path.name}: {name}"


@pytest.mark.parametrize("pack", load_packs(), ids=lambda pack: pack.name)
def test_monitors_of_a_pack_can_be_built(pack):
    assert pack.description
    assert len({monitor.name for monitor in pack.monitors}) == len(pack.monitors)
    for monitor in pack.monitors:
        if monitor.detect.name != "threshold":
            params = getattr(monitor.detect, monitor.detect.name)
            assert build(monitor.detect.name, params).name == monitor.detect.name


def test_every_detector_has_a_module_of_its_name():
    for name, cls in detectors().items():
        assert cls.__module__ == f"tocsin.detect.{name}", name


def test_decisions_are_numbered_without_gaps_and_say_how_they_stand():
    paths = sorted((ROOT / "docs" / "adr").glob("*.md"))
    assert [path.name[:4] for path in paths] == [f"{n:04}" for n in range(1, len(paths) + 1)]
    for path in paths:
        text = path.read_text()
        assert text.startswith(f"# {path.name[:4]}: "), path.name
        assert re.search(r"^Status: (accepted|superseded by \d{4})", text, re.MULTILINE), path.name


def test_the_change_log_builds_from_its_fragments():
    command = [Path(sys.executable).with_name("towncrier"), "build", "--draft", "--version", "9.9.9"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "tocsin 9.9.9" in done.stdout
    for fragment in (ROOT / "changelog.d").glob("*.md"):
        assert re.fullmatch(r"(\+[\w-]+|\d+)\.(feature|bugfix|doc|removal|misc)\.md", fragment.name), fragment.name
        if ".misc." not in fragment.name:
            assert fragment.read_text().split()[0] in done.stdout
    log = (ROOT / "CHANGELOG.md").read_text()
    assert log.index("<!-- towncrier release notes start -->") < log.index("## tocsin 0.1.0 (")
