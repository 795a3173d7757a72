"""The shape of a model's answers, chunk by chunk: how long, how they end, how often it refuses; and when that moved."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from tocsin.assess.silent_jump import Answer, is_silent

CHUNK_CALLS: Final = 50
CHUNK_NS: Final = 10 * 60 * 10**9
"""A chunk has at least so many answers and lasts at least so long: a shorter one says little of the hour."""
PAST_CHUNKS: Final = 150
LEAST_CHUNKS: Final = 12
IN_A_ROW: Final = 2
MOST_STRANGE: Final = 4
LEAST_DEVIATES: Final = 5.0
LEAST_RATIO: Final = 1.3
"""Lengths that differ by less than this factor, and shares by less than `LEAST_SHARE`, mean nothing."""
LEAST_SHARE: Final = 0.05
_SHARES: Final = ("cut_off_ratio", "refusal_ratio", "tool_call_ratio")
LENGTH: Final = "output_tokens"
_KEPT: Final = 4
"""So many chunks before a jump are kept answer by answer, `CHUNK_CALLS` of each."""


class Shape(NamedTuple):
    """One chunk: since when, of how many answers, mean log of their length, shares of kinds of endings."""

    since: int
    n: int
    log_length: float
    cut_off_ratio: float
    refusal_ratio: float
    tool_call_ratio: float


class Moved(NamedTuple):
    """What moved, since when, from what to what, by how many standard deviations."""

    what: str
    since: int
    before: float
    after: float
    deviates: float


@dataclass(slots=True)
class Answers:
    """Chunks of the answers of one model to one service; `streak` is what was out of line in the chunk before.

    `rows` are answers of the newest chunks, one by one: those in line, then those that are strange, then the open one.
    """

    past: deque[Shape] = field(default_factory=lambda: deque(maxlen=PAST_CHUNKS))
    strange: list[Shape] = field(default_factory=list)
    sums: list[float] = field(default_factory=lambda: [0.0] * 6)
    streak: dict[str, int] = field(default_factory=dict)
    rows: list[list[Answer]] = field(default_factory=lambda: [[]])

    def add(
        self,
        time_ns: int,
        tokens: float,
        finish: str,
        *,
        refused: bool,
        asker: str = "",
        input_tokens: float = math.nan,
    ) -> Moved | None:
        """Take an answer in; what moved at once, when a chunk is over and it is the second in a row that says so."""
        sums = self.sums
        if not sums[0]:
            sums[1] = float(time_ns)
        sums[0] += 1
        asked = math.log(input_tokens) if input_tokens > 0 else math.nan
        ends = float(finish == "length"), float(refused), float(finish == "tool_calls")
        answer = Answer(asker, math.log(max(tokens, 1.0)), *ends, asked)
        if len(self.rows[-1]) < CHUNK_CALLS:
            self.rows[-1].append(answer)
        for at, value in enumerate(answer[1:5], start=2):
            sums[at] += value
        if sums[0] < CHUNK_CALLS or time_ns - sums[1] < CHUNK_NS:
            return None
        n = sums[0]
        chunk = Shape(int(sums[1]), int(n), sums[2] / n, sums[3] / n, sums[4] / n, sums[5] / n)
        self.sums = [0.0] * 6
        return self._judge(chunk)

    def _judge(self, chunk: Shape) -> Moved | None:
        found = list(self._moved(chunk)) if len(self.past) >= LEAST_CHUNKS else []
        if not found:
            self.past.extend([*self.strange, chunk])
            self.strange, self.streak = [], {}
            self._next()
            return None
        self.streak = {each.what: self.streak.get(each.what, 0) + 1 for each in found}
        self.strange.append(chunk)
        if len(self.strange) > MOST_STRANGE:  # never the same twice: it is simply uneven
            self.past.append(self.strange.pop(0))
        worst = max(found, key=lambda each: (self.streak[each.what], abs(each.deviates)))
        length = self.streak[worst.what]
        if length < IN_A_ROW:
            self._next()
            return None
        since = self.strange[-length].since
        before, after = self.rows[:-length][-_KEPT:], self.rows[-length:]
        least = math.log(LEAST_RATIO) if worst.what == LENGTH else LEAST_SHARE
        what = "log_length" if worst.what == LENGTH else worst.what
        silent = is_silent([e for each in before for e in each], [e for each in after for e in each], what, least)
        self.past = deque(self.strange, maxlen=PAST_CHUNKS)  # from here on this is what it answers like
        self.strange, self.streak = [], {}
        self._next()
        return worst._replace(since=since) if silent else None

    def _next(self) -> None:
        """Open the next chunk of rows; of those before as many are kept as a jump is compared with."""
        self.rows = [*self.rows[-(_KEPT + len(self.strange)) :], []]

    def _moved(self, chunk: Shape) -> list[Moved]:
        found = []
        centre, sd = self._past("log_length", 1.0 / math.sqrt(chunk.n))
        gap = chunk.log_length - centre
        if abs(gap) >= math.log(LEAST_RATIO) and abs(gap) >= LEAST_DEVIATES * sd:
            found.append(Moved(LENGTH, chunk.since, math.exp(centre), math.exp(chunk.log_length), gap / sd))
        for name in _SHARES:
            centre, sd = self._past(name, 0.0)
            value = getattr(chunk, name)
            sd = max(sd, math.sqrt(max(centre * (1 - centre), 1.0 / chunk.n) / chunk.n))
            gap = value - centre
            if abs(gap) >= LEAST_SHARE and abs(gap) >= LEAST_DEVIATES * sd:
                found.append(Moved(name, chunk.since, centre, value, gap / sd))
        return found

    def _past(self, name: str, least: float) -> tuple[float, float]:
        """Median of past chunks, and their robust standard deviation."""
        values = sorted(getattr(each, name) for each in self.past)
        centre = values[len(values) // 2]
        spread = sorted(abs(value - centre) for value in values)[len(values) // 2]
        return centre, max(1.4826 * spread, 0.1 * least)

    def snapshot(self) -> list[Any]:
        """All state, as a tree."""
        rows = [[list(row) for row in each] for each in self.rows]
        past, strange = ([list(each) for each in side] for side in (self.past, self.strange))
        return [past, strange, list(self.sums), dict(self.streak), rows]

    @staticmethod
    def of(state: Sequence[Any]) -> Answers:
        """Answers back from a snapshot."""
        past, strange, sums, streak, rows = state
        kept = deque((Shape(*each) for each in past), maxlen=PAST_CHUNKS)
        told = [[Answer(*row) for row in each] for each in rows]
        return Answers(kept, [Shape(*each) for each in strange], list(sums), dict(streak), told)
