"""Runs every command of `docs/acceptance.md` once and says which promises hold.

`python -m tests.acceptance.run docs/acceptance.md [ID...]`: exit code 1 when a promise is broken.
Selections of tests are run together, in one pytest a module: a row is good when all tests it names passed.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

_COMMAND = re.compile(r"`([^`]+)`")


@dataclass(frozen=True)
class Row:
    """One promise: its id, its words, its state, and the command that shows it (none when it is not built)."""

    id: str
    promise: str
    state: str
    command: str | None

    @property
    def tests(self) -> tuple[str, ...]:
        """The tests that the command selects, none when it is another program."""
        words = shlex.split(self.command or "")
        return tuple(words[1:]) if words[:1] == ["pytest"] else ()


@dataclass(frozen=True)
class Verdict:
    """What came of a row."""

    passed: bool
    seconds: float
    said: str = ""


def read_rows(text: str) -> list[Row]:
    """The rows of all tables with four columns: id, promise, state, command."""
    rows = []
    for line in text.splitlines():
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip().strip("|"))]
        if not line.startswith("|") or len(cells) != 4 or cells[0] == "id" or set(cells[0]) <= {"-", ":"}:
            continue
        command = _COMMAND.fullmatch(cells[3])
        rows.append(Row(cells[0], cells[1], cells[2], command[1].replace("\\|", "|") if command else None))
    return rows


def run_tests(selections: Sequence[str]) -> dict[str, Verdict]:
    """Verdicts by selection (`path` or `path::test`), each test run once."""
    verdicts = {}
    for path in dict.fromkeys(selection.partition("::")[0] for selection in selections):
        of_file = [selection for selection in dict.fromkeys(selections) if selection.partition("::")[0] == path]
        chosen = [path] if path in of_file else of_file
        with TemporaryDirectory() as place:
            report = Path(place) / "report.xml"
            command = [sys.executable, "-m", "pytest", "-q", "-o", "junit_family=xunit1", f"--junitxml={report}"]
            done = subprocess.run([*command, "--timeout=1800", *chosen], capture_output=True, text=True, check=False)
            cases = list(ET.parse(report).getroot().iter("testcase")) if report.exists() else []
        for selection in of_file:
            verdicts[selection] = _judge(selection, cases, done.stdout[-2000:])
    return verdicts


def _judge(selection: str, cases: Sequence[ET.Element], said: str) -> Verdict:
    name = selection.partition("::")[2]
    mine = [case for case in cases if not name or case.get("name", "").partition("[")[0] == name.partition("[")[0]]
    if "[" in name:
        mine = [case for case in mine if case.get("name") == name]
    broken = [
        case.get("name", "") for case in mine if any(part.tag in {"failure", "error", "skipped"} for part in case)
    ]
    seconds = sum(float(case.get("time", 0)) for case in mine)
    if not mine or broken:
        return Verdict(False, seconds, f"{', '.join(broken) or 'no such test ran'}\n{said}")
    return Verdict(True, seconds)


def run_program(command: str) -> Verdict:
    """Run another command, as a shell would, with this environment's programs."""
    words = shlex.split(command)
    own = Path(sys.executable).with_name(words[0])
    begin = time.monotonic()
    done = subprocess.run(
        [str(own) if own.exists() else words[0], *words[1:]], capture_output=True, text=True, check=False, timeout=1800
    )
    return Verdict(done.returncode == 0, time.monotonic() - begin, (done.stdout + done.stderr)[-2000:])


def verdicts_of(rows: Sequence[Row]) -> Iterator[tuple[Row, Verdict]]:
    """Rows with a command and what came of them, module by module of their tests."""
    programs: dict[str, Verdict] = {}
    tests: dict[str, Verdict] = {}
    wanted = [test for row in rows for test in row.tests]
    for row in rows:
        if row.command is None:
            continue
        if not row.tests:
            if row.command not in programs:
                programs[row.command] = run_program(row.command)
            yield row, programs[row.command]
            continue
        files = {test.partition("::")[0] for test in row.tests}
        missing = [test for test in wanted if test.partition("::")[0] in files and test not in tests]
        tests.update(run_tests(missing))
        of_row = [tests[test] for test in row.tests]
        said = "\n".join(verdict.said for verdict in of_row if not verdict.passed)
        yield row, Verdict(all(v.passed for v in of_row), sum(v.seconds for v in of_row), said)


def main(arguments: Sequence[str]) -> int:
    """Print a line a promise; 1 when one is broken."""
    path, *ids = arguments
    rows = [row for row in read_rows(Path(path).read_text()) if not ids or row.id in ids]
    broken = 0
    for row, verdict in verdicts_of(rows):
        broken += not verdict.passed
        print(
            f"{'ok    ' if verdict.passed else 'FAILED'} {verdict.seconds:7.1f} s  {row.id}: {row.promise}", flush=True
        )
        if not verdict.passed:
            print(f"        {row.command}\n{verdict.said}", flush=True)
    without = sum(row.command is None for row in rows)
    print(f"{len(rows) - without} promises checked, {broken} broken; {without} not in this build")
    return 1 if broken or not rows else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
