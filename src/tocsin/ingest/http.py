"""The ASGI app of the ingest ports: OTLP/HTTP, remote write, records, events - no framework in between."""

from __future__ import annotations

import math
from collections.abc import Mapping

from tocsin.ingest.asgi import AsgiApp, BodyReader, Gone, Receive, Send, TooSlow, lifespan, send_response
from tocsin.ingest.asgi import Scope as AsgiScope
from tocsin.ingest.door import JSON, PROTOBUF, Door, Get, Headers, Request, check_media, media_type
from tocsin.ingest.doors import doors
from tocsin.ingest.edge import Edge
from tocsin.ingest.limits import Reservation
from tocsin.ingest.response import Response, text_response
from tocsin.ingest.rpc_status import CODES, status_bytes, status_json
from tocsin.ingest.senders import Senders
from tocsin.ingest.webhooks import PATH as WEBHOOKS
from tocsin.ingest.webhooks import webhook_door
from tocsin.model.access import Access, Authorise, Scope
from tocsin.model.errors import BadInput, Denied, Overloaded, TocsinError, TooLarge, Unsupported
from tocsin.selfmon.metrics import counter, histogram

_ALLOW = (b"allow", b"POST, GET, HEAD, OPTIONS")
_REQUESTS = counter("tocsin_ingest_http_requests_total", "Requests to ingest addresses, by status", ["path", "status"])
_BYTES = counter("tocsin_ingest_http_body_bytes_total", "Bytes of bodies as received", ["path"])
_SIGNED = Access(scopes=frozenset({Scope.INGEST}), key_id="signature")
"""What a request gets whose signature is yet to be checked: the tenant of the configuration."""
_DURATION = histogram("tocsin_ingest_http_duration_seconds", "Headers read to answer sent", ["path"])


def _status_of(error: TocsinError) -> int:
    match error:
        case Denied():
            return error.status
        case TooLarge():
            return 413
        case Unsupported():
            return 415
        case TooSlow():
            return 408
        case BadInput():
            return 400
        case _:
            return 503


def _refusal(door: Door, error: TocsinError, status: int, headers: Headers) -> Response:
    """The error body that the door's senders know, else what OTLP asks for, in the type of the request."""
    extra: list[tuple[bytes, bytes]] = []
    if status in {429, 503}:
        wait_s = error.retry_after_s if isinstance(error, Overloaded) else 1.0
        extra.append((b"retry-after", str(max(1, math.ceil(wait_s))).encode()))
    if status == 401:
        extra.append((b"www-authenticate", b'Bearer realm="tocsin"'))
    if door.refuse is not None:
        told = door.refuse(headers, str(error))
        return Response(status, (*told.headers, *extra), told.body)
    media = media_type(headers)
    if media == PROTOBUF:
        body = status_bytes(CODES[status], str(error))
        return Response(status, ((b"content-type", PROTOBUF.encode()), *extra), body)
    if media in {JSON, "application/x-ndjson", "application/jsonl"}:
        body = status_json(CODES[status], str(error))
        return Response(status, ((b"content-type", JSON.encode()), *extra), body)
    return text_response(status, str(error), *extra)


def _key_text(door: Door, headers: Headers) -> str | None:
    """The text of `Authorization`, or what stands for it: a key in a header of the sender's own."""
    raw = headers.get(b"authorization")
    if raw is not None:
        return raw.decode("latin-1")
    own = next((headers[name] for name in door.key_headers if headers.get(name)), None)
    return f"Bearer {own.decode('latin-1')}" if own is not None else None


def _allowed(door: Door, headers: Headers, authorise: Authorise) -> Access:
    if door.signed is not None and door.signed():
        return _SIGNED
    access = authorise(_key_text(door, headers))
    if access is None:
        raise Denied(401, "a key is needed: send `Authorization: Bearer KEY` (tocsin key create --scope ingest)")
    if not any(access.allows(scope) for scope in door.scopes):
        wanted = " or ".join(scope.value for scope in door.scopes)
        raise Denied(403, f"this key does not have the scope {wanted}, which {door.path} needs")
    return access


def _stated_bytes(headers: Headers) -> int | None:
    raw = headers.get(b"content-length")
    if raw is None:
        return None
    if not raw.isdigit():
        raise BadInput("content-length is not a number")
    return int(raw)


class _Ingest:
    """The app itself: finds the door, judges the headers, reads the body, answers."""

    def __init__(
        self,
        edge: Edge,
        authorise: Authorise,
        routes: Mapping[str, AsgiApp],
        fallback: AsgiApp | None,
        senders: Senders,
    ) -> None:
        self._edge = edge
        self._authorise = authorise
        self._senders = senders
        self._doors = doors(edge, senders)
        self._routes = routes
        self._fallback = fallback

    async def __call__(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await lifespan(receive, send)
            return
        path = scope.get("path", "")
        route = self._routes.get(path)
        door = self._door(path) if scope["type"] == "http" else None
        if route is not None:
            await route(scope, receive, send)
        elif door is not None and (scope["method"] == "POST" or not self._is_shared(door)):
            await self._enter(door, scope, receive, send)
        elif self._fallback is not None:
            await self._fallback(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close"})
        else:
            listing = "\n".join(f"  {found.path}: {found.title}" for found in self._doors.values())
            answer = text_response(404, f"nothing is here; the ingest addresses are\n{listing}")
            await send_response(send, answer, head=scope["method"] == "HEAD")

    def _door(self, path: str) -> Door | None:
        name = path.removeprefix(WEBHOOKS)
        if name != path:  # a changed configuration may know others than the one at the start
            return webhook_door(name, self._senders) if name in self._senders.webhooks else None
        return self._doors.get(path)

    def _is_shared(self, door: Door) -> bool:
        """Whether other methods of an address belong to the control API."""
        return self._fallback is not None and door.path == "/api/events"

    async def _enter(self, door: Door, scope: AsgiScope, receive: Receive, send: Send) -> None:
        method = scope["method"]
        if method == "POST":
            await self._post(door, scope, receive, send)
        elif method in {"GET", "HEAD"}:
            answer = text_response(200, door.explanation()) if door.get is None else self._get(door, door.get, scope)
            await send_response(send, answer, head=method == "HEAD")
        elif method == "OPTIONS":
            await send_response(send, Response(204, (_ALLOW,)))
        else:
            await send_response(send, text_response(405, f"{door.path} takes POST; GET explains it", _ALLOW))

    def _get(self, door: Door, get: Get, scope: AsgiScope) -> Response:
        headers: Headers = dict(scope["headers"])
        try:
            _allowed(door, headers, self._authorise)
        except Denied as error:
            return _refusal(door, error, error.status, headers)
        return get()

    async def _post(self, door: Door, scope: AsgiScope, receive: Receive, send: Send) -> None:
        headers: Headers = dict(scope["headers"])
        limits = self._edge.limits
        with _DURATION.labels(door.path).time(), self._edge.budget.reservation() as held:
            reader = BodyReader(receive, held, limits.body_bytes, limits.body_timeout_s)
            try:
                response = await self._answer(door, headers, reader, held)
                await reader.discard()
            except Gone as gone:
                _REQUESTS.labels(door.path, gone.code).inc()
                return
            _REQUESTS.labels(door.path, str(response.status)).inc()
            await send_response(send, response, close=not reader.complete)

    async def _answer(self, door: Door, headers: Headers, reader: BodyReader, held: Reservation) -> Response:
        try:
            access = _allowed(door, headers, self._authorise)
            check_media(door, headers)
            try:
                body = await reader.read(_stated_bytes(headers))
            except Overloaded as full:
                return _refusal(door, full, 429, headers)
            _BYTES.labels(door.path).inc(len(body))
            return await door.take(Request(headers, body, self._edge, access, held))
        except Gone:
            raise
        except TocsinError as error:
            return _refusal(door, error, _status_of(error), headers)


def ingest_app(
    edge: Edge,
    authorise: Authorise,
    routes: Mapping[str, AsgiApp] | None = None,
    fallback: AsgiApp | None = None,
    senders: Senders | None = None,
) -> AsgiApp:
    """The ASGI app of an ingest port.

    Parameters
    ----------
    routes : further exact paths, which win over the ingest addresses
    fallback : everything else; without it the answer is 404 with the list of addresses
    senders : what is known about those who push; None: what the shipped packs know
    """
    return _Ingest(edge, authorise, routes or {}, fallback, senders or Senders())
