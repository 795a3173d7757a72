"""`event`: record a change, so that incidents can be blamed on it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import typer

from tocsin.cli.client import Server
from tocsin.cli.options import DEFAULT_URL, AsJson, Key, Url
from tocsin.cli.output import document, say

Kind = Literal["deploy", "prompt", "flag", "config", "model", "node", "gpu", "dependency", "traffic"]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("event")(event)


def event(
    kind: Annotated[
        Kind, typer.Argument(metavar="KIND", help="deploy prompt flag config model node gpu dependency traffic.")
    ],
    what: Annotated[str, typer.Argument(metavar="WHAT", help="What changed, in words.")],
    entity: Annotated[str, typer.Option(metavar="E", help="What it was done to, as a name of a service or host.")] = "",
    time: Annotated[str, typer.Option(metavar="T", help="When: RFC 3339 or epoch seconds; now when left out.")] = "",
    url: Url = DEFAULT_URL,
    key: Key = "",
    as_json: AsJson = False,
) -> None:
    """Record a change: a deploy, a prompt, a flag, ..."""
    body: dict[str, Any] = {"kind": kind, "what": what}
    if entity:
        body["entity"] = entity
    if time:
        body["time"] = time
    answer = Server(url, key).post("/api/events", body)
    if as_json:
        document(answer if answer is not None else {})
    else:
        say(f"recorded: {kind} {what}")
