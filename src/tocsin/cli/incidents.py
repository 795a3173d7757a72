"""`incidents`, `ack` and `feedback`: the inbox, from a terminal."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from urllib.parse import quote

import typer

from tocsin.cli.client import Server
from tocsin.cli.labelling import show_label
from tocsin.cli.options import DEFAULT_URL, AsJson, Key, Stopped, Tenant, Url
from tocsin.cli.output import document, say, table, when
from tocsin.cli.planning import LONG_S
from tocsin.model.series import MAIN_TENANT


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("incidents")(incidents)
    app.command("ack")(ack)
    app.command("feedback")(feedback)
    app.command("merge")(merge)
    app.command("split")(split)


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
    *,
    preview: Annotated[
        bool, typer.Option("--preview", help="Say what acting on it would have changed; note nothing.")
    ] = False,
    put: Annotated[
        bool, typer.Option("--apply", help="Act on it, after showing what that would have changed and asking.")
    ] = False,
    undo: Annotated[bool, typer.Option("--undo", help="No longer act on it.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    days: Annotated[float, typer.Option(min=0.01, max=400, help="How much history is judged again.")] = 14,
    url: Url = DEFAULT_URL,
    key: Key = "",
    as_json: AsJson = False,
) -> None:
    """Say whether an incident was a real problem or a false alarm, and have future alerts go by it if you wish."""
    said = {"real": "real_problem", "false-alarm": "false_alarm"}[verdict]
    path = f"/api/incidents/{quote(incident_id, safe='')}"
    if undo:
        done: Any = Server(url, key).delete(f"{path}/label")
        words = f"what was said of {incident_id} asks for nothing any more"
    elif not (preview or put):
        done = Server(url, key).post(f"{path}/feedback", {"verdict": said, "note": note})
        words = f"{incident_id} was a {said.replace('_', ' ')}: noted"
    else:
        label = {"verdict": said, "days": days}
        done = Server(url, key, timeout_s=LONG_S).post(f"{path}/label/preview", label)
        if not as_json:
            show_label(done)
        words = "nothing was put into force"
        if put and done["changes"] and (yes or typer.confirm("put this into force?", err=True)):
            done = Server(url, key).post(f"{path}/label", label)
            words = f"in force; `tocsin feedback {incident_id} {verdict} --undo` takes it back"
    if as_json:
        document(done)
    else:
        say(words)


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


def merge(
    incident_id: Annotated[str, typer.Argument(metavar="ID", help="Id of the incident that ends.")],
    into: Annotated[str, typer.Argument(metavar="INTO", help="Id of the incident that takes it over.")],
    url: Url = DEFAULT_URL,
    key: Key = "",
    as_json: AsJson = False,
) -> None:
    """Make an incident part of another; what is of both stays together from now on."""
    found = Server(url, key).post(f"/api/incidents/{quote(incident_id, safe='')}/merge", {"into": into})
    if as_json:
        document(found)
    else:
        say(f"{incident_id} is part of {into}")


def split(
    incident_id: Annotated[str, typer.Argument(metavar="ID", help="Id of the incident.")],
    findings: Annotated[list[str], typer.Argument(metavar="FINDING...", help="Ids of findings that are another one.")],
    url: Url = DEFAULT_URL,
    key: Key = "",
    as_json: AsJson = False,
) -> None:
    """Make some findings of an incident another incident; what is of both stays apart from now on."""
    body = {"findings": findings}
    found = Server(url, key).post(f"/api/incidents/{quote(incident_id, safe='')}/split", body)
    if as_json:
        document(found)
    else:
        say(f"{len(findings)} finding(s) split off {incident_id}")
