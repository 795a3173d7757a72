"""`train`: models from history, exported and verified."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tocsin.cli.options import AsJson
from tocsin.cli.output import document, say
from tocsin.model.errors import BadInput

Model = Annotated[
    str, typer.Option("--model", metavar="NAME", help="temporal-autoencoder, isolation-forest or gradient-boosting.")
]
Out = Annotated[Path, typer.Option("--out", metavar="FILE.onnx", help="Where the model is written.")]
Labels = Annotated[
    Path | None,
    typer.Option("--labels", metavar="FILE", help="Incidents: start,end[,series]. Left out of what is normal."),
]
Time = Annotated[
    str, typer.Option("--time", metavar="COL", help="Column of the time. Else `time`, `timestamp` and the like.")
]
Value = Annotated[
    list[str] | None,
    typer.Option("--value", metavar="COL", help="Column to learn; repeatable. Else every column of numbers."),
]
Series = Annotated[
    str | None, typer.Option("--series", metavar="COL", help="Column that tells series apart: one value a row.")
]
Entity = Annotated[str | None, typer.Option("--entity", metavar="COL", help="Column that tells entities apart.")]
Step = Annotated[
    str, typer.Option("--step", metavar="D", help="Length of a step, like 1m. Else the usual distance of rows.")
]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("train")(train)


def train(
    history: Annotated[Path, typer.Argument(metavar="HISTORY", help="CSV or Parquet, as for `tocsin score`.")],
    *,
    model: Model,
    out: Out,
    labels: Labels = None,
    time: Time = "",
    value: Value = None,
    series: Series = None,
    entity: Entity = None,
    window: Annotated[int, typer.Option("--window", min=2, max=1024, metavar="L", help="Steps of a window.")] = 12,
    step: Step = "",
    seed: Annotated[int, typer.Option("--seed", min=0, metavar="N", help="The same seed gives the same model.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Train a model on history, export it as ONNX, and verify the file against what was trained."""
    from tocsin.app.train.run import Order  # noqa: PLC0415 - heavy
    from tocsin.app.train.run import train as run  # noqa: PLC0415 - heavy

    order = Order(
        history=history,
        model=model,
        out=out,
        labels=labels,
        time=time,
        values=tuple(value or ()),
        series=series,
        entity=entity,
        window=window,
        step_ns=_step(step),
        seed=seed,
    )
    told = run(order, say)
    if as_json:
        document(told)


def _step(text: str) -> int | None:
    if not text:
        return None
    from tocsin.spec.quantity import parse_duration_ns  # noqa: PLC0415 - heavy

    try:
        found = parse_duration_ns(text)
    except ValueError as error:
        raise BadInput(f"--step: {error}") from None
    if found <= 0:
        raise BadInput("--step: a step must be longer than nothing; write it like 30s or 5m")
    return found
