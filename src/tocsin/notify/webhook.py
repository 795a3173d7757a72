"""Signed webhook: the incident as JSON, with an HMAC over time stamp and body."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from urllib.parse import quote

from tocsin.model.destination import Receipt
from tocsin.model.errors import Refused
from tocsin.model.incident import Incident
from tocsin.model.message import Message
from tocsin.notify.base import Context, Notifier, notice
from tocsin.notify.guard import GuardedClient
from tocsin.spec.destination import WebhookDestination

SIGNATURE_HEADER = "x-tocsin-signature"
TIMESTAMP_HEADER = "x-tocsin-timestamp"
_SECOND = 1_000_000_000
_LABEL = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_.]*)\}")


def sign(secret: str, timestamp: str, body: bytes) -> str:
    """Signature of a body sent at a time: `v1=` and the hex HMAC-SHA256 of `timestamp.body`.

    >>> sign("s", "1", b"{}")[:11]
    'v1=b253639b'
    """
    return "v1=" + hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()


def filled(url: str, incident: Incident) -> str:
    """An address with `${NAME}` as the label of that name of what the incident is about, quoted: it can end no part of it.

    Raises
    ------
    Refused
        No finding has such a label.
    """
    found = sorted(incident.findings, key=lambda each: each.evidence.get("policy_met") != 1.0)

    def value(match: re.Match[str]) -> str:
        label = next((text for each in found if (text := each.series.label(match[1]))), "")
        if not label or label in (".", ".."):
            raise Refused(f"the address asks for {match[0]}, and no finding of {incident.id} has a label {match[1]}")
        return quote(label, safe="")

    return _LABEL.sub(value, url)


class Webhook(Notifier[WebhookDestination]):
    """Posts the notice to an address; a receiver checks signature and age, and drops a `message_id` it has seen."""

    name = "webhook"

    def __init__(self, spec: WebhookDestination, context: Context) -> None:
        super().__init__(spec, context)
        self._client = GuardedClient(spec.allow, resolve=context.resolve)

    async def send(self, message: Message, thread: str, now: int) -> Receipt:
        """Post the notice; the thread is not used."""
        body = json.dumps(notice(message, self.context.base_url), allow_nan=False, separators=(",", ":")).encode()
        headers = {
            **self.spec.headers,
            "content-type": "application/json",
            "user-agent": "tocsin",
            "idempotency-key": message.id,
        }
        if self.spec.secret:
            stamp = str(now // _SECOND)
            headers[TIMESTAMP_HEADER] = stamp
            headers[SIGNATURE_HEADER] = sign(self.spec.secret, stamp, body)
        answer = await self._client.post(filled(self.spec.url, message.incident), body, headers)
        return Receipt(f"{answer.status}", thread)

    async def close(self) -> None:
        """Close connections."""
        await self._client.close()
