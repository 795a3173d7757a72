"""What an ingest address answers: status, headers and body, before ASGI."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

Headers: TypeAlias = tuple[tuple[bytes, bytes], ...]


@dataclass(frozen=True, slots=True)
class Response:
    """One answer; header names are lower-case bytes, `content-length` is added when it is sent."""

    status: int
    headers: Headers = ()
    body: bytes = b""


def text_response(status: int, text: str, *headers: tuple[bytes, bytes]) -> Response:
    """An answer in plain text.

    >>> text_response(404, "nothing here").status
    404
    """
    body = text.encode("utf-8", "replace") + b"\n"
    return Response(status, ((b"content-type", b"text/plain; charset=utf-8"), *headers), body)
