"""`plan`, `apply`, `rollback` and `drill`: what a configuration would do, before it does it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from tocsin.cli.client import Server
from tocsin.cli.options import DEFAULT_URL, AsJson, Key, Stopped, Tenant, Url
from tocsin.cli.output import document, line, say, table
from tocsin.model.errors import BadInput
from tocsin.model.series import MAIN_TENANT
from tocsin.model.text import one_line

LONG_S = 1900.0
Files = Annotated[
    list[Path],
    typer.Argument(metavar="FILE...", help="tocsin.yaml; of several files each has top-level keys of its own."),
]
Days = Annotated[float, typer.Option(min=0.01, max=400, help="How much stored history is judged.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("plan")(plan)
    app.command("apply")(apply)
    app.command("rollback")(rollback)
    app.command("drill")(drill)


def plan(
    files: Files,
    *,
    days: Days = 7,
    markdown: Annotated[bool, typer.Option("--markdown", help="For a comment on a change.")] = False,
    url: Url = DEFAULT_URL,
    key: Key = "",
    data: Stopped = None,
    against: Annotated[
        Path | None, typer.Option("--against", metavar="FILE", help="With --data: what is in force. Else the defaults.")
    ] = None,
    tenant: Tenant = MAIN_TENANT,
    as_json: AsJson = False,
) -> None:
    """Say what a configuration would have come to over stored history: 1 when something would change, 0 when not."""
    text = _joined(files)
    _check(files, text)
    if data is not None:
        from tocsin.app.offline import planned  # noqa: PLC0415 - heavy

        found = planned(data, text, "" if against is None else _joined([against]), tenant, days)
    else:
        found = Server(url, key, timeout_s=LONG_S).post("/api/plan", {"text": text, "days": days})
    if as_json:
        document(found)
    elif markdown:
        for each in _markdown(found):
            line(each)
    else:
        _show(found)
    if found["changed"]:
        raise typer.Exit(1)


def apply(files: Files, url: Url = DEFAULT_URL, key: Key = "", as_json: AsJson = False) -> None:
    """Put a configuration into force in a running server, by way of its file; the one before is kept."""
    text = _joined(files)
    _check(files, text)
    _applied(Server(url, key).post("/api/config", {"text": text}), as_json=as_json)


def rollback(url: Url = DEFAULT_URL, key: Key = "", as_json: AsJson = False) -> None:
    """Put the configuration into force again that was before the one that is."""
    _applied(Server(url, key).post("/api/config/rollback"), as_json=as_json)


def drill(
    *,
    days: Days = 7,
    monitors: Annotated[
        list[str] | None, typer.Option("--monitor", metavar="NAME", help="Only this one; repeatable.")
    ] = None,
    per_monitor: Annotated[int, typer.Option("--series", min=1, max=1000, help="Series of each monitor.")] = 8,
    size: Annotated[float, typer.Option(min=0.1, max=1000, help="Of an anomaly, in robust spreads of its series.")] = 8,
    seed: Annotated[int, typer.Option(min=0, help="Where they are planted.")] = 1,
    least: Annotated[
        float, typer.Option("--min-recall", min=0, max=1, help="End with 1 if fewer than this share are found.")
    ] = 0,
    url: Url = DEFAULT_URL,
    key: Key = "",
    as_json: AsJson = False,
) -> None:
    """Plant anomalies into shadow copies of stored series, and say how many are found, and after how long."""
    asked = {"days": days, "monitors": monitors or [], "per_monitor": per_monitor, "size": size, "seed": seed}
    found = Server(url, key, timeout_s=LONG_S).post("/api/drill", asked)
    if as_json:
        document(found)
    else:
        rows = [
            (name, *_told(each)) for name, each in {**found["by_shape"], **found["by_monitor"], "all": found}.items()
        ]
        table(("shape or monitor", "planted", "found", "recall", "median delay s", "longest s"), rows)
    if found["recall"] is not None and found["recall"] < least:
        raise typer.Exit(1)


def _told(each: dict[str, Any]) -> tuple[object, ...]:
    delay = each["delay_s"] or {}
    recall = "" if each["recall"] is None else f"{each['recall']:.2f}"
    return each["planted"], each["found"], recall, delay.get("median"), delay.get("most")


def _applied(found: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        document(found)
    else:
        say(f"configuration {found['sha256'][:12]} is in force within seconds; `tocsin rollback` takes it back")


def _joined(files: list[Path]) -> str:
    """The text of several files one behind another; each has top-level keys of its own."""
    from tocsin.spec.load import read_text  # noqa: PLC0415 - heavy

    return "\n".join(read_text(path).rstrip("\n") for path in files) + "\n"


def _check(files: list[Path], text: str) -> None:
    """Refuse here what can't be read at all, at its place; names and models are checked where it takes effect."""
    from tocsin.spec.tree import parse  # noqa: PLC0415 - heavy

    if len(files) > 1 and any(path.suffix == ".json" for path in files):
        raise BadInput("files of JSON can't be put one behind another; write them as YAML")
    parse(text, str(files[0]) if len(files) == 1 else "the files together")


def _show(found: dict[str, Any]) -> None:
    if not found["changed"]:
        say("nothing would change")
        return
    say(f"changed: {', '.join(found['parts'])}")
    rows = [(each["monitor"], each["change"], each["judged_by"], each["reason"]) for each in found["monitors"]]
    if rows:
        table(("monitor", "change", "judged by", "why"), rows)
    for sentence in sentences(found):
        say(sentence)


def sentences(found: dict[str, Any]) -> list[str]:
    """What a plan or a label comes to, in sentences."""
    notes = [one_line(str(note)) for note in found["notes"]]
    judged = found["difference"]
    if judged is None:
        return notes
    pages, incidents = judged["pages_per_week"], judged["incidents"]
    said = [
        f"pages a week: {pages['before']:.2f} before, {pages['after']:.2f} after ({pages['added']:+.2f})",
    ]
    counted = f"{len(incidents['lost'])} lost, {len(incidents['added'])} added, {incidents['kept']} kept"
    days = judged["weeks"] * 7
    said.append(f"incidents in {days:.1f} days: {incidents['before']} before, {incidents['after']} after; {counted}")
    if judged["delay_s"] is not None:
        delay = judged["delay_s"]
        said.append(
            f"those kept open later by {delay['median']:.0f} s (median; {delay['least']:.0f} to {delay['most']:.0f})"
        )
    said += [f"lost: {_incident(each)}" for each in incidents["lost"]]
    said += [f"added: {_incident(each)}" for each in incidents["added"]]
    return said + notes


def _incident(each: dict[str, Any]) -> str:
    return f"{each['opened_at'][:19]}Z {each['severity']} {one_line(each['title'], 160)}"


def _markdown(found: dict[str, Any]) -> list[str]:
    if not found["changed"]:
        return ["**Alerts:** nothing would change."]
    said = [f"**Alerts over the last {found['days']:g} days** (changed: {', '.join(found['parts'])})", ""]
    if found["monitors"]:
        said += ["| monitor | change | judged by | why |", "|---|---|---|---|"]
        for each in found["monitors"]:
            cells = (each["monitor"], each["change"], each["judged_by"], each["reason"])
            said.append("| " + " | ".join(_cell(cell) for cell in cells) + " |")
        said.append("")
    return said + [f"- {_cell(sentence)}" for sentence in sentences(found)]


def _cell(text: str) -> str:
    plain = one_line(str(text), 300)
    return "".join(f"\\{char}" if char in "\\`*_[]<>|#@" else char for char in plain)
