"""Webhooks of other systems at `/api/events/NAME`: proved by a signature where a secret is set, mapped by rules of packs."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import parse_qs

from tocsin.ingest.change_rules import MOST_CHANGES, Row, changes_of
from tocsin.ingest.door import JSON, Door, Headers, Request, Take
from tocsin.ingest.records import EVENTS_SOURCE, rows_frame
from tocsin.ingest.response import Response
from tocsin.ingest.senders import Senders
from tocsin.model.access import Scope
from tocsin.model.errors import BadInput, Denied
from tocsin.model.frame import FrameKind
from tocsin.selfmon.metrics import counter
from tocsin.spec.mapping import canonical_of
from tocsin.spec.source import WebhookSource
from tocsin.spec.wire import SignatureSpec, WebhookSpec

PATH: Final = "/api/events/"
FORM: Final = "application/x-www-form-urlencoded"
_TAKEN = counter("tocsin_ingest_webhooks_total", "Webhooks, by format and what became of them", ["format", "outcome"])


def proved(signature: SignatureSpec, secret: str, headers: Headers, body: bytes) -> bool:
    """Whether the sender of a body knows a secret; takes as long for a wrong proof as for a right one."""
    told = headers.get(signature.header.encode(), b"")
    if signature.method == "token":
        return hmac.compare_digest(told, secret.encode())
    digest = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return hmac.compare_digest(told, f"{signature.prefix}{digest}".encode())


def prover(
    webhook: WebhookSpec, configured: Sequence[WebhookSource], headers: Headers, body: bytes
) -> WebhookSource | None:
    """The source of the configuration that sent a body; None where none has a secret and none is named.

    Raises
    ------
    Denied
        There are secrets, and the sender knows none of them.
    """
    signature = webhook.signature
    secret = [source for source in configured if source.secret]
    if not secret:
        return configured[0] if configured else None
    if signature is None:
        raise Denied(
            401, f"a secret is set for {webhook.name}, and nothing says how it signs: name its header in `signature`"
        )
    for source in secret:
        if proved(signature, source.secret, headers, body):
            return source
    what = "is wrong" if signature.header.encode() in headers else "is missing"
    raise Denied(
        401, f"the signature in {signature.header} {what}: use the secret that `sources:` has for {webhook.name}"
    )


def payloads(request: Request) -> list[dict[str, Any]]:
    """The objects that a body holds: one, a list of them, or one in the field `payload` of a form.

    Raises
    ------
    BadInput
        It holds no JSON object.
    """
    raw = request.raw()
    if request.media == FORM:
        fields = parse_qs(raw.decode("utf-8", "replace"), max_num_fields=20)
        raw = fields.get("payload", [""])[0].encode("utf-8", "replace")
    try:
        found = json.loads(raw)
    except (ValueError, RecursionError) as bad:
        raise BadInput(f"the payload is not JSON: {str(bad)[:200]}") from None
    trees = found if isinstance(found, list) else [found]
    if not trees or not all(isinstance(tree, dict) for tree in trees):
        raise BadInput("the payload must be a JSON object, or a list of them")
    return trees[:MOST_CHANGES]


def _named(rows: Sequence[Row], source: WebhookSource | None) -> list[Row]:
    """Rows with the names of entities as the configuration knows them, and its labels."""
    if source is None:
        return list(rows)
    extra = list(source.resource.items())
    return [
        {
            **row,
            "entity": canonical_of(row["entity"], source.entities.items()) or row["entity"],
            "source": source.name,
            "attributes": [*row["attributes"], *extra],
        }
        for row in rows
    ]


def _taking(name: str, senders: Senders) -> Take:
    async def take(request: Request) -> Response:
        webhook = senders.webhooks[name]
        edge, tenant = request.edge, request.access.tenant
        try:
            source = prover(webhook, senders.configured(webhook.name), request.headers, request.body)
        except Denied:
            _TAKEN.labels(webhook.name, "denied").inc()
            raise
        received = edge.received()
        headers = {"@header": _texts(request.headers)}
        rows = [
            row
            for tree in payloads(request)
            for row in changes_of(webhook.changes, {**tree, **headers}, webhook.name, received, edge.limits.ahead_ns)
        ]
        _TAKEN.labels(webhook.name, "taken" if rows else "no_change").inc()
        if not rows:
            # a sender must not believe that its address is wrong: what is no change is well received
            return _answer(0, f"no rule of `{webhook.name}` finds a change in this payload; it is counted and left")
        await edge.accept([rows_frame(FrameKind.EVENTS, tenant, EVENTS_SOURCE, _named(rows, source))])
        return _answer(len(rows))

    return take


def _texts(headers: Headers) -> Mapping[str, str]:
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in headers.items()}


def _answer(accepted: int, message: str = "") -> Response:
    body = {"accepted": accepted} | ({"message": message} if message else {})
    return Response(202, ((b"content-type", JSON.encode()),), json.dumps(body).encode())


def webhook_doors(senders: Senders) -> list[Door]:
    """One address for each kind of webhook that is known now."""
    return [webhook_door(name, senders) for name in senders.webhooks]


def webhook_door(name: str, senders: Senders) -> Door:
    """The address of one kind of webhook."""
    webhook = senders.webhooks[name]
    return Door(
        f"{PATH}{name}",
        _taking(name, senders),
        webhook.title or f"Webhooks of {name}.",
        webhook.example
        or f"curl -X POST -H 'Content-Type: application/json' --data @payload.json http://127.0.0.1:8642{PATH}{name}",
        (JSON, FORM),
        scopes=(Scope.INGEST, Scope.OPERATE),
        key_headers=_token_headers(webhook),
        signed=lambda: any(source.secret for source in senders.configured(name)),
    )


def _token_headers(webhook: WebhookSpec) -> tuple[bytes, ...]:
    """Headers that may hold a key: where a sender's secret is sent as it is, the key can be the secret."""
    of = webhook.signature
    return (of.header.encode(),) if of is not None and of.method == "token" else ()
