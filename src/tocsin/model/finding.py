"""Findings: one series out of line for a span of time, with the expected band and the evidence."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Literal, TypeAlias

from tocsin.model.series import Series

Direction: TypeAlias = Literal["up", "down", "shape", "absent"]
Evidence: TypeAlias = Mapping[str, float | str]


class Phase(Enum):
    """Where in its life a finding is."""

    OPEN = "open"
    UPDATE = "update"
    CLOSE = "close"


def finding_id(tenant: str, monitor: str, series_id: bytes, start: int) -> bytes:
    """Deterministic id of a finding, 16 bytes: the same log gives the same id on any machine."""
    digest = hashlib.blake2b(digest_size=16, person=b"tocsin.finding")
    for part in (tenant.encode(), monitor.encode(), series_id, start.to_bytes(8, "little", signed=True)):
        digest.update(len(part).to_bytes(4, "little") + part)
    return digest.digest()


@dataclass(frozen=True, slots=True)
class Finding:
    """News about one finding; the latest news of an id replaces the earlier.

    `expected` is the band (lower, upper) in the signal's unit, NaN where open-ended. `log10_p` is a
    calibrated p-value; below 1/`n_eff` it is an extrapolated rank. `level` is the log10 p that was needed.
    """

    id: bytes
    phase: Phase
    tenant: str
    monitor: str
    series: Series
    start: int
    end: int
    time: int
    value: float
    expected: tuple[float, float]
    log10_p: float
    n_eff: float
    level: float
    direction: Direction
    evidence: Evidence = field(default_factory=dict)
