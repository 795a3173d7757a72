"""`Visit`: requests to a service that are alike, counted; what watching access needs of spans and access logs."""

from __future__ import annotations

from typing import Final, NamedTuple

PIECE_NS: Final = 900 * 10**9
"""Requests are counted by quarters of an hour of event time."""


class Visit(NamedTuple):
    """Requests alike in all of this, within one piece; `answer` is `ok`, `denied` or `failed`; unknown texts are ""."""

    piece: int
    service: str
    endpoint: str
    principal: str
    client: str
    country: str
    tool: str
    answer: str
    n: int
