"""What can cause what: the causal edges of all packs, followed from a change or signal to a symptom.

A side of an edge is a kind of change (`prompt`) or globs over signal names joined by `|`; two edges follow
each other where effect and cause share one of these. `deploy -> *` is a weak edge: it may break anything.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import translate

from tocsin.model.incident import CAUSE_KINDS
from tocsin.spec.pack import EdgeSpec, PackSpec

MAX_DEPTH = 6
STEP = 0.95
"""How much of a path's strength is left after each further edge."""
ANYTHING = 0.55
"""Strength of an edge whose effect is `*`."""
_CACHE = 4096
STATES = frozenset({"resource", "gpu", "node", "traffic", "data"})
"""Kinds of cause that a measurement can be: latency and errors are symptoms, prompts and deploys are acts."""


@dataclass(frozen=True, slots=True)
class Path:
    """How a cause reaches a signal: strength in (0, 1] and the edges on the way."""

    strength: float
    steps: tuple[str, ...]
    anywhere: bool


@dataclass(frozen=True, slots=True)
class _Side:
    names: frozenset[str]
    pattern: re.Pattern[str]
    text: str

    @staticmethod
    def of(text: str) -> _Side:
        names = [part.strip() for part in text.split("|")]
        globs = [translate(name) for name in names if name not in CAUSE_KINDS]
        return _Side(frozenset(names), re.compile("|".join(globs) or r"(?!)", re.IGNORECASE), names[0])


class CausalGraph:
    """The causal edges of packs, indexed."""

    def __init__(self, packs: Iterable[PackSpec]) -> None:
        specs: list[EdgeSpec] = [edge for pack in sorted(packs, key=lambda p: p.name) for edge in pack.edges]
        self._edges = [(_Side.of(edge.cause), _Side.of(edge.effect), edge.within == "anywhere") for edge in specs]
        self._next = [
            [n for n, (cause, _, _) in enumerate(self._edges) if cause.names & effect.names]
            for _, effect, _ in self._edges
        ]
        self._paths: dict[tuple[str, str], Path | None] = {}
        self._kinds: dict[str, tuple[str, ...]] = {}

    def kinds_of(self, signal: str) -> tuple[str, ...]:
        """Kinds of state whose direct effect this signal is: a finding on it is itself a candidate cause."""
        if signal not in self._kinds:
            _bound(self._kinds)
            self._kinds[signal] = tuple(
                dict.fromkeys(
                    name
                    for cause, effect, _ in self._edges
                    for name in sorted(cause.names & STATES)
                    if "*" not in effect.names and effect.pattern.fullmatch(signal)
                )
            )
        return self._kinds[signal]

    def path(self, cause: str, signal: str) -> Path | None:
        """Strongest path from a kind of change, or a signal, to a signal; None if there is none."""
        key = (cause, signal)
        if key not in self._paths:
            _bound(self._paths)
            self._paths[key] = self._search(cause, signal)
        return self._paths[key]

    def _search(self, cause: str, signal: str) -> Path | None:
        is_kind = cause in CAUSE_KINDS
        start: tuple[str, ...] = (cause,)
        queue = deque(
            (number, 1.0, start, False)
            for number, (side, _, _) in enumerate(self._edges)
            if (cause in side.names if is_kind else side.pattern.fullmatch(cause) and "*" not in side.names)
        )
        best: Path | None = None
        seen: dict[int, float] = {}
        while queue:
            number, strength, steps, anywhere = queue.popleft()
            _, effect, reaches = self._edges[number]
            strength *= ANYTHING if "*" in effect.names else 1.0
            anywhere = anywhere or reaches
            if seen.get(number, 0.0) >= strength:
                continue
            seen[number] = strength
            hit = bool(effect.pattern.fullmatch(signal)) or signal in effect.names
            if hit and (best is None or strength > best.strength):
                best = Path(strength, (*steps, signal), anywhere)
            if len(steps) < MAX_DEPTH and "*" not in effect.names:
                way = (*steps, effect.text)
                queue.extend((n, strength * STEP, way, anywhere) for n in self._next[number])
        return best


def _bound(cache: dict[str, tuple[str, ...]] | dict[tuple[str, str], Path | None]) -> None:
    if len(cache) >= _CACHE:
        cache.clear()
