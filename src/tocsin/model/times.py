"""Times as text: RFC 3339 or seconds since 1970 outside, nanoseconds inside."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from tocsin.model.errors import BadInput

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND = 1_000_000_000
_RFC3339 = re.compile(r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:\.(\d+))?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
_EPOCH_SECONDS = re.compile(r"(\d{1,10})(?:\.(\d{1,9}))?", re.ASCII)


def time_to_json(time_ns: int) -> str:
    """RFC 3339 text of a time, nanoseconds kept.

    >>> time_to_json(1_500_000_000_000_000_001)
    '2017-07-14T02:40:00.000000001Z'
    """
    seconds, rest = divmod(time_ns, _SECOND)
    whole = (_EPOCH + timedelta(seconds=seconds)).replace(tzinfo=None).isoformat()
    return f"{whole}.{rest:09d}Z"


def time_from_json(text: str) -> int:
    """Nanoseconds since the Unix epoch of an RFC 3339 time.

    Raises
    ------
    BadInput
        The text is not such a time.

    >>> time_from_json("2017-07-14T02:40:00.000000001Z"), time_from_json("1970-01-01T01:00:00+01:00")
    (1500000000000000001, 0)
    """
    match = _RFC3339.fullmatch(text)
    if match is None:
        raise BadInput(f"{text[:40]!r} is not an RFC 3339 time like 2026-11-02T14:02:00Z")
    try:
        past = datetime.fromisoformat(f"{match[1]}T{match[2]}{match[4].upper()}") - _EPOCH
    except (ValueError, OverflowError) as error:
        raise BadInput(f"{text[:40]!r} is not a time: {error}") from error
    return (past.days * 86_400 + past.seconds) * _SECOND + _billionths(match[3])


def time_from_text(text: str) -> int:
    """Nanoseconds since the Unix epoch of what people and programs write: RFC 3339, or seconds since 1970.

    Raises
    ------
    BadInput
        The text is neither.

    >>> time_from_text("1700000000.123456789")
    1700000000123456789
    """
    match = _EPOCH_SECONDS.fullmatch(text)
    if match is not None:
        return int(match[1]) * _SECOND + _billionths(match[2])
    return time_from_json(text)


def _billionths(fraction: str | None) -> int:
    return int((fraction or "0")[:9].ljust(9, "0"))
