"""`drift`: two files compared, feature by feature and chunk by chunk, with the model's performance."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tocsin.cli.options import AsJson
from tocsin.cli.output import document, line, say, table

if TYPE_CHECKING:
    from tocsin.app.drift_files.run import Advanced, Result


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("drift")(drift)


def drift(
    reference: Annotated[Path, typer.Argument(metavar="REFERENCE", help="CSV or Parquet file of when all was well.")],
    current: Annotated[Path, typer.Argument(metavar="CURRENT", help="CSV or Parquet file to compare with it.")],
    *,
    truth: Annotated[
        Path | None, typer.Option("--truth", metavar="FILE", help="File of the truth that came later, joined by --id.")
    ] = None,
    identity: Annotated[str | None, typer.Option("--id", metavar="COL", help="Column that joins truth.")] = None,
    time: Annotated[str | None, typer.Option("--time", metavar="COL", help="Column of the time.")] = None,
    chunk: Annotated[
        str | None,
        typer.Option("--chunk", metavar="SIZE", help="Rows like 5000, or time like 1d. Else the file is one chunk."),
    ] = None,
    prediction: Annotated[
        str | None, typer.Option("--prediction", metavar="COL", help="Column of what the model said.")
    ] = None,
    score: Annotated[
        str | None, typer.Option("--score", metavar="COL", help="Column of the model's score, 0 to 1.")
    ] = None,
    target: Annotated[str | None, typer.Option("--target", metavar="COL", help="Column of the truth.")] = None,
    segment: Annotated[
        list[str] | None,
        typer.Option("--segment", metavar="COL", help="Show performance for each value of it; repeatable."),
    ] = None,
    query: Annotated[
        str | None,
        typer.Option("--query", metavar="COL", help="Column of the list an item was shown in: the model ranks."),
    ] = None,
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Write a page that stands on its own.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Compare a file with a reference: drift of each feature, and performance before and after its truth is known.

    Columns that are not named are found by their usual names, and said.
    """
    from tocsin.app.drift_files.roles import Asked  # noqa: PLC0415 - heavy
    from tocsin.app.drift_files.run import Wanted, compare_files  # noqa: PLC0415 - heavy

    asked = Asked(time, prediction, score, target, identity, tuple(segment or ()), query)
    with _progress() as advance:
        result = compare_files(Wanted(reference, current, truth, chunk, asked), say, advance)
    _tell(result, html, as_json=as_json)


def _tell(result: Result, html: Path | None, *, as_json: bool) -> None:
    from tocsin.app.drift_files import told  # noqa: PLC0415 - heavy

    say(told.columns_said(result))
    if html is not None:
        from tocsin.app.drift_files.page import write_page  # noqa: PLC0415 - only asked for sometimes

        write_page(html, result)
        say(f"{html}: the page is written")
    if as_json:
        document(told.to_json(result))
        return
    table(told.heads(result), told.rows(result))
    if any(chunk.alarm for chunk in result.chunks):
        line("")
        table(["chunk", "why"], told.reasons(result))
    broken = told.broken_rows(result)
    if broken:
        line("")
        table(["broken", "column", "chunks", "what"], broken)
    laws = told.law_rows(result)
    if laws:
        line("")
        table(["moved", "chunks", "what"], laws)
    say(told.summary(result))


@contextmanager
def _progress() -> Iterator[Advanced]:
    """A bar on a terminal; nothing in a pipe."""
    if not sys.stderr.isatty():
        yield lambda _done, _all: None
        return
    from rich.console import Console  # noqa: PLC0415 - only drawn bars need it
    from rich.progress import Progress  # noqa: PLC0415 - only drawn bars need it

    with Progress(console=Console(stderr=True), transient=True) as bars:
        bar = bars.add_task("chunks", total=None)
        yield lambda done, total: bars.update(bar, completed=done, total=total)
