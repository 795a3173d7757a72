"""The table of promises: whole, and of commands that exist."""

import ast
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from acceptance.run import Row, _judge, main, read_rows
from tocsin.app.bench import BENCHES
from tocsin.cli.main import app

ROOT = Path(__file__).parents[2]
TABLE = ROOT / "docs" / "acceptance.md"
ROWS = read_rows(TABLE.read_text())
PROMISED = (
    *("repository", "sources", "processes", "identity", "journal", "redaction", "stores", "engine", "detectors"),
    *("incidents", "configuration", "safe", "face", "health", "demo-world", "bad", "figures"),
    *("done-1", "done-2", "done-3", "done-4", "done-5"),
)
IDS_OF_THE_SPECIFICATION = re.compile(r"\b([A-EH])(\d+)(?: to \1(\d+))?")


def _functions(path):
    return {
        node.name
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }


def test_every_promise_has_a_line_of_its_own():
    ids = [row.id for row in ROWS]
    assert len(ids) == len(set(ids))
    for name in PROMISED:
        assert any(row.id == name or row.id.startswith(f"{name}-") for row in ROWS), name


def test_every_capability_is_shown_or_said_to_be_missing():
    said = {row.id for row in ROWS}
    for letter, first, last in IDS_OF_THE_SPECIFICATION.findall(TABLE.read_text().partition("Not in this build:")[2]):
        said.update(f"{letter}{number}" for number in range(int(first), int(last or first) + 1))
    counts = {"A": 33, "B": 20, "C": 17, "D": 17, "E": 9, "H": 10}
    assert {f"{letter}{n}" for letter, count in counts.items() for n in range(1, count + 1)} - said == set()


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
def test_a_line_names_a_command_that_exists(row):
    assert row.command is not None, "a promise without a command"
    assert row.state in {"shown", "part"}
    assert row.promise
    words = shlex.split(row.command)
    if words[0] == "pytest":
        assert row.tests
        for selection in row.tests:
            path, _, name = selection.partition("::")
            assert (ROOT / path).exists(), path
            if name:
                assert name.partition("[")[0] in _functions(ROOT / path), selection
    elif words[0] == "tocsin":
        assert words[1] in typer.main.get_command(app).commands
        if words[1] == "bench":
            assert {word for word in words[2:] if not word.startswith("-")} <= set(BENCHES)
    else:
        assert Path(sys.executable).with_name(words[0]).exists()


def test_a_broken_promise_is_told_and_ends_with_1(tmp_path, capsys):
    (tmp_path / "table.md").write_text(
        "| id | promise | state | command |\n|---|---|---|---|\n| x | y | shown | `false` |\n| z | w | shown | `true` |\n"
    )
    assert main([str(tmp_path / "table.md")]) == 1
    said = capsys.readouterr().out
    assert re.search(r"FAILED .* x: y", said)
    assert re.search(r"ok .* z: w", said)
    assert main([str(tmp_path / "table.md"), "z"]) == 0
    assert main([str(tmp_path / "table.md"), "no-such-line"]) == 1


def test_a_test_that_did_not_run_is_no_proof():
    assert not _judge("tests/x.py::test_gone", [], "").passed


def test_the_program_runs_as_make_calls_it():
    done = subprocess.run(
        [sys.executable, "-m", "tests.acceptance.run", "docs/acceptance.md", "repository-changelog"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 promises checked, 0 broken" in done.stdout


def test_rows_are_read():
    assert read_rows("| a | b | part | `pytest x::y z` |")[0].tests == ("x::y", "z")
    assert read_rows("| a | b | shown |  |") == [Row("a", "b", "shown", None)]
