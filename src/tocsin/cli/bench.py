"""`bench`: measured figures, with the machine they were measured on."""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from tocsin.model.errors import BadInput


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("bench")(bench)


def bench(
    names: Annotated[list[str], typer.Argument(metavar="NAME...", help="Benches to run.")],
    peers: Annotated[bool, typer.Option("--peers", help="Measure other products in the same run.")] = False,
    datasets: Annotated[
        Path | None, typer.Option("--datasets", metavar="DIR", envvar="TOCSIN_DATASETS", help="Real data sets.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Write JSON here, Markdown beside it.")
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Fail (1) where a promised figure is missed, and name it.")
    ] = False,
) -> None:
    """Measure, and write JSON and Markdown."""
    # by name: benches import everything and are loaded for this command only
    if find_spec("tocsin.app.bench") is None:
        raise BadInput("the benches are not in this build")
    sys.exit(import_module("tocsin.app.bench").run_bench(names, peers=peers, datasets=datasets, out=out, check=check))
