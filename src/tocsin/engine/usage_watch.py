"""`UsageWatch`: users who take far more than any did before, send one prompt over and over, or are refused again and again."""

from __future__ import annotations

from typing import Any, Final

from tocsin.assess.hourly_high import HourlyHigh
from tocsin.derive.calls import Call
from tocsin.engine.call_episodes import Episodes
from tocsin.model.security import KIND, SECURITY
from tocsin.model.series import Signal
from tocsin.model.text import one_line

TOKENS: Final = Signal("gen_ai.usage.user_tokens", "{token}")
REPEATS: Final = Signal("gen_ai.usage.repeated_prompts", "{call}")
REFUSED: Final = Signal("gen_ai.usage.refused_calls", "{call}")
TIMES: Final = 4.0
"""How many times the highest hour of any user in the week before an hour must be."""
MOST_SERVICES: Final = 200
_REFUSED: Final = "1"
_FILTERED: Final = frozenset({"content_filter", "safety", "refusal"})
_WHAT: Final = {
    TOKENS.name: "tokens",
    REPEATS.name: "times the same prompt",
    REFUSED.name: "calls that were refused or filtered",
}
_Key = tuple[str, str, str]
"""Tenant, service, signal."""


class UsageWatch:
    """Pure: what it says depends on the calls and their order alone."""

    def __init__(self, episodes: Episodes) -> None:
        self._episodes = episodes
        self._highs: dict[_Key, HourlyHigh] = {}

    def take(self, tenant: str, call: Call) -> None:
        """Take a call in, if it tells its user."""
        if not call.user or not call.counted or call.canary:
            return
        if call.tokens:
            self._take(TOKENS, tenant, call, call.user, round(call.tokens))
        if call.refusal == _REFUSED or call.finish in _FILTERED:
            self._take(REFUSED, tenant, call, call.user, 1)
        if call.prompt_said:
            self._take(REPEATS, tenant, call, f"{call.user}\0{call.prompt_said}", 1)

    def _take(self, signal: Signal, tenant: str, call: Call, name: str, count: int) -> None:
        key = (tenant, call.service, signal.name)
        high = self._highs.get(key)
        if high is None:
            if len(self._highs) >= MOST_SERVICES:
                return
            high = self._highs[key] = HourlyHigh()
        value = high.add(call.time, name, count)
        usual = high.usual_high() if signal is not REFUSED else self._usual_refused(tenant, call.service, high)
        if value <= self._episodes.limit(signal.name) or value <= TIMES * usual:
            return
        evidence: dict[str, float | str] = {
            KIND: SECURITY,
            "deviation": f"by user {one_line(call.user, 40)}: {value:,} {_WHAT[signal.name]} in this hour, at most {usual:,.0f} by "
            "anyone in an hour of the week before",
            "user": one_line(call.user, 80),
            "usual_high": usual,
        }
        labels = {"service.name": call.service} if call.service else {}
        self._episodes.tell(tenant, signal, labels, call.time, float(value), evidence)

    def _usual_refused(self, tenant: str, service: str, high: HourlyHigh) -> float:
        """The highest of past hours with refusals; hours without any are no news, once a day of calls is known."""
        calls = self._highs.get((tenant, service, TOKENS.name))
        known = calls is not None and calls.usual_high() < float("inf")
        return float(max(high.past, default=0)) if known else float("inf")

    def snapshot(self) -> list[list[Any]]:
        """All state, as a tree."""
        return [[*key, high.snapshot()] for key, high in self._highs.items()]

    def restore(self, state: list[list[Any]]) -> None:
        """Take a snapshot back."""
        self._highs = {(a, b, c): HourlyHigh.of(told) for a, b, c, told in state}
