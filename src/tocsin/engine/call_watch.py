"""`CallWatch`: what calls of models and tools say one by one - agents, spending, prompt versions, answers, votes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tocsin.derive.calls import Call
from tocsin.engine.agent_watch import AgentWatch
from tocsin.engine.call_episodes import Episodes
from tocsin.model.finding import Finding
from tocsin.model.log import SourceKey
from tocsin.spec.engine import EngineSpec


class CallWatch:
    """Pure: what it says depends on calls, watermarks and the spec alone, not on how spans were batched."""

    def __init__(self) -> None:
        self.episodes = Episodes()
        self.agents = AgentWatch(self.episodes)

    def adopt(self, spec: EngineSpec) -> None:
        """Put monitors and budgets into force."""
        self.episodes.adopt(spec.all_monitors())

    def release(self, source: SourceKey, calls: Sequence[Call]) -> None:
        """Take calls in that a source's watermark has passed, in order of time, each once."""
        before: tuple[int, str, str] | None = None
        for call in calls:
            same = (call.time, call.trace, call.span)
            if same != before:
                self._take(source[0], call)
            before = same

    def _take(self, tenant: str, call: Call) -> None:
        self.agents.take(tenant, call)

    def close(self, received: int) -> list[Finding]:
        """Forget what is over, and give all news."""
        self.agents.expire(received)
        return self.episodes.close(received)

    def verdict(self, tenant: str, name: str) -> dict[str, Any]:
        """What is known of a run, trace or session while it goes on; may be read from any thread."""
        return self.agents.verdict(tenant, name)

    def snapshot(self) -> dict[str, Any]:
        """All state, as a tree."""
        return {"episodes": self.episodes.snapshot(), "agents": self.agents.snapshot()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take a snapshot back, under the spec in force."""
        self.episodes.restore(state["episodes"])
        self.agents.restore(state["agents"])
