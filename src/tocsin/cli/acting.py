"""`actions`: what is done about incidents; approve, reject, take back, stop everything."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import quote

import typer

from tocsin.cli.client import Server
from tocsin.cli.options import DEFAULT_URL, AsJson, Key, Url
from tocsin.cli.output import document, say, table, when

ActionId = Annotated[str, typer.Argument(metavar="ID", help="Id of the action.")]
Said = Annotated[str, typer.Option(help="What to say with it.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    actions = typer.Typer(help="What is done about incidents.", no_args_is_help=True, rich_markup_mode=None)
    for name, command in (
        ("list", list_actions),
        ("show", show),
        ("propose", propose),
        ("approve", approve),
        ("reject", reject),
        ("undo", undo),
        ("stop", stop),
        ("resume", resume),
    ):
        actions.command(name)(command)
    app.add_typer(actions, name="actions")


def list_actions(
    url: Url = DEFAULT_URL,
    key: Key = "",
    as_json: AsJson = False,
    state: Annotated[str, typer.Option(help="waiting, held, verifying, ...; several joined by commas.")] = "",
    incident: Annotated[str, typer.Option(help="Only those about this incident.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=1000)] = 100,
) -> None:
    """List actions, the last changed first."""
    found = Server(url, key).get("/api/actions", {"state": state, "incident": incident, "limit": limit})
    if as_json:
        document(found)
        return
    rows = [
        [each["id"], each["state"], when(each["updated_at"]), each["playbook"], each["target"], each["incident"]]
        for each in found["actions"]
    ]
    table(["id", "state", "changed", "playbook", "target", "incident"], rows)
    say(_standing(found))


def _standing(found: dict[str, Any]) -> str:
    switch = found["switch"]
    if switch["stopped"]:
        return f"all is stopped by {switch['by']} since {when(switch['since'])}{': ' if switch['note'] else ''}{switch['note']}"
    if not found["enabled"]:
        return "remediation is off: `remediation: {enabled: true}` lets playbooks act"
    return "dry run: it is only said what would be done" if found["dry_run"] else "remediation is on"


def show(action_id: ActionId, url: Url = DEFAULT_URL, key: Key = "", as_json: AsJson = False) -> None:
    """Show one action: its conditions with their arithmetic, and its log."""
    found = Server(url, key).get(f"/api/actions/{quote(action_id, safe='')}")
    if as_json:
        document(found)
        return
    table(
        ["condition", "holds", "because"], [[c["name"], "yes" if c["ok"] else "no", c["said"]] for c in found["checks"]]
    )
    table(["time", "by", "what"], [[when(s["time"]), s["by"], s["what"]] for s in found["log"]])


def propose(
    incident_id: Annotated[str, typer.Argument(metavar="INCIDENT", help="Id of the incident.")],
    playbook: Annotated[str, typer.Argument(metavar="PLAYBOOK", help="Name of the playbook.")],
    note: Said = "",
    url: Url = DEFAULT_URL,
    key: Key = "",
    as_json: AsJson = False,
) -> None:
    """Propose what a playbook does about an incident; somebody else has to approve it."""
    body = {"incident": incident_id, "playbook": playbook, "note": note}
    _told(Server(url, key).post("/api/actions", body), as_json=as_json)


def approve(
    action_id: ActionId, note: Said = "", url: Url = DEFAULT_URL, key: Key = "", as_json: AsJson = False
) -> None:
    """Approve an action that waits."""
    _word("approve", action_id, note, url, key, as_json=as_json)


def reject(
    action_id: ActionId, note: Said = "", url: Url = DEFAULT_URL, key: Key = "", as_json: AsJson = False
) -> None:
    """Say no to an action that has not begun."""
    _word("reject", action_id, note, url, key, as_json=as_json)


def undo(action_id: ActionId, note: Said = "", url: Url = DEFAULT_URL, key: Key = "", as_json: AsJson = False) -> None:
    """Take back what an action did, now."""
    _word("undo", action_id, note, url, key, as_json=as_json)


def _word(word: str, action_id: str, note: str, url: str, key: str, *, as_json: bool) -> None:
    path = f"/api/actions/{quote(action_id, safe='')}/{word}"
    _told(Server(url, key).post(path, {"note": note}), as_json=as_json)


def _told(found: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        document(found)
    else:
        say(f"{found['id']} is {found['state'].replace('_', ' ')}: {found['log'][-1]['what']}")


def stop(note: Said = "", url: Url = DEFAULT_URL, key: Key = "", as_json: AsJson = False) -> None:
    """Stop all remediation now; it stays stopped over restarts until it is resumed."""
    _switched("stop", note, url, key, as_json=as_json)


def resume(note: Said = "", url: Url = DEFAULT_URL, key: Key = "", as_json: AsJson = False) -> None:
    """Let remediation go on."""
    _switched("resume", note, url, key, as_json=as_json)


def _switched(word: str, note: str, url: str, key: str, *, as_json: bool) -> None:
    found = Server(url, key).post(f"/api/actions/{word}", {"note": note})
    if as_json:
        document(found)
    else:
        say(_standing(found))
