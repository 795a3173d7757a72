"""Benches: figures measured on the machine at hand, each with how it was measured. `run_bench` is the entry."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from tocsin.app.bench.figure import Bench, Setting
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
    "scale",
)


def run_bench(
    names: Sequence[str], *, peers: bool, datasets: Path | None, out: Path | None, sizes: Sizes | None = None
) -> int:
    """Run benches by name, print what they found, and with `out` write JSON there and Markdown beside it.

    `TOCSIN_BENCH=small` in the environment makes everything small: to see that it runs, not for figures.

    Raises
    ------
    BadInput
        A name is not a bench of this build.
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
    return 0
