"""`backup` and `restore`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tocsin.cli.client import Server
from tocsin.cli.exporting import save
from tocsin.cli.options import DEFAULT_URL, Key, Stopped, Url, data_dir
from tocsin.cli.output import say
from tocsin.model.errors import BadInput


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("backup")(backup)
    app.command("restore")(restore)


def backup(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The tar file to write.")],
    data: Stopped = None,
    url: Url = DEFAULT_URL,
    key: Key = "",
) -> None:
    """Back everything up into one file: from a running server, or from the data directory of a stopped one."""
    from tocsin.app.archive import backup_directory  # noqa: PLC0415 - heavy

    if data is not None:
        size = save(backup_directory(data), file, private=True)
    else:
        with Server(url, key, timeout_s=3600.0).stream("POST", "/api/backup") as answer:
            size = save(answer.iter_bytes(), file, private=True)
    say(f"{file}: {size} bytes")


def restore(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A file that `backup` wrote.")],
    data: Annotated[
        Path | None, typer.Option("--data", metavar="DIR", envvar="TOCSIN_DATA", help="A new or empty data directory.")
    ] = None,
) -> None:
    """Put a backup into a new data directory, whole or not at all."""
    from tocsin.app.archive import restore as restore_into  # noqa: PLC0415 - heavy

    target = data_dir(data)
    try:
        stream = file.open("rb")
    except OSError as error:
        raise BadInput(f"can't read {file}: {(error.strerror or str(error)).lower()}") from None
    with stream:
        count = restore_into(stream, target)
    say(f"{target}: {count} files; start it with `tocsin serve --data {target}`")
