"""`export`: everything stored, out again."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from tocsin.cli.client import Server
from tocsin.cli.options import DEFAULT_URL, Key, Stopped, Tenant, Url
from tocsin.cli.output import say
from tocsin.model.errors import BadInput
from tocsin.model.series import MAIN_TENANT

Kind = Literal[
    "points", "distributions", "spans", "logs", "records", "events", "scores", "states", "findings", "incidents"
]
_CONTROLS = bytes({*range(32), 127} - {9, 10})
Format = Literal["jsonl", "csv", "parquet", "sql"]


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
    data: Stopped = None,
    tenant: Tenant = MAIN_TENANT,
) -> None:
    """Write everything stored of one kind, as rows: from a running server, or what a stopped one had stored."""
    if form == "parquet" and out is None and sys.stdout.isatty():
        raise BadInput("parquet is no text for a terminal; write it to a file with --out FILE")
    for pair in where or []:
        if "=" not in pair:
            raise BadInput(f"--where {pair!r} is not KEY=VALUE")
    if data is not None:
        chosen = {"signal": signal, "where": where or [], "start": start, "end": end}
        say(f"{_export_stopped(data, tenant, kind, form, chosen, out)} bytes of {kind}")
        return
    given: dict[str, Any] = {"signal": signal, "from": start, "to": end, "format": form}
    params = {name: value for name, value in given.items() if value}
    with Server(url, key, timeout_s=600.0).stream(
        "GET", f"/api/export/{kind}", params={**params, "where": where or []}
    ) as rows:
        size = save(rows.iter_bytes(), out)
    say(f"{size} bytes of {kind}")


def _export_stopped(data: Path, tenant: str, kind: Kind, form: Format, chosen: dict[str, Any], out: Path | None) -> int:
    from tocsin.app.offline import offline  # noqa: PLC0415 - heavy

    with offline(data) as stopped:
        if stopped.unstored:
            say(f"{stopped.unstored} records of the log were not stored yet; `tocsin serve --data {data}` stores them")
        return save(stopped.export(kind, tenant, form, **chosen), out)


def save(chunks: Iterable[bytes], out: Path | None, *, private: bool = False) -> int:
    """Write chunks to a file that appears only when it is whole, or to stdout; gives the number of bytes.

    Raises
    ------
    BadInput
        The file can't be written.
    """
    if out is None:
        return _show(chunks)
    size = 0
    part = out.with_name(out.name + ".part")
    try:
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600 if private else 0o666)
    except OSError as error:
        raise BadInput(f"can't write {out}: {(error.strerror or str(error)).lower()}") from None
    try:
        with os.fdopen(descriptor, "wb") as stream:
            for chunk in chunks:
                size += stream.write(chunk)
        part.replace(out)
    finally:
        part.unlink(missing_ok=True)
    return size


def _show(chunks: Iterable[bytes]) -> int:
    """Write to stdout: as it is into a pipe; without escape sequences for a person at a terminal."""
    terminal = sys.stdout.isatty()
    size = 0
    for chunk in chunks:
        size += len(chunk)
        sys.stdout.buffer.write(harmless(chunk) if terminal else chunk)
    sys.stdout.buffer.flush()
    return size


def harmless(chunk: bytes) -> bytes:
    r"""Rows from telemetry without the bytes that could command a terminal.

    >>> harmless(b"a,\x1b[2Jb\tc\r\n\xc2\x9b")
    b'a,[2Jb\tc\n'
    """
    return chunk.translate(None, _CONTROLS).replace(b"\xc2\x9b", b"")
