"""`PromptWatch`: versions of prompts that made prompts longer or calls dearer, by name, with before and after."""

from __future__ import annotations

from typing import Any, Final

from tocsin.assess.prompt_versions import Rise, Versions
from tocsin.derive.calls import Call
from tocsin.engine.call_episodes import Episodes
from tocsin.model.series import Signal
from tocsin.model.text import one_line

INPUT: Final = Signal("gen_ai.prompt.input_tokens_ratio", "1")
COST: Final = Signal("gen_ai.prompt.cost_ratio", "1")
MOST_PROMPTS: Final = 500
"""Prompts (by service, name and model) that are followed; what comes beyond is left alone."""
TOLD_NS: Final = 24 * 3600 * 10**9
"""So long a version that made calls dearer is told of; then it is what others are compared with."""
_EVERY: Final = 10
_Key = tuple[str, str, str, str, str]
"""Tenant, service, name of the prompt, model, signal."""


class PromptWatch:
    """Pure: what it says depends on the calls and their order alone."""

    def __init__(self, episodes: Episodes) -> None:
        self._episodes = episodes
        self._prompts: dict[_Key, Versions] = {}

    def take(self, tenant: str, call: Call) -> None:
        """Take a call in, if it tells its version of the prompt."""
        if not call.version or not call.counted or call.failed:
            return
        for signal, value in ((INPUT, call.input_tokens), (COST, call.cost_usd)):
            if value > 0:
                self._take(signal, (tenant, call.service, call.prompt, call.model, signal.name), call, value)

    def _take(self, signal: Signal, key: _Key, call: Call, value: float) -> None:
        versions = self._prompts.get(key)
        if versions is None:
            if len(self._prompts) >= MOST_PROMPTS:
                return
            versions = self._prompts[key] = Versions()
        limit = self._episodes.limit(signal.name)
        versions.add(call.version, call.time, value, limit=limit, asker=call.customer)
        if versions.raised is not None and versions.of[call.version].n % _EVERY == 0:
            self._judge(signal, key, versions, call, limit)

    def _judge(self, signal: Signal, key: _Key, versions: Versions, call: Call, limit: float) -> None:
        rise, ratio = versions.raised, versions.ratio(call.version)
        back = versions.went_back
        if rise is None or (ratio is None and not back):
            return
        told = {"service.name": key[1], "gen_ai.prompt.name": key[2], "gen_ai.request.model": key[3]}
        labels = {name: text for name, text in told.items() if text}
        over = call.time - rise.since > TOLD_NS  # it is the usual one now
        if ratio is None or back or over or ratio < (1 + limit) / 2:
            versions.calm()
            self._episodes.calm(key[0], signal, labels, call.time)
        elif ratio > limit:
            evidence = _evidence(signal, rise)
            self._episodes.tell(key[0], signal, labels, call.time, ratio, evidence, start=rise.since)

    def snapshot(self) -> list[list[Any]]:
        """All state, as a tree."""
        return [[*key, versions.snapshot()] for key, versions in self._prompts.items()]

    def restore(self, state: list[list[Any]]) -> None:
        """Take a snapshot back."""
        self._prompts = {(a, b, c, d, e): Versions.restored(told) for a, b, c, d, e, told in state}


def _evidence(signal: Signal, rise: Rise) -> dict[str, float | str]:
    what, how = ("prompts are", "as long as") if signal is INPUT else ("calls cost", "what they did")
    unit = "tokens" if signal is INPUT else "USD"
    return {
        "deviation": f"with version {one_line(rise.version, 30)} of the prompt: {what} {rise.ratio:.2g} times {how} before "
        f"({rise.before:.4g} -> {rise.after:.4g} {unit})",
        "prompt.version": one_line(rise.version, 80),
        "prompt.version_before": one_line(rise.version_before, 80),
        "before": rise.before,
        "after": rise.after,
        "unit": unit,
        "rise": rise.ratio,
        "compared_calls": float(rise.calls),
        "rank_log10_p": round(rise.log10_p, 1),
    }
