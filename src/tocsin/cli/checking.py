"""`check`: whether files of configuration can take effect."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tocsin.cli.options import AsJson
from tocsin.cli.output import document, line, say


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("check")(check)


def check(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="tocsin.yaml, pipeline files or packs.")],
    as_json: AsJson = False,
) -> None:
    """Check files of configuration: 0 when all are good, else 2 and a `file:line:column: message` for each fault."""
    from tocsin.app.models import model_problems  # noqa: PLC0415 - heavy
    from tocsin.app.settings import environment  # noqa: PLC0415 - heavy
    from tocsin.spec.check import check_file  # noqa: PLC0415 - heavy
    from tocsin.spec.packs import load_packs  # noqa: PLC0415 - heavy

    packs = load_packs()
    found = []
    for path in files:
        found += [*check_file(path, environment(), packs), *model_problems(path, environment(), packs)]
    bad = sum(problem.level == "error" for problem in found)
    if as_json:
        rows = [
            {"file": p.file, "line": p.line, "column": p.column, "level": p.level, "message": p.message} for p in found
        ]
        document({"ok": not bad, "problems": rows})
    else:
        for problem in found:
            line(str(problem))
        say(f"{len(files)} checked: {bad} {'error' if bad == 1 else 'errors'}, {len(found) - bad} warnings")
    if bad:
        raise typer.Exit(2)
