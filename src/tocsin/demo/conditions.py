"""What can be changed in the world, and the faults that change it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias


@dataclass(slots=True)
class Conditions:
    """The knobs of the world; how they show in telemetry is up to the mechanisms."""

    prompt_version: str = "v41"
    documents: int = 4
    next_prompt_version: str = ""
    next_documents: int = 0
    next_share: float = 0.0  # of the requests that are served with the next version
    decode_slowdown: float = 1.0
    leaked_mib_per_request: float = 0.0
    leaked_blocks_per_request: float = 0.0


Fault: TypeAlias = Callable[[Conditions, float], None]
"""Sets the conditions for a time, in seconds since the fault began."""

_ROLLOUT_S = 90.0


def _prompt(world: Conditions, since_s: float) -> None:
    """A new prompt template asks for three times as many documents; replicas take it up one after another."""
    world.next_prompt_version, world.next_documents = "v42", 13
    world.next_share = min(1.0, since_s / _ROLLOUT_S)


def _gpu_leak(world: Conditions, since_s: float) -> None:
    """The engine gives back neither all of its blocks nor all of its memory when a request ends."""
    del since_s
    world.leaked_mib_per_request, world.leaked_blocks_per_request = 5.0, 2.0


def _latency(world: Conditions, since_s: float) -> None:
    """The GPU works slower and slower, to a third of its pace."""
    world.decode_slowdown = 1.0 + 2.0 * min(1.0, since_s / 120.0)


FAULTS: Mapping[str, Fault] = {"prompt": _prompt, "gpu-leak": _gpu_leak, "latency": _latency}
"""By name; each is a mechanism that goes wrong, never a curve that is drawn."""
