"""`audit`: what people did to a server, and whether that record is whole."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from tocsin.cli.client import Server
from tocsin.cli.options import DEFAULT_URL, AsJson, Key, Url
from tocsin.cli.output import document, say, table, when


def register(app: typer.Typer) -> None:
    """Add the commands."""
    audit = typer.Typer(help="What people did to a server.", no_args_is_help=True, rich_markup_mode=None)
    audit.command("list")(list_entries)
    audit.command("verify")(verify)
    app.add_typer(audit, name="audit")


def list_entries(
    url: Url = DEFAULT_URL,
    key: Key = "",
    as_json: AsJson = False,
    *,
    limit: Annotated[int, typer.Option(min=1, max=1000)] = 100,
    who: Annotated[str, typer.Option(help="Only by those whose name holds this.")] = "",
    action: Annotated[str, typer.Option(help="Only this action, such as silence, or all that begin so: remed*.")] = "",
    what: Annotated[str, typer.Option(help="Only what was done to something whose name holds this.")] = "",
    since: Annotated[str, typer.Option("--from", metavar="TIME", help="RFC 3339, or seconds since 1970.")] = "",
    until: Annotated[str, typer.Option("--to", metavar="TIME", help="Up to here, excluded.")] = "",
    before: Annotated[int, typer.Option(min=0, help="Only entries numbered below this.")] = 0,
) -> None:
    """List who did what to what, newest first."""
    wanted = {"actor": who, "action": action, "subject": what, "from": since, "to": until, "before": before}
    asked = {name: value for name, value in wanted.items() if value}
    found = Server(url, key).get("/api/audit", {"limit": limit, **asked})
    if as_json:
        document(found)
        return
    rows = [
        [
            each["seq"],
            when(each["time"]),
            each["actor"],
            each["action"],
            each["subject"],
            json.dumps(each["detail"], sort_keys=True),
        ]
        for each in found["entries"]
    ]
    table(["entry", "time", "who", "action", "what", "detail"], rows)
    if found["next"]:
        say(f"there are more: --before {found['next']}")


def verify(url: Url = DEFAULT_URL, key: Key = "", as_json: AsJson = False) -> None:
    """Check that no entry was changed, removed or put in between; ends with 1 when one was."""
    found = Server(url, key, timeout_s=300.0).get("/api/audit/verify")
    if as_json:
        document(found)
    else:
        say(f"{found['entries']} entries, all sound" if found["sound"] else found["reason"])
    if not found["sound"]:
        raise typer.Exit(1)
