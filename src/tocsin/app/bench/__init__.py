"""Benches: figures measured on the machine at hand, each with how it was measured. `run_bench` is the entry."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from tocsin.app.bench.figure import Bench, Setting, told
from tocsin.app.bench.report import finished, write
from tocsin.app.bench.sizes import FULL, SMALL, Sizes
from tocsin.app.settings import environment
from tocsin.model.errors import BadInput

BENCHES = (
    "ingest",
    "detect",
    "latency",
    "calibration",
    "smd",
    "nab",
    "ensemble",
    "drift",
    "logs",
    "llm",
    "rca",
    "storm",
    "cluster",
    "scale",
)


def run_bench(
    names: Sequence[str],
    *,
    peers: bool,
    datasets: Path | None,
    out: Path | None,
    sizes: Sizes | None = None,
    check: bool = False,
) -> int:
    """Run benches by name, print what they found, and with `out` write JSON there and Markdown beside it.

    With `check` the promised aims are compared: 1 where one is missed, each named on stderr, else 0.
    `TOCSIN_BENCH=small` in the environment makes everything small: to see that it runs, not for figures.

    Raises
    ------
    BadInput
        A name is not a bench of this build, or a bench that is to be checked promises nothing.
    """
    for name in names:
        if name not in BENCHES:
            known = ", ".join(BENCHES)
            raise BadInput(f"there is no bench {name!r} in this build; its benches are {known}")
    if sizes is None:
        sizes = SMALL if environment().get("TOCSIN_BENCH") == "small" else FULL
    setting = Setting(sizes, peers=peers, datasets=datasets)
    found: list[Bench] = []
    for name in dict.fromkeys(names):
        sys.stderr.write(f"bench {name}\n")
        # by name: each pulls in what it measures
        found.append(import_module(f"tocsin.app.bench.{name}").measure(setting))
    report = finished(found, names, peers=peers, small=sizes is not FULL)
    if out is not None:
        write(report, out)
    sys.stdout.write(report.markdown() + "\n")
    return checked(found) if check else 0


def checked(benches: Sequence[Bench]) -> int:
    """1 if a promised aim of these benches is missed, NaN included; says on stderr which are held and which are not.

    Raises
    ------
    BadInput
        A bench promises nothing, so that there is nothing to check.
    """
    missed = 0
    for bench in benches:
        promised = [figure for figure in bench.figures if figure.promised]
        if not promised:
            raise BadInput(f"bench {bench.name} promises no figure as it was run, so --check has nothing to look at")
        for figure in promised:
            missed += not figure.held
            sys.stderr.write(f"{'held  ' if figure.held else 'MISSED'} {bench.name}: {told(figure)}\n")
    return 1 if missed else 0
