"""`retraining`: which models of monitors are due to be trained again, and why."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import quote

import typer

from tocsin.cli.client import Server
from tocsin.cli.options import DEFAULT_URL, AsJson, Key, Url
from tocsin.cli.output import document, say, table, when

Monitor = Annotated[str, typer.Argument(metavar="MONITOR", help="The monitor that the model drives.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(
        help="Models of monitors that are due to be trained again.", no_args_is_help=True, rich_markup_mode=None
    )
    group.command("list")(list_models)
    group.command("put-off")(put_off)
    group.command("take-up")(take_up)
    app.add_typer(group, name="retraining")


def list_models(url: Url = DEFAULT_URL, key: Key = "", as_json: AsJson = False) -> None:
    """List models that drive monitors: which are due, since when and why."""
    _show(Server(url, key).get("/api/retraining"), as_json=as_json)


def put_off(monitor: Monitor, url: Url = DEFAULT_URL, key: Key = "", as_json: AsJson = False) -> None:
    """Take the flag of a model down: what is counted for it begins anew."""
    _show(Server(url, key).delete(f"/api/retraining/{quote(monitor, safe='')}"), as_json=as_json)


def take_up(monitor: Monitor, url: Url = DEFAULT_URL, key: Key = "", as_json: AsJson = False) -> None:
    """Take back that it was put off: all counts since the model is in force."""
    _show(Server(url, key).post(f"/api/retraining/{quote(monitor, safe='')}"), as_json=as_json)


def _show(found: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        document(found)
        return
    rows = [
        [each["monitor"], each["model"], each["sha256"][:12], when(each["in_force_since"]), _state(each),
         f"{each['false_alarms']} of {each['judged']}", f"{each['missed']} of {each['real']}"]
        for each in found["models"]
    ]  # fmt: skip
    table(["monitor", "model", "version", "in force since", "state", "false alarms", "missed"], rows)
    for each in found["models"]:
        for reason in each["reasons"]:
            say(f"{each['monitor']}: since {when(reason['at'])}: {reason['text']}")
    if any(each["due"] for each in found["models"]):
        say("train a new version with `tocsin train`, or put it off with `tocsin retraining put-off MONITOR`")


def _state(each: dict[str, Any]) -> str:
    if each["due"]:
        return f"due since {when(each['due_at'])}"
    return f"put off {when(each['put_off_at'])} by {each['put_off_by']}" if each["put_off_at"] else "not due"
