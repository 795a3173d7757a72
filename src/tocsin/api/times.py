"""Times at the border of the API: RFC 3339 or epoch seconds in, nanoseconds inside."""

from __future__ import annotations

from tocsin.model.errors import BadInput
from tocsin.model.times import time_from_text

NS = 1_000_000_000
LIMIT_NS = 1 << 62


def parse_time_ns(text: str) -> int:
    """Read RFC 3339 or epoch seconds into nanoseconds.

    Raises
    ------
    BadInput
        It is neither.

    >>> parse_time_ns("2023-11-14T22:13:20.123Z"), parse_time_ns("1.5")
    (1700000000123000000, 1500000000)
    """
    try:
        ns = time_from_text(text)
    except BadInput:
        ns = LIMIT_NS
    if abs(ns) < LIMIT_NS:
        return ns
    raise BadInput(f"{text[:60]!r} is not a time; write it like 2026-11-21T14:00:00Z or as seconds since 1970")


def span_ns(start: str | None, end: str | None, now: int, default_s: int) -> tuple[int, int]:
    """A span of time from two optional texts; without `end` it ends now.

    Raises
    ------
    BadInput
        A text is no time, or the span is empty.
    """
    last = now if not end else parse_time_ns(end)
    first = last - default_s * NS if not start else parse_time_ns(start)
    if first >= last:
        raise BadInput("the span of time is empty: `from` must be before `to`")
    return first, last
