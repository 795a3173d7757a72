"""Time stamps in JSON: RFC 3339 text or epoch seconds -> nanoseconds."""

from __future__ import annotations

import math
import re
from datetime import datetime

from tocsin.ingest.decoded import YEAR_2000_NS, Unusable

_SECONDS = re.compile(r"\d{1,10}(\.\d{1,9})?", flags=re.ASCII)
_RFC3339 = re.compile(r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:\.(\d{1,9})\d*)?([Zz]|[+-]\d\d:\d\d)", flags=re.ASCII)


def parse_time_ns(value: object) -> int:
    """Nanoseconds since the epoch.

    Raises
    ------
    Unusable
        It is neither RFC 3339 nor epoch seconds.

    >>> parse_time_ns("2026-11-21T00:00:00.5Z"), parse_time_ns(1795219200.5), parse_time_ns("1795219200.5")
    (1795219200500000000, 1795219200500000000, 1795219200500000000)
    """
    if isinstance(value, bool):
        raise Unusable("bad_time")
    if isinstance(value, str) and _SECONDS.fullmatch(value):
        value = float(value)
    if isinstance(value, int | float):
        if not math.isfinite(value) or abs(value) >= 2**33:
            raise Unusable("bad_time")
        return round(value * 10**9)
    match = _RFC3339.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise Unusable("bad_time")
    day, clock, fraction, zone = match.groups()
    try:
        whole = datetime.fromisoformat(f"{day}T{clock}{zone.upper().replace('Z', '+00:00')}")
    except ValueError as bad:
        raise Unusable("bad_time") from bad
    return int(whole.timestamp()) * 10**9 + int((fraction or "0").ljust(9, "0"))


def check_time(time: int, received: int, ahead_ns: int) -> int:
    """The time itself, if it is believable.

    Raises
    ------
    Unusable
        It is before the year 2000 or more than `ahead_ns` ahead of `received`.
    """
    if time < YEAR_2000_NS:
        raise Unusable("too_old")
    if time > received + ahead_ns:
        raise Unusable("too_far_ahead")
    return time
