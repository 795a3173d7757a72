"""`explain`: an incident in sentences, each with the evidence that it stands on."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import quote

import typer

from tocsin.cli.client import Server
from tocsin.cli.options import DEFAULT_URL, AsJson, Key, Stopped, Tenant, Url
from tocsin.cli.output import document, line
from tocsin.model.series import MAIN_TENANT
from tocsin.model.text import one_line

_HEADS = {"what": "What happened", "why": "Why", "next": "What to do next"}


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("explain")(explain)


def explain(
    incident_id: Annotated[str, typer.Argument(metavar="ID", help="Id of the incident.")],
    url: Url = DEFAULT_URL,
    key: Key = "",
    as_json: AsJson = False,
    data: Stopped = None,
    tenant: Tenant = MAIN_TENANT,
) -> None:
    """Say what happened, why, and what to do next; every sentence names its evidence."""
    if data is not None:
        from tocsin.app.offline import offline  # noqa: PLC0415 - heavy

        with offline(data) as stopped:
            found = stopped.explained(tenant, incident_id)
    else:
        found = Server(url, key).get(f"/api/incidents/{quote(incident_id, safe='')}/summary")
    if as_json:
        document(found)
        return
    line(one_line(str(found["title"]), 300))
    if found["rephrased"]:
        line(f"\nIn the words of {one_line(str(found['model']), 80)}, proven from what is below:")
        _told(found["rephrased"])
    for part, head in _HEADS.items():
        said = [each for each in found["sentences"] if each["part"] == part]
        if said:
            line(f"\n{head}:")
            _told(said)


def _told(sentences: list[dict[str, Any]]) -> None:
    for each in sentences:
        line(f"- {one_line(str(each['text']), 800)}")
        for source in each["sources"]:
            line(f"    {source['kind']} {one_line(str(source['ref']), 120)}  {one_line(str(source['link']), 300)}")
