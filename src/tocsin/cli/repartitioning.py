"""`repartition`: more partitions for a cluster that has learned already."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tocsin.cli.options import Data, data_dir
from tocsin.cli.output import say
from tocsin.model.errors import BadConfig


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("repartition")(repartition)


def repartition(
    config: Annotated[
        Path,
        typer.Option(
            "--config", metavar="FILE", help="tocsin.yaml of the cluster, with the new `cluster: partitions`."
        ),
    ],
    data: Data = None,
) -> None:
    """Give a stopped cluster more partitions: shards move to them with all that they have learned."""
    from tocsin.app.cluster.growing import grow  # noqa: PLC0415 - heavy
    from tocsin.app.settings import cache_kernels, environment  # noqa: PLC0415 - heavy
    from tocsin.spec.load import load_config  # noqa: PLC0415 - heavy
    from tocsin.spec.packs import load_packs  # noqa: PLC0415 - heavy

    found = load_config(config, environment(), load_packs()).config
    if found.cluster is None:
        raise BadConfig(f"{config}: there is no `cluster:`; see docs/cluster.md")
    cache_kernels(data_dir(data))
    grown = grow(found.cluster)
    if grown is None:
        say(f"{found.cluster.prefix}.log has {found.cluster.partitions} partitions already")
        return
    say(f"{grown.after} partitions instead of {grown.before}; {grown.shards} shards moved, nothing is learned anew")
    say(
        f"start `tocsin worker --config {config}` and `tocsin control --config {config}` again, with this file everywhere"
    )
