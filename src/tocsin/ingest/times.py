"""Time stamps in JSON: RFC 3339 text or epoch seconds -> nanoseconds."""

from __future__ import annotations

import math

from tocsin.ingest.decoded import YEAR_2000_NS, Unusable
from tocsin.model.errors import BadInput
from tocsin.model.times import time_from_text


def parse_time_ns(value: object) -> int:
    """Nanoseconds since the epoch.

    Raises
    ------
    Unusable
        It is neither RFC 3339 nor epoch seconds.

    >>> parse_time_ns("2026-11-21T00:00:00.5Z"), parse_time_ns(1795219200.5), parse_time_ns("1795219200.5")
    (1795219200500000000, 1795219200500000000, 1795219200500000000)
    >>> parse_time_ns("1795219200.123456789")
    1795219200123456789
    """
    if isinstance(value, bool):
        raise Unusable("bad_time")
    if isinstance(value, int | float):
        if not math.isfinite(value) or abs(value) >= 2**33:
            raise Unusable("bad_time")
        return round(value * 10**9)
    if not isinstance(value, str):
        raise Unusable("bad_time")
    try:
        return time_from_text(value)
    except BadInput as bad:
        raise Unusable("bad_time") from bad


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
