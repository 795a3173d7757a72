"""Runs of agents while they go on: repeated calls, fan-out, tokens a minute, cost; bounded, whatever they do."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, TypeVar

MINUTE_NS: Final = 60 * 10**9
SLOT_NS: Final = 5 * 10**9
"""Tokens of the last minute are counted in slots of this length."""
MOST_PAIRS: Final = 48
"""Pairs of tool and arguments, and parents, that a run is counted by; the longest unseen makes room."""
PAST_RUNS: Final = 256
"""Finished runs that a service is known by."""

Key = TypeVar("Key")


class Step(NamedTuple):
    """What one call adds to a run; times in ns."""

    time: int
    span: str
    parent: str
    tool: str
    arguments: str
    input_tokens: float
    output_tokens: float
    cost_usd: float
    failed: bool


class Reason(NamedTuple):
    """Why a run should be stopped."""

    monitor: str
    text: str
    at: int


@dataclass(slots=True)
class Run:
    """One run, trace or session.

    `repeated` is how often the most repeated tool was called with the same arguments; where `in_a_row`, as in a
    session of many turns, only calls that follow each other count.
    """

    service: str
    agent: str
    kind: str
    started: int
    last: int
    in_a_row: bool = False
    calls: int = 0
    tool_calls: int = 0
    failures: int = 0
    input_tokens: float = 0.0
    output_tokens: float = 0.0
    cost_usd: float = 0.0
    priced: int = 0
    repeated: int = 0
    repeated_tool: str = ""
    fan_out: int = 0
    peak_tokens_per_minute: float = 0.0
    reasons: tuple[Reason, ...] = ()
    pairs: dict[tuple[str, str], int] = field(default_factory=dict)
    parents: dict[str, int] = field(default_factory=dict)
    slots: deque[list[float]] = field(default_factory=deque)

    def take(self, step: Step) -> None:
        """Take a call in; calls come in order of time."""
        self.last = max(self.last, step.time)
        self.calls += 1
        self.failures += step.failed
        tokens = sum(each for each in (step.input_tokens, step.output_tokens) if each >= 0)
        self.input_tokens += step.input_tokens if step.input_tokens >= 0 else 0.0
        self.output_tokens += step.output_tokens if step.output_tokens >= 0 else 0.0
        if step.cost_usd >= 0:
            self.cost_usd += step.cost_usd
            self.priced += 1
        if tokens:
            self._velocity(step.time, tokens)
        if step.parent.strip("0"):
            self.fan_out = max(self.fan_out, _counted(self.parents, step.parent))
        if step.tool:
            self.tool_calls += 1
            if step.arguments:
                self._repeat((step.tool, step.arguments))

    def _repeat(self, pair: tuple[str, str]) -> None:
        if self.in_a_row and pair not in self.pairs:
            self.pairs.clear()
        count = _counted(self.pairs, pair)
        if count > self.repeated:
            self.repeated, self.repeated_tool = count, pair[0]

    def _velocity(self, time: int, tokens: float) -> None:
        slot = time // SLOT_NS
        if self.slots and self.slots[-1][0] == slot:
            self.slots[-1][1] += tokens
        else:
            self.slots.append([float(slot), tokens])
        while self.slots and self.slots[0][0] <= slot - MINUTE_NS // SLOT_NS:
            self.slots.popleft()
        self.peak_tokens_per_minute = max(self.peak_tokens_per_minute, sum(each for _, each in self.slots))

    def measured(self) -> dict[str, float]:
        """What monitors judge, by the last part of their signal's name."""
        return {
            "repeated_calls": float(self.repeated),
            "fan_out": float(self.fan_out),
            "tokens_per_minute": self.peak_tokens_per_minute,
            "cost": self.cost_usd,
        }

    def snapshot(self) -> list[Any]:
        """All state, as a tree."""
        return [
            self.service, self.agent, self.kind, self.started, self.last, self.in_a_row, self.calls, self.tool_calls,
            self.failures, self.input_tokens, self.output_tokens, self.cost_usd, self.priced, self.repeated,
            self.repeated_tool, self.fan_out, self.peak_tokens_per_minute, [list(each) for each in self.reasons],
            [[*pair, count] for pair, count in self.pairs.items()], list(self.parents.items()),
            [list(each) for each in self.slots],
        ]  # fmt: skip

    @staticmethod
    def of(state: Sequence[Any]) -> Run:
        """A run back from a snapshot."""
        *plain, reasons, pairs, parents, slots = state
        run = Run(*plain)
        run.reasons = tuple(Reason(*each) for each in reasons)
        run.pairs = {(tool, arguments): count for tool, arguments, count in pairs}
        run.parents = dict(parents)
        run.slots = deque(list(each) for each in slots)
        return run


def _counted(counts: dict[Key, int], key: Key) -> int:
    """One more of a key, which becomes the youngest; beyond the cap the one that was not seen longest is forgotten."""
    count = counts.pop(key, 0) + 1
    if len(counts) >= MOST_PAIRS:
        del counts[next(iter(counts))]
    counts[key] = count
    return count


@dataclass(slots=True)
class PastRuns:
    """What finished runs of an agent took: the newest `PAST_RUNS` of each measure."""

    values: dict[str, deque[float]] = field(default_factory=dict)

    def add(self, measured: dict[str, float]) -> None:
        """Take a finished run in."""
        for name, value in measured.items():
            self.values.setdefault(name, deque(maxlen=PAST_RUNS)).append(value)

    def high(self, name: str, least: int = 20) -> float:
        """The 99th percentile of a measure, 0 while fewer than `least` runs are known.

        >>> past = PastRuns()
        >>> for cost in range(100):
        ...     past.add({"cost": float(cost)})
        >>> past.high("cost"), past.high("fan_out")
        (98.0, 0.0)
        """
        known = sorted(self.values.get(name, ()))
        return known[int(0.99 * (len(known) - 1))] if len(known) >= least else 0.0
