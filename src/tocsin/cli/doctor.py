"""`doctor`: what this machine lacks."""

from __future__ import annotations

from dataclasses import asdict

import typer

from tocsin.cli.options import AsJson, Data, data_dir
from tocsin.cli.output import document, table


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("doctor")(doctor)


def doctor(data: Data = None, as_json: AsJson = False) -> None:
    """Look at what a server needs on this machine: 0 when it is all there, else 1."""
    from tocsin.app.doctor import examine  # noqa: PLC0415 - heavy

    checks = list(examine(data_dir(data)))
    bad = any(check.state == "error" for check in checks)
    if as_json:
        document({"ok": not bad, "checks": [asdict(check) for check in checks]})
    else:
        table(["what", "state", ""], [[check.name, check.state, check.text] for check in checks])
    if bad:
        raise typer.Exit(1)
