"""Options that several commands share, spelled once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tocsin.app.defaults import URL

Url = Annotated[str, typer.Option("--url", envvar="TOCSIN_URL", help="Address of a running server.")]
Key = Annotated[str, typer.Option("--key", envvar="TOCSIN_KEY", help="Key for that server.", show_default=False)]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON document on stdout and nothing else.")]
Data = Annotated[
    Path | None, typer.Option("--data", metavar="DIR", help="Data directory.", envvar="TOCSIN_DATA", show_default=False)
]
Stopped = Annotated[
    Path | None, typer.Option("--data", metavar="DIR", help="Data directory of a server that is stopped.")
]
Tenant = Annotated[str, typer.Option(help="Whose, with --data; a key says it for a server.")]
DEFAULT_URL = URL


def data_dir(given: Path | None) -> Path:
    """The data directory that was named, or the default one."""
    from tocsin.app.settings import default_data_dir, environment  # noqa: PLC0415 - heavy

    return given if given is not None else default_data_dir(environment())
