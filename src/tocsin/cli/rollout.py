"""`rollout` and `oncall`: the phase that Tocsin is in, and who is called now."""

from __future__ import annotations

from typing import Annotated

import typer

from tocsin.cli.client import Server
from tocsin.cli.options import DEFAULT_URL, AsJson, Key, Url
from tocsin.cli.output import document, say, table, when


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("rollout")(rollout)
    app.command("oncall")(oncall)


def rollout(
    phase: Annotated[int | None, typer.Argument(metavar="[PHASE]", min=1, max=3, help="The phase to go to.")] = None,
    url: Url = DEFAULT_URL,
    key: Key = "",
    as_json: AsJson = False,
) -> None:
    """Tell the phase of the rollout, or go to one: 1 latency, errors, volume; 2 everything; 3 also on-call."""
    server = Server(url, key)
    found = server.get("/api/rollout") if phase is None else server.post("/api/rollout", {"phase": phase})
    if as_json:
        document(found)
        return
    say(f"phase {found['phase']} of 3: {found['words']}")
    if found.get("since"):
        say(f"since {when(found['since'])} by {found['by']}")
    for name, number in (("second", 2), ("third", 3)):
        if found.get(name) and found["phase"] < number:
            say(f"phase {number} begins {when(found[name])}")


def oncall(url: Url = DEFAULT_URL, key: Key = "", as_json: AsJson = False) -> None:
    """List who is on call now by each schedule, and where they are told."""
    found = Server(url, key).get("/api/oncall")
    if as_json:
        document(found)
        return
    rows = [
        [each["schedule"], ", ".join(each["people"]) or "nobody", ", ".join(each["to"])] for each in found["oncall"]
    ]
    table(["schedule", "on call", "told at"], rows)
    if not rows:
        say("no schedules; add `oncall:` to the configuration")
