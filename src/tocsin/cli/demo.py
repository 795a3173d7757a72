"""`demo`: a world that goes wrong, and the incident that comes of it."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from typing import Annotated

import typer

from tocsin.cli.options import AsJson
from tocsin.cli.output import say


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("demo")(demo)


def demo(
    *,
    seed: Annotated[int, typer.Option(metavar="N", help="Of the world's chances.")] = 7,
    fault: Annotated[str, typer.Option(metavar="NAME", help="The story that happens.")] = "prompt",
    no_fault: Annotated[bool, typer.Option("--no-fault", help="Nothing goes wrong; the decoys stay.")] = False,
    headless: Annotated[bool, typer.Option("--headless", help="End when the story is told, without the page.")] = False,
    as_json: AsJson = False,
    speed: Annotated[float | None, typer.Option(min=0.1, metavar="X", help="Event time runs X times as fast.")] = None,
    history_days: Annotated[
        float, typer.Option(min=0.25, max=14, metavar="DAYS", help="What the story begins with, played at full pace.")
    ] = 2.0,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Of the page.")] = 8642,
    data: Annotated[Path | None, typer.Option("--data", metavar="DIR", help="Keep the data here.")] = None,
) -> None:
    """Play a support chatbot on a GPU-served model, let something go wrong, and watch it be found."""
    # by name: it assembles a whole server and is loaded for this command only
    run_demo = import_module("tocsin.app.demo").run_demo
    sys.exit(
        run_demo(
            seed=seed,
            fault=None if no_fault else fault,
            headless=headless,
            as_json=as_json,
            speed=speed,
            history_days=history_days,
            port=port,
            data_dir=data,
            say=say,
        )
    )
