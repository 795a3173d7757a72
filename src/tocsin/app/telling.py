"""What the process with the fold and the senders tells of itself, in the state store: other processes show it as well.

It is a sign of life too: written every few seconds, and read by whoever answers pages beside it.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from tocsin.api.ports import Deps, DestinationStatus
from tocsin.model.incident import Incident, IncidentState
from tocsin.store.dialects import SQLITE
from tocsin.store.state import StateStore

CURSOR: Final = "told/control"
TELL_EVERY_S: Final = 5.0
MOST_OPEN: Final = 200
ACTIVE: Final = (IncidentState.OPEN, IncidentState.ACKNOWLEDGED)


@dataclass(frozen=True, slots=True)
class Told:
    """What was told at one time.

    `expositions` are the own metrics of each process; `notices` the caps that tenants have reached; `destinations`
    carry no counts, which are in the outbox; `receivers` of scores are by tenant; `levels` say of open incidents who is
    told next.
    """

    version: str
    expositions: Mapping[str, str] = field(default_factory=dict)
    notices: Mapping[str, Sequence[str]] = field(default_factory=dict)
    not_ready: Sequence[str] = ()
    config_faults: Sequence[str] = ()
    destinations: Sequence[DestinationStatus] = ()
    receivers: Mapping[str, Sequence[DestinationStatus]] = field(default_factory=dict)
    levels: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def packed(self) -> bytes:
        """As it is kept."""
        return zlib.compress(json.dumps(asdict(self)).encode())

    @staticmethod
    def unpacked(kept: bytes) -> Told:
        """What was kept; what another version told besides is left out."""
        found: dict[str, Any] = json.loads(zlib.decompress(kept))
        known = {name: found[name] for name in Told.__slots__ if name in found}
        known["destinations"] = [_status(each) for each in known.get("destinations", ())]
        received = known.get("receivers", {})
        known["receivers"] = {name: [_status(each) for each in rows] for name, rows in received.items()}
        return Told(**known)


def _status(found: Mapping[str, Any]) -> DestinationStatus:
    return DestinationStatus(**{name: found[name] for name in DestinationStatus.__slots__ if name in found})


class Speech:
    """What a process says of itself, from what its own pages show.

    Parameters
    ----------
    deps : of its pages
    notices : caps that tenants have reached
    destinations : those of messages
    receivers : those of scores, by tenant
    """

    def __init__(
        self,
        deps: Deps,
        notices: Callable[[], Mapping[str, Sequence[str]]],
        destinations: Callable[[], Sequence[DestinationStatus]],
        receivers: Callable[[], Mapping[str, Sequence[DestinationStatus]]],
    ) -> None:
        self._deps, self._notices, self._destinations, self._receivers = deps, notices, destinations, receivers

    def told(self, open_now: Sequence[Incident]) -> Told:
        """Everything that others show of it; `open_now` are incidents that somebody may be told of."""
        deps = self._deps
        levels = {} if deps.routing is None else {each.id: deps.routing.next_level(each) for each in open_now}
        return Told(
            deps.version,
            deps.expositions(),
            self._notices(),
            deps.ready(),
            deps.config_faults(),
            self._destinations(),
            self._receivers(),
            {name: level for name, level in levels.items() if level is not None},
        )


class Telling:
    """Writes down what a process tells of itself, where others may read it: in SQLite nobody else does."""

    def __init__(self, state: StateStore, speech: Speech) -> None:
        self._state, self._speech = state, speech
        self._alone = state.url.get_backend_name() == SQLITE

    def step(self) -> int:
        """Tell once."""
        if self._alone:
            return 0
        number, _ = self._state.cursor(CURSOR)
        told = self._speech.told(self._state.incidents(None, ACTIVE, limit=MOST_OPEN))
        return int(self._state.commit(CURSOR, number + 1, state=told.packed()))
