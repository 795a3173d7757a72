"""`rules`: alerting rules for Prometheus over the scores that are written back."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tocsin.app.defaults import URL
from tocsin.cli.exporting import save
from tocsin.cli.output import say


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("rules")(rules)


def rules(
    config: Annotated[
        Path | None, typer.Option("--config", metavar="FILE", help="tocsin.yaml; without it the built-in monitors.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Write here instead of stdout.")] = None,
    page_url: Annotated[str, typer.Option("--page-url", metavar="URL", help="Where alerts lead people.")] = URL,
    standby: Annotated[
        bool, typer.Option("--standby/--no-standby", help="Also limits that hold while no scores come.")
    ] = True,
) -> None:
    """Write a rule file for Prometheus: alerts over the scores and limits that are written back."""
    from tocsin.app.settings import environment  # noqa: PLC0415 - heavy
    from tocsin.app.writeback.rules import rules_text  # noqa: PLC0415 - heavy
    from tocsin.spec.config import Config  # noqa: PLC0415 - heavy
    from tocsin.spec.load import parse_config, read_text  # noqa: PLC0415 - heavy
    from tocsin.spec.packs import load_packs  # noqa: PLC0415 - heavy

    packs = load_packs()
    found = Config()
    if config is not None:
        found = parse_config(read_text(config), str(config), environment(), packs).config
    text = rules_text(found, packs, page_url=page_url, standby=standby)
    save([text.encode()], out)
    if out is not None:
        say(f"{out}: name it under `rule_files:` of prometheus.yml, and check it with `promtool check rules {out}`")
