"""`incidents`, `ack` and `feedback`: the inbox, from a terminal."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from urllib.parse import quote

import typer

from tocsin.cli.client import Server
from tocsin.cli.options import DEFAULT_URL, AsJson, Key, Stopped, Tenant, Url
from tocsin.cli.output import document, say, table, when
from tocsin.model.series import MAIN_TENANT


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("incidents")(incidents)
    app.command("ack")(ack)
    app.command("feedback")(feedback)


def incidents(
    url: Url = DEFAULT_URL,
    key: Key = "",
    as_json: AsJson = False,
    state: Annotated[str, typer.Option(help="open, acknowledged, resolved; several joined by commas.")] = "",
    since: Annotated[str, typer.Option(metavar="T", help="Only those changed since then.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=1000)] = 100,
    data: Stopped = None,
    tenant: Tenant = MAIN_TENANT,
) -> None:
    """List incidents, newest first: of a running server, or of a stopped one's data directory."""
    if data is not None:
        from tocsin.app.offline import offline  # noqa: PLC0415 - heavy

        with offline(data) as stopped:
            found = stopped.incidents(tenant, state=state, since=since, limit=limit)
    else:
        params: dict[str, Any] = {"state": state, "limit": limit}
        if since:
            params["since"] = since
        found = Server(url, key).get("/api/incidents", params)
    if as_json:
        document(found)
        return
    rows = [
        [each["id"], each["severity"], each["state"], when(each["opened_at"]), each["title"]]
        for each in found["incidents"]
    ]
    table(["id", "severity", "state", "opened", "title"], rows)
    if not rows:
        say("no incidents")


def feedback(
    incident_id: Annotated[str, typer.Argument(metavar="ID", help="Id of the incident.")],
    verdict: Annotated[Literal["real", "false-alarm"], typer.Argument(metavar="VERDICT", help="real, false-alarm.")],
    note: Annotated[str, typer.Option(help="Why.")] = "",
    url: Url = DEFAULT_URL,
    key: Key = "",
    as_json: AsJson = False,
) -> None:
    """Say whether an incident was a real problem or a false alarm."""
    said = {"real": "real_problem", "false-alarm": "false_alarm"}[verdict]
    body = {"verdict": said, "note": note}
    found = Server(url, key).post(f"/api/incidents/{quote(incident_id, safe='')}/feedback", body)
    if as_json:
        document(found)
    else:
        say(f"{incident_id} was a {said.replace('_', ' ')}: noted")


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
