"""What a label would change, for people."""

from __future__ import annotations

from typing import Any

from tocsin.cli.output import say, table
from tocsin.cli.planning import sentences


def show_label(found: dict[str, Any]) -> None:
    """Levels of each series before and after, and the incidents that would vanish or appear."""
    rows = [
        (
            each["monitor"],
            each["signal"],
            ",".join(f"{key}={value}" for key, value in each["labels"].items()),
            _level(each["before"] or each["level_then"]),
            _level(each["after"] or each["level_then"]),
            each["reason"],
        )
        for each in found["series"]
    ]
    table(("monitor", "signal", "of", "log10 p before", "after", "note"), rows)
    if not found["changes"]:
        say("nothing would change")
    elif found["difference"] is None:
        say("nothing is stored that could tell what this comes to")
    else:
        for sentence in sentences({"notes": [], "difference": found["difference"]}):
            say(sentence)


def _level(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"
