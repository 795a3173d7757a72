"""What the API needs to know of models that are due to be trained again, as a port that `app` fills."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class ModelStanding:
    """A model that drives a monitor, what is held against it, and since when it is due; times are ns, None = never."""

    monitor: str
    path: str
    sha256: str
    in_force_since: int
    false_alarms: int
    judged: int
    missed: int
    real: int
    foreign_share: float | None
    due_at: int | None
    reasons: Sequence[tuple[int, str]]
    put_off_at: int | None = None
    put_off_by: str = ""


class Retraining(Protocol):
    """Models that drive monitors."""

    def models(self, tenant: str) -> Sequence[ModelStanding]:
        """All of them, those that are due first."""

    def put_off(self, tenant: str, monitor: str, *, by: str, at: int) -> bool:
        """Let counting begin anew for a monitor; False: no model drives it."""

    def take_up(self, tenant: str, monitor: str, *, by: str, at: int) -> bool:
        """Take back that it was put off; False: no model drives this monitor."""
