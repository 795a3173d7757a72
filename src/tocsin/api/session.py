"""Signing in from a browser: a key for a cookie that scripts can't read."""

from __future__ import annotations

from urllib.parse import urlsplit

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from tocsin.api.access import COOKIE, DepsIn, access_of, sessions_of
from tocsin.api.present import Document
from tocsin.api.problem import RESPONSES, HttpProblem
from tocsin.api.session_ports import SESSION_S

router = APIRouter(prefix="/api/session", tags=["session"], responses=RESPONSES)


class Key(BaseModel):
    """The key to sign in with."""

    key: str = Field(min_length=1, max_length=500)


@router.get("", response_class=Document)
def session(request: Request, deps: DepsIn) -> Document:
    """Say who is signed in and what they may do; needs no key."""
    access = access_of(request)
    return Document(
        {
            "signed_in": access is not None,
            "open": deps.authorise(None) is not None,
            "tenant": access.tenant if access is not None else "",
            "scopes": sorted(scope.value for scope in access.scopes) if access is not None else [],
        }
    )


@router.post("", response_class=Document)
def sign_in(request: Request, deps: DepsIn, key: Key) -> Document:
    """Start a session with a key."""
    header = f"Bearer {key.key.strip()}"
    access = deps.authorise(header)
    if access is None:
        step = "copy it again; `tocsin key list` shows which keys there are"
        raise HttpProblem(401, "this key is not known here", next_step=step, code="unauthenticated")
    token = sessions_of(request).open(header, deps.clock.now())
    answer = Document({"signed_in": True, "scopes": sorted(scope.value for scope in access.scopes)})
    secure = _is_secure(request, deps.base_url)
    answer.set_cookie(COOKIE, token, max_age=SESSION_S, httponly=True, samesite="strict", secure=secure)
    return answer


def _is_secure(request: Request, base_url: str) -> bool:
    """Whether the browser came by TLS, which a proxy before us ends: it says so, or the stated address does."""
    if request.headers.get("x-forwarded-proto", request.url.scheme) == "https":
        return True
    stated = urlsplit(base_url)
    return stated.scheme == "https" and stated.netloc == request.headers.get("host")


@router.delete("", response_class=Document)
def sign_out(request: Request) -> Document:
    """End the session."""
    token = request.cookies.get(COOKIE)
    if token:
        sessions_of(request).close(token)
    answer = Document({"signed_in": False})
    answer.delete_cookie(COOKIE, httponly=True, samesite="strict")
    return answer
