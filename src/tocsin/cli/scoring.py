"""`score`: the engine's verdicts on the rows of files."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from tocsin.cli.options import AsJson
from tocsin.cli.output import document, say
from tocsin.model.errors import BadInput
from tocsin.model.times import time_from_text

if TYPE_CHECKING:
    from tocsin.app.score.run import Advanced


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("score")(score)


def score(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="CSV or Parquet files, each scored alone.")],
    *,
    time: Annotated[str, typer.Option("--time", metavar="COL", help="Column of the time.")],
    value: Annotated[
        list[str] | None,
        typer.Option("--value", metavar="COL", help="Column to score; repeatable. Else every column of numbers."),
    ] = None,
    series: Annotated[
        str | None, typer.Option("--series", metavar="COL", help="Column that tells series apart: one value a row.")
    ] = None,
    entity: Annotated[
        str | None, typer.Option("--entity", metavar="COL", help="Column that tells entities apart.")
    ] = None,
    train_until: Annotated[
        str, typer.Option("--train-until", metavar="T", help="Raise no alarm before: RFC 3339 or epoch seconds.")
    ] = "",
    univariate: Annotated[
        bool, typer.Option("--univariate", help="Score several columns each alone, not together.")
    ] = False,
    model: Annotated[
        Path | None, typer.Option("--model", metavar="FILE.onnx", help="Score by a model of `tocsin train`.")
    ] = None,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Directory of the verdicts.")],
    form: Annotated[Literal["csv", "parquet"], typer.Option("--format", help="Of the verdicts.")] = "csv",
    as_json: AsJson = False,
) -> None:
    """Score the rows of files as the engine would have, one after another, none by what came later."""
    from tocsin.app.score.layout import Wanted  # noqa: PLC0415 - heavy
    from tocsin.app.score.run import outputs, score_file  # noqa: PLC0415 - heavy

    until = _time(train_until)
    wanted = Wanted(time, out, tuple(value or ()), series, entity, until, form, univariate, model)
    told = []
    for file, place in zip(files, outputs(files, wanted), strict=True):
        with _progress(file.name) as advance:
            done = score_file(file, place, wanted, say, advance)
        say(f"{place}: {done.rows} rows of {done.series * done.signals} series, {done.alarms} alarms")
        told.append(done.to_json())
    if as_json:
        document({"files": told})


def _time(text: str) -> int | None:
    if not text:
        return None
    try:
        return time_from_text(text)
    except BadInput as error:
        raise BadInput(f"--train-until: {error}") from None


@contextmanager
def _progress(name: str) -> Iterator[Advanced]:
    """A bar on a terminal; nothing in a pipe."""
    if not sys.stderr.isatty():
        yield lambda _rows, _total: None
        return
    from rich.console import Console  # noqa: PLC0415 - only drawn bars need it
    from rich.progress import Progress  # noqa: PLC0415 - only drawn bars need it

    with Progress(console=Console(stderr=True), transient=True) as bars:
        bar = bars.add_task(name.replace("[", "\\["), total=None)
        yield lambda rows, total: bars.update(bar, completed=rows, total=total)
