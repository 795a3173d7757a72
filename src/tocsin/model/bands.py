"""Bands as people see them: what can't be negative is not expected to be."""

from __future__ import annotations

import math
import re
from typing import Final

from tocsin.model.series import Kind, Signal

_NEVER_NEGATIVE: Final = frozenset(
    {"ns", "us", "ms", "s", "min", "h", "d", "By", "kBy", "MBy", "GBy", "KiBy", "MiBy", "GiBy", "TiBy"}
)
_SHARE: Final = re.compile(r"ratio|perc|utili[sz]ation|fraction|share|usage", re.IGNORECASE)
_EITHER_SIGN: Final = re.compile(
    r"offset|skew|delta|drift|diff|change|balance|derivative|slope|correlation|gain|loss", re.IGNORECASE
)


def never_negative(signal: Signal) -> bool:
    """Whether a signal counts, lasts, holds bytes or is a share; its unit and name tell.

    >>> never_negative(Signal("queue.length", "{request}")), never_negative(Signal("ntp.offset", "s"))
    (True, False)
    >>> never_negative(Signal("kv_cache_usage_perc", "1")), never_negative(Signal("temperature", "Cel"))
    (True, False)
    """
    if _EITHER_SIGN.search(signal.name):
        return False
    if signal.kind is Kind.HISTOGRAM or signal.monotonic:
        return True
    head = signal.unit.split("/", 1)[0]
    return (
        head in _NEVER_NEGATIVE or head.startswith("{") or (head in ("1", "", "%") and bool(_SHARE.search(signal.name)))
    )


def shown_lower(lower: float, signal: Signal) -> float:
    """The lower end of a band as it is shown: no less than 0 where nothing can be.

    >>> shown_lower(-0.3, Signal("latency", "s")), shown_lower(-3.0, Signal("temperature", "Cel"))
    (0.0, -3.0)
    """
    return 0.0 if math.isfinite(lower) and lower < 0 and never_negative(signal) else lower
