"""`review`: what fired, what paged nobody and why, what was said of it, and whether the budgets were kept."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from tocsin.cli.client import Server
from tocsin.cli.options import DEFAULT_URL, AsJson, Key, Url
from tocsin.cli.output import document, say, table, when

_SAID = {"real_problem": "real", "false_alarm": "false alarm"}
_KEPT = {"yes": "kept", "no": "over budget", "unsaid": "kept, unless more than that of the unsaid were false"}


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("review")(review)


def review(
    days: Annotated[int, typer.Option(min=1, max=140, help="How far back.")] = 7,
    quiet: Annotated[bool, typer.Option("--quiet", help="Only those that paged nobody, and why.")] = False,
    unsaid: Annotated[bool, typer.Option("--unsaid", help="Only those that nobody has judged yet.")] = False,
    url: Url = DEFAULT_URL,
    key: Key = "",
    as_json: AsJson = False,
) -> None:
    """List the incidents of the last days, where each lies between impact and confidence, by route, with verdicts and budgets."""
    found = Server(url, key).get("/api/review", {"days": days})
    shown = [each for each in found["incidents"] if not (unsaid and each["said"]) and not (quiet and each["paged"])]
    if as_json:
        document({**found, "incidents": shown})
        return
    heads = ["id", "severity", "opened", "team", "verdict", "title", "place"]
    table([*heads, "held back"] if quiet else heads, [_row(each, quiet=quiet) for each in shown])
    for route in found["board"]["routes"]:
        say(_route(route))
    for team in found["teams"]:
        say(_sentence(team))
    for model in found["models"]:
        for reason in model["reasons"]:
            say(
                f"the model of {model['monitor']} is due to be trained again since {when(reason['at'])}: {reason['text']}"
            )
    if any(not each["said"] for each in shown):
        say("say what each was: `tocsin feedback ID real` or `tocsin feedback ID false-alarm`")


def _row(each: dict[str, Any], *, quiet: bool) -> list[object]:
    verdict = _SAID.get(each["said"]["verdict"], "") if each["said"] else ""
    row = [each["id"], each["severity"], each["opened_at"], each["team"], verdict, each["title"], each["urgency"]]
    return [*row, "; ".join(why["reason"] for why in each["why"])] if quiet else row


def _route(each: dict[str, Any]) -> str:
    incidents = f"{each['incidents']} incident{'' if each['incidents'] == 1 else 's'}"
    return f"route {each['route']}: {incidents}, {each['paged']} paged, {each['held']} held back, {each['unsaid']} not judged"


def _sentence(team: dict[str, Any]) -> str:
    incidents = f"{team['incidents']} incident{'' if team['incidents'] == 1 else 's'}"
    counts = f"{incidents}, {team['real']} real, {team['false_alarms']} false, {team['unsaid']} unsaid"
    rates = f"{team['false_per_week']:.3g} to {team['at_most_per_week']:.3g} false a week of {team['promised_per_week']:.3g}"
    return f"{team['team']}: {counts}; {rates}: {_KEPT[team['kept']]}"
