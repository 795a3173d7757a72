"""Times at the border of the API: RFC 3339 or epoch seconds in, nanoseconds inside."""

from __future__ import annotations

import re
from datetime import datetime

from tocsin.model.errors import BadInput

NS = 1_000_000_000
_SECONDS = re.compile(r"[+-]?\d{1,12}(\.\d{1,9})?")
_RFC3339 = re.compile(r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?([Zz]|[+-]\d\d:\d\d)")
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
    if _SECONDS.fullmatch(text):
        whole, _, fraction = text.partition(".")
        sign = -1 if whole.startswith("-") else 1
        ns = int(whole) * NS + sign * int((fraction or "0").ljust(9, "0"))
        if abs(ns) < LIMIT_NS:
            return ns
    match = _RFC3339.fullmatch(text)
    if match is not None:
        zone = "+00:00" if match[4] in "Zz" else match[4]
        try:
            whole_s = int(datetime.fromisoformat(f"{match[1]}T{match[2]}{zone}").timestamp())
        except (ValueError, OverflowError):
            pass
        else:
            ns = whole_s * NS + int((match[3] or "0").ljust(9, "0"))
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
