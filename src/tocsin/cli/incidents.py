"""`incidents` and `ack`: the inbox, from a terminal."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import quote

import typer

from tocsin.cli.client import Server
from tocsin.cli.options import DEFAULT_URL, AsJson, Key, Url
from tocsin.cli.output import document, say, table


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("incidents")(incidents)
    app.command("ack")(ack)


def incidents(
    url: Url = DEFAULT_URL,
    key: Key = "",
    as_json: AsJson = False,
    state: Annotated[str, typer.Option(help="open, acknowledged, resolved; several joined by commas.")] = "",
    since: Annotated[str, typer.Option(metavar="T", help="Only those changed since then.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=1000)] = 100,
) -> None:
    """List incidents, newest first."""
    params: dict[str, Any] = {"state": state, "limit": limit}
    if since:
        params["since"] = since
    found = Server(url, key).get("/api/incidents", params)
    if as_json:
        document(found)
        return
    rows = [
        [each.get(name) for name in ("id", "severity", "state", "opened_at", "title")] for each in found["incidents"]
    ]
    table(["id", "severity", "state", "opened", "title"], rows)
    if not rows:
        say("no incidents")


def ack(
    incident_id: Annotated[str, typer.Argument(metavar="ID", help="Id of the incident.")],
    note: Annotated[str, typer.Option(help="What to say with it.")] = "",
    url: Url = DEFAULT_URL,
    key: Key = "",
    as_json: AsJson = False,
) -> None:
    """Acknowledge an incident: somebody looks after it, and pages stop escalating."""
    found = Server(url, key).post(f"/api/incidents/{quote(incident_id, safe='')}/ack", {"note": note})
    if as_json:
        document(found)
    else:
        say(f"{incident_id} is acknowledged")
