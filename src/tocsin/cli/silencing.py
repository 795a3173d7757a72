"""`silence`, `silences`, `unsilence`: page nobody about something for a while."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import quote

import typer

from tocsin.cli.client import Server
from tocsin.cli.options import DEFAULT_URL, AsJson, Key, Url
from tocsin.cli.output import document, line, say, table, when
from tocsin.model.errors import BadInput

_INCIDENT = "inc-"


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("silence")(silence)
    app.command("silences")(silences)
    app.command("unsilence")(unsilence)


def matchers_of(texts: list[str]) -> dict[str, str]:
    """Matchers from what was typed: KEY=VALUE, several joined by commas, or the id of an incident.

    >>> matchers_of(["service.name=web,severity=error", "note=a,b"])
    {'service.name': 'web', 'severity': 'error', 'note': 'a,b'}
    >>> matchers_of(["inc-3fa9"])
    {'incident': 'inc-3fa9'}

    Raises
    ------
    BadInput
        A part is neither, or one key is given two values.
    """
    found: dict[str, str] = {}
    for text in texts:
        parts: list[str] = []
        for part in text.split(","):
            if "=" in part or not parts:
                parts.append(part)
            else:  # a comma inside a value
                parts[-1] += f",{part}"
        for part in parts:
            key, equals, value = part.partition("=")
            if not equals and key.startswith(_INCIDENT):
                key, value = "incident", key
            if not key or not value:
                raise BadInput(
                    f"{part!r} is no matcher; write KEY=VALUE, such as service.name=web, or an incident's id"
                )
            if found.setdefault(key, value) != value:
                raise BadInput(f"{key!r} has two values, and no incident can have both; make two silences")
    return found


def silence(
    matcher: Annotated[
        list[str],
        typer.Argument(
            metavar="MATCHER",
            help="KEY=VALUE, all of which an incident must carry: a label, or entity, monitor, signal, severity, "
            "cause, incident. An incident's id alone will do.",
        ),
    ],
    length: Annotated[str, typer.Option("--for", metavar="D", help="How long: 30m, 2h, 7d, ...")],
    note: Annotated[str, typer.Option(help="Why, for the others.")] = "",
    url: Url = DEFAULT_URL,
    key: Key = "",
    as_json: AsJson = False,
) -> None:
    """Page nobody about incidents that match, for a while; they stay visible."""
    body = {"matchers": matchers_of(matcher), "for": length, "note": note}
    made = Server(url, key).post("/api/silences", body)
    if as_json:
        document(made)
        return
    line(made["id"])
    n = made["incidents"]
    say(
        f"silenced until {when(made['ends_at'])}; {n} open incident{'' if n == 1 else 's'} match{'es' if n == 1 else ''}"
    )


def silences(
    url: Url = DEFAULT_URL,
    key: Key = "",
    as_json: AsJson = False,
    past: Annotated[bool, typer.Option("--past", help="Also those that are over.")] = False,
) -> None:
    """List what is silenced, and until when."""
    found = Server(url, key).get("/api/silences", {"past": "true"} if past else {})
    if as_json:
        document(found)
        return
    rows = [_row(each) for each in found["silences"]]
    table(["id", "until", "what", "by", "incidents", "note"], rows)
    if not rows:
        say("nothing is silenced")


def _row(each: dict[str, Any]) -> list[object]:
    what = ",".join(f"{name}={value}" for name, value in each["matchers"].items())
    ends = when(each["ends_at"])
    until = f"over since {ends}" if each["over"] else ends
    return [each["id"], until, what, each["by"], each["incidents"], each["note"]]


def unsilence(
    silence_id: Annotated[str, typer.Argument(metavar="ID", help="Id of the silence.")],
    url: Url = DEFAULT_URL,
    key: Key = "",
    as_json: AsJson = False,
) -> None:
    """End a silence now; incidents that it held back and that are not over are told at once."""
    found = Server(url, key).delete(f"/api/silences/{quote(silence_id, safe='')}")
    if as_json:
        document(found)
    else:
        say(f"{silence_id} is over")
