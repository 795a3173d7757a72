"""`gate`: whether a candidate model may go out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tocsin.cli.options import AsJson
from tocsin.cli.output import document, say, table


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("gate")(gate)


def gate(
    records: Annotated[
        Path, typer.Argument(metavar="RECORDS", help="JSON lines, CSV or Parquet, as of `tocsin export records`.")
    ],
    *,
    policy: Annotated[Path, typer.Option("--policy", metavar="FILE", help="What the candidate must show.")],
    as_json: AsJson = False,
) -> None:
    """Judge a candidate's records by a policy: 0 when all rules pass, 1 when one fails, 2 for a bad file."""
    from tocsin.app.gate.run import gate as judged  # noqa: PLC0415 - heavy
    from tocsin.app.settings import environment  # noqa: PLC0415 - heavy

    result = judged(policy, records, environment())
    if as_json:
        document(result.to_json())
    else:
        rows = [
            ("pass" if each.passed else "FAIL", each.rule, each.segment or "all", each.verdict, each.reason)
            for each in result.judged
        ]
        table(("", "rule", "rows", "verdict", "reason"), rows)
        for note in result.notes:
            say(f"note: {note}")
        failed = sum(not each.passed for each in result.judged)
        say(
            f"{'passed' if result.passed else 'failed'}: {failed} of {len(result.judged)} verdicts on {result.rows:,} rows failed"
        )
    if not result.passed:
        raise typer.Exit(1)
