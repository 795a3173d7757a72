"""`import records`: predictions, truth and feedback from files, to a running server."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from tocsin.cli.client import Server
from tocsin.cli.options import DEFAULT_URL, AsJson, Key, Url
from tocsin.cli.output import document, say
from tocsin.model.errors import Overloaded, Refused

MOST_ROWS: Final = 2_000
MOST_BYTES: Final = 4 << 20
TRIES: Final = 8
_Column = Annotated[str | None, typer.Option(metavar="COL", show_default=False)]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(no_args_is_help=True, help="Bring in what others have kept.")
    group.command("records")(records)
    app.add_typer(group, name="import")


def records(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="CSV or Parquet; its columns are named in the output.")],
    *,
    prediction_id: Annotated[
        str | None, typer.Option(metavar="COL", help="What joins prediction, truth and feedback.", show_default=False)
    ] = None,
    time: Annotated[
        str | None, typer.Option(metavar="COL", help="RFC 3339, or seconds to ns since 1970.", show_default=False)
    ] = None,
    prediction: _Column = None,
    score: _Column = None,
    truth: _Column = None,
    feedback: _Column = None,
    tag: Annotated[list[str] | None, typer.Option(metavar="COL", help="A tag; repeatable.", show_default=False)] = None,
    model: Annotated[str, typer.Option(help="Of all rows that name none.", show_default=False)] = "",
    version: Annotated[str, typer.Option(help="Of all rows that name none.", show_default=False)] = "",
    url: Url = DEFAULT_URL,
    key: Key = "",
    as_json: AsJson = False,
) -> None:
    """Send the rows of a file to a running server, each as an inference record; "" as COL says that there is none.

    Columns that nobody names are found by their names where one only can be meant; all others are features. Every
    row is acknowledged or counted as refused. The same file may be sent again: the first prediction of an id counts.
    """
    from tocsin.app.record_files import columns_of, rows_of  # noqa: PLC0415 - heavy

    given = {
        "prediction_id": prediction_id, "time": time, "prediction": prediction, "score": score, "truth": truth,
        "feedback": feedback,
    }  # fmt: skip
    columns = columns_of(file, {name: col for name, col in given.items() if col is not None}, tag or [])
    base = {name: text for name, text in (("model", model), ("version", version)) if text}
    server = Server(url, key, timeout_s=120.0)
    accepted = rejected = 0
    first = ""
    for rows, body in _bodies(columns.record(row, base) for row in rows_of(file)):
        answer = _send(server, body)
        accepted += answer["accepted"]
        rejected += answer["rejected"]
        first = first or answer["message"]
        if not as_json and (accepted + rejected) % 100_000 < rows:
            say(f"{accepted + rejected:,} rows")
    if as_json:
        document({"columns": columns.to_json(), "accepted": accepted, "rejected": rejected, "message": first})
    else:
        say(f"columns: {json.dumps(columns.to_json(), ensure_ascii=True)}")
        say(f"{accepted:,} rows taken, {rejected:,} refused" + (f": {first}" if first else ""))
    if rejected:
        raise typer.Exit(2)


def _bodies(rows: Iterable[dict[str, Any]]) -> Iterator[tuple[int, bytes]]:
    """Rows as gzipped JSON lines, as many at once as fit."""
    lines: list[bytes] = []
    size = 0
    for row in rows:
        line = json.dumps(row, separators=(",", ":"), default=str).encode()
        if lines and (len(lines) >= MOST_ROWS or size + len(line) > MOST_BYTES):
            yield len(lines), gzip.compress(b"\n".join(lines), 1)
            lines, size = [], 0
        lines.append(line)
        size += len(line)
    if lines:
        yield len(lines), gzip.compress(b"\n".join(lines), 1)


def _send(server: Server, body: bytes) -> dict[str, Any]:
    """What the server says to one body; when it is busy it is asked again, more and more slowly."""
    import time  # noqa: PLC0415 - a name that the command has for a column

    headers = {"content-type": "application/x-ndjson", "content-encoding": "gzip"}
    for attempt in range(TRIES):
        try:
            with server.stream("POST", "/v1/records", content=body, headers=headers) as answer:
                found: dict[str, Any] = json.loads(answer.read())
                return found
        except Overloaded:
            if attempt == TRIES - 1:
                raise
            time.sleep(0.5 * 2**attempt)
        except Refused as refused:
            if "refused (400)" not in str(refused):  # a key that is wrong, say: the next body would fare no better
                raise
            rows = gzip.decompress(body).count(b"\n") + 1
            return {"accepted": 0, "rejected": rows, "message": str(refused)}
    raise AssertionError
