"""`tocsin`: the program. Heavy libraries are imported inside the commands, so that `--help` answers at once."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from tocsin.cli import (
    acting,
    archive,
    auditing,
    bench,
    checking,
    comparing,
    demo,
    diagnosing,
    doctor,
    drifting,
    events,
    explaining,
    exporting,
    gating,
    importing,
    incidents,
    keys,
    migrating,
    planning,
    repartitioning,
    replaying,
    retraining,
    review,
    rollout,
    rules,
    scoring,
    serving,
    shadowing,
    silencing,
    training,
)
from tocsin.model.errors import BadInput, Overloaded, Refused, Retryable, TocsinError, Unreachable

BAD_INPUT = 2
UNREACHABLE = 3
INTERRUPTED = 130

app = typer.Typer(
    name="tocsin",
    help="Watches AI systems and opens few, explained, provable incidents.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
)
for part in (
    serving,
    demo,
    checking,
    incidents,
    acting,
    explaining,
    silencing,
    events,
    explaining,
    exporting,
    importing,
    keys,
    auditing,
    archive,
    migrating,
    repartitioning,
    review,
    retraining,
    rollout,
    planning,
    shadowing,
    replaying,
    rules,
    scoring,
    drifting,
    diagnosing,
    training,
    gating,
    comparing,
    bench,
    doctor,
):
    part.register(app)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version  # noqa: PLC0415 - heavy

        sys.stdout.write(f"tocsin {version('tocsin')}\n")
        raise typer.Exit


@app.callback()
def _root(
    show_version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Watches AI systems and opens few, explained, provable incidents."""
    assert not show_version


def main() -> None:
    """Run the program and end with 0 done, 1 negative verdict, 2 bad input, 3 unreachable, 130 interrupted."""
    try:
        app()
    except TocsinError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(_exit_code(error))
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except BrokenPipeError:  # whoever read our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)


def _exit_code(error: TocsinError) -> int:
    if isinstance(error, BadInput | Refused):
        return BAD_INPUT
    return UNREACHABLE if isinstance(error, Unreachable | Overloaded | Retryable) else 1
