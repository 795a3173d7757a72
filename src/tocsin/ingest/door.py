"""What an ingest address is: a path, who may come in, and what takes the body."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from tocsin.ingest.edge import Edge
from tocsin.ingest.limits import Reservation, decompress
from tocsin.ingest.response import Response
from tocsin.model.access import Access, Scope
from tocsin.model.errors import Unsupported

Headers: TypeAlias = Mapping[bytes, bytes]

PROTOBUF, JSON = "application/x-protobuf", "application/json"
INLINE_BYTES = 16 * 1024


# what a decoder holds is many times what it reads
PROTOBUF_WEIGHT, JSON_WEIGHT = 4, 12


@dataclass(frozen=True, slots=True)
class Request:
    """A complete request: its body as received, and what it holds of the budget."""

    headers: Headers
    body: bytes
    edge: Edge
    access: Access
    held: Reservation

    @property
    def media(self) -> str:
        """Content type without its parameters."""
        return media_type(self.headers)

    def raw(self) -> bytes:
        """The body, decompressed within its limit; what decoding it will take is reserved.

        Raises
        ------
        BadInput
            It can't be decompressed, or is too large.
        Overloaded
            Others hold the budget.
        """
        encoding = self.headers.get(b"content-encoding", b"").decode("latin-1")
        raw = decompress(self.body, encoding, self.edge.limits.body_bytes)
        self.held.take(len(raw) * (PROTOBUF_WEIGHT if self.media == PROTOBUF else JSON_WEIGHT))
        return raw


Take: TypeAlias = Callable[[Request], Awaitable[Response]]
Refuse: TypeAlias = Callable[[Headers, str], Response]
"""From the headers of a request and the reason to an answer, whose status is set by the caller."""
Get: TypeAlias = Callable[[], Response]
Signed: TypeAlias = Callable[[], bool]


@dataclass(frozen=True, slots=True)
class Door:
    """One ingest address.

    Attributes
    ----------
    media : content types that are taken; empty: `take` judges them itself
    key_headers : headers beside `Authorization` that carry a key, for senders that can't send that one
    refuse : an error in the form that these senders know; None: in that of OTLP
    signed : whether a signature is asked for instead of a key, which `take` checks
    get : what answers GET to those who may come in; None: the explanation
    """

    path: str
    take: Take
    title: str
    example: str
    media: tuple[str, ...] = ()
    scopes: tuple[Scope, ...] = (Scope.INGEST,)
    key_headers: tuple[bytes, ...] = ()
    refuse: Refuse | None = None
    signed: Signed | None = None
    get: Get | None = None

    def explanation(self) -> str:
        """What a person who opens the address should read."""
        media = f"\nContent types: {', '.join(self.media)}" if self.media else ""
        return (
            f"{self.title}\n\nThis address takes POST only.{media}\n\nExample:\n\n    {self.example}\n\n"
            f"When Tocsin asks for keys, add:  -H 'Authorization: Bearer KEY'  (tocsin key create --scope ingest)"
        )


def media_type(headers: Headers) -> str:
    """Content type without its parameters, in lower case."""
    return headers.get(b"content-type", b"").decode("latin-1").partition(";")[0].strip().lower()


def check_media(door: Door, headers: Headers) -> None:
    """Refuse a body that this door can't read.

    Raises
    ------
    Unsupported
        The content type is not one of the door's.
    """
    found = media_type(headers)
    if door.media and found not in door.media:
        raise Unsupported(
            f"content type {found[:60] or 'none'!r} is not taken by {door.path}; use {' or '.join(door.media)}"
        )
