"""`AccessWatch`: who asks what of services, judged every quarter of an hour of event time; findings are of kind `security`.

Signs say what is out of line and never who meant what, and nothing is done about them by itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from tocsin.assess.access import Oddity, ServiceAccess
from tocsin.engine.call_episodes import Episodes
from tocsin.model.finding import Finding
from tocsin.model.security import KIND, SECURITY
from tocsin.model.series import Signal
from tocsin.model.text import one_line
from tocsin.model.visit import PIECE_NS, Visit
from tocsin.spec.engine import EngineSpec
from tocsin.spec.pack import AccessLogSpec

SIGNALS: Final = {
    "unauthenticated": Signal("access.without_principal", "{request}"),
    "denied": Signal("access.denied", "{request}"),
    "volume": Signal("access.requests", "{request}"),
    "spread": Signal("access.endpoints", "{endpoint}"),
    "unusual": Signal("access.unusual", "{request}"),
}
MOST_SERVICES: Final = 200
GRACE_NS: Final = 300 * 10**9
"""So long after its end requests of a piece may still come."""
LIVE_NS: Final = 3600 * 10**9
"""Requests older than this are history that is played: their own times say how far it is."""


class AccessWatch:
    """Pure: what it says depends on the requests of each piece and on ticks, not on how they were batched."""

    def __init__(self) -> None:
        self.episodes = Episodes()
        self.services: dict[tuple[str, str], ServiceAccess] = {}
        self.logs: list[AccessLogSpec] = []
        self.late = 0
        self._left_out = 0
        self._latest: dict[str, int] = {}
        self._judged: dict[str, int] = {}

    def adopt(self, spec: EngineSpec) -> None:
        """Put monitors into force, and how lines of access logs are read."""
        self.episodes.adopt(spec.all_monitors())
        self.logs = [each for pack in spec.packs for each in pack.access_logs]

    def take(self, tenant: str, visits: Sequence[Visit]) -> None:
        """Count requests."""
        for visit in visits:
            if visit.piece < self._judged.get(tenant, 0):
                self.late += visit.n
                continue
            state = self.services.get((tenant, visit.service))
            if state is None:
                if len(self.services) >= MOST_SERVICES:
                    self._left_out += visit.n
                    continue
                state = self.services[tenant, visit.service] = ServiceAccess()
            state.take(visit)
            self._latest[tenant] = max(self._latest.get(tenant, 0), visit.piece)

    def close(self, received: int) -> list[Finding]:
        """Judge the pieces that are over, and give all news."""
        for tenant, latest in self._latest.items():
            live = received - latest * PIECE_NS < LIVE_NS
            over = (received - GRACE_NS) // PIECE_NS if live else latest
            if over <= self._judged.get(tenant, 0):
                continue
            self._judged[tenant] = over
            for (of, service), state in self.services.items():
                if of == tenant:
                    self._judge(tenant, service, state, over)
        return self.episodes.close(received)

    def _judge(self, tenant: str, service: str, state: ServiceAccess, over: int) -> None:
        for piece in sorted(piece for piece in state.open if piece < over):
            for odd in state.judge(piece):
                self._say(tenant, service, odd, piece)

    def _say(self, tenant: str, service: str, odd: Oddity, piece: int) -> None:
        signal = SIGNALS[odd.kind]
        if odd.value <= self.episodes.limit(signal.name):
            return
        what = "endpoint" if odd.kind == "unauthenticated" else "client"
        labels = {what: one_line(odd.name, 120)} | ({"service.name": service} if service else {})
        evidence: dict[str, float | str] = {
            "detector": "access",
            KIND: SECURITY,
            "threat": odd.kind,
            "deviation": one_line(odd.said, 300),
            "usual_high": odd.usual,
        }
        end = (piece + 1) * PIECE_NS
        self.episodes.tell(tenant, signal, labels, end, odd.value, evidence, start=end - PIECE_NS)

    @property
    def left_out(self) -> int:
        """How many requests and findings were beyond their caps."""
        return self._left_out + self.episodes.left_out + sum(each.left_out for each in self.services.values())

    def snapshot(self) -> dict[str, Any]:
        """All state, as a tree."""
        return {
            "episodes": self.episodes.snapshot(),
            "services": [[*key, state.snapshot()] for key, state in self.services.items()],
            "latest": dict(self._latest),
            "judged": dict(self._judged),
            "counts": [self.late, self._left_out],
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take a snapshot back, under the spec in force."""
        self.episodes.restore(state["episodes"])
        self.services = {(a, b): ServiceAccess.of(told) for a, b, told in state["services"]}
        self._latest, self._judged = dict(state["latest"]), dict(state["judged"])
        self.late, self._left_out = state["counts"]
