"""`migrate`: from one machine to a cluster."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated
from urllib.parse import unquote, urlsplit

import typer

from tocsin.cli.options import Data, data_dir
from tocsin.cli.output import say
from tocsin.model.errors import BadConfig


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("migrate")(migrate)


def migrate(
    to: Annotated[
        str, typer.Option("--to", metavar="URL", help="Where the cluster's tocsin.yaml lies: a path or file:// URL.")
    ],
    data: Data = None,
    *,
    learn_anew: Annotated[
        bool, typer.Option("--learn-anew", help="Leave behind what the engine has learned; all else is moved.")
    ] = False,
) -> None:
    """Move a stopped machine to a cluster: what was learned, incidents and telemetry go along; go on with `control`."""
    from tocsin.app.cluster.moving import move_engine, move_stores, share_keys  # noqa: PLC0415 - heavy
    from tocsin.app.datadir import stopped  # noqa: PLC0415 - heavy
    from tocsin.app.settings import cache_kernels, environment  # noqa: PLC0415 - heavy
    from tocsin.app.stores import cluster_of, open_telemetry, state_place  # noqa: PLC0415 - heavy
    from tocsin.selfmon.clock import SystemClock  # noqa: PLC0415 - heavy
    from tocsin.spec.load import load_config  # noqa: PLC0415 - heavy
    from tocsin.spec.packs import load_packs  # noqa: PLC0415 - heavy

    config, place, env = _file_of(to), data_dir(data), environment()
    found = load_config(config, env, load_packs()).config
    if found.cluster is None:
        raise BadConfig(f"{config}: there is no `cluster:` to move to; see docs/cluster.md")
    with stopped(place):
        cache_kernels(place)
        share_keys(place, found.cluster)
        if not learn_anew:
            moved = move_engine(place, found, found.cluster, SystemClock())
            say(f"learned: {moved.series} series, now a snapshot of partition {moved.partition}")
        state = state_place(found, env, place)
        there = None if state.url.startswith("sqlite:") else state
        telemetry = open_telemetry(found, env, place) if cluster_of(found, env) is not None else None
        try:
            state_rows, telemetry_rows = move_stores(place, there, telemetry)
        finally:
            if telemetry is not None:
                telemetry.close()
    say(f"state: {state_rows} rows copied" if there is not None else f"state: stays in {place}")
    say(f"telemetry: {telemetry_rows} rows copied" if telemetry is not None else f"telemetry: stays in {place}")
    say(
        f"start `tocsin worker --config {config}` on each machine, and `tocsin control --config {config} --data {place}`"
    )


def _file_of(url: str) -> Path:
    """The file that a URL names; brokers, snapshots, state and telemetry of a cluster are known from it alone.

    >>> str(_file_of("tocsin.yaml")), str(_file_of("file:///etc/a%20b.yaml"))
    ('tocsin.yaml', '/etc/a b.yaml')
    """
    parts = urlsplit(url)
    if not parts.scheme:
        return Path(url)
    if parts.scheme != "file" or parts.netloc not in ("", "localhost"):
        raise BadConfig(f"{url}: not a file; say where the cluster's tocsin.yaml lies, which names brokers and stores")
    return Path(unquote(parts.path))
