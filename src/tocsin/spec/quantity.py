"""Durations, sizes and quantities with units, as people write them in a spec."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated

from pydantic import BeforeValidator, PlainSerializer

_NS = {
    "ns": 1,
    "us": 10**3,
    "ms": 10**6,
    "s": 10**9,
    "m": 60 * 10**9,
    "h": 3600 * 10**9,
    "d": 86400 * 10**9,
    "w": 604800 * 10**9,
}
_BYTES = {
    "B": 1,
    "By": 1,
    "kB": 10**3,
    "KiB": 2**10,
    "MB": 10**6,
    "MiB": 2**20,
    "GB": 10**9,
    "GiB": 2**30,
    "TiB": 2**40,
}
_NUMBER = re.compile(r"\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*([A-Za-z%]*)\s*")


LONGEST_NS = 36_500 * 86_400 * 10**9
"""A hundred years: sums of durations and times stay within 64 bits."""


def parse_duration_ns(text: object) -> int:
    """Read a duration such as `15m`, `10s` or `1h` (a bare number is seconds) into nanoseconds.

    Raises
    ------
    ValueError
        The text is not a duration.

    >>> parse_duration_ns("15m") // 10**9
    900
    """
    match = _NUMBER.fullmatch(str(text))
    if isinstance(text, bool) or match is None or (match[2] or "s") not in _NS:
        raise ValueError(f"{text!r} is not a duration; write it like 30s, 5m, 1h or 7d")
    length = float(match[1]) * _NS[match[2] or "s"]
    if abs(length) > LONGEST_NS:
        raise ValueError(f"{text!r} is longer than anything lasts; write at most {LONGEST_NS // _NS['d']}d")
    return round(length)


def parse_bytes(text: object) -> int:
    """Read a size such as `20MiB` (a bare number is bytes) into bytes.

    Raises
    ------
    ValueError
        The text is not a size.

    >>> parse_bytes("20MiB")
    20971520
    """
    match = _NUMBER.fullmatch(str(text))
    if match is None or (match[2] or "B") not in _BYTES:
        raise ValueError(f"{text!r} is not a size; write it like 512kB or 20MiB")
    return round(float(match[1]) * _BYTES[match[2] or "B"])


DurationNs = Annotated[int, BeforeValidator(parse_duration_ns), PlainSerializer("{}ns".format, str)]
"""Pydantic field: a duration as people write it, held as nanoseconds."""

Bytes = Annotated[int, BeforeValidator(parse_bytes)]
"""Pydantic field: a size as people write it, held as bytes."""


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number with the unit it was written in ("200ms", "90%", "1GiB", "0.2")."""

    number: float
    unit: str

    def __str__(self) -> str:
        return f"{self.number!r}{self.unit}"

    def in_unit(self, unit: str) -> float:
        """The number in a signal's UCUM unit (s, ms, us, ns, By, KiBy, MiBy, %, 1); as it stands if unrelated.

        >>> Quantity(200, "ms").in_unit("s"), Quantity(90, "%").in_unit("1"), Quantity(0.5, "").in_unit("s")
        (0.2, 0.9, 0.5)
        """
        ucum = {
            "By": "B",
            "kBy": "kB",
            "KiBy": "KiB",
            "MBy": "MB",
            "MiBy": "MiB",
            "GBy": "GB",
            "GiBy": "GiB",
            "min": "m",
        }
        target = ucum.get(unit, unit)
        for table in (_NS, _BYTES):
            if self.unit in table and target in table:
                return self.number * table[self.unit] / table[target]
        if self.unit == "%" and target in ("1", ""):
            return self.number / 100
        return self.number


def parse_quantity(text: object) -> Quantity:
    """Read a number with an optional unit.

    Raises
    ------
    ValueError
        The text is not a number with a unit.
    """
    if isinstance(text, Quantity):
        return text
    match = _NUMBER.fullmatch(str(text))
    if match is None:
        raise ValueError(f"{text!r} is not a number with a unit; write it like 0.9, 200ms, 90% or 1GiB")
    return Quantity(float(match[1]), match[2])


QuantityField = Annotated[Quantity, BeforeValidator(parse_quantity), PlainSerializer(str, str)]
"""Pydantic field: a number with the unit it was written in."""
