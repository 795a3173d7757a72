"""`PromptWatch`: versions of prompts that made prompts longer or calls dearer, by name, with before and after."""

from __future__ import annotations

from typing import Any, Final

from tocsin.assess.prompt_versions import LEAST_DEVIATES, Versions
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
        known = versions.add(call.version, call.time, value)
        if known.known and known.n % _EVERY == 0:
            self._judge(signal, key, versions, call)

    def _judge(self, signal: Signal, key: _Key, versions: Versions, call: Call) -> None:
        found = versions.rise(call.version)
        if found is None:
            return
        whole, worst = found
        limit = self._episodes.limit(signal.name)
        told = {"service.name": key[1], "gen_ai.prompt.name": key[2], "gen_ai.request.model": key[3]}
        labels = {name: text for name, text in told.items() if text}
        if whole.ratio <= limit or whole.deviates < LEAST_DEVIATES:
            if whole.ratio < (1 + limit) / 2:
                self._episodes.calm(key[0], signal, labels, call.time)
            return
        since = versions.first[worst.after]
        if call.time - since > TOLD_NS:  # it is the usual one now
            for name in list(versions.of):
                if name == worst.after:
                    break
                versions.forget(name)
            return
        before, after = versions.of[worst.before].average, versions.of[worst.after].average
        what = "prompts are" if signal is INPUT else "calls cost"
        unit = "tokens" if signal is INPUT else "USD"
        evidence: dict[str, float | str] = {
            "deviation": f"with version {one_line(worst.after, 30)}: {what} {whole.ratio:.2g} times "
            f"{'as long as' if signal is INPUT else 'what they did'} before ({before:.4g} -> {after:.4g} {unit})",
            "prompt.version": one_line(worst.after, 80),
            "prompt.version_before": one_line(worst.before, 80),
            "before": before,
            "after": after,
            "unit": unit,
            "rise": worst.ratio,
            "deviates": round(whole.deviates, 2),
            "calls": float(versions.of[worst.after].n),
        }
        self._episodes.tell(key[0], signal, labels, call.time, whole.ratio, evidence, start=since)

    def snapshot(self) -> list[list[Any]]:
        """All state, as a tree."""
        return [[*key, versions.snapshot()] for key, versions in self._prompts.items()]

    def restore(self, state: list[list[Any]]) -> None:
        """Take a snapshot back."""
        self._prompts = {(a, b, c, d, e): Versions.restored(told) for a, b, c, d, e, told in state}
