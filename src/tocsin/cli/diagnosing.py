"""`diagnose`: ranked causes of a symptom from a folder of tables."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from tocsin.cli.options import AsJson
from tocsin.cli.output import document, line, say, table


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("diagnose")(diagnose)


def diagnose(
    folder: Annotated[
        Path,
        typer.Argument(
            metavar="DIR", help="metrics.csv or .parquet; also logs, spans, edges, events if they are there."
        ),
    ],
    *,
    at: Annotated[
        str | None, typer.Option("--at", metavar="T", help="Onset of the symptom, RFC 3339 or seconds since 1970.")
    ] = None,
    top: Annotated[int | None, typer.Option("--top", metavar="K", min=1, help="Show so many causes.")] = None,
    as_json: AsJson = False,
) -> None:
    """Rank the causes of a symptom, with what speaks for each and what against it.

    Writes one JSON document; on a terminal a table, unless `--json` is given.
    """
    from tocsin.app.diagnose.run import diagnose_folder  # noqa: PLC0415 - heavy

    found = diagnose_folder(folder, at)
    for note in found.notes:
        say(note)
    if as_json or not sys.stdout.isatty():
        document(found.to_json(top))
        return
    line(str(found.symptom.get("what", "")))
    rows = [
        (k, each.entity, each.kind, f"{each.score:.2f}", each.what, each.evidence[0] if each.evidence else "")
        for k, each in enumerate(found.verdict.causes[:top], 1)
    ]
    table(["", "entity", "kind", "score", "what", "first evidence"], rows)
    say(found.answer)
