"""Data on stdout, messages on stderr; text from telemetry is made plain before a terminal sees it."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Any

from tocsin.model.text import one_line


def say(text: str) -> None:
    """A message for the person at the terminal."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def line(text: str) -> None:
    """A line of data, written at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def document(value: Any) -> None:
    """The one JSON document of `--json`."""
    line(json.dumps(value, indent=None if not sys.stdout.isatty() else 2, ensure_ascii=True))


def when(time: str) -> str:
    """A time of the API to the second, for people; programs ask for `--json`.

    >>> when("2026-11-22T06:38:40.000000000Z")
    '2026-11-22T06:38:40Z'
    """
    return f"{time[:19]}Z" if len(time) > 20 and time.endswith("Z") else time


def table(heads: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Rows under heads: drawn on a terminal, separated by tabs in a pipe."""
    shown = [[one_line("" if cell is None else str(cell)) for cell in row] for row in rows]
    if not sys.stdout.isatty():
        for cells in (list(heads), *shown):
            line("\t".join(cells))
        return
    from rich.console import Console  # noqa: PLC0415 - only drawn tables need it
    from rich.table import Table  # noqa: PLC0415 - only drawn tables need it
    from rich.text import Text  # noqa: PLC0415 - only drawn tables need it

    drawn = Table(box=None, pad_edge=False)
    for head in heads:
        drawn.add_column(head, overflow="fold")
    for cells in shown:
        drawn.add_row(*(Text(cell) for cell in cells))  # Text: no markup of rich's is read in it
    Console(highlight=False).print(drawn)
