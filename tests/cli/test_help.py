"""The help texts, word for word; set TOCSIN_WRITE_GOLDEN=1 to write them anew."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.core import TyperGroup
from typer.testing import CliRunner

from tocsin.cli.main import app

GOLDEN = Path(__file__).with_name("help")
COMMANDS = [
    "", "serve", "run", "worker", "control", "replica", "migrate", "repartition", "demo", "check", "review", "rollout", "oncall", "rules", "incidents", "explain", "ack", "feedback", "merge", "split", "silence", "silences", "unsilence", "event", "export", "import", "import records", "key", "key create", "key redaction", "key list",
    "key revoke", "audit", "audit list", "audit verify", "backup", "restore", "score", "drift", "train", "gate", "ab", "diagnose", "bench", "doctor", "incident", "incident export", "replay", "plan", "apply", "rollback", "drill", "shadow",
    "retraining", "retraining list", "retraining put-off", "retraining take-up",
    "actions", "actions list", "actions show", "actions propose", "actions approve", "actions reject", "actions undo", "actions stop", "actions resume",
]  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS)
def test_help(command):
    result = CliRunner().invoke(app, [*command.split(), "--help"], prog_name="tocsin", env={"TERMINAL_WIDTH": "100"})
    assert result.exit_code == 0
    path = GOLDEN / f"{command.replace(' ', '-') or 'tocsin'}.txt"
    if os.environ.get("TOCSIN_WRITE_GOLDEN"):
        path.write_text(result.output)
    assert result.output == path.read_text()


def test_no_command_is_missing_here():
    root = typer.main.get_command(app)
    groups = {name: each for name, each in root.commands.items() if isinstance(each, TyperGroup)}
    inside = [f"{name} {command}" for name, group in groups.items() for command in group.commands]
    names = [*root.commands, *inside]
    assert sorted(names) == sorted(COMMANDS[1:])


def test_help_needs_no_heavy_library():
    code = "import sys, tocsin.cli.main; print(sorted({'numpy','pyarrow','pydantic','rich','httpx2','yaml','numba'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
