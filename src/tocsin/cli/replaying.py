"""`incident export` and `replay`: a verdict taken elsewhere, and given again there."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import quote

import typer

from tocsin.cli.client import Server
from tocsin.cli.exporting import save
from tocsin.cli.options import DEFAULT_URL, AsJson, Key, Stopped, Tenant, Url
from tocsin.cli.output import document, say, table
from tocsin.model.errors import BadInput, Corrupt
from tocsin.model.series import MAIN_TENANT

if TYPE_CHECKING:
    from tocsin.app.replays.verdict import Verdict

_incident = typer.Typer(help="One incident, to take elsewhere.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    _incident.command("export")(export)
    app.add_typer(_incident, name="incident")
    app.command("replay")(replay)


def export(
    incident_id: Annotated[str, typer.Argument(metavar="ID", help="Id of the incident.")],
    *,
    out: Annotated[Path, typer.Option("--out", metavar="F.tar", help="The bundle; only its owner may read it.")],
    url: Url = DEFAULT_URL,
    key: Key = "",
    data: Stopped = None,
    tenant: Tenant = MAIN_TENANT,
) -> None:
    """Write what the verdict of an incident needs into one file; `tocsin replay` gives it again anywhere."""
    if data is not None:
        from tocsin.app.offline import exported_incident  # noqa: PLC0415 - heavy

        with exported_incident(data, incident_id, tenant) as chunks:
            size = save(chunks, out, private=True)
    else:
        path = f"/api/incidents/{quote(incident_id, safe='')}/export"
        with Server(url, key, timeout_s=600.0).stream("GET", path) as answer:
            size = save(answer.iter_bytes(), out, private=True)
    say(f"{out}: {size} bytes; `tocsin replay {out}` gives its verdict again")


def replay(
    file: Annotated[Path, typer.Argument(metavar="F.tar", help="A bundle of `tocsin incident export`.")],
    *,
    trust_models: Annotated[
        bool, typer.Option("--trust-models", help="Run model files that the bundle brings along.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Fold a bundle by the same engine: 0 when it gives the verdict that was told, 1 when another."""
    from tocsin.app.settings import cache_kernels, default_data_dir, environment  # noqa: PLC0415 - heavy

    cache_kernels(default_data_dir(environment()))  # before they are imported
    from tocsin.app.replays.verdict import replay as replayed  # noqa: PLC0415 - heavy

    try:
        verdict = replayed(file, trust_models=trust_models)
    except Corrupt as error:  # a bad file is bad input; 1 is kept for another verdict
        raise BadInput(str(error)) from None
    if as_json:
        document(verdict.to_json())
    else:
        _show(verdict)
    if not verdict.same:
        raise typer.Exit(1)


def _show(verdict: Verdict) -> None:
    found = verdict.to_json()
    say(f"{found['incident']}: {found['title']}")
    heads = ("monitor", "signal", "phase", "outcome", "log10 p told", "log10 p replayed")
    rows = [
        (
            each["monitor"],
            each["signal"],
            each["phase"],
            each["outcome"],
            each["told"]["log10_p"],
            (each["replayed"] or {}).get("log10_p"),
        )
        for each in found["findings"]
    ]
    table(heads, rows)
    for sentence in found["counterfactual"]["words"]:
        say(sentence)
    same = "the same verdict" + ("" if found["bits"] == "equal" else ", numbers equal but for their last digits")
    say(f"{found['records']} records folded: {same if verdict.same else 'ANOTHER verdict than was told'}")
