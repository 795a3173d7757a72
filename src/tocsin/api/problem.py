"""Errors as problem documents (RFC 9457) that name the cause and the next step."""

from __future__ import annotations

from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.responses import Response

from tocsin.model.errors import (
    BadInput,
    Overloaded,
    Refused,
    Retryable,
    TocsinError,
    TooLarge,
    Unreachable,
    Unsupported,
)

PROBLEM = "application/problem+json"
_STATUS: tuple[tuple[type[TocsinError], int], ...] = (
    (TooLarge, 413),
    (Unsupported, 415),
    (BadInput, 400),
    (Overloaded, 503),
    (Unreachable, 503),
    (Retryable, 502),
    (Refused, 502),
)
_SCHEMA = {
    "type": "object",
    "required": ["title", "status", "detail", "code"],
    "properties": {
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "code": {"type": "string"},
        "next": {"type": "string"},
    },
}
RESPONSES: dict[int | str, dict[str, object]] = {
    status: {"description": text, "content": {PROBLEM: {"schema": _SCHEMA}}}
    for status, text in (
        (400, "The request can't be understood"),
        (401, "No key, or an unknown one"),
        (403, "The key does not allow this, or the call came from another site"),
        (404, "There is no such thing"),
        (421, "The host name is not one this server answers to"),
        (422, "A parameter is missing or wrong"),
        (502, "A destination did not take the message"),
        (503, "Try again later"),
    )
}


class HttpProblem(TocsinError):
    """An answer that is not the one hoped for, with its HTTP status and what to do next."""

    code = "http"

    def __init__(self, status: int, detail: str, *, next_step: str = "", code: str = "http") -> None:
        super().__init__(detail)
        self.status = status
        self.next_step = next_step
        self.problem_code = code


def problem(status: int, detail: str, *, code: str, next_step: str = "", retry_after_s: float = 0) -> JSONResponse:
    """A problem document as a response."""
    body = {"title": HTTPStatus(status).phrase, "status": status, "detail": detail, "code": code}
    if next_step:
        body["next"] = next_step
    headers = {"retry-after": str(max(1, round(retry_after_s)))} if retry_after_s else {}
    if status == HTTPStatus.UNAUTHORIZED:
        headers["www-authenticate"] = "Bearer"
    return JSONResponse(body, status, headers, media_type=PROBLEM)


def problem_of(error: TocsinError) -> JSONResponse:
    """An error in our words as a problem document."""
    if isinstance(error, HttpProblem):
        return problem(error.status, str(error), code=error.problem_code, next_step=error.next_step)
    status = next((status for kind, status in _STATUS if isinstance(error, kind)), 500)
    retry = getattr(error, "retry_after_s", None) or (1.0 if status == HTTPStatus.SERVICE_UNAVAILABLE else 0)
    return problem(status, str(error), code=error.code, retry_after_s=retry)


async def _tocsin(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, TocsinError)
    return problem_of(error)


async def _invalid(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    faults = [
        f"{'.'.join(str(part) for part in fault['loc'][1:]) or fault['loc'][0]}: {fault['msg']}"
        for fault in error.errors()[:5]
    ]
    return problem(422, "; ".join(faults), code="bad_input", next_step="see /openapi.json for what this address takes")


def _wants_page(request: Request) -> bool:
    """Whether a person looks for a page: what programs ask for answers as always."""
    path = request.url.path
    return (
        request.method in ("GET", "HEAD")
        and "text/html" in request.headers.get("accept", "")
        and not path.startswith(("/api/", "/assets/", "/v1/"))
    )


async def _starlette(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == HTTPStatus.NOT_FOUND:
        if _wants_page(request):
            body: bytes = request.app.state.page
            return Response(body, 404, {"cache-control": "no-cache"}, media_type="text/html; charset=utf-8")
        text = f"nothing is at {request.url.path[:200]}"
        return problem(404, text, code="not_found", next_step="see /openapi.json for the addresses there are")
    answer = problem(error.status_code, str(error.detail), code="http")
    answer.headers.update(error.headers or {})
    return answer


async def _unexpected(_: Request, error: Exception) -> JSONResponse:
    text = f"an error nobody expected ({type(error).__name__}); it is in the log of the server"
    return problem(500, text, code="internal", next_step="try again; if it stays, report it with the log")


def install(app: FastAPI, page: bytes) -> None:
    """Make every error of the application a problem document; a person who looks for a page gets `page`, which says so."""
    app.state.page = page
    app.add_exception_handler(TocsinError, _tocsin)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _starlette)
    app.add_exception_handler(Exception, _unexpected)
