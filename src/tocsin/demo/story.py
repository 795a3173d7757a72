"""What happens after the start of live time: two announced changes that do no harm, and perhaps one fault."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tocsin.demo.conditions import FAULTS, Conditions

MINUTE_S = 60.0


@dataclass(frozen=True, slots=True)
class Decoy:
    """An announced change that has no effect; `at_s` since the start of live time."""

    at_s: float
    kind: str
    entity: str
    what: str


@dataclass(frozen=True, slots=True)
class Story:
    """Times in seconds since the start of live time; the same decoys with and without the fault."""

    fault: str | None
    fault_at_s: float
    over_at_s: float
    decoys: tuple[Decoy, ...]

    @staticmethod
    def of(seed: int, fault: str | None) -> Story:
        """Draw the times from a seed."""
        rng = np.random.default_rng([seed, 0x570])
        fault_at_s = float(rng.uniform(8.0, 10.0)) * MINUTE_S
        deploy, flag = np.sort(rng.uniform(1.5, 7.5, 2))[::-1] * MINUTE_S
        decoys = (
            Decoy(fault_at_s - deploy, "deploy", "billing", "billing 2.14.3"),
            Decoy(fault_at_s - flag, "flag", "support-bot", "new-greeting on for 10 %"),
        )
        return Story(fault, fault_at_s, fault_at_s + 8 * MINUTE_S, decoys)

    def affect(self, conditions: Conditions, since_s: float) -> None:
        """Let the fault act, once its time has come."""
        if self.fault is not None and since_s >= self.fault_at_s:
            FAULTS[self.fault](conditions, since_s - self.fault_at_s)
