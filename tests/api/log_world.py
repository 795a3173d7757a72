"""Logs of the small world: what a shop says, a new error, and texts that are hostile."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from api.trace_world import TRACE
from api.world import HOSTILE, NOW, NS

Row = Mapping[str, Any]
SAID = (
    # service, id, text, lines, before, errors, a line
    ("web", "0ae2d8ee27bd8f12", "cache hit for key item:<*>", 48_210, 47_950, 0, "cache hit for key item:17"),
    ("web", "67248ee4fdcde455", "user <*> opened page /items/<*>", 12_404, 31_020, 0, "user ann opened page /items/9"),
    ("support-bot", "f505026a044dfd9c", "could not parse reply of <*>: unexpected end of input", 412, 31, 412,
     "could not parse reply of 10.0.0.7: unexpected end of input"),
    ("support-bot", "88cbf06e14daaf2f", "payment provider refused: certificate of <*> expired", 96, 0, 96,
     "payment provider refused: certificate of 10.0.0.7 expired"),
    ("vllm", "0e4a5a8cd8c29efc", '{"level":"info","msg":"request done","ms":<*>}', 0, 3_310, 0,
     '{"level":"info","msg":"request done","ms":12.5}'),
    (HOSTILE, "77" * 8, f"{HOSTILE} <*>", 3, 3, 0, f"{HOSTILE} 1\x1b[31m red \u202e"),
)  # fmt: skip


def templates(service: str, search: str) -> list[Row]:
    """Templates as the store gives them."""
    names = ("service", "template", "text", "records", "before", "errors", "sample")
    rows = [
        dict(zip(names, row, strict=True)) | {"first_time": NOW - 3600 * NS, "last_time": NOW - 3 * NS} for row in SAID
    ]
    return [row for row in rows if service in ("", row["service"]) and search.casefold() in row["text"].casefold()]


def lines(where: Mapping[str, str], search: str, least: int) -> Sequence[Row]:
    """Log lines as the store gives them, newest first."""
    found = []
    for k, (service, key, text, _, _, errors, line) in enumerate(SAID):
        row = {
            "time": NOW - (k + 1) * NS, "severity": "ERROR" if errors else "INFO", "level": 17 if errors else 9,
            "body": line, "service": service, "template": text, "template_id": key,
            "trace_id": TRACE if service == "support-bot" else "", "span_id": "", "labels": {"service.name": service},
        }  # fmt: skip
        wanted = {"service": {service}, "template": {key, text}, "trace_id": {row["trace_id"]}}
        fits = all(value in wanted.get(name, {value}) for name, value in where.items())
        if fits and search.casefold() in line.casefold() and row["level"] >= least:
            found.append(row)
    return found
