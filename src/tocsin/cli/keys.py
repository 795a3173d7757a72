"""`key`: make, list and revoke keys, in the data directory (a running server sees it at once)."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tocsin.cli.options import AsJson, Data, data_dir
from tocsin.cli.output import document, line, say, table, when
from tocsin.model.access import Scope

if TYPE_CHECKING:
    from tocsin.app.keys import KeyRing

keys = typer.Typer(
    name="key", help="Make, list and revoke keys.", no_args_is_help=True, rich_markup_mode=None, add_completion=False
)


def register(app: typer.Typer) -> None:
    """Add the group."""
    app.add_typer(keys)


@keys.command("create")
def create(
    scope: Annotated[Scope, typer.Option(help="What it allows.")],
    tenant: Annotated[str, typer.Option(help="Whose telemetry it writes and reads.")] = "main",
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Make a key and print it, once, as the last word on stdout."""
    key = _ring(data).create(scope, tenant)
    if as_json:
        document({"id": key.split("_")[1], "scope": scope.value, "tenant": tenant, "key": key})
        return
    say("keep it: it is not shown again; send it as `Authorization: Bearer KEY`")
    line(key)


@keys.command("redaction")
def redaction(data: Data = None) -> None:
    """Make the key that all machines of a cluster redact with, for a secret that is mounted in all of them."""
    from tocsin.app.logs import redaction_key  # noqa: PLC0415 - heavy

    path = data_dir(data)
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    known = (path / "redaction.key").exists()
    redaction_key(path)
    say(f"{path / 'redaction.key'} {'is there already' if known else 'is made'}; see docs/cluster.md")


@keys.command("list")
def list_keys(data: Data = None, as_json: AsJson = False) -> None:
    """List keys, oldest first; secrets are not kept."""
    from tocsin.model.times import time_to_json  # noqa: PLC0415 - heavy

    rows = [
        {"id": e.id, "scope": e.scope.value, "tenant": e.tenant, "created_at": time_to_json(e.created_at)}
        for e in _ring(data).list()
    ]
    if as_json:
        document({"keys": rows})
    else:
        shown = [[row["id"], row["scope"], row["tenant"], when(row["created_at"])] for row in rows]
        table(["id", "scope", "tenant", "created"], shown)


@keys.command("revoke")
def revoke(
    key_id: Annotated[str, typer.Argument(metavar="ID", help="Id of the key, as `key list` shows it.")],
    data: Data = None,
) -> None:
    """End a key at once."""
    _ring(data).revoke(key_id)
    say(f"the key {key_id} is worth nothing any more")


def _ring(data: Path | None) -> KeyRing:
    from tocsin.app.keys import KeyRing  # noqa: PLC0415 - heavy
    from tocsin.selfmon.clock import SystemClock  # noqa: PLC0415 - heavy

    path = data_dir(data)
    sys.stderr.write(f"data directory: {path}\n")
    return KeyRing(path / "keys.json", SystemClock())
