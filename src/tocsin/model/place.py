"""`Place`: where in a broker an entry came from."""

from __future__ import annotations

from typing import NamedTuple


class Place(NamedTuple):
    """Where an entry came from: a message of a broker, and which part of it this is."""

    source: str
    topic: str
    partition: int
    offset: int
    part: int = 0
