"""Microsoft Teams: an adaptive card to a workflow's webhook.

Reference: https://learn.microsoft.com/microsoftteams/platform/webhooks-and-connectors/how-to/connectors-using
(a message is at most 28 KB); https://adaptivecards.io/explorer/RichTextBlock.html (its text is never markup).
"""

from __future__ import annotations

import base64
import json
from typing import Any, Final

from tocsin.model.destination import Receipt
from tocsin.model.incident import Severity
from tocsin.model.message import Message
from tocsin.model.text import one_line
from tocsin.notify.base import (
    DONE_LINES,
    Context,
    Notifier,
    answers,
    finding_lines,
    first_steps,
    headline,
    lineage_lines,
    page_of,
    trace_lines,
)
from tocsin.notify.guard import GuardedClient
from tocsin.spec.destination import TeamsDestination

STATEMENT_CHARS: Final = 4_000
LINE_CHARS: Final = 820
MOST_BYTES: Final = 27_000
"""A card with its chart stays below what Teams takes; without room there is no chart."""
COLOUR: Final = {
    Severity.CRITICAL: "attention",
    Severity.ERROR: "attention",
    Severity.WARNING: "warning",
    Severity.INFO: "default",
}


def payload(message: Message, base_url: str) -> dict[str, Any]:
    """The card of a notice; all its text is plain."""
    incident = message.incident
    colour = "good" if message.action == "resolve" else COLOUR[incident.severity]
    body = [_text(headline(message), weight="bolder", size="medium", color=colour)]
    body.append(_text(incident.statement[:STATEMENT_CHARS]))
    if message.action != "digest":
        causes = [f"{each.score:.2f} {each.kind} {each.entity}: {each.what}" for each in incident.causes[:3]]
        for title, lines in (
            ("Out of line", finding_lines(incident, base_url)),
            ("Compared with", lineage_lines(incident)),
            ("Likely causes", causes),
            ("Done about it", list(message.done[-DONE_LINES:])),
            ("Example traces", trace_lines(message, base_url)),
            ("Start here", first_steps(message)),
            ("Severity", [incident.severity_arithmetic]),
            ("Why now", [message.reason] if message.reason else []),
        ):
            if lines:
                body.append(_text(title, weight="bolder", spacing="medium"))
                body += [_text(one_line(line, LINE_CHARS), spacing="none") for line in lines]
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": body,
        "actions": [
            {"type": "Action.OpenUrl", "title": words, "url": url}
            for words, url in [("Open in Tocsin", page_of(message, base_url)), *answers(message, base_url)]
        ],
        "msteams": {"width": "Full"},
    }
    if message.picture is not None:
        url = f"data:image/png;base64,{base64.b64encode(message.picture.png).decode()}"
        image = {"type": "Image", "url": url, "altText": message.picture.caption, "size": "stretch"}
        if len(json.dumps(card)) + len(json.dumps(image)) < MOST_BYTES:
            body.insert(2, image)
    content = {"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": None, "content": card}
    return {"type": "message", "attachments": [content]}


def _text(text: str, *, spacing: str = "default", **style: str) -> dict[str, Any]:
    return {
        "type": "RichTextBlock",
        "spacing": spacing,
        "inlines": [{"type": "TextRun", "text": text, **style}],
    }


class Teams(Notifier[TeamsDestination]):
    """Posts cards to a channel or chat; a webhook can't go on in a thread, so every card says what it is of."""

    name = "teams"

    def __init__(self, spec: TeamsDestination, context: Context) -> None:
        super().__init__(spec, context)
        self._client = GuardedClient(spec.allow, resolve=context.resolve)

    async def send(self, message: Message, thread: str, now: int) -> Receipt:
        """Post the card."""
        body = json.dumps(payload(message, self.context.base_url)).encode()
        answer = await self._client.post(self.spec.url, body, {"content-type": "application/json"})
        return Receipt(f"{answer.status} at {now}", thread)

    async def close(self) -> None:
        """Close connections."""
        await self._client.close()
