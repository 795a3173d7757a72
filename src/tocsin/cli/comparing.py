"""`ab`: two or more models or prompts against each other."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tocsin.cli.options import AsJson
from tocsin.cli.output import document, say, table
from tocsin.model.errors import BadInput

if TYPE_CHECKING:
    from tocsin.app.comparison import Compared


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("ab")(ab)


def ab(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="Records in the order they came: JSON lines, CSV or Parquet.")
    ],
    *,
    arm: Annotated[str, typer.Option("--arm", metavar="COL", help="Column that tells the arms apart, like version.")],
    metric: Annotated[
        str, typer.Option("--metric", metavar="COL", help="Column to compare: 0 and 1, yes and no, or numbers.")
    ],
    control: Annotated[
        str, typer.Option("--control", metavar="NAME", help="Arm that the others are compared with.")
    ] = "",
    ratio: Annotated[
        str,
        typer.Option("--ratio", metavar="A:B", help="Planned shares, control first, the others by name. Else equal."),
    ] = "",
    bounds: Annotated[
        str, typer.Option("--bounds", metavar="LOW:HIGH", help="Least and greatest possible value; makes it exact.")
    ] = "",
    batch: Annotated[
        int | None, typer.Option("--batch", min=1, metavar="N", help="Rows between looks. Else a hundredth of them.")
    ] = None,
    level: Annotated[
        float, typer.Option("--level", min=1e-6, max=0.5, help="Share of runs that may decide without a difference.")
    ] = 0.05,
    plan: Annotated[
        int, typer.Option("--plan", min=1, metavar="N", help="Rows of an arm at which the test is sharpest.")
    ] = 20_000,
    lower_is_better: Annotated[
        bool, typer.Option("--lower-is-better", help="The metric is a cost, an error or a latency.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Compare arms by a test that may be looked at, and stopped, any time: 1 when one is worse or the split is wrong."""
    from tocsin.app.comparison import Asked, compare  # noqa: PLC0415 - heavy

    low_high = _numbers(bounds, "--bounds", "0:1")
    if low_high and (len(low_high) != 2 or not low_high[0] < low_high[1]):
        raise BadInput(f"--bounds: {bounds!r} is no least and greatest value; write them like 0:1")
    shares = tuple(int(part) for part in _numbers(ratio, "--ratio", "50:50") if part.is_integer() and part >= 1)
    if len(shares) != len(ratio.split(":") if ratio else ()):
        raise BadInput(f"--ratio: {ratio!r} must be whole numbers of at least 1, like 90:10")
    both = (low_high[0], low_high[1]) if low_high else None
    found = compare(Asked(file, arm, metric, control, shares, both, batch, level, plan, lower_is_better))
    if as_json:
        document(found.to_json())
    else:
        _show(found)
    if found.negative:
        raise typer.Exit(1)


def _show(found: Compared) -> None:
    from tocsin.app.comparison import reason  # noqa: PLC0415 - heavy

    rows = [
        (each.treatment, each.outcome, each.n[0], each.n[1], f"{each.p_value:.3g}", reason(each, found.design))
        for each in found.verdicts
    ]
    table(("treatment", "outcome", "control rows", "its rows", "p", "reason"), rows)
    for note in found.notes:
        say(f"note: {note}")


def _numbers(text: str, option: str, example: str) -> list[float]:
    try:
        return [float(part) for part in text.split(":")] if text else []
    except ValueError:
        raise BadInput(f"{option}: {text!r} is not numbers with colons between; write it like {example}") from None
