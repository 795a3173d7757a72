"""What a replica hears of control by way of the state store, and whether it still hears anything."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from tocsin.api.ports import DestinationStatus
from tocsin.app.deliveries import counted
from tocsin.app.telling import CURSOR, Told
from tocsin.model.errors import Unreachable
from tocsin.store.state import StateStore

LOOK_S: Final = 2.0
AWAY_S: Final = 20.0
"""Control that told nothing new for so long, by this process's own clock, is taken to be away."""
NEVER: Final = (
    "control has told nothing of itself yet: what it drops and refuses is not known, and incidents wait for it"
)


class Heard:
    """What control told last; any thread may ask.

    Parameters
    ----------
    state : the store that control writes
    seconds : of a clock that never goes back
    """

    def __init__(self, state: StateStore, *, seconds: Callable[[], float] = time.monotonic) -> None:
        self._state, self._seconds = state, seconds
        self._guard = threading.Lock()
        self._told: Told | None = None
        self._number = 0
        self._looked_s = float("-inf")
        self._heard_s = float("-inf")

    def latest(self) -> Told | None:
        """What control told last, at most some seconds old; None: nothing yet."""
        with self._guard:
            now_s = self._seconds()
            if now_s - self._looked_s >= LOOK_S:
                number, kept = self._state.cursor(CURSOR)
                self._looked_s = now_s
                if kept is not None and number != self._number:
                    self._told, self._number, self._heard_s = Told.unpacked(kept), number, now_s
            return self._told

    def away(self) -> str:
        """Why control is taken to be away, in words; empty while it is heard."""
        if self.latest() is None:
            return NEVER
        silent_s = self._seconds() - self._heard_s
        if silent_s < AWAY_S:
            return ""
        return (
            f"control has not been heard of for {silent_s:.0f} s: incidents wait, and nothing can be changed until it is"
            " back; what is shown is as it was stored"
        )

    def not_ready(self) -> Sequence[str]:
        """What does not work now, here and at control."""
        away, told = self.away(), self.latest()
        return [away] if away else list(told.not_ready) if told is not None else []

    def expositions(self) -> Mapping[str, str]:
        """Own metrics of control's processes."""
        told = self.latest()
        return {} if told is None else told.expositions

    def notices(self, tenant: str) -> Sequence[str]:
        """Caps that a tenant has reached."""
        told = self.latest()
        return [] if told is None else told.notices.get(tenant, [])

    def config_faults(self) -> Sequence[str]:
        """What is wrong with control's changed file of configuration."""
        told = self.latest()
        return [] if told is None else told.config_faults

    def level(self, incident_id: str) -> Mapping[str, Any] | None:
        """Who is told next of an incident; None: nobody."""
        told = self.latest()
        return None if told is None else told.levels.get(incident_id)


class DestinationsHeard:
    """`tocsin.api.ports.Destinations` as control told of them, with what waits for each as the outbox has it now."""

    def __init__(self, heard: Heard, state: StateStore) -> None:
        self._heard, self._state = heard, state

    def all(self, tenant: str) -> Sequence[DestinationStatus]:
        """All destinations with what is known of them."""
        told = self._heard.latest()
        if told is None:
            return []
        found = counted(told.destinations, self._state.outbox_counts(tenant))
        return [*found, *told.receivers.get(tenant, ())]

    def test(self, tenant: str, name: str) -> str:
        """Nothing is sent from here.

        Raises
        ------
        Unreachable
            Always: control does it.
        """
        raise Unreachable(f"{name} of {tenant} is tested by control, not by a replica")
