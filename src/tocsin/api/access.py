"""Who calls: a key in the Authorization header, or a browser's session made from a key."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request
from starlette.concurrency import run_in_threadpool

from tocsin.api.ports import Deps
from tocsin.api.problem import HttpProblem
from tocsin.api.session_ports import SESSION_NS, SessionBook
from tocsin.model.access import Access, Authorise, Scope
from tocsin.model.series import MAIN_TENANT

COOKIE = "tocsin_session"
MAX_SESSIONS = 1000
_SIGN_IN = "send `Authorization: Bearer KEY`, or sign in at /signin; `tocsin key create --scope read` makes a key"


@dataclass(frozen=True, slots=True)
class _Session:
    header: str
    until: int


class Sessions:
    """Browser sessions in memory, of one process: the hash of a random token to the key behind it.

    The key is asked again at every call, so that revoking it ends its sessions; a restart ends all.
    """

    def __init__(self, authorise: Authorise) -> None:
        self._authorise = authorise
        self._held: dict[bytes, _Session] = {}

    def open(self, header: str, now: int) -> str:
        """Start a session for an Authorization header; gives the token for the cookie."""
        self._held = {name: session for name, session in self._held.items() if session.until > now}
        while len(self._held) >= MAX_SESSIONS:
            del self._held[next(iter(self._held))]
        token = secrets.token_urlsafe(32)
        self._held[_digest(token)] = _Session(header, now + SESSION_NS)
        return token

    def access(self, token: str, now: int) -> Access | None:
        """What the key behind a token grants; None if there is none, or it is too old."""
        session = self._held.get(_digest(token))
        return self._authorise(session.header) if session is not None and session.until > now else None

    def close(self, token: str) -> None:
        """End a session."""
        self._held.pop(_digest(token), None)


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


def deps_of(request: Request) -> Deps:
    """What the application was built from."""
    found: Deps = request.app.state.deps
    return found


def sessions_of(request: Request) -> SessionBook:
    """The sessions of the application."""
    found: SessionBook = request.app.state.sessions
    return found


def access_of(request: Request) -> Access | None:
    """What the caller is allowed; None when the caller is not known. It may wait for the book of sessions."""
    deps = deps_of(request)
    header, token = request.headers.get("authorization"), request.cookies.get(COOKIE)
    found = sessions_of(request).access(token, deps.clock.now()) if header is None and token else None
    return found or deps.authorise(header)


async def _need(request: Request, *scopes: Scope) -> Access:
    waits = COOKIE in request.cookies
    access = await run_in_threadpool(access_of, request) if waits else access_of(request)
    if access is None:
        raise HttpProblem(401, "no key, or one that is not known here", next_step=_SIGN_IN, code="unauthenticated")
    if not any(access.allows(scope) for scope in scopes):
        names = " or ".join(scope.value for scope in scopes)
        step = f"make a key that may: tocsin key create --scope {scopes[0].value}"
        raise HttpProblem(403, f"this key does not have the scope {names}", next_step=step, code="forbidden")
    return access


def person(access: Access) -> str:
    """Who acts, for the record: the key, or somebody on this machine."""
    return access.key_id or "someone on this machine"


async def sender(request: Request) -> Access:
    """A caller that may send telemetry, and say what was changed."""
    return await _need(request, Scope.INGEST)


async def reader(request: Request) -> Access:
    """A caller that may read; who may operate may read."""
    return await _need(request, Scope.READ, Scope.OPERATE)


async def operator(request: Request) -> Access:
    """A caller that may acknowledge, resolve and test."""
    return await _need(request, Scope.OPERATE)


async def admin(request: Request) -> Access:
    """A caller that may do everything."""
    return await _need(request, Scope.ADMIN)


async def owner(request: Request) -> Access:
    """A caller that may do everything to the whole server: what concerns all tenants is no single tenant's."""
    return await _of_the_server(request, Scope.ADMIN)


async def server_operator(request: Request) -> Access:
    """A caller that may operate what all tenants share."""
    return await _of_the_server(request, Scope.OPERATE)


async def _of_the_server(request: Request, scope: Scope) -> Access:
    access = await _need(request, scope)
    if access.tenant != MAIN_TENANT:
        text = f"this concerns all tenants, and the key is of the tenant {access.tenant}"
        step = f"make a key of the server's own tenant: tocsin key create --scope {scope.value}"
        raise HttpProblem(403, text, next_step=step, code="forbidden")
    return access


Reader = Annotated[Access, Depends(reader)]
Operator = Annotated[Access, Depends(operator)]
Admin = Annotated[Access, Depends(admin)]
Owner = Annotated[Access, Depends(owner)]
ServerOperator = Annotated[Access, Depends(server_operator)]
DepsIn = Annotated[Deps, Depends(deps_of)]
