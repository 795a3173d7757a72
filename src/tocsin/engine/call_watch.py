"""`CallWatch`: what calls of models and tools say one by one - agents, spending, prompts, answers, users, votes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tocsin.assess.spend import HOUR_NS
from tocsin.derive.calls import Call
from tocsin.derive.changes import Found
from tocsin.derive.votes import Vote
from tocsin.engine.agent_watch import AgentWatch
from tocsin.engine.answer_watch import AnswerWatch
from tocsin.engine.call_episodes import Episodes
from tocsin.engine.prompt_watch import PromptWatch
from tocsin.engine.report import ENGINE
from tocsin.engine.spend_watch import SpendWatch
from tocsin.engine.usage_watch import UsageWatch
from tocsin.engine.vote_watch import VoteWatch
from tocsin.model.finding import Finding
from tocsin.model.frame import Frame, points_frame
from tocsin.model.log import SourceKey
from tocsin.model.series import Catalog, Series
from tocsin.spec.engine import EngineSpec


class CallWatch:
    """Pure: what it says depends on calls, votes, watermarks and the spec alone, not on how they were batched."""

    def __init__(self) -> None:
        self.episodes = Episodes()
        self.agents = AgentWatch(self.episodes)
        self.spending = SpendWatch(self.episodes)
        self.prompts = PromptWatch(self.episodes)
        self.answers = AnswerWatch(self.episodes)
        self.usage = UsageWatch(self.episodes)
        self.votes = VoteWatch(self.episodes)
        self._hour = 0

    def adopt(self, spec: EngineSpec) -> None:
        """Put monitors and budgets into force."""
        self.episodes.adopt(spec.all_monitors())
        self.spending.adopt(spec.budgets)

    def release(self, source: SourceKey, calls: Sequence[Call], votes: Sequence[Vote]) -> None:
        """Take calls and votes in that a source's watermark has passed, in order of time, each once."""
        before: tuple[int, str, str] | None = None
        for call in calls:
            same = call.place()
            if same != before:
                self._take(source[0], call)
            before = same
        last: Vote | None = None
        for vote in votes:
            if vote != last:
                self.votes.take(source[0], vote)
            last = vote

    def _take(self, tenant: str, call: Call) -> None:
        self.agents.take(tenant, call)
        if call.is_model or call.topic:
            self.votes.about(tenant, call)
        if call.is_model:
            self.spending.take(tenant, call)
            self.prompts.take(tenant, call)
            self.answers.take(tenant, call)
            self.usage.take(tenant, call)

    def close(self, received: int) -> list[Finding]:
        """Judge what is judged by the clock, forget what is over, and give all news."""
        self.agents.expire(received)
        self.spending.judge(received)
        self.votes.judge(received)
        return self.episodes.close(received)

    def changes(self) -> list[Found]:
        """Changes of models found since this was last asked."""
        return self.answers.changes()

    def points(self, received: int, catalog: Catalog) -> list[Frame]:
        """What was spent in the hour before the last, once it is over and late calls have come."""
        hour = (received - HOUR_NS // 12) // HOUR_NS
        if hour <= self._hour:
            return []
        begun, first, self._hour = (hour - 1) * HOUR_NS, not self._hour, hour
        if first:
            return []
        found: dict[str, list[tuple[Series, float]]] = {}
        for series, usd in self.spending.hours(begun):
            found.setdefault(series.tenant, []).append((series, usd))
        return [
            points_frame(
                tenant,
                ENGINE,
                np.array([catalog.intern(series) for series, _ in told], "i4"),
                np.full(len(told), begun + HOUR_NS),
                np.array([usd for _, usd in told]),
            )
            for tenant, told in sorted(found.items())
        ]

    def verdict(self, tenant: str, name: str) -> dict[str, Any]:
        """What is known of a run, trace or session while it goes on; may be read from any thread."""
        return self.agents.verdict(tenant, name)

    @property
    def left_out(self) -> int:
        """How many findings and tallies were beyond their caps."""
        return self.episodes.left_out + self.votes.left_out

    def snapshot(self) -> dict[str, Any]:
        """All state, as a tree."""
        return {
            "episodes": self.episodes.snapshot(),
            "agents": self.agents.snapshot(),
            "spending": self.spending.snapshot(),
            "prompt_versions": self.prompts.snapshot(),
            "answers": self.answers.snapshot(),
            "usage": self.usage.snapshot(),
            "votes": self.votes.snapshot(),
            "hour": self._hour,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take a snapshot back, under the spec in force."""
        self.episodes.restore(state["episodes"])
        self.agents.restore(state["agents"])
        self.spending.restore(state["spending"])
        self.prompts.restore(state["prompt_versions"])
        self.answers.restore(state["answers"])
        self.usage.restore(state["usage"])
        self.votes.restore(state["votes"])
        self._hour = state["hour"]
