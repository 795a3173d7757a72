"""`shadow`: whether alerts may go out, by what they would have been beside what others alerted on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import typer

from tocsin.cli.client import Server
from tocsin.cli.options import DEFAULT_URL, AsJson, Key, Url
from tocsin.cli.output import document, say, table
from tocsin.model.errors import BadInput
from tocsin.model.text import one_line

MOST_BYTES = 64 << 20
_ALERTS = "/api/v2/alerts"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("shadow")(shadow)


def shadow(
    *,
    alerts: Annotated[
        str,
        typer.Option(
            "--alerts",
            metavar="FILE|URL",
            help="What others alerted on: a JSON file, or the address of an Alertmanager or of a query of ALERTS.",
        ),
    ] = "",
    days: Annotated[float, typer.Option(min=0.01, max=400, help="How far back.")] = 14,
    precision: Annotated[
        float, typer.Option("--min-precision", min=0, max=1, help="Of incidents that were right.")
    ] = 0.5,
    recall: Annotated[float, typer.Option("--min-recall", min=0, max=1, help="Of alerts that were seen.")] = 0.8,
    least: Annotated[int, typer.Option("--min-alerts", min=1, help="Fewer are too few to compare with.")] = 5,
    url: Url = DEFAULT_URL,
    key: Key = "",
    as_json: AsJson = False,
) -> None:
    """Compare incidents with what others alerted on: 0 when they pass the gate and may be let out, 1 when not."""
    server = Server(url, key, timeout_s=120.0)
    if alerts:
        taken = server.put("/api/shadow/alerts", {"alerts": _read(alerts)})
        say(f"{taken['alerts']} alerts taken in")
    asked = {"days": days, "precision": precision, "recall": recall, "least": least}
    found = server.get("/api/shadow", asked)
    if as_json:
        document(found)
    else:
        _show(found)
    if not found["gate"]["passed"]:
        raise typer.Exit(1)


def _show(found: dict[str, Any]) -> None:
    names = ("incidents", "alerts", "precision", "recall", "overlap", "lead_s")
    table(names, [[found[name] if found[name] is not None else "" for name in names]])
    for each in found["alerts_missed"]:
        say(f"missed: {each['start'][:19]}Z {one_line(each['name'])}")
    for each in found["incidents_alone"]:
        said = f" ({each['said'].replace('_', ' ')})" if each["said"] else ""
        say(f"alone: {each['opened_at'][:19]}Z {one_line(each['title'])}{said}")
    for reason in found["gate"]["reasons"]:
        say(reason)
    if not found["gate"]["passed"]:
        say("not yet")
    elif found["dry_run"]:
        say("good enough to be let out: set `dry_run: false`, and `tocsin apply` the file")
    else:
        say("good enough; alerts go out already")


def _read(source: str) -> Any:
    if not source.startswith(("http://", "https://")):
        try:
            with Path(source).open("rb") as stream:
                return _parsed(stream.read(MOST_BYTES + 1), source)
        except OSError as error:
            raise BadInput(f"can't read {source}: {(error.strerror or str(error)).lower()}") from None
    path = urlsplit(source).path
    base, rest = (source, "") if "/api/" in path else (source.rstrip("/"), _ALERTS)
    parts = urlsplit(base + rest)
    address = f"{parts.path}?{parts.query}" if parts.query else parts.path
    with Server(f"{parts.scheme}://{parts.netloc}").stream("GET", address) as answer:
        return _parsed(answer.read(), source)


def _parsed(raw: bytes, source: str) -> Any:
    if len(raw) > MOST_BYTES:
        raise BadInput(f"{source} is larger than {MOST_BYTES >> 20} MiB")
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        try:
            return [json.loads(row) for row in raw.splitlines() if row.strip()]
        except (ValueError, RecursionError):
            raise BadInput(f"{source} is neither JSON nor lines of it") from None
