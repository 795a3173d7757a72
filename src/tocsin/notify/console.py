"""The console: a few lines on stderr, for those who have configured nothing yet."""

from __future__ import annotations

import sys

from tocsin.model.destination import Receipt
from tocsin.model.message import Message
from tocsin.model.text import one_line
from tocsin.notify.base import Notifier, headline, page_of
from tocsin.spec.destination import ConsoleDestination


def lines(message: Message, base_url: str) -> str:
    """What is printed; every line is free of control characters."""
    incident = message.incident
    said = [f"tocsin: {headline(message)}"]
    if message.action == "digest":
        said += [f"  {one_line(line, 300)}" for line in incident.statement.splitlines()]
        said.append(f"  {page_of(message, base_url)}")
    if message.action in ("trigger", "update", "test"):
        said.append(f"  severity: {one_line(incident.severity_arithmetic, 600)}")
        said += [
            f"  cause: {cause.kind} {one_line(cause.entity, 80)}: {one_line(cause.what, 160)} (score {cause.score:.2f})"
            for cause in incident.causes[:1]
        ]
        said.append(f"  {page_of(message, base_url)}")
    return "\n".join(said) + "\n"


class Console(Notifier[ConsoleDestination]):
    """Writes to stderr."""

    name = "console"

    async def send(self, message: Message, thread: str, now: int) -> Receipt:
        """Print the notice."""
        sys.stderr.write(lines(message, self.context.base_url))
        sys.stderr.flush()
        return Receipt(f"printed at {now}", thread)
