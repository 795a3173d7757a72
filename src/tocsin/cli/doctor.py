"""`doctor`: what this machine lacks."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from tocsin.cli.options import AsJson, Data, data_dir
from tocsin.cli.output import document, table


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("doctor")(doctor)


def doctor(
    data: Data = None,
    config: Annotated[
        Path | None, typer.Option("--config", metavar="FILE", help="tocsin.yaml: look at its stores too.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Look at what a server needs on this machine: 0 when it is all there, else 1."""
    from tocsin.app.doctor import examine, examine_stores  # noqa: PLC0415 - heavy
    from tocsin.app.settings import environment  # noqa: PLC0415 - heavy
    from tocsin.spec.config import Config  # noqa: PLC0415 - heavy
    from tocsin.spec.load import load_config  # noqa: PLC0415 - heavy
    from tocsin.spec.packs import load_packs  # noqa: PLC0415 - heavy

    place, env = data_dir(data), environment()
    said = Config() if config is None else load_config(config, env, load_packs()).config
    checks = [*examine(place), *examine_stores(said, env, place)]
    bad = any(check.state == "error" for check in checks)
    if as_json:
        document({"ok": not bad, "checks": [asdict(check) for check in checks]})
    else:
        table(["what", "state", ""], [[check.name, check.state, check.text] for check in checks])
    if bad:
        raise typer.Exit(1)
