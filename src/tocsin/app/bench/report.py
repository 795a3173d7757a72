"""What a run of benches found, as JSON and as Markdown that can be put into a page between markers."""

from __future__ import annotations

import json
import os
import platform
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import psutil

from tocsin.app.bench.figure import Bench, Figure, shown
from tocsin.model.errors import BadInput
from tocsin.selfmon.clock import SystemClock

_PACKAGES = ("tocsin", "numpy", "numba", "pyarrow", "protobuf", "chdb-core-lite", "uvicorn")


@dataclass(frozen=True, slots=True)
class Report:
    """Figures with date, machine, versions and the command that measures them again."""

    benches: Sequence[Bench]
    date: str
    machine: dict[str, Any]
    versions: dict[str, str]
    command: str
    small: bool

    def to_json(self) -> dict[str, Any]:
        """Everything, ready for `json.dumps`."""
        return {
            "date": self.date,
            "machine": self.machine,
            "versions": self.versions,
            "command": self.command,
            "small": self.small,
            "benches": {
                bench.name: {
                    "figures": [figure.to_json() for figure in bench.figures],
                    "load": list(bench.load),
                    "elapsed_s": round(bench.elapsed_s, 1),
                }
                for bench in self.benches
            },
        }

    def section(self, bench: Bench) -> str:
        """One bench as a table under a line that says where and when."""
        m = self.machine
        where = (
            f"{self.date}, {m['cpu']}, {m['cores']} cores, {m['memory_gib']:g} GiB; load average at the start "
            f"{bench.load[0]:.1f}; {bench.elapsed_s:.0f} s. Measured by `{self.command}`."
        )
        packages = ", ".join(f"{name} {found}" for name, found in self.versions.items())
        small = "\n**Small sizes: this shows that the bench runs, its numbers mean nothing.**\n" if self.small else ""
        rows = ["| figure | measured | unit | aim | held | how |", "|---|---:|---|---:|---|---|"]
        rows += [_row(figure) for figure in bench.figures]
        below = f"\n\n{bench.tables}" if bench.tables else ""
        return f"{where}\n{packages}.\n{small}\n" + "\n".join(rows) + below

    def markdown(self) -> str:
        """All benches, one section each."""
        return "\n\n".join(f"### {bench.name}\n{self.section(bench)}" for bench in self.benches)


def _row(figure: Figure) -> str:
    aim = "" if figure.aim is None else ("≥ " if figure.aim_high else "≤ ") + shown(figure.aim)
    held = {None: "", True: "yes", False: "**no**"}[figure.held]
    return f"| {figure.name} | {shown(figure.value)} | {figure.unit} | {aim} | {held} | {figure.note} |"


def finished(benches: Sequence[Bench], names: Sequence[str], *, peers: bool, small: bool) -> Report:
    """The report of what has just been measured."""
    now = datetime.fromtimestamp(SystemClock().now() / 1e9, UTC)
    command = "tocsin bench " + shlex.join(dict.fromkeys(names)) + (" --peers" if peers else "")
    return Report(benches, now.strftime("%Y-%m-%d %H:%M UTC"), machine(), _versions(), command, small)


def machine() -> dict[str, Any]:
    """Processor, cores that may be used, memory, system."""
    return {
        "cpu": _cpu_name(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "system": platform.platform(),
    }


def _cpu_name() -> str:
    fields: dict[str, str] = {}
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            key, _, value = line.partition(":")
            fields.setdefault(key.strip(), value.strip())
    except OSError:
        return platform.machine()
    name = fields.get("model name", platform.machine())
    model = f" (family {fields['cpu family']}, model {fields['model']})" if "cpu family" in fields else ""
    return name + model


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def write(report: Report, out: Path) -> None:
    """Write JSON to `out` and Markdown beside it.

    A Markdown file that is there and has markers `<!-- bench:NAME -->` and `<!-- /bench:NAME -->` is a page that people
    wrote: only what is between the markers is replaced. The JSON keeps the benches that this run did not measure.

    Raises
    ------
    BadInput
        `out` ends in .md, or the page has a marker without its end.
    """
    page = out.with_suffix(".md")
    if page == out:
        raise BadInput(f"{out}: give the name of the JSON file; the Markdown is written beside it")
    told = report.to_json()
    kept = json.loads(out.read_text()).get("runs", {}) if out.exists() else {}
    for name, bench in told.pop("benches").items():
        kept[name] = {**told, **bench}
    text = page.read_text() if page.exists() else ""
    if "<!-- bench:" in text:
        for bench in report.benches:
            text = replaced(text, bench.name, report.section(bench), str(page))
    else:
        text = report.markdown() + "\n"
    out.write_text(json.dumps({"runs": kept}, indent=1) + "\n")
    page.write_text(text)


def replaced(text: str, name: str, section: str, where: str) -> str:
    r"""A page with the section between a bench's markers replaced; unchanged where it has none.

    >>> replaced("a <!-- bench:x -->old<!-- /bench:x --> b", "x", "new", "page.md")
    'a <!-- bench:x -->\nnew\n<!-- /bench:x --> b'
    """
    begin, end = f"<!-- bench:{name} -->", f"<!-- /bench:{name} -->"
    if begin not in text:
        return text
    before, _, rest = text.partition(begin)
    _, found, after = rest.partition(end)
    if not found:
        raise BadInput(f"{where}: {begin} has no {end} behind it; write it after the section")
    return f"{before}{begin}\n{section}\n{end}{after}"
