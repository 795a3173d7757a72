"""`export`: everything stored, out again."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any, BinaryIO, Literal

import typer

from tocsin.cli.client import Server
from tocsin.cli.options import DEFAULT_URL, Key, Url
from tocsin.cli.output import say
from tocsin.model.errors import BadInput

Kind = Literal[
    "points", "distributions", "spans", "logs", "records", "events", "scores", "states", "findings", "incidents"
]
Format = Literal["jsonl", "csv", "parquet"]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("export")(export)


def export(
    kind: Annotated[
        Kind,
        typer.Argument(
            metavar="KIND", help="points distributions spans logs records events scores states findings incidents."
        ),
    ],
    *,
    signal: Annotated[str, typer.Option(metavar="NAME", help="Only this signal.")] = "",
    where: Annotated[
        list[str] | None, typer.Option(metavar="KEY=VALUE", help="Only with this label; repeatable.")
    ] = None,
    start: Annotated[str, typer.Option("--from", metavar="T", help="RFC 3339 or epoch seconds.")] = "",
    end: Annotated[str, typer.Option("--to", metavar="T", help="RFC 3339 or epoch seconds.")] = "",
    form: Annotated[Format, typer.Option("--format", help="Of the rows.")] = "jsonl",
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Write here instead of stdout.")] = None,
    url: Url = DEFAULT_URL,
    key: Key = "",
) -> None:
    """Write everything stored of one kind, as rows."""
    for pair in where or []:
        if "=" not in pair:
            raise BadInput(f"--where {pair!r} is not KEY=VALUE")
    given: dict[str, Any] = {"signal": signal, "from": start, "to": end, "format": form}
    params = {name: value for name, value in given.items() if value}
    with Server(url, key, timeout_s=600.0).stream(
        "GET", f"/api/export/{kind}", params={**params, "where": where or []}
    ) as rows:
        size = save(rows.iter_bytes(), out)
    say(f"{size} bytes of {kind}")


def save(chunks: Iterable[bytes], out: Path | None) -> int:
    """Write chunks to a file that appears only when it is whole, or to stdout; gives the number of bytes.

    Raises
    ------
    BadInput
        The file can't be written.
    """
    size = 0
    with ExitStack() as stack:
        stream: BinaryIO = sys.stdout.buffer
        if out is not None:
            part = out.with_name(out.name + ".part")
            try:
                stream = stack.enter_context(part.open("wb"))
            except OSError as error:
                raise BadInput(f"can't write {out}: {(error.strerror or str(error)).lower()}") from None
            stack.callback(part.unlink, missing_ok=True)
        for chunk in chunks:
            size += stream.write(chunk)
        stream.flush()
        if out is not None:
            part.replace(out)
    return size
